package gateway

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"wpmend/php/fpm"
)

// Lines of Apache 2.4.71, 2.4.6 and 2.2 as they were written, and what they say.
func TestApacheLog(t *testing.T) {
	t.Parallel()
	at := func(us int) time.Time { return time.Date(2026, 11, 23, 3, 21, 43, us*1000, time.UTC) }
	const head = "[Mon Nov 23 03:21:43.394933 2026] "
	sock := fpm.Address{Network: "unix", Addr: "/run/php/a b.sock"}
	tests := []struct {
		line string
		want LogRecord
	}{
		{head + `[proxy_fcgi:error] [pid 21168:tid 21172] [client 127.0.0.1:51692] AH01067: Failed to read FastCGI header, referer: http://evil/', referer: x`,
			LogRecord{Level: "error", Module: "proxy_fcgi", PID: 21168, Client: "127.0.0.1", Code: "AH01067", Message: "Failed to read FastCGI header", Action: "reading response header from upstream"}},
		{head + `[proxy_fcgi:error] [pid 7:tid 8] (104)Connection reset by peer: [client 2001:db8::1:51692] AH01075: Error dispatching request to : `,
			LogRecord{Level: "error", Module: "proxy_fcgi", PID: 7, Client: "2001:db8::1", Code: "AH01075", Errno: 104, Message: "Error dispatching request to : ", Action: "reading response header from upstream"}},
		{head + `[proxy_fcgi:error] [pid 7] [client 10.0.0.1:1] (70007)The timeout specified has expired: AH01075: Error dispatching request to localhost:8000: (polling)`,
			LogRecord{Level: "error", Module: "proxy_fcgi", PID: 7, Client: "10.0.0.1", Code: "AH01075", Errno: APRTimeout, Message: "Error dispatching request to localhost:8000: (polling)", Action: "reading response header from upstream"}},
		{head + `[proxy:error] [pid 7:tid 9] (2)No such file or directory: AH02454: FCGI: attempt to connect to Unix domain socket /run/php/a b.sock (localhost:8000) failed`,
			LogRecord{Level: "error", Module: "proxy", PID: 7, Code: "AH02454", Errno: 2, Message: "FCGI: attempt to connect to Unix domain socket /run/php/a b.sock (localhost:8000) failed", Action: "connecting to upstream", Upstream: "unix:/run/php/a b.sock", UpstreamAddr: sock}},
		{head + `[proxy:error] [pid 7:tid 9] (111)Connection refused: AH00957: FCGI: attempt to connect to 127.0.0.1:9000 (*) failed`,
			LogRecord{Level: "error", Module: "proxy", PID: 7, Code: "AH00957", Errno: 111, Message: "FCGI: attempt to connect to 127.0.0.1:9000 (*) failed", Action: "connecting to upstream", Upstream: "127.0.0.1:9000", UpstreamAddr: fpm.Address{Network: "tcp", Addr: "127.0.0.1:9000"}}},
		{head + `[proxy:error] [pid 7:tid 9] (EAI 2)Name or service not known: [client 10.0.0.1:1] AH00898: DNS lookup failure for: x returned by /y`,
			LogRecord{Level: "error", Module: "proxy", PID: 7, Client: "10.0.0.1", Code: "AH00898", Errno: 2, Message: "DNS lookup failure for: x returned by /y"}},
		{head + `[proxy_fcgi:error] [pid 7:tid 9] [client 10.0.0.1:1] AH01071: Got error 'PHP message: PHP Fatal error:  Uncaught E: \"q\" \\ it\'s\nStack trace:\n#0 {main}\xff', referer: http://x/', referer: PHP message: forged`,
			LogRecord{Level: "error", Module: "proxy_fcgi", PID: 7, Client: "10.0.0.1", Code: "AH01071",
				Message: `Got error 'PHP message: PHP Fatal error:  Uncaught E: \"q\" \\ it\'s\nStack trace:\n#0 {main}\xff'`,
				Stderr:  "PHP message: PHP Fatal error:  Uncaught E: \"q\" \\ it\\'s\nStack trace:\n#0 {main}\xff"}},
		{head + `[php:error] [pid 21313:tid 21313] [client 127.0.0.1:38250] PHP Fatal error:  Uncaught Error: x in /a.php:3\nStack trace:\n#0 {main}\n  thrown in /a.php on line 3, referer: http://evil/`,
			LogRecord{Level: "error", Module: "php", PID: 21313, Client: "127.0.0.1", Message: `PHP Fatal error:  Uncaught Error: x in /a.php:3\nStack trace:\n#0 {main}\n  thrown in /a.php on line 3`,
				Stderr: "PHP Fatal error:  Uncaught Error: x in /a.php:3\nStack trace:\n#0 {main}\n  thrown in /a.php on line 3"}},
		{head + `[core:notice] [pid 21307:tid 21307] AH00052: child pid 21315 exit signal Segmentation fault (11)`,
			LogRecord{Level: "notice", Module: "core", PID: 21307, Code: "AH00052", Message: "child pid 21315 exit signal Segmentation fault (11)"}},
		{head + `[core:alert] [pid 7:tid 8] [client 10.0.0.1:1] /srv/.htaccess: Invalid command 'php_value', perhaps misspelled`,
			LogRecord{Level: "alert", Module: "core", PID: 7, Client: "10.0.0.1", Message: "/srv/.htaccess: Invalid command 'php_value', perhaps misspelled"}},
		{`[Mon Nov 23 03:21:43 2026] [error] [client 10.0.0.1] PHP Parse error:  syntax error in /x.php on line 1`,
			LogRecord{Level: "error", Client: "10.0.0.1", Message: "PHP Parse error:  syntax error in /x.php on line 1", Stderr: "PHP Parse error:  syntax error in /x.php on line 1"}},
		{`[Mon Nov 23 03:21:43.394933 2026] [http:error] [pid 7:tid 8] [client 10.0.0.1:1] [strange] words`,
			LogRecord{Level: "error", Module: "http", PID: 7, Client: "10.0.0.1", Message: "[strange] words"}},
	}
	var text strings.Builder
	var want []LogRecord
	for _, test := range tests {
		fmt.Fprintf(&text, "%s\nsh: 1: convert: not found\n[Xxx Nov 23 03:21:43 2026] [no:level] no\n", test.line)
		test.want.Time = at(394933)
		if !strings.HasPrefix(test.line, head) {
			test.want.Time = at(0)
		}
		want = append(want, test.want)
	}
	got := scanApache(t, strings.NewReader(text.String()))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if child, signal, ok := got[8].Died(); !ok || child != 21315 || signal != 11 {
		t.Errorf("Died: %d, %d, %v", child, signal, ok)
	}
	if _, _, ok := got[7].Died(); ok {
		t.Error("a fatal error is taken for a death")
	}
}

