package errlog

import (
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// PHPError is one message of PHP. Message is without its place and its stack. For an exception that carries earlier
// ones, Class, Message, File, Line and Frames are those of the earliest: it is written first, and so the same
// whether or not the end is missing.
type PHPError struct {
	Time    time.Time // zero: not written, or in a zone that this host does not know
	Kind    string    // "Fatal error", "Parse error", "Warning", …
	Class   string    // of an uncaught exception, else empty
	Message string
	File    string // of code run by eval, the file that holds the eval; "Unknown" before a script runs; "" if cut off
	Line    int
	Frames  []Frame // innermost first
}

// place is how a file is written: absolute, on a stream, or "Unknown" before a script runs.
const place = `(?:/|[A-Za-z]:\\|[a-z][a-z0-9.+-]*://)[^\n]*?|Unknown`

// Patterns for what is rare; see cursor.
var (
	uncaughtOld = regexp.MustCompile(`^Uncaught exception '([^'\n]+)'( with message '| in )`)
	cutAtPlace  = regexp.MustCompile(` in (` + place + `):(\d+)`)
	lastOnLine  = regexp.MustCompile(`(?s)^(.*) in (` + place + `) on line (\d+)(?:\n|$)`)
	evalPlace   = regexp.MustCompile(`^(.+?)\((\d+)\) : (?:eval\(\)'d code|runtime-created function|assert code|regexp code)`)
)

// kinds are those of php_error_cb in php-src main/main.c and of older releases.
var kinds = [...]string{"Warning", "Notice", "Deprecated", "Fatal error", "Parse error", "Recoverable fatal error", "Catchable fatal error",
	"Core error", "Core warning", "Compile error", "Compile warning", "Strict Standards", "Unknown error"}

// kindOf reads "PHP KIND:" and the two spaces after it; older releases write one.
func kindOf(s string) (kind, rest string, ok bool) {
	rest, ok = strings.CutPrefix(s, "PHP ")
	if !ok {
		return "", "", false
	}
	for _, kind := range kinds {
		if after, ok := strings.CutPrefix(rest, kind); ok && strings.HasPrefix(after, ": ") {
			return kind, strings.TrimPrefix(after[2:], " "), true
		}
	}
	return "", "", false
}

// uncaughtClass reads "Uncaught CLASS" before ": " or " in "; at is where CLASS ends.
func uncaughtClass(s string) (class string, at int, ok bool) {
	name, ok := strings.CutPrefix(s, "Uncaught ")
	if !ok {
		return "", 0, false
	}
	end := strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && r != '\\' && r != '@' && r != '.' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
	})
	if end <= 0 || !strings.HasPrefix(name[end:], ": ") && !strings.HasPrefix(name[end:], " in ") {
		return "", 0, false
	}
	if first, _ := utf8.DecodeRuneInString(name); first == '@' || first == '.' || unicode.IsNumber(first) {
		return "", 0, false
	}
	return name[:end], len(s) - len(name) + end, true
}

// isPlace reports whether a file is written at the front of s: absolute, on a stream, or "Unknown" before a script runs.
func isPlace(s string) bool {
	if s == "" {
		return false
	}
	if s[0] == '/' || s == "Unknown" {
		return true
	}
	if len(s) > 2 && s[1] == ':' && s[2] == '\\' {
		return 'a' <= s[0]|0x20 && s[0]|0x20 <= 'z'
	}
	if s[0] < 'a' || s[0] > 'z' {
		return false
	}
	end := strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '+' || r == '-')
	})
	return end > 0 && strings.HasPrefix(s[end:], "://")
}

// endsAt splits one line "MESSAGE in FILEsepLINE", at the last " in " behind which a file is written.
func endsAt(line, sep string) (message, file string, number int, ok bool) {
	body, number, ok := endNumber(line, sep)
	if !ok {
		return "", "", 0, false
	}
	const in = " in "
	for i := strings.LastIndex(body, in); i >= 0; {
		if isPlace(body[i+len(in):]) {
			return body[:i], body[i+len(in):], number, true
		}
		// Two of them may share a space: "a in in /b".
		i = strings.LastIndex(body[:i+len(in)-1], in)
	}
	return "", "", 0, false
}

