package errlog

import (
	"io"
	"regexp"
	"strconv"
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

// The patterns come from zlog.c, fpm_children.c, fpm_process_ctl.c, fpm_request.c and fpm_stdio.c of php-src. A
// visitor chooses the URI but not the script, so the script ends at the first mark that can end it and the URI at
// the last.
var (
	fpmHead = regexp.MustCompile(`^(ALERT|ERROR|WARNING|NOTICE|DEBUG): (?:pid \d+, \w+\(\), line \d+: )?(?:\[pool ([^\]]+)\] )?`)
	fpmExit = regexp.MustCompile(`^child (\d+) exited (?:with code (\d+)|on signal (\d+) \(([A-Z0-9]*)( - core dumped)?\)) after (\d+\.\d+) seconds from start$`)
	fpmMax  = regexp.MustCompile(`^server reached (?:pm\.)?max_children setting \((\d+)\), consider raising it$`)
	fpmSlow = regexp.MustCompile(`^child (\d+), script '(.*?)' \(request: "(\S*) (.*)"\) (?:executing too slow|execution timed out) \((\d+\.\d+) sec\), (logging|terminating)$`)
	fpmSaid = regexp.MustCompile(`^child (\d+) said into (stdout|stderr): "(.*)$`)
)

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
	_, _, after, ok := cutStamp(string(line[:min(len(line), 128)]))
	level, _, colon := strings.Cut(after, ": ")
	if !ok || !colon {
		return false
	}
	switch level {
	case "ALERT", "ERROR", "WARNING", "NOTICE", "DEBUG":
		return true
	}
	return false
}

func parseFPM(text string, loc *time.Location) (FPMRecord, bool) {
	clock, fraction, after, ok := cutStamp(text)
	head := fpmHead.FindStringSubmatch(after)
	if !ok || head == nil {
		return FPMRecord{}, false
	}
	rec := FPMRecord{Time: localStamp(clock, loc), Level: head[1], Pool: head[2], Text: after[len(head[0]):]}
	if d, err := time.ParseDuration("0" + fraction + "s"); err == nil && !rec.Time.IsZero() {
		rec.Time = rec.Time.Add(d)
	}
	// What a worker prints undecorated is joined to the record before; that one is still what its first line says.
	first, _, _ := strings.Cut(rec.Text, "\n")
	switch {
	case strings.HasPrefix(first, "child "):
		rec.parseChild(first)
	case strings.HasPrefix(first, "server reached "):
		if m := fpmMax.FindStringSubmatch(first); m != nil {
			rec.MaxChildren = atoi(m[1])
		}
	}
	return rec, true
}

// parseChild reads the records about one worker.
func (rec *FPMRecord) parseChild(first string) {
	if m := fpmExit.FindStringSubmatch(first); m != nil {
		rec.Exit = &Exit{
			PID: atoi(m[1]), Code: atoi(m[2]), Signal: atoi(m[3]), SignalName: m[4],
			Core: m[5] != "", After: seconds(m[6]),
		}
	} else if m := fpmSlow.FindStringSubmatch(first); m != nil {
		rec.Slow = &Slow{
			PID: atoi(m[1]), Script: m[2], Method: m[3], URI: m[4],
			After: seconds(m[5]), Terminated: m[6] == "terminating",
		}
	} else if m := fpmSaid.FindStringSubmatch(first); m != nil {
		// A line past log_limit is wrapped, and only its last part has the closing quote.
		rec.Said = &Said{PID: atoi(m[1]), Stream: m[2], Text: strings.TrimSuffix(m[3], `"`)}
	}
}

// atoi reads digits that a pattern has matched; a number that fits no int is 0, like none.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// seconds reads "2.180000"; what fits no duration is 0.
func seconds(s string) time.Duration {
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		return 0
	}
	return d
}
