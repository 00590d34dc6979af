package errlog

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The patterns say what the hand-written parsers read; they are ten times slower and serve as their oracle.
var (
	fpmHead     = regexp.MustCompile(`^(ALERT|ERROR|WARNING|NOTICE|DEBUG): (?:pid \d+, \w+\(\), line \d+: )?(?:\[pool ([^\]]+)\] )?`)
	fpmExit     = regexp.MustCompile(`^child (\d+) exited (?:with code (\d+)|on signal (\d+) \(([A-Z0-9]*)( - core dumped)?\)) after (\d+\.\d+) seconds from start$`)
	fpmMax      = regexp.MustCompile(`^server reached (?:pm\.)?max_children setting \((\d+)\), consider raising it$`)
	fpmSlow     = regexp.MustCompile(`^child (\d+), script '(.*?)' \(request: "(\S*) (.*)"\) (?:executing too slow|execution timed out) \((\d+\.\d+) sec\), (logging|terminating)$`)
	fpmSaid     = regexp.MustCompile(`^child (\d+) said into (stdout|stderr): "(.*)$`)
	slowHeading = regexp.MustCompile(`^  \[pool ([^\]]+)\] pid (\d+)$`)
	slowCall    = regexp.MustCompile(`^\[0x[0-9a-f]+\] (.+?)\(\) (.+):(\d+)$`)
	phpHead     = regexp.MustCompile(`^PHP (Fatal error|Parse error|Recoverable fatal error|Catchable fatal error|Core error|Core warning|Compile error|Compile warning|Warning|Notice|Deprecated|Strict Standards|Unknown error): {1,2}`)
	uncaught    = regexp.MustCompile(`^Uncaught ([\pL_\\][\pL\pN_\\@.]*)(: | in )`)
	endsInPlace = regexp.MustCompile(`^(.*) in (` + place + `):(\d+)$`)
	endsOnLine  = regexp.MustCompile(`^(.*) in (` + place + `) on line (\d+)$`)
	frameCall   = regexp.MustCompile(`^(.+?)\((\d+)\): (.*)$`)
)

// fpmByPattern is parseFPM without its time.
func fpmByPattern(text string) (FPMRecord, bool) {
	_, _, after, ok := cutStamp(text)
	head := fpmHead.FindStringSubmatch(after)
	if !ok || head == nil {
		return FPMRecord{}, false
	}
	rec := FPMRecord{Level: head[1], Pool: head[2], Text: after[len(head[0]):]}
	first, _, _ := strings.Cut(rec.Text, "\n")
	if m := fpmMax.FindStringSubmatch(first); m != nil {
		rec.MaxChildren = atoi(m[1])
	} else if m := fpmExit.FindStringSubmatch(first); m != nil {
		rec.Exit = &Exit{PID: atoi(m[1]), Code: atoi(m[2]), Signal: atoi(m[3]), SignalName: m[4], Core: m[5] != "", After: seconds(m[6])}
	} else if m := fpmSlow.FindStringSubmatch(first); m != nil {
		rec.Slow = &Slow{PID: atoi(m[1]), Script: m[2], Method: m[3], URI: m[4], After: seconds(m[5]), Terminated: m[6] == "terminating"}
	} else if m := fpmSaid.FindStringSubmatch(first); m != nil {
		rec.Said = &Said{PID: atoi(m[1]), Stream: m[2], Text: strings.TrimSuffix(m[3], `"`)}
	}
	return rec, true
}

func FuzzFPMAgainstPatterns(f *testing.F) {
	for _, s := range []string{
		"NOTICE: [pool www] child 12 started", "WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV - core dumped) after 3.25 seconds from start",
		"WARNING: [pool a]b] child 1 exited with code 124 after 0.1 seconds from start", "WARNING: server reached pm.max_children setting (5), consider raising it",
		`DEBUG: pid 7, fpm_main(), line 12: [pool w] child 1, script '/p' (request: "GET /u?a=") executing too slow (9.9 sec), logging") execution timed out (2.18 sec), terminating`,
		`WARNING: child 1, script 'a' (request: "b' (request: "GET c") executing too slow (1.0 sec), logging`, `WARNING: [pool w] child 1 said into stderr: "x"`,
		"ERROR: [pool ] child 1 exited with code 1 after 1. seconds from start", "ALERT: pid 1, (), line 1: x",
	} {
		f.Add("[22-Nov-2026 20:58:55] " + s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, wanted := fpmByPattern(text)
		got, ok := parseFPM(text, time.UTC)
		got.Time = time.Time{}
		if diff := cmp.Diff(want, got); diff != "" || ok != wanted {
			t.Errorf("%q: %v %v: %s", text, wanted, ok, diff)
		}
		line, _, _ := strings.Cut(text, "\n")
		_, _, after, stamped := cutStamp(line)
		level, _, colon := strings.Cut(after, ": ")
		if want := stamped && colon && strings.Contains("|ALERT|ERROR|WARNING|NOTICE|DEBUG|", "|"+level+"|"); isFPMHead([]byte(line)) != want && level != "" {
			t.Errorf("%q begins a record: want %v", line, want)
		}
	})
}