// ParsePHPError reads one message, its lines joined by newlines, with or without the stamp of a log file and the
// "PHP message: " that FPM puts before it. The place may lack when the text was cut, as FPM does after 1024 bytes. ok
// is false when the text is no message of PHP itself. What is past 64 KiB is not looked at.
func ParsePHPError(text string) (PHPError, bool) {
	return parsePHP(text, zones{})
}

func parsePHP(text string, z zones) (PHPError, bool) {
	text = strings.ReplaceAll(text[:min(len(text), maxRecord)], "\r\n", "\n")
	var e PHPError
	if clock, zone, after, ok := cutStamp(text); ok {
		e.Time, text = z.stamp(clock, zone), after
	}
	text = trimMessagePrefix(text)
	kind, rest, ok := kindOf(text)
	if !ok {
		return PHPError{}, false
	}
	e.Kind = kind
	text = strings.TrimRight(rest, "\n ")
	if !strings.HasPrefix(text, "Uncaught ") {
		e.plain(text)
	} else if class, at, ok := uncaughtClass(text); ok {
		e.uncaught(class, text, at)
	} else if m := uncaughtOld.FindStringSubmatch(text); m != nil {
		e.uncaught(m[1], text, len("Uncaught exception ''")+len(m[1]))
	} else {
		e.plain(text)
	}
	return e, true
}

// uncaught reads "Uncaught CLASS: MESSAGE in FILE:LINE", then the stack; from is where CLASS ends.
func (e *PHPError) uncaught(class, text string, from int) {
	e.Class = class
	message, file, line, stack := splitThrown(text[from:])
	e.File, e.Line = realPlace(file, line)
	e.Frames = parseFrames(stack)
	if old, ok := strings.CutPrefix(message, " with message '"); ok {
		e.Message = strings.TrimSuffix(old, "'")
	} else {
		e.Message = strings.TrimPrefix(message, ": ")
	}
}

// splitThrown finds where a message ends. The line before "Stack trace:" ends in the place; of a text that was cut
// before its stack, the first line that ends in a place, or else the first place there is.
func splitThrown(text string) (message, file string, line int, stack string) {
	const mark = "\nStack trace:"
	for from := 0; ; {
		n := strings.Index(text[from:], mark)
		if n < 0 {
			break
		}
		end := from + n
		start := strings.LastIndexByte(text[:end], '\n') + 1
		if message, file, line, ok := endsAt(text[start:end], ":"); ok {
			return text[:start+len(message)], file, line, text[end:]
		}
		from = end + len(mark)
	}
	start := 0
	for l := range strings.Lines(text) {
		if message, file, line, ok := endsAt(strings.TrimSuffix(l, "\n"), ":"); ok {
			return text[:start+len(message)], file, line, ""
		}
		start += len(l)
	}
	if m := cutAtPlace.FindStringSubmatchIndex(text); m != nil {
		return text[:m[0]], text[m[2]:m[3]], atoi(text[m[4]:m[5]]), ""
	}
	return text, "", 0, ""
}

// plain reads "MESSAGE in FILE on line LINE". Since PHP 8.5 a stack may follow. The first line decides where it can, as
// what follows may be words that something else wrote into the same log.
func (e *PHPError) plain(text string) {
	first, _, _ := strings.Cut(text, "\n")
	if message, file, line, ok := endsAt(first, " on line "); ok {
		e.Message = message
		e.File, e.Line = realPlace(file, line)
		e.Frames = parseFrames(text[len(first):])
		return
	}
	m := lastOnLine.FindStringSubmatch(text)
	if m == nil {
		e.Message = text
		return
	}
	e.Message = m[1]
	e.File, e.Line = realPlace(m[2], atoi(m[3]))
	e.Frames = parseFrames(text[len(m[0]):])
}

// realPlace gives "/a.php(3) : eval()'d code", line 9, as /a.php, line 3: that is the file to blame.
func realPlace(file string, line int) (string, int) {
	if !strings.Contains(file, ") : ") {
		return file, line
	}
	if m := evalPlace.FindStringSubmatch(file); m != nil {
		return m[1], atoi(m[2])
	}
	return file, line
}

// Fatal reports an error that ends the request: main/main.c, php_error_cb.
func (e PHPError) Fatal() bool {
	switch e.Kind {
	case "Fatal error", "Parse error", "Core error", "Compile error":
		return true
	}
	return false
}
