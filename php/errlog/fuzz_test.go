package errlog

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Seeds that every fuzz target shares.
func addSeeds(f *testing.F) {
	for _, s := range []string{
		"", "\n", "\r\n", "\x00\xff", "[", "[22-Nov-2026 20:58:55", "[22-Nov-2026 20:58:55]", "#0 {main}",
		"[22-Nov-2026 20:58:55] WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV - core dumped) after 3.25 seconds from start\n",
		"[22-Nov-2026 20:58:55.123456] WARNING: [pool www] child 1, script '/p' (request: \"GET /u\") executing too slow (2.18 sec), logging\nmore",
		"[22-Nov-2026 20:58:55] WARNING: [pool www] child 12 said into stderr: \"x\"",
		"[22-Nov-2026 20:58:55]  [pool www] pid 19443\nscript_filename = /p\n[0x0a] sleep() /p:1\n\n",
		"[22-Nov-2026 20:59:13 Europe/Berlin] " + uncaughtText + "\n",
		"PHP message: " + uncaughtText + "; PHP message: PHP Warning:  x in /f on line 2\nPrimary script unknown",
		"PHP Fatal error:  Uncaught A: b in /f(3) : eval()'d code:1\nStack trace:\n#0 [internal function]: {closure:/x:1}()\n\nNext B in /g:2\nStack trace:\n#0 {main}",
		"PHP Fatal error:  Uncaught exception 'A' with message 'b' in Unknown:0\r\n",
	} {
		f.Add(s, "PHP Warning:  x in /f on line 1\n[22-Nov-2026 20:58:55] NOTICE: y\n[22-Nov-2026 20:58:55]  [pool w] pid 1\n")
	}
}

// wholeLog makes s a log of whole lines that begins with a record, or nothing: what the law of concatenation asks.
func wholeLog(s string, starts func([]byte) bool) string {
	for len(s) > 0 {
		line, rest, _ := strings.Cut(s, "\n")
		if starts([]byte(strings.TrimSuffix(line, "\r"))) {
			return strings.TrimSuffix(s, "\n") + "\n"
		}
		s = rest
	}
	return ""
}

// sameApart checks the law: two logs read one after the other give the records that they give apart.
func sameApart[R any](t *testing.T, a, b string, starts func([]byte) bool, scan func(testing.TB, string) []R) {
	t.Helper()
	a, b = wholeLog(a, starts), wholeLog(b, starts)
	if diff := cmp.Diff(slices.Concat(scan(t, a), scan(t, b)), scan(t, a+b)); diff != "" {
		t.Errorf("%q then %q: %s", a, b, diff)
	}
}

func FuzzScanFPM(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, a, b string) {
		sameApart(t, a, b, isFPMHead, scanFPM)
		for _, r := range scanFPM(t, a) {
			if len(r.Text) > maxRecord || r.Level == "" {
				t.Errorf("level %q, text of %d bytes", r.Level, len(r.Text))
			}
		}
	})
}

func FuzzScanSlow(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, a, b string) {
		sameApart(t, a, b, isSlowHead, scanSlow)
	})
}

func FuzzScanPHP(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, a, b string) {
		sameApart(t, a, b, startsMessage, scanPHP)
	})
}

// Law: class, message, place and frames are parts of the text, so nothing is invented.
func FuzzParsePHPError(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text, _ string) {
		e, ok := ParsePHPError(text)
		if !ok {
			if diff := cmp.Diff(PHPError{}, e); diff != "" {
				t.Error(diff)
			}
			return
		}
		if e.Kind == "" {
			t.Error("no kind")
		}
		plain := strings.ReplaceAll(text, "\r\n", "\n")
		parts := []string{e.Class, e.Message, e.File}
		for _, frame := range e.Frames {
			parts = append(parts, frame.Func, frame.File)
		}
		for _, part := range parts {
			if !strings.Contains(plain, part) {
				t.Errorf("%q is not in %q", part, text)
			}
		}
	})
}

// Law: splitting invents nothing and loses nothing but the joints; the parts come in order.
func FuzzSplitMessages(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text, _ string) {
		rest := text
		for _, m := range SplitMessages(text) {
			i := strings.Index(rest, m)
			if i < 0 || m == "" || m != strings.TrimSpace(m) {
				t.Fatalf("%q is no next part of %q", m, text)
			}
			rest = rest[i+len(m):]
		}
	})
}
