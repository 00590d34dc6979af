package errlog

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const uncaughtText = "PHP Fatal error:  Uncaught Error: Call to undefined function nope() in /p/wp-content/plugins/bad/inc/boot.php:2\n" +
	"Stack trace:\n#0 /p/wp-content/plugins/bad/bad.php(3): bp_boot()\n#1 {main}\n  thrown in /p/wp-content/plugins/bad/inc/boot.php on line 2"

var uncaughtError = PHPError{
	Kind: "Fatal error", Class: "Error", Message: "Call to undefined function nope()",
	File: "/p/wp-content/plugins/bad/inc/boot.php", Line: 2,
	Frames: []Frame{{"bp_boot", "/p/wp-content/plugins/bad/bad.php", 3}, {"{main}", "", 0}},
}

func stamped(e PHPError, t time.Time) PHPError {
	e.Time = t
	return e
}

func TestParsePHPError(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 20, 59, 13, 0, time.UTC)
	for _, c := range []struct {
		name, text string
		want       PHPError
	}{
		{"uncaught", uncaughtText, uncaughtError},
		{"from fpm", "PHP message: " + uncaughtText, uncaughtError},
		{"from fpm's log", "NOTICE: PHP message: " + uncaughtText, uncaughtError},
		{"debug.log", "[22-Nov-2026 20:59:13 UTC] " + uncaughtText, stamped(uncaughtError, at)},
		{"named zone", "[22-Nov-2026 21:59:13 Europe/Berlin] " + uncaughtText, stamped(uncaughtError, at)},
		{"offset zone", "[22-Nov-2026 22:59:13 +02:00] " + uncaughtText, stamped(uncaughtError, at)},
		{"offset without a colon", "[22-Nov-2026 15:29:13 -0530] " + uncaughtText, stamped(uncaughtError, at)},
		{"unknown zone", "[22-Nov-2026 20:59:13 Mars/Olympus] " + uncaughtText, uncaughtError},
		{"zone that is a path", "[22-Nov-2026 20:59:13 ../../etc/passwd] " + uncaughtText, uncaughtError},
		{"no such day", "[31-Feb-2026 20:59:13 UTC] " + uncaughtText, uncaughtError},
		{"crlf", strings.ReplaceAll(uncaughtText, "\n", "\r\n") + "\r\n", uncaughtError},
		{"cut in the stack", uncaughtText[:strings.Index(uncaughtText, "bp_boot")+3], PHPError{
			Kind: "Fatal error", Class: "Error", Message: "Call to undefined function nope()", File: "/p/wp-content/plugins/bad/inc/boot.php", Line: 2}},
		{"cut after the place", uncaughtText[:strings.Index(uncaughtText, "\nStack")], PHPError{
			Kind: "Fatal error", Class: "Error", Message: "Call to undefined function nope()", File: "/p/wp-content/plugins/bad/inc/boot.php", Line: 2}},
		{"cut in the place", uncaughtText[:strings.Index(uncaughtText, "boot.php:2")+6], PHPError{
			Kind: "Fatal error", Class: "Error", Message: "Call to undefined function nope() in /p/wp-content/plugins/bad/inc/boot.p"}},
		{"cut in the class", "PHP Fatal error:  Uncaught Err", PHPError{Kind: "Fatal error", Message: "Uncaught Err"}},
		{"message of several lines that names a place", "PHP Fatal error:  Uncaught A\\B_C: first\nline2 in /x:3 in /r/f.php:14\nStack trace:\n#0 {main}\n  thrown in /r/f.php on line 14", PHPError{
			Kind: "Fatal error", Class: `A\B_C`, Message: "first\nline2 in /x:3", File: "/r/f.php", Line: 14, Frames: []Frame{{Func: "{main}"}}}},
		{"message with a stack heading of its own", "PHP Fatal error:  Uncaught E: see\nStack trace:\n#0 nothing in /r/f.php:14\nStack trace:\n#0 /r/g.php(1): f()\n#1 {main}", PHPError{
			Kind: "Fatal error", Class: "E", Message: "see\nStack trace:\n#0 nothing", File: "/r/f.php", Line: 14, Frames: []Frame{{"f", "/r/g.php", 1}, {Func: "{main}"}}}},
		{"no message", "PHP Fatal error:  Uncaught Exception in /r/f.php:1\nStack trace:\n#0 /r/f.php(1): {closure}()\n#1 {main}", PHPError{
			Kind: "Fatal error", Class: "Exception", File: "/r/f.php", Line: 1, Frames: []Frame{{"{closure}", "/r/f.php", 1}, {Func: "{main}"}}}},
		{"earlier exception", "PHP Fatal error:  Uncaught LogicException: inner in /r/in.php:1\nStack trace:\n#0 [internal function]: f(1)\n#1 /r/a.php(7): array_map('f', Array)\n#2 {main}\n\nNext RuntimeException: outer in /r/out.php:2\nStack trace:\n#0 /r/b.php(1): g()\n#1 {main}\n  thrown in /r/out.php on line 2", PHPError{
			Kind: "Fatal error", Class: "LogicException", Message: "inner", File: "/r/in.php", Line: 1,
			Frames: []Frame{{"f", "", 0}, {"array_map", "/r/a.php", 7}, {Func: "{main}"}}}},
		{"type error", "PHP Fatal error:  Uncaught TypeError: f(): Argument #1 ($x) must be of type int, string given, called in /r/a.php on line 3 and defined in /r/b.php:5\nStack trace:\n#0 /r/a.php(3): f('secret')\n#1 {main}\n  thrown in /r/b.php on line 5", PHPError{
			Kind: "Fatal error", Class: "TypeError", Message: "f(): Argument #1 ($x) must be of type int, string given, called in /r/a.php on line 3 and defined",
			File: "/r/b.php", Line: 5, Frames: []Frame{{"f", "/r/a.php", 3}, {Func: "{main}"}}}},
		{"eval", "PHP Fatal error:  Uncaught Error: x in /r/f.php(12) : eval()'d code:1\nStack trace:\n#0 /r/f.php(12): eval()\n#1 /r/f.php(12) : eval()'d code(1): ns\\fn('a(b')\n#2 {main}", PHPError{
			Kind: "Fatal error", Class: "Error", Message: "x", File: "/r/f.php", Line: 12,
			Frames: []Frame{{"eval", "/r/f.php", 12}, {`ns\fn`, "/r/f.php", 12}, {Func: "{main}"}}}},
		{"closures of 8.4, methods, a folder with brackets", "PHP Fatal error:  Uncaught Error: x in /r (1): in use/f.php:9\nStack trace:\n#0 /r (1)/f.php(2): {closure:Foo::bar():12}(Object(X))\n#1 /r/f.php(3): Foo->baz('a\nb')\n#2 /r/f.php(4): Foo::qux()\n#3 {main}", PHPError{
			Kind: "Fatal error", Class: "Error", Message: "x", File: "/r (1): in use/f.php", Line: 9,
			Frames: []Frame{{"{closure:Foo::bar():12}", "/r (1)/f.php", 2}, {"Foo->baz", "/r/f.php", 3}, {"Foo::qux", "/r/f.php", 4}, {Func: "{main}"}}}},
		{"php 5", "PHP Fatal error:  Uncaught exception 'RuntimeException' with message 'it's over' in /r/f.php:3\nStack trace:\n#0 {main}\n  thrown in /r/f.php on line 3", PHPError{
			Kind: "Fatal error", Class: "RuntimeException", Message: "it's over", File: "/r/f.php", Line: 3, Frames: []Frame{{Func: "{main}"}}}},
		{"memory", "PHP Fatal error:  Allowed memory size of 16777216 bytes exhausted (tried to allocate 67112960 bytes) in /r/f.php on line 7", PHPError{
			Kind: "Fatal error", Message: "Allowed memory size of 16777216 bytes exhausted (tried to allocate 67112960 bytes)", File: "/r/f.php", Line: 7}},
		{"time", "PHP Fatal error:  Maximum execution time of 2 seconds exceeded in /r/f.php on line 7", PHPError{
			Kind: "Fatal error", Message: "Maximum execution time of 2 seconds exceeded", File: "/r/f.php", Line: 7}},
		{"hard timeout", "PHP Fatal error:  Maximum execution time of 1+2 seconds exceeded (terminated) in /r/f.php on line 7\n", PHPError{
			Kind: "Fatal error", Message: "Maximum execution time of 1+2 seconds exceeded (terminated)", File: "/r/f.php", Line: 7}},
		{"stack since 8.5", "PHP Fatal error:  Maximum execution time of 2 seconds exceeded in /r/f.php on line 7\nStack trace:\n#0 /r/g.php(1): spin()\n#1 {main}", PHPError{
			Kind: "Fatal error", Message: "Maximum execution time of 2 seconds exceeded", File: "/r/f.php", Line: 7, Frames: []Frame{{"spin", "/r/g.php", 1}, {Func: "{main}"}}}},
		{"parse", `PHP Parse error:  syntax error, unexpected token ";" in /r/f.php on line 7`, PHPError{
			Kind: "Parse error", Message: `syntax error, unexpected token ";"`, File: "/r/f.php", Line: 7}},
		{"require warning", "PHP Warning:  require(/x.php): Failed to open stream: No such file or directory in /r/f.php on line 7", PHPError{
			Kind: "Warning", Message: "require(/x.php): Failed to open stream: No such file or directory", File: "/r/f.php", Line: 7}},
		{"require", "PHP Fatal error:  Uncaught Error: Failed opening required '/x.php' (include_path='.:/usr/share/php') in /r/f.php:7\nStack trace:\n#0 {main}\n  thrown in /r/f.php on line 7", PHPError{
			Kind: "Fatal error", Class: "Error", Message: "Failed opening required '/x.php' (include_path='.:/usr/share/php')", File: "/r/f.php", Line: 7, Frames: []Frame{{Func: "{main}"}}}},
		{"require before 8", "PHP Fatal error:  require(): Failed opening required '/x.php' (include_path='.') in /r/f.php on line 7", PHPError{
			Kind: "Fatal error", Message: "require(): Failed opening required '/x.php' (include_path='.')", File: "/r/f.php", Line: 7}},
		{"prepend missing", "PHP Fatal error:  Failed opening required '/x/wordfence-waf.php' (include_path='.:/usr/share/php') in Unknown on line 0", PHPError{
			Kind: "Fatal error", Message: "Failed opening required '/x/wordfence-waf.php' (include_path='.:/usr/share/php')", File: "Unknown"}},
		{"phar", "PHP Warning:  x in phar:///r/a.phar/b.php on line 3", PHPError{Kind: "Warning", Message: "x", File: "phar:///r/a.phar/b.php", Line: 3}},
		{"message of several lines", "PHP Warning:  one\ntwo in /r/f.php on line 3", PHPError{Kind: "Warning", Message: "one\ntwo", File: "/r/f.php", Line: 3}},
		{"foreign words after it", "PHP Warning:  one in /r/f.php on line 3\nwords in /evil on line 4", PHPError{Kind: "Warning", Message: "one", File: "/r/f.php", Line: 3}},
		{"no place", "PHP Warning:  one", PHPError{Kind: "Warning", Message: "one"}},
		{"one space", "PHP Warning: one", PHPError{Kind: "Warning", Message: "one"}},
		{"number too large", "PHP Warning:  one in /r on line 99999999999999999999", PHPError{Kind: "Warning", Message: "one", File: "/r"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, ok := ParsePHPError(c.text)
			if !ok {
				t.Fatalf("%q is no message of PHP", c.text)
			}
			if !got.Time.Equal(c.want.Time) || got.Time.IsZero() != c.want.Time.IsZero() {
				t.Errorf("time %v, want %v", got.Time, c.want.Time)
			}
			got.Time = c.want.Time
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParsePHPErrorRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\n", "PHP", "PHP message: ", "PHP message: words", "Primary script unknown", "PHP Fancy error:  x", " PHP Warning:  x", "x PHP Warning:  x",
		"[22-Nov-2026 20:59:13 UTC] words", "[22-Nov-2026 20:59:13", "PHP Fatal error:Uncaught", "Stack trace:\n#0 {main}",
	} {
		if got, ok := ParsePHPError(text); ok {
			t.Errorf("%q was taken for %+v", text, got)
		}
	}
}

// A recursion a thousand calls deep fits no record; what is kept of it is read.
func TestParsePHPErrorIsBounded(t *testing.T) {
	t.Parallel()
	text := "PHP Fatal error:  Uncaught Error: x in /r/f.php:1\nStack trace:\n" + strings.Repeat("#0 /r/f.php(1): f()\n", 1)
	for i := 1; i < 100_000; i++ {
		text += "#1 /r/f.php(1): f()\n"
		if len(text) > 3*maxRecord {
			break
		}
	}
	got, ok := ParsePHPError(text)
	if !ok || got.File != "/r/f.php" || len(got.Frames) != 2 {
		t.Errorf("got %v, %d frames", ok, len(got.Frames))
	}
	got, ok = ParsePHPError("PHP Warning:  " + strings.Repeat("x", 1<<20) + " in /r/f.php on line 3")
	if !ok || len(got.Message) > maxRecord || got.File != "" {
		t.Errorf("got %v, a message of %d bytes, file %q", ok, len(got.Message), got.File)
	}
}
