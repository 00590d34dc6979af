package errlog

import (
	"bytes"
	"io"
	"strings"
	"time"
)

// FPMRecord is one record of FPM's own log (error_log of the master). Pool is empty when the master speaks for
// itself. Text is what follows the level and the pool, lines of one record joined by newlines. At most one of Exit,
// Slow, Said and MaxChildren is set.
type FPMRecord struct {
	Time        time.Time
	Level       string // ALERT, ERROR, WARNING, NOTICE or DEBUG
	Pool, Text  string
	Exit        *Exit
	Slow        *Slow
	Said        *Said
	MaxChildren int // the limit, where the pool has reached it; a static pool never says so
}

// Exit is the end of a worker. FPM also notes the ordinary ones, after pm.max_requests.
type Exit struct {
	PID        int
	Code       int
	Signal     int    // 0: exited with Code
	SignalName string // as FPM writes it: "SIGSEGV"; may be empty
	Core       bool
	After      time.Duration // since the worker started, not the request
}

// Slow is a request past request_slowlog_timeout or, when Terminated, past request_terminate_timeout. FPM cuts
// Script after 255 bytes and the path in URI after 127; URI is the visitor's to choose.
type Slow struct {
	PID                 int
	Script, Method, URI string
	After               time.Duration
	Terminated          bool
}

// Said is a line that a worker wrote to its own standard output or error; seen with catch_workers_output and
// without decorate_workers_output = no.
type Said struct {
	PID          int
	Stream, Text string // Stream is "stdout" or "stderr"
}

// ScanFPM yields the records of an FPM log, whose times are in loc (nil: the host's zone), until it ends or yield
// returns false. Lines that are no record of their own belong to the one before. The only errors are those of r.
func ScanFPM(r io.Reader, loc *time.Location, yield func(FPMRecord) bool) error {
	return scanRecords(r, isFPMHead, func(b []byte) bool {
		rec, ok := parseFPM(string(b), loc)
		return !ok || yield(rec)
	})
}

// isFPMHead reports whether a line begins a record: a stamp, then a level and a colon.
func isFPMHead(line []byte) bool {
	if !isStamp(line) {
		return false
	}
	end := bytes.IndexByte(line[clockEnd:min(len(line), clockEnd+zoneRoom)], ']')
	if end < 0 {
		return false
	}
	rest := line[clockEnd+end+1:]
	if len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	for _, level := range fpmLevels {
		if len(rest) > len(level)+1 && string(rest[:len(level)]) == level && rest[len(level)] == ':' && rest[len(level)+1] == ' ' {
			return true
		}
	}
	return false
}

// fpmLevels are those of zlog.c, the most frequent first.
var fpmLevels = [...]string{"WARNING", "NOTICE", "ERROR", "ALERT", "DEBUG"}

func parseFPM(text string, loc *time.Location) (FPMRecord, bool) {
	clock, fraction, after, ok := cutStamp(text)
	if !ok {
		return FPMRecord{}, false
	}
	c := cursor(after)
	var rec FPMRecord
	for _, level := range fpmLevels {
		if rest, ok := strings.CutPrefix(after, level); ok && strings.HasPrefix(rest, ": ") {
			rec.Level, c = level, cursor(rest[2:])
		}
	}
	if rec.Level == "" {
		return FPMRecord{}, false
	}
	c.debugPlace()
	if rest, ok := strings.CutPrefix(string(c), "[pool "); ok {
		if pool, text, ok := strings.Cut(rest, "]"); ok && pool != "" && strings.HasPrefix(text, " ") {
			rec.Pool, c = pool, cursor(text[1:])
		}
	}
	rec.Text = string(c)
	rec.Time = localStamp(clock, loc)
	if fraction != "" && !rec.Time.IsZero() {
		if f := cursor("0" + fraction); fraction[0] == '.' {
			if d, ok := f.seconds(); ok && f == "" {
				rec.Time = rec.Time.Add(d)
			}
		}
	}
	// What a worker prints undecorated is joined to the record before; that one is still what its first line says.
	first, _, _ := strings.Cut(rec.Text, "\n")
	c = cursor(first)
	switch {
	case c.word("child "):
		rec.parseChild(c)
	case c.word("server reached "):
		c.word("pm.")
		if c.word("max_children setting (") {
			if n, ok := c.digits(); ok && c == "), consider raising it" {
				rec.MaxChildren = n
			}
		}
	}
	return rec, true
}

