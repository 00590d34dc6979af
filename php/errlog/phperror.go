package errlog

import (
	"regexp"
	"strings"
	"time"
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

// The kinds are those of php_error_cb in php-src main/main.c and of older releases. PHP writes two spaces.
var (
	phpHead     = regexp.MustCompile(`^PHP (Fatal error|Parse error|Recoverable fatal error|Catchable fatal error|Core error|Core warning|Compile error|Compile warning|Warning|Notice|Deprecated|Strict Standards|Unknown error): {1,2}`)
	uncaught    = regexp.MustCompile(`^Uncaught ([\pL_\\][\pL\pN_\\@.]*)(: | in )`)
	uncaughtOld = regexp.MustCompile(`^Uncaught exception '([^'\n]+)'( with message '| in )`)
	endsInPlace = regexp.MustCompile(`^(.*) in (` + place + `):(\d+)$`)
	cutAtPlace  = regexp.MustCompile(` in (` + place + `):(\d+)`)
	endsOnLine  = regexp.MustCompile(`^(.*) in (` + place + `) on line (\d+)$`)
	lastOnLine  = regexp.MustCompile(`(?s)^(.*) in (` + place + `) on line (\d+)(?:\n|$)`)
	evalPlace   = regexp.MustCompile(`^(.+?)\((\d+)\) : (?:eval\(\)'d code|runtime-created function|assert code|regexp code)`)
)

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
	head := phpHead.FindStringSubmatch(text)
	if head == nil {
		return PHPError{}, false
	}
	e.Kind = head[1]
	text = strings.TrimRight(text[len(head[0]):], "\n ")
	if m := uncaught.FindStringSubmatch(text); m != nil {
		e.uncaught(m[1], text, len("Uncaught ")+len(m[1]))
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
		if m := endsInPlace.FindStringSubmatch(text[start:end]); m != nil {
			return text[:start] + m[1], m[2], atoi(m[3]), text[end:]
		}
		from = end + len(mark)
	}
	start := 0
	for l := range strings.Lines(text) {
		if m := endsInPlace.FindStringSubmatch(strings.TrimSuffix(l, "\n")); m != nil {
			return text[:start] + m[1], m[2], atoi(m[3]), ""
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
	m := endsOnLine.FindStringSubmatch(first)
	if m == nil {
		m = lastOnLine.FindStringSubmatch(text)
	}
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
