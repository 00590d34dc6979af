package gateway

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"wpmend/php/fpm"
)

// maxLiteSpeedRecord is how many bytes of a line are kept; the server's own buffer holds 8 KiB (log4cxx/logger.cpp).
const maxLiteSpeedRecord = 16 << 10

// ScanLiteSpeedLog yields the records of an error log or stderr.log of OpenLiteSpeed or LiteSpeed, whose times are in
// loc (nil: the host's zone), until it ends or yield returns false. Lines that are no record are passed over. The only
// errors are those of r.
//
// LiteSpeed answers 503 for everything that goes wrong between it and PHP, and asks a crashed PHP up to three times
// (HttpExtConnector::tryRecover). Its lines are
//
//	2019-12-10 03:56:45.012477 [INFO] [PID] [T0] [CLIENT:PORT:HTTP2-3#VHOST] MESSAGE
//
// of which all between level and message may lack.
func ScanLiteSpeedLog(r io.Reader, loc *time.Location, yield func(LogRecord) bool) error {
	if loc == nil {
		loc = time.Local
	}
	lines := bufio.NewReaderSize(r, maxLiteSpeedRecord)
	begins := true
	for {
		line, err := lines.ReadSlice('\n')
		if begins && len(line) > 0 && '0' <= line[0] && line[0] <= '9' {
			if rec, ok := parseLiteSpeed(string(line), loc); ok && !yield(rec) {
				return nil
			}
		}
		begins = !errors.Is(err, bufio.ErrBufferFull)
		if err == nil || !begins {
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

// liteSpeedLevels are log4cxx' names and nginx' for the same.
var liteSpeedLevels = [...]struct{ theirs, ours string }{
	{"INFO", "info"}, {"NOTICE", "notice"}, {"WARN", "warn"}, {"ERROR", "error"}, {"CRIT", "crit"}, {"ALERT", "alert"},
	{"EMERG", "emerg"}, {"FATAL", "emerg"}, {"DEBUG", "debug"}, {"TRACE", "debug"},
}

func parseLiteSpeed(line string, loc *time.Location) (LogRecord, bool) {
	var rec LogRecord
	const clock = "0000-00-00 00:00:00"
	line = strings.TrimRight(line, "\r\n")
	if len(line) < len(clock) || !shaped(line, clock) {
		return rec, false
	}
	var ok bool
	if rec.Time, ok = moment(number(line[:4]), number(line[5:7]), number(line[8:10]), line[11:19], 0, loc); !ok {
		return rec, false
	}
	rest := line[len(clock):]
	if len(rest) > 7 && rest[0] == '.' && shaped(rest[1:7], "000000") {
		rec.Time = rec.Time.Add(time.Duration(number(rest[1:7])) * time.Microsecond)
		rest = rest[7:]
	}
	field, rest, ok := bracketed(strings.TrimLeft(rest, " \t"))
	if !ok {
		return rec, false
	}
	for _, l := range liteSpeedLevels {
		if l.theirs == field {
			rec.Level = l.ours
		}
	}
	if rec.Level == "" {
		return rec, false
	}
	for rec.Server == "" {
		field, after, ok := bracketed(rest)
		if !ok || !rec.liteSpeedField(field) {
			break
		}
		rest = after
	}
	rec.liteSpeedMessage(rest)
	return rec, true
}

// liteSpeedField reads one bracket before the message: a process, a thread or a connection.
func (rec *LogRecord) liteSpeedField(field string) bool {
	if pid, err := strconv.Atoi(field); err == nil && pid >= 0 && rec.PID == 0 {
		rec.PID = pid
		return true
	}
	if len(field) > 1 && field[0] == 'T' && strings.Trim(field[1:], "0123456789") == "" {
		return true
	}
	peer, vhost, named := strings.Cut(field, "#")
	if i := strings.Index(peer, ":HTTP"); i >= 0 {
		peer = peer[:i]
	} else if i := strings.Index(peer, ":QUIC"); i >= 0 {
		peer = peer[:i]
	} else if i := strings.LastIndexByte(peer, '-'); i >= 0 {
		peer = peer[:i] // the request's number on the connection
	}
	address, port, ok := cutLast(peer, ":")
	if !ok || port == "" || strings.Trim(port, "0123456789") != "" {
		return false
	}
	if _, err := netip.ParseAddr(strings.Trim(address, "[]")); err != nil && address != "" {
		return false
	}
	rec.Client = strings.Trim(address, "[]")
	if named {
		rec.Server = vhost
	}
	return true
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// liteSpeedMessage reads what LiteSpeed says of PHP; Action and Errno are in nginx' words for the same.
func (rec *LogRecord) liteSpeedMessage(s string) {
	rec.Message = s
	if words, ok := strings.CutPrefix(s, "[STDERR] "); ok {
		rec.Stderr = words
		return
	}
	place, said, ok := bracketed(s)
	if ok || strings.HasPrefix(s, "[") {
		if !ok {
			place, said, _ = strings.Cut(strings.TrimPrefix(s, "["), "]: ")
		}
		rec.backendOf(place)
	} else {
		said = s
	}
	switch {
	case strings.HasPrefix(said, "Connection refused"):
		rec.Action, rec.Errno = "connecting to upstream", int(syscall.ECONNREFUSED)
	case strings.HasPrefix(said, "No such file or directory"):
		rec.Action, rec.Errno = "connecting to upstream", int(syscall.ENOENT)
	case strings.HasPrefix(said, "Permission denied"):
		rec.Action, rec.Errno = "connecting to upstream", int(syscall.EACCES)
	case strings.HasPrefix(said, "ExtConn timed out while processing"):
		rec.Action, rec.Errno = "reading response header from upstream", int(syscall.ETIMEDOUT)
	case strings.HasPrefix(said, "connection to ["):
		_, socket, _ := strings.Cut(said, "[")
		socket, rest, _ := strings.Cut(socket, "]")
		rec.backendOf(socket)
		rec.Action = "reading response header from upstream"
		if strings.Contains(rest, "timed out") {
			rec.Errno = int(syscall.ETIMEDOUT)
		} else if strings.Contains(rest, "Connection reset") {
			rec.Errno = int(syscall.ECONNRESET)
		}
	case strings.HasPrefix(said, "No request delivery notification has been received"):
		rec.Action = "reading response header from upstream"
	}
}

// backendOf takes an address in LiteSpeed's notation: "uds://tmp/lshttpd/lsphp.sock", "/path", "127.0.0.1:9000".
func (rec *LogRecord) backendOf(place string) {
	if socket, ok := strings.CutPrefix(place, "uds://"); ok {
		place = "unix:/" + socket
	} else if strings.HasPrefix(place, "/") {
		place = "unix:" + place
	} else if _, err := netip.ParseAddrPort(place); err != nil {
		return
	}
	rec.Upstream = place
	if a, err := fpm.ParseAddress(place); err == nil {
		rec.UpstreamAddr = a
	}
}
