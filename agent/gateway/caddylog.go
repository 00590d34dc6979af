package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"syscall"
	"time"

	"wpmend/php/fpm"
)

// maxCaddyRecord is how many bytes a line may have; longer ones are passed over.
const maxCaddyRecord = 64 << 10

// ScanCaddyLog yields the failures of requests in Caddy's log, lines of JSON, until it ends or yield returns false:
// what has the logger "http.log.error" (caddyhttp/server.go). All else is passed over. The only errors are those of r.
func ScanCaddyLog(r io.Reader, yield func(LogRecord) bool) error {
	lines := bufio.NewReaderSize(r, maxCaddyRecord)
	begins := true
	for {
		line, err := lines.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if begins && !long {
			if rec, ok := parseCaddy(line); ok && !yield(rec) {
				return nil
			}
		}
		begins = !long
		if err == nil || long {
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

func parseCaddy(line []byte) (LogRecord, bool) {
	var l struct {
		Level   string
		TS      float64
		Logger  string
		Msg     string
		Request struct {
			RemoteIP  string `json:"remote_ip"`
			Method    string
			Host, URI string
			Proto     string
		}
	}
	if json.Unmarshal(line, &l) != nil || l.Logger != "http.log.error" || !isLevel(l.Level) || !(l.TS >= 0 && l.TS < math.MaxInt32) {
		return LogRecord{}, false
	}
	whole, fraction := math.Modf(l.TS)
	rec := LogRecord{Time: time.Unix(int64(whole), int64(fraction*1e9)), Level: l.Level, Message: l.Msg, Client: l.Request.RemoteIP, Host: l.Request.Host,
		Request: strings.TrimSpace(l.Request.Method + " " + l.Request.URI + " " + l.Request.Proto)}
	said := strings.TrimPrefix(l.Msg, "dialing backend: ")
	switch {
	case strings.HasPrefix(said, "dial "):
		rec.Action = "connecting to upstream"
		_, rest, _ := strings.Cut(strings.TrimPrefix(said, "dial "), " ")
		place, _, _ := strings.Cut(rest, ": ")
		if strings.HasPrefix(place, "/") {
			place = "unix:" + place
		}
		rec.Upstream = place
		if a, err := fpm.ParseAddress(place); err == nil {
			rec.UpstreamAddr = a
		}
	case said == "EOF", strings.HasPrefix(said, "read "), strings.HasPrefix(said, "reading "):
		rec.Action = "reading response header from upstream"
	}
	rec.Errno = errnoOf(said)
	return rec, true
}

// errnoOf reads Go's words for what keeps a connection from working.
func errnoOf(said string) int {
	for _, e := range [...]struct {
		words string
		errno syscall.Errno
	}{
		{"no such file or directory", syscall.ENOENT}, {"connection refused", syscall.ECONNREFUSED}, {"permission denied", syscall.EACCES},
		{"resource temporarily unavailable", syscall.EAGAIN}, {"connection reset by peer", syscall.ECONNRESET}, {"i/o timeout", syscall.ETIMEDOUT},
	} {
		if strings.HasSuffix(said, e.words) {
			return int(e.errno)
		}
	}
	return 0
}
