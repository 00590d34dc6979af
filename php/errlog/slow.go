package errlog

import (
	"bytes"
	"io"
	"strings"
	"time"
)

// SlowTrace is one trace of a slow log: where a request was when it passed request_slowlog_timeout.
type SlowTrace struct {
	Time   time.Time
	Pool   string
	PID    int
	Script string
	Frames []Frame // innermost first; methods come without their class (fpm_php_trace.c)
}

// ScanSlow yields the traces of a slow log, whose times are in loc (nil: the host's zone), until it ends or yield
// returns false. A line that is no part of a trace is passed over. The only errors are those of r.
func ScanSlow(r io.Reader, loc *time.Location, yield func(SlowTrace) bool) error {
	return scanRecords(r, isSlowHead, func(b []byte) bool {
		trace, ok := parseSlow(string(b), loc)
		return !ok || yield(trace)
	})
}

func isSlowHead(line []byte) bool {
	return isStamp(line) && bytes.HasPrefix(line[clockEnd:], []byte("]  [pool "))
}

func parseSlow(text string, loc *time.Location) (SlowTrace, bool) {
	first, rest, _ := strings.Cut(text, "\n")
	pool, pid, ok := strings.Cut(first[clockEnd+len("]  [pool "):], "]")
	c := cursor(pid)
	if !ok || pool == "" || !c.word(" pid ") {
		return SlowTrace{}, false
	}
	number, ok := c.digits()
	if !ok || c != "" {
		return SlowTrace{}, false
	}
	trace := SlowTrace{Time: localStamp(first[1:clockEnd], loc), Pool: pool, PID: number}
	frames := strings.Count(rest, "\n[0x")
	for len(rest) > 0 {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if script, ok := strings.CutPrefix(line, "script_filename = "); ok && trace.Script == "" {
			trace.Script = script
		} else if f, ok := slowFrame(line); ok {
			if trace.Frames == nil {
				trace.Frames = make([]Frame, 0, min(frames+1, 64))
			}
			trace.Frames = append(trace.Frames, f)
		}
	}
	return trace, true
}

// slowFrame reads "[0x00007fcb8c4151c0] sleep() /path/sleep.php:1".
func slowFrame(line string) (f Frame, ok bool) {
	c := cursor(line)
	if !c.word("[0x") {
		return f, false
	}
	end := 0
	for end < len(c) && (isDigit(c[end]) || 'a' <= c[end] && c[end] <= 'f') {
		end++
	}
	if c = c[end:]; end == 0 || !c.word("] ") {
		return f, false
	}
	call, number, ok := endNumber(string(c), ":")
	if !ok || call == "" {
		return f, false
	}
	i := strings.Index(call[1:], "() ")
	if i < 0 || i+1+len("() ") == len(call) {
		return f, false
	}
	f.Func = call[:i+1]
	f.File, f.Line = realPlace(call[i+1+len("() "):], number)
	return f, true
}