func scanApache(t testing.TB, r io.Reader) []LogRecord {
	t.Helper()
	var got []LogRecord
	if err := ScanApacheLog(r, time.UTC, func(rec LogRecord) bool { got = append(got, rec); return true }); err != nil {
		t.Fatal(err)
	}
	return got
}

// A line without end neither fills the memory nor hides the next record; the reader's error comes through.
func TestApacheLogIsBounded(t *testing.T) {
	t.Parallel()
	const line = "[Mon Nov 23 03:21:43 2026] [core:error] [pid 1:tid 1] AH00001: x\n"
	long := "[Mon Nov 23 03:21:43 2026] [core:error] [pid 1:tid 1] " + strings.Repeat("y", 1<<20) + "\n"
	got := scanApache(t, strings.NewReader(long+line))
	if len(got) != 2 || len(got[0].Message) > maxApacheRecord || got[1].Code != "AH00001" {
		t.Errorf("%d records", len(got))
	}
	broken := errors.New("broken")
	if err := ScanApacheLog(io.MultiReader(strings.NewReader(line), errReader{broken}), nil, func(LogRecord) bool { return true }); !errors.Is(err, broken) {
		t.Errorf("%v, want the reader's own error", err)
	}
	n := 0
	if err := ScanApacheLog(strings.NewReader(line+line), nil, func(LogRecord) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("%d records after the first was enough, %v", n, err)
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// Law: no panic; every record stands in a line of its own, has a time and a level, and holds no more than was there.
func FuzzApacheLog(f *testing.F) {
	f.Add("[Mon Nov 23 03:21:43.394933 2026] [proxy_fcgi:error] [pid 7:tid 9] (104)Connection reset by peer: [client 10.0.0.1:1] AH01071: Got error 'PHP message: \\n\\x41\\', referer: x\n")
	f.Add("[Mon Nov 23 03:21:43 2026] [error] [client ::1:2] (EAI 2)x: [remote y] AH02454: FCGI: attempt to connect to Unix domain socket /x (y) failed")
	f.Add("[Mon Nov 23 03:21:43 2026] [core:notice] [pid 1] AH00052: child pid 21315 exit signal Segmentation fault (11)\n")
	f.Fuzz(func(t *testing.T, text string) {
		records := 0
		err := ScanApacheLog(strings.NewReader(text), time.UTC, func(rec LogRecord) bool {
			records++
			if rec.Time.IsZero() || rec.Level == "" || rec.PID < 0 || rec.Errno < 0 {
				t.Errorf("record without its head: %+v", rec)
			}
			if utf8.ValidString(text) && !strings.Contains(rec.Message, "Got error '") && !strings.Contains(text, rec.Message) {
				t.Errorf("the message %q does not stand in the log", rec.Message)
			}
			if len(rec.Message)+len(rec.Stderr) > 2*maxApacheRecord || strings.Contains(rec.Message, "\n") {
				t.Errorf("message of %d bytes", len(rec.Message))
			}
			rec.Died()
			return true
		})
		if err != nil || records > strings.Count(text, "\n")+1 {
			t.Errorf("%d records of %d lines, %v", records, strings.Count(text, "\n")+1, err)
		}
	})
}

func BenchmarkScanApacheLog(b *testing.B) {
	text := strings.Repeat("[Mon Nov 23 03:21:43.394933 2026] [proxy_fcgi:error] [pid 7:tid 9] [client 10.0.0.1:1] AH01071: Got error 'PHP message: PHP Fatal error:  Uncaught Error: Call to undefined function nope() in /srv/wp-content/plugins/bad/bad.php:35\\nStack trace:\\n#0 /srv/wp-settings.php(447): include_once()\\n#1 {main}\\n  thrown in /srv/wp-content/plugins/bad/bad.php on line 35'\n", 2000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if err := ScanApacheLog(strings.NewReader(text), time.UTC, func(LogRecord) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
}
