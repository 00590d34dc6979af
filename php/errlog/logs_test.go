package errlog

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func scanFPM(t testing.TB, text string) (records []FPMRecord) {
	t.Helper()
	if err := ScanFPM(strings.NewReader(text), time.UTC, func(r FPMRecord) bool { records = append(records, r); return true }); err != nil {
		t.Fatal(err)
	}
	return records
}

func scanSlow(t testing.TB, text string) (traces []SlowTrace) {
	t.Helper()
	if err := ScanSlow(strings.NewReader(text), time.UTC, func(s SlowTrace) bool { traces = append(traces, s); return true }); err != nil {
		t.Fatal(err)
	}
	return traces
}

func scanPHP(t testing.TB, text string) (errors []PHPError) {
	t.Helper()
	if err := ScanPHP(strings.NewReader(text), func(e PHPError) bool { errors = append(errors, e); return true }); err != nil {
		t.Fatal(err)
	}
	return errors
}

var clock = time.Date(2026, 11, 22, 20, 58, 55, 0, time.UTC)

func TestScanFPM(t *testing.T) {
	t.Parallel()
	const head = "[22-Nov-2026 20:58:55] "
	for _, c := range []struct {
		line string
		want FPMRecord
	}{
		{"WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV) after 3.250000 seconds from start", FPMRecord{
			Level: "WARNING", Pool: "www", Exit: &Exit{PID: 12, Signal: 11, SignalName: "SIGSEGV", After: 3250 * time.Millisecond}}},
		{"WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV - core dumped) after 3.250000 seconds from start", FPMRecord{
			Level: "WARNING", Pool: "www", Exit: &Exit{PID: 12, Signal: 11, SignalName: "SIGSEGV", Core: true, After: 3250 * time.Millisecond}}},
		{"WARNING: [pool a.example] child 12 exited on signal 9 (SIGKILL) after 0.003702 seconds from start", FPMRecord{
			Level: "WARNING", Pool: "a.example", Exit: &Exit{PID: 12, Signal: 9, SignalName: "SIGKILL", After: 3702 * time.Microsecond}}},
		{"WARNING: [pool www] child 12 exited with code 124 after 3.000000 seconds from start", FPMRecord{
			Level: "WARNING", Pool: "www", Exit: &Exit{PID: 12, Code: 124, After: 3 * time.Second}}},
		{"NOTICE: [pool www] child 12 exited with code 0 after 86400.500000 seconds from start", FPMRecord{
			Level: "NOTICE", Pool: "www", Exit: &Exit{PID: 12, After: 86400*time.Second + 500*time.Millisecond}}},
		{"WARNING: [pool www] server reached pm.max_children setting (5), consider raising it", FPMRecord{Level: "WARNING", Pool: "www", MaxChildren: 5}},
		{"WARNING: [pool www] server reached max_children setting (5), consider raising it", FPMRecord{Level: "WARNING", Pool: "www", MaxChildren: 5}},
		{`WARNING: [pool www] child 19443, script '/p/index.php' (request: "GET /u?q") executing too slow (2.180000 sec), logging`, FPMRecord{
			Level: "WARNING", Pool: "www", Slow: &Slow{PID: 19443, Script: "/p/index.php", Method: "GET", URI: "/u?q", After: 2180 * time.Millisecond}}},
		{`WARNING: [pool www] child 19443, script '/p/index.php' (request: "POST /u") execution timed out (6.150000 sec), terminating`, FPMRecord{
			Level: "WARNING", Pool: "www", Slow: &Slow{PID: 19443, Script: "/p/index.php", Method: "POST", URI: "/u", After: 6150 * time.Millisecond, Terminated: true}}},
		{`WARNING: [pool www] child 1, script '/it's/i.php' (request: "GET /x' (request: "GET /y") executing too slow (9.000000 sec), logging") executing too slow (2.000000 sec), logging`, FPMRecord{
			Level: "WARNING", Pool: "www", Slow: &Slow{PID: 1, Script: "/it's/i.php", Method: "GET",
				URI: `/x' (request: "GET /y") executing too slow (9.000000 sec), logging`, After: 2 * time.Second}}},
		{`WARNING: [pool www] child 1, script '' (request: " ") executing too slow (2.000000 sec), logging`, FPMRecord{
			Level: "WARNING", Pool: "www", Slow: &Slow{PID: 1, After: 2 * time.Second}}},
		{`WARNING: [pool www] child 12 said into stderr: "NOTICE: PHP message: PHP Warning:  x "y" in /f on line 2"`, FPMRecord{
			Level: "WARNING", Pool: "www", Said: &Said{PID: 12, Stream: "stderr", Text: `NOTICE: PHP message: PHP Warning:  x "y" in /f on line 2`}}},
		{`WARNING: [pool www] child 12 said into stdout: "a line past log_limit`, FPMRecord{
			Level: "WARNING", Pool: "www", Said: &Said{PID: 12, Stream: "stdout", Text: "a line past log_limit"}}},
		{"NOTICE: [pool www] child 12 started", FPMRecord{Level: "NOTICE", Pool: "www"}},
		{"NOTICE: fpm is running, pid 1", FPMRecord{Level: "NOTICE"}},
		{"ERROR: failed to ptrace(ATTACH) child 5: Operation not permitted (1)", FPMRecord{Level: "ERROR"}},
		{"ALERT: [pool www] pm.start_servers(5) must not be less than 1", FPMRecord{Level: "ALERT", Pool: "www"}},
		{"ERROR: [/etc/fpm.conf:11] unknown entry 'bogus'", FPMRecord{Level: "ERROR"}},
		{"WARNING: [pool www] child 99999999999999999999 exited with code 0 after 1.0 seconds from start", FPMRecord{
			Level: "WARNING", Pool: "www", Exit: &Exit{After: time.Second}}},
		{"WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV) after 3.250000 seconds from start, or so", FPMRecord{Level: "WARNING", Pool: "www"}},
	} {
		c.want.Time = clock
		_, c.want.Text, _ = strings.Cut(c.line, ": ")
		c.want.Text = strings.TrimPrefix(c.want.Text, "[pool "+c.want.Pool+"] ")
		if diff := cmp.Diff([]FPMRecord{c.want}, scanFPM(t, head+c.line+"\r\n")); diff != "" {
			t.Errorf("%s\n%s", c.line, diff)
		}
	}
}

