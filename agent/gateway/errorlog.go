package gateway

import (
	"bufio"
	"errors"
	"io"
	"time"

	"wpmend/php/fpm"
)

// maxRecord is how many bytes of one record are kept, joined lines included. nginx cuts at 2048 (NGX_MAX_ERROR_STR),
// some builds at twice that.
const maxRecord = 8 << 10

// LogRecord is one record of nginx' or Apache's error log. All of it can be forged: a visitor chooses Request and Host, PHP code
// chooses Stderr with its newlines, and so can begin what looks like another record. Server is nginx' own word where
// the record is.
type LogRecord struct {
	Time     time.Time
	Level    string // emerg, alert, crit, error, warn, notice, info or debug
	PID      int
	Module   string // Apache's, without "mod_": "proxy_fcgi"; "" from nginx
	Code     string // Apache's number of the message: "AH01071"
	Conn     uint64 // number of the connection; 0 when none is concerned
	Message  string // without Action and what follows it
	Action   string // "connecting to upstream", "reading response header from upstream", …; "" if none
	Client   string
	Server   string // see Vhost.LogName
	Request  string // request line, raw
	Upstream string // as written: "fastcgi://unix:/run/php/a.sock:"
	Host     string // Host header
	// Stderr is what PHP wrote beside its answer, with its newlines; cut where nginx cuts the record.
	Stderr string
	Errno  int // of the system call that failed, 0 if none; Apache's may be APR's
	// UpstreamAddr is the peer of Upstream; zero for a group of peers, or none.
	UpstreamAddr fpm.Address
}

// ScanNginxLog yields the records of an nginx error log, whose times are in loc (nil: the host's zone), until it ends
// or yield returns false. Lines before the first record are passed over; lines that begin no record belong to the one
// before. The only errors are those of r.
func ScanNginxLog(r io.Reader, loc *time.Location, yield func(LogRecord) bool) error {
	if loc == nil {
		loc = time.Local
	}
	lines := bufio.NewReaderSize(r, 32<<10)
	var record []byte
	inside, begins := false, true
	flush := func() bool {
		rec, ok := parseRecord(string(record), loc)
		return !ok || yield(rec)
	}
	for {
		chunk, err := lines.ReadSlice('\n')
		if begins && isRecordHead(chunk) {
			if inside && !flush() {
				return nil
			}
			record, inside = record[:0], true
		}
		if inside {
			record = append(record, chunk[:min(maxRecord-len(record), len(chunk))]...)
		}
		begins = !errors.Is(err, bufio.ErrBufferFull)
		if err == nil || !begins {
			continue
		}
		if inside {
			flush()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

// isRecordHead reports whether a line begins like "2026/11/22 20:59:13 [". It is called for every line.
func isRecordHead(b []byte) bool {
	const shape = "0000/00/00 00:00:00 ["
	if len(b) < len(shape) {
		return false
	}
	for i := range len(shape) {
		if shape[i] == '0' {
			if b[i] < '0' || b[i] > '9' {
				return false
			}
		} else if b[i] != shape[i] {
			return false
		}
	}
	return true
}