// FuzzLinesAgainstPatterns compares everything that reads one line.
func FuzzLinesAgainstPatterns(f *testing.F) {
	for _, s := range []string{
		"[0x00007f] sleep() /p/a.php:1", "[0x0] a() b() c:1:2", "[0xg] a() b:1", "[0x1] ()() x:1", "[0x1] a() :1",
		"Uncaught Error: Call to x in /p/a.php:2", "Uncaught Ünï\\Class@anonymous in /a:1", "Uncaught .a: b", "x in in /b:1", "m in C:\\a.php:3", "m in phar:///a b:3",
		"m in Unknown:0", "m in Unknown on line 0", "a in /b on line 1 in /c on line 22", "/a.php(3): f('x')", "/a(b(12): (3): f()", "(1): x", "PHP Warning:  x in /f on line 2", "PHP Strict Standards: y", "]  [pool www] pid 19443", "]  [pool a] b] pid 1x", "PHP Foo:  z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\n") {
			return
		}
		same := func(what string, want []string, ok bool, got ...string) {
			t.Helper()
			if ok != (want != nil) || ok && cmp.Diff(want[1:], got) != "" {
				t.Errorf("%s of %q: got %v %q, want %q", what, line, ok, got, want)
			}
		}
		number := func(m []string, i int) []string { // numbers compare by value
			if m != nil {
				m[i] = strconv.Itoa(atoi(m[i]))
			}
			return m
		}
		if m := slowCall.FindStringSubmatch(line); true {
			frame, ok := slowFrame(line)
			if ok != (m != nil) {
				t.Errorf("frame %q: %v", line, ok)
			} else if ok {
				file, n := realPlace(m[2], atoi(m[3]))
				if want := (Frame{Func: m[1], File: file, Line: n}); frame != want {
					t.Errorf("frame %q: %+v, want %+v", line, frame, want)
				}
			}
		}
		message, file, n, ok := endsAt(line, ":")
		same("place", number(endsInPlace.FindStringSubmatch(line), 3), ok, message, file, strconv.Itoa(n))
		message, file, n, ok = endsAt(line, " on line ")
		same("place on line", number(endsOnLine.FindStringSubmatch(line), 3), ok, message, file, strconv.Itoa(n))
		file, n, call, ok := calledAt(line)
		same("call", number(frameCall.FindStringSubmatch(line), 2), ok, file, strconv.Itoa(n), call)
		kind, rest, ok := kindOf(line)
		if m := phpHead.FindStringSubmatch(line); ok != (m != nil) || ok && (m[1] != kind || line[len(m[0]):] != rest) {
			t.Errorf("kind of %q: %v %q %q, want %q", line, ok, kind, rest, m)
		}
		class, at, ok := uncaughtClass(line)
		if m := uncaught.FindStringSubmatch(line); ok != (m != nil) || ok && (m[1] != class || len("Uncaught ")+len(m[1]) != at) {
			t.Errorf("class of %q: %v %q, want %q", line, ok, class, m)
		}
		first := "[22-Nov-2026 20:58:55" + line
		if !isSlowHead([]byte(first)) {
			return
		}
		trace, ok := parseSlow(first, time.UTC)
		m := slowHeading.FindStringSubmatch(strings.TrimPrefix(line, "]"))
		if ok != (m != nil) || ok && (trace.Pool != m[1] || trace.PID != atoi(m[2])) {
			t.Errorf("trace of %q: %v %+v, want %q", first, ok, trace, m)
		}
	})
}

func FuzzStampAgainstTime(f *testing.F) {
	for _, s := range []string{"22-Nov-2026 20:58:55", "31-Feb-2026 00:00:00", "29-Feb-2024 23:59:59", "00-Jan-2026 00:00:00", "01-Foo-2026 24:00:00", "01-anF-2026 01:00:60"} {
		f.Add(s)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, clock string) {
		if len(clock) != len(stampLayout) || !isStamp("["+clock) {
			return
		}
		want, err := time.ParseInLocation(stampLayout, clock, berlin)
		if err != nil {
			want = time.Time{}
		}
		if got := localStamp(clock, berlin); !got.Equal(want) {
			t.Errorf("%q: %s, want %s (%v)", clock, got, want, err)
		}
	})
}