func TestScanFPMJoinsAndPassesOver(t *testing.T) {
	t.Parallel()
	text := "half of a rotated line\n\x00\xff\xfe\n" +
		"[22-Nov-2026 20:58:55.123456] DEBUG: pid 7, fpm_got_signal(), line 76: received SIGCHLD\n" +
		"[22-Nov-2026 20:58:55] WARNING: [pool www] child 12 exited with code 1 after 1.000000 seconds from start\nraw words of a worker\r\n\r\nmore\n" +
		"[22-Nov-2026 20:58:55] LOUD: no level of FPM\n[22-Nov-2026 20:58] NOTICE: no stamp\n" +
		"[99-Nov-2026 20:58:55] NOTICE: no such day\n" +
		"[22-Nov-2026 20:58:55] NOTICE: cut off"
	got := scanFPM(t, text)
	want := []FPMRecord{
		{Time: clock.Add(123456 * time.Microsecond), Level: "DEBUG", Text: "received SIGCHLD"},
		{Time: clock, Level: "WARNING", Pool: "www", Exit: &Exit{PID: 12, Code: 1, After: time.Second},
			Text: "child 12 exited with code 1 after 1.000000 seconds from start\nraw words of a worker\n\nmore\n[22-Nov-2026 20:58:55] LOUD: no level of FPM\n[22-Nov-2026 20:58] NOTICE: no stamp"},
		{Level: "NOTICE", Text: "no such day"},
		{Time: clock, Level: "NOTICE", Text: "cut off"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestScanFPMZone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -3*3600)
	err := ScanFPM(strings.NewReader("[22-Nov-2026 17:58:55] NOTICE: x\n"), zone, func(r FPMRecord) bool {
		if !r.Time.Equal(clock) {
			t.Errorf("got %v, want %v", r.Time, clock)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestScanSlow(t *testing.T) {
	t.Parallel()
	text := "rest of a rotated trace\n[0x00007fcb8c4151c0] sleep() /path/sleep.php:1\n" + `
[22-Nov-2026 20:58:55]  [pool www] pid 19443
script_filename = /path/sleep.php
[0x00007fcb8c4151c0] sleep() /path/sleep.php:1
[0x00007fcb8c415160] slow_inner() /path/sleep.php:1

[22-Nov-2026 20:58:55]  [pool www] pid 19444
script_filename = /path with = and space/index.php
[0x00007f602fc151c0] {closure}() /p/a b.php:7
[0x00007f602fc151c0] {closure:Foo::bar():12}() /p/c.php:8
[0x00007f602fc150e0] s() /p/i.php(31) : eval()'d code:1
[0x00007f602fc15080] [INCLUDE_OR_EVAL]() /p/i.php:31
junk

[22-Nov-2026 20:58:55]  [pool www] pid many
[22-Nov-2026 20:58:55]  [pool www] pid 19445
script_filename = /p/cut.php
[0x00007f602fc151c0] curl_exec() /p/wp-con`
	want := []SlowTrace{
		{Time: clock, Pool: "www", PID: 19443, Script: "/path/sleep.php", Frames: []Frame{{"sleep", "/path/sleep.php", 1}, {"slow_inner", "/path/sleep.php", 1}}},
		{Time: clock, Pool: "www", PID: 19444, Script: "/path with = and space/index.php", Frames: []Frame{
			{"{closure}", "/p/a b.php", 7}, {"{closure:Foo::bar():12}", "/p/c.php", 8}, {"s", "/p/i.php", 31}, {"[INCLUDE_OR_EVAL]", "/p/i.php", 31}}},
		{Time: clock, Pool: "www", PID: 19445, Script: "/p/cut.php"},
	}
	if diff := cmp.Diff(want, scanSlow(t, text)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, scanSlow(t, strings.ReplaceAll(text, "\n", "\r\n"))); diff != "" {
		t.Error("with CRLF:", diff)
	}
}

func TestScanPHP(t *testing.T) {
	t.Parallel()
	text := "#1 {main}\n  thrown in /rotated.php on line 1\n" +
		"[22-Nov-2026 20:58:55 UTC] " + uncaughtText + "\n" +
		"[22-Nov-2026 20:58:55 UTC] words of a plugin\nin two lines\n" +
		"[22-Nov-2026 20:58:55 UTC] PHP Warning:  w in /r/f.php on line 3\n" +
		"\x00\x01\xff binary\n" +
		"PHP Notice:  php-cgi writes no time in /r/f.php on line 4\n" +
		"PHP message: PHP Deprecated:  a in /r/f.php on line 5; PHP message: PHP Warning:  b in /r/f.php on line 6\n" +
		"Primary script unknown\n"
	want := []PHPError{
		stamped(uncaughtError, clock),
		{Time: clock, Kind: "Warning", Message: "w", File: "/r/f.php", Line: 3},
		{Kind: "Notice", Message: "php-cgi writes no time", File: "/r/f.php", Line: 4},
		{Kind: "Deprecated", Message: "a", File: "/r/f.php", Line: 5},
		{Kind: "Warning", Message: "b", File: "/r/f.php", Line: 6},
	}
	if diff := cmp.Diff(want, scanPHP(t, text)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, scanPHP(t, strings.ReplaceAll(text, "\n", "\r\n"))); diff != "" {
		t.Error("with CRLF:", diff)
	}
}

func TestSplitMessages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stderr string
		want   []string
	}{
		{"", nil},
		{" \n ", nil},
		{"PHP message: one; PHP message: two\nlines", []string{"one", "two\nlines"}},
		{"PHP message: one\nPHP message: two\n", []string{"one", "two"}},
		{"PHP message: one; two", []string{"one; two"}},
		{"PHP message: ; PHP message: x", []string{"x"}},
		{"Primary script unknown", []string{"Primary script unknown"}},
		{"PHP message: x\nUnable to open primary script: /p (Permission denied)\n", []string{"x", "Unable to open primary script: /p (Permission denied)"}},
		{"PHP message: x\nAccess to the script '/p' has been denied (see security.limit_extensions)", []string{"x", "Access to the script '/p' has been denied (see security.limit_extensions)"}},
		{"NOTICE: PHP message: one\nNOTICE: PHP message: two", []string{"one", "two"}},
		{"PHP message: " + uncaughtText + "; PHP message: PHP Warning:  x", []string{uncaughtText, "PHP Warning:  x"}},
		{"PHP Warning:  a\nPHP Warning:  b\ncontinued", []string{"PHP Warning:  a", "PHP Warning:  b\ncontinued"}},
	} {
		if diff := cmp.Diff(c.want, SplitMessages(c.stderr)); diff != "" {
			t.Errorf("%q: %s", c.stderr, diff)
		}
	}
}

// The first 64 KiB of a record are kept, whether it is one endless line or many.
func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	const head = "[22-Nov-2026 20:58:55] NOTICE: "
	for name, filler := range map[string]string{"one line": "x", "many lines": "0123456789\n"} {
		records := scanFPM(t, head+strings.Repeat(filler, 1<<20)+"\n"+head+"after\n")
		if len(records) != 2 || records[1].Text != "after" {
			t.Fatalf("%s: %d records", name, len(records))
		}
		if n := len(head) + len(records[0].Text); n > maxRecord || n < maxRecord-len(filler) {
			t.Errorf("%s: kept %d bytes of %d", name, n, maxRecord)
		}
	}
}

func TestScansStopWhenTold(t *testing.T) {
	t.Parallel()
	two := strings.Repeat("[22-Nov-2026 20:58:55] NOTICE: x\n[22-Nov-2026 20:58:55]  [pool w] pid 1\nPHP Warning:  x\nPHP message: PHP Warning:  x; PHP message: PHP Warning:  y\n", 2)
	n := 0
	never := func() bool { n++; return false }
	for i, scan := range []func() error{
		func() error { return ScanFPM(strings.NewReader(two), nil, func(FPMRecord) bool { return never() }) },
		func() error { return ScanSlow(strings.NewReader(two), nil, func(SlowTrace) bool { return never() }) },
		func() error { return ScanPHP(strings.NewReader(two), func(PHPError) bool { return never() }) },
		func() error {
			return ScanPHP(strings.NewReader(two[strings.Index(two, "PHP message"):]), func(PHPError) bool { return never() })
		},
	} {
		if err := scan(); err != nil || n != i+1 {
			t.Errorf("scan %d: error %v, %d records in all", i, err, n)
		}
	}
}

func TestScansReturnReadErrors(t *testing.T) {
	t.Parallel()
	broken := func() io.Reader {
		return io.MultiReader(strings.NewReader("[22-Nov-2026 20:58:55] NOTICE: x\n[22-Nov-2026 20:58:55]  [pool w] pid 1\nPHP Warning:  x\n"), iotest.ErrReader(io.ErrNoProgress))
	}
	seen := 0
	for _, err := range []error{
		ScanFPM(broken(), nil, func(FPMRecord) bool { seen++; return true }),
		ScanSlow(broken(), nil, func(SlowTrace) bool { seen++; return true }),
		ScanPHP(broken(), func(PHPError) bool { seen++; return true }),
	} {
		if !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("got %v", err)
		}
	}
	if seen != 3 {
		t.Errorf("%d of 3 records that came before the error", seen)
	}
}