// debugPlace takes off where in FPM's source a record comes from, as its debug log says: "pid 7, fpm_main(), line 12: ".
func (c *cursor) debugPlace() {
	d := *c
	if !d.word("pid ") {
		return
	}
	if _, ok := d.digits(); !ok || !d.word(", ") {
		return
	}
	end := 0
	for end < len(d) && (isDigit(d[end]) || d[end] == '_' || 'a' <= d[end]|0x20 && d[end]|0x20 <= 'z') {
		end++
	}
	if end == 0 {
		return
	}
	d = d[end:]
	if !d.word("(), line ") {
		return
	}
	if _, ok := d.digits(); ok && d.word(": ") {
		*c = d
	}
}

// parseChild reads the records about one worker, behind "child ": fpm_children.c, fpm_request.c and fpm_stdio.c of
// php-src.
func (rec *FPMRecord) parseChild(c cursor) {
	pid, ok := c.digits()
	switch {
	case !ok:
	case c.word(" exited "):
		rec.Exit = c.exit(pid)
	case c.word(", script '"):
		rec.Slow = c.slow(pid)
	case c.word(" said into "):
		rec.Said = c.said(pid)
	}
}

func (c cursor) exit(pid int) *Exit {
	e := Exit{PID: pid}
	var ok bool
	switch {
	case c.word("with code "):
		if e.Code, ok = c.digits(); !ok {
			return nil
		}
	case c.word("on signal "):
		if e.Signal, ok = c.digits(); !ok || !c.word(" (") {
			return nil
		}
		end := 0
		for end < len(c) && (isDigit(c[end]) || 'A' <= c[end] && c[end] <= 'Z') {
			end++
		}
		e.SignalName, c = string(c[:end]), c[end:]
		e.Core = c.word(" - core dumped")
		if !c.word(")") {
			return nil
		}
	default:
		return nil
	}
	if !c.word(" after ") {
		return nil
	}
	if e.After, ok = c.seconds(); !ok || c != " seconds from start" {
		return nil
	}
	return &e
}

// slow reads "SCRIPT' (request: "METHOD URI") executing too slow (2.18 sec), logging". A visitor chooses the URI but not
// the script, so the script ends at the first mark that can end it and the URI at the last.
func (c cursor) slow(pid int) *Slow {
	s := Slow{PID: pid}
	text, logged := strings.CutSuffix(string(c), " sec), logging")
	if !logged {
		if text, s.Terminated = strings.CutSuffix(string(c), " sec), terminating"); !s.Terminated {
			return nil
		}
	}
	const tooSlow, timedOut = `") executing too slow (`, `") execution timed out (`
	end, mark := strings.LastIndex(text, tooSlow), tooSlow
	if i := strings.LastIndex(text, timedOut); i > end {
		end, mark = i, timedOut
	}
	if end < 0 {
		return nil
	}
	tail := cursor(text[end+len(mark):])
	var ok bool
	if s.After, ok = tail.seconds(); !ok || tail != "" {
		return nil
	}
	text = text[:end]
	const request = `' (request: "`
	for from := 0; ; {
		i := strings.Index(text[from:], request)
		if i < 0 {
			return nil
		}
		i += from
		asked := text[i+len(request):]
		if space := strings.IndexAny(asked, " \t\f\r"); space >= 0 && asked[space] == ' ' {
			s.Script, s.Method, s.URI = text[:i], asked[:space], asked[space+1:]
			return &s
		}
		from = i + 1
	}
}

func (c cursor) said(pid int) *Said {
	s := Said{PID: pid, Stream: "stdout"}
	if !c.word("stdout: \"") {
		if !c.word("stderr: \"") {
			return nil
		}
		s.Stream = "stderr"
	}
	// A line past log_limit is wrapped, and only its last part has the closing quote.
	s.Text = strings.TrimSuffix(string(c), `"`)
	return &s
}
