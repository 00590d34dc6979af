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

// The kinds are those of php_error_cb in php-src main/main.c and of older releases. PHP writes two spaces.
var (
	phpHead     = regexp.MustCompile(`^PHP (Fatal error|Parse error|Recoverable fatal error|Catchable fatal error|Core error|Core warning|Compile error|Compile warning|Warning|Notice|Deprecated|Strict Standards|Unknown error): {1,2}`)
	uncaught    = regexp.MustCompile(`^Uncaught ([\pL_\\][\pL\pN_\\@.]*)(: | in )`)
	uncaughtOld = regexp.MustCompile(`^Uncaught exception '([^'\n]+)'( with message '| in )`)
	thrownAt    = regexp.MustCompile(` in ((?:/|[A-Za-z]:\\|[a-z][a-z0-9.+-]*://)[^\n]*?|Unknown):(\d+)(?:\nStack trace:|\n|$)`)
	thrownCut   = regexp.MustCompile(` in ((?:/|[A-Za-z]:\\|[a-z][a-z0-9.+-]*://)[^\n]*?|Unknown):(\d+)`)
	onLine      = regexp.MustCompile(`(?s)^(.*) in ((?:/|[A-Za-z]:\\|[a-z][a-z0-9.+-]*://)[^\n]*?|Unknown) on line (\d+)(?:\n|$)`)
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
	rest := text[from:]
	place := thrownAt.FindStringSubmatchIndex(rest)
	if place == nil {
		place = thrownCut.FindStringSubmatchIndex(rest)
	}
	message := rest
	if place != nil {
		message = rest[:place[0]]
		e.File, e.Line = realPlace(rest[place[2]:place[3]], atoi(rest[place[4]:place[5]]))
		e.Frames = parseFrames(rest[place[5]:])
	}
	if old, ok := strings.CutPrefix(message, " with message '"); ok {
		e.Message = strings.TrimSuffix(old, "'")
	} else {
		e.Message = strings.TrimPrefix(message, ": ")
	}
}

// plain reads "MESSAGE in FILE on line LINE". Since PHP 8.5 a stack may follow.
func (e *PHPError) plain(text string) {
	m := onLine.FindStringSubmatch(text)
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
