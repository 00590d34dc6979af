package errlog

import (
	"bytes"
	"io"
	"regexp"
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

var (
	slowHead  = regexp.MustCompile(`^  \[pool ([^\]]+)\] pid (\d+)$`)
	slowFrame = regexp.MustCompile(`^\[0x[0-9a-f]+\] (.+?)\(\) (.+):(\d+)$`)
)

// ScanSlow yields the traces of a slow log, whose times are in loc (nil: the host's zone), until it ends or yield
// returns false. A line that is no part of a trace is passed over. The only errors are those of r.
func ScanSlow(r io.Reader, loc *time.Location, yield func(SlowTrace) bool) error {
	return scanRecords(r, isSlowHead, func(b []byte) bool {
		trace, ok := parseSlow(string(b), loc)
		return !ok || yield(trace)
	})
}

func isSlowHead(line []byte) bool {
	const stampEnd = 1 + len(stampLayout) + 1
	return isStamp(line) && bytes.HasPrefix(line[stampEnd-1:], []byte("]  [pool "))
}

func parseSlow(text string, loc *time.Location) (SlowTrace, bool) {
	first, rest, _ := strings.Cut(text, "\n")
	const clockEnd = 1 + len(stampLayout)
	m := slowHead.FindStringSubmatch(first[clockEnd+1:])
	if m == nil {
		return SlowTrace{}, false
	}
	trace := SlowTrace{Time: localStamp(first[1:clockEnd], loc), Pool: m[1], PID: atoi(m[2])}
	for line := range strings.SplitSeq(rest, "\n") {
		if script, ok := strings.CutPrefix(line, "script_filename = "); ok && trace.Script == "" {
			trace.Script = script
		} else if f := slowFrame.FindStringSubmatch(line); f != nil {
			frame := Frame{Func: f[1]}
			frame.File, frame.Line = realPlace(f[2], atoi(f[3]))
			trace.Frames = append(trace.Frames, frame)
		}
	}
	return trace, true
}
