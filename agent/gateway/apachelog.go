package gateway

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"wpmend/php/fpm"
)

// maxApacheRecord is how many bytes of a line are kept; Apache cuts at 8192 (MAX_STRING_LEN, log.c).
const maxApacheRecord = 16 << 10

// ScanApacheLog yields the records of an Apache error log in the default format, whose times are in loc (nil: the
// host's zone), until it ends or yield returns false. Each is one line, since Apache escapes newlines; lines without a
// record's head come from programs that write past Apache and are passed over. The only errors are those of r.
//
// LogRecord says the same as for nginx, with Apache's Module and Code, and without Server, Host and Request: the vhost
// is known by its file. Errno may be one of APR's own: APRTimeout, APREnd.
func ScanApacheLog(r io.Reader, loc *time.Location, yield func(LogRecord) bool) error {
	if loc == nil {
		loc = time.Local
	}
	lines := bufio.NewReaderSize(r, maxApacheRecord)
	begins := true
	for {
		line, err := lines.ReadSlice('\n')
		if begins && isApacheHead(line) {
			if rec, ok := parseApacheRecord(string(line), loc); ok && !yield(rec) {
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

// Statuses of APR that stand where the number of a system call's error does (apr_errno.h).
const (
	APRTimeout = 70007 // "The timeout specified has expired"
	APREnd     = 70014 // "End of file found"
)

// isApacheHead reports whether a line begins like "[Sun Nov 22 21:10:44". It is called for every line.
func isApacheHead(b []byte) bool {
	const shape = "[Aaa Aaa 00 00:00:00"
	if len(b) < len(shape) {
		return false
	}
	for i := range len(shape) {
		c := b[i]
		switch shape[i] {
		case '0':
			if c < '0' || c > '9' {
				return false
			}
		case 'A':
			if c < 'A' || c > 'Z' {
				return false
			}
		case 'a':
			if c < 'a' || c > 'z' {
				return false
			}
		default:
			if c != shape[i] {
				return false
			}
		}
	}
	return true
}

// parseApacheRecord reads (do_errorlog_default, log.c; the order of the last three differs between versions)
//
//	[TIME] [MODULE:LEVEL] [pid P:tid T] [remote …] (ERRNO)text: [client IP:PORT] AHnnnnn: MESSAGE, referer: …
func parseApacheRecord(line string, loc *time.Location) (LogRecord, bool) {
	var rec LogRecord
	line = strings.TrimRight(line, "\r\n")
	stamp, rest, ok := strings.Cut(strings.TrimPrefix(line, "["), "] ")
	if !ok {
		return rec, false
	}
	if rec.Time, ok = parseApacheStamp(stamp, loc); !ok {
		return rec, false
	}
	var err error
	field, rest, ok := bracketed(rest)
	if !ok {
		return rec, false
	}
	if module, level, both := strings.Cut(field, ":"); both {
		rec.Module, rec.Level = module, level
	} else {
		rec.Level = field // Apache 2.2
	}
	if !isLevel(rec.Level) && !strings.HasPrefix(rec.Level, "trace") {
		return rec, false
	}
	for {
		if field, after, ok := bracketed(rest); ok {
			name, value, _ := strings.Cut(field, " ")
			switch name {
			case "pid":
				value, _, _ = strings.Cut(value, ":")
				if rec.PID, err = strconv.Atoi(value); err != nil || rec.PID < 0 {
					return rec, false
				}
			case "client":
				rec.Client = value
				if i := strings.LastIndexByte(value, ':'); i > 0 {
					rec.Client = value[:i]
				}
			case "remote":
			default:
				ok = false // the message begins with a bracket
			}
			if ok {
				rest = after
				continue
			}
		}
		number, after, ok := aprStatus(rest)
		if !ok || rec.Errno != 0 {
			break
		}
		rec.Errno, rest = number, after
	}
	rec.apacheMessage(rest)
	return rec, true
}

// bracketed cuts "[field] " off.
func bracketed(s string) (field, rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", s, false
	}
	return strings.Cut(s[1:], "] ")
}

// aprStatus cuts "(111)Connection refused: " off; "(EAI 2)" has no number of its own.
func aprStatus(s string) (number int, rest string, ok bool) {
	digits, text, ok := strings.Cut(strings.TrimPrefix(s, "("), ")")
	if !ok || !strings.HasPrefix(s, "(") {
		return 0, s, false
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(digits, "EAI "), 10, 31)
	_, rest, ok = strings.Cut(text, ": ")
	return int(n), rest, ok && err == nil && n > 0
}

// apacheMessage reads "AHnnnnn: MESSAGE, referer: …". The referer is a visitor's choice, so it is cut off at the first
// place where it could begin.
func (rec *LogRecord) apacheMessage(s string) {
	if len(s) > 9 && s[:2] == "AH" && s[7:9] == ": " && strings.Trim(s[2:7], "0123456789") == "" {
		rec.Code, s = s[:7], s[9:]
	}
	const said = "Got error '"
	switch {
	case rec.Code == "AH01071" && strings.HasPrefix(s, said):
		words, _, cut := strings.Cut(s[len(said):], "', referer: ")
		if !cut {
			words = strings.TrimSuffix(words, "'")
		}
		rec.Message, rec.Stderr = said+words+"'", unescapeLog(words)
		return
	case rec.Code == "" && strings.HasPrefix(rec.Module, "php"), rec.Code == "" && strings.HasPrefix(s, "PHP "):
		rec.Message, _, _ = strings.Cut(s, ", referer: ")
		rec.Stderr = unescapeLog(rec.Message)
		return
	}
	rec.Message, _, _ = strings.Cut(s, ", referer: ")
	rec.backend()
}

// backend reads what mod_proxy says of the place that it sends to; Action is in nginx' words for the same.
func (rec *LogRecord) backend() {
	switch rec.Code {
	case "AH02454", "AH00957":
		rec.Action = "connecting to upstream"
		_, place, _ := strings.Cut(rec.Message, "attempt to connect to ")
		if i := strings.LastIndex(place, " ("); i >= 0 {
			place = place[:i]
		} else {
			place = strings.TrimSuffix(place, " failed")
		}
		if socket, unix := strings.CutPrefix(place, "Unix domain socket "); unix {
			place = "unix:" + socket
		}
		rec.Upstream = place
		if a, err := fpm.ParseAddress(place); err == nil {
			rec.UpstreamAddr = a
		}
	case "AH01079", "AH01114":
		rec.Action = "connecting to upstream"
	case "AH01067", "AH01068", "AH01069", "AH01070", "AH01072", "AH01075", "AH01102":
		rec.Action = "reading response header from upstream"
	case "AH01073", "AH01074", "AH01084":
		rec.Action = "sending request to upstream"
	}
}

// Died reads the master's word that a child ended by a signal (AH00051, AH00052). It comes into the log of the server
// as a whole, and only for signals that are no way to end one: a SIGKILL is not mentioned (ap_process_child_status).
func (rec LogRecord) Died() (child, signal int, ok bool) {
	if rec.Code != "AH00051" && rec.Code != "AH00052" {
		return 0, 0, false
	}
	rest, ok := strings.CutPrefix(rec.Message, "child pid ")
	number, rest, found := strings.Cut(rest, " exit signal ")
	child, err := strconv.Atoi(number)
	_, rest, open := strings.Cut(rest, "(")
	number, _, closed := strings.Cut(rest, ")")
	signal, signalErr := strconv.Atoi(number)
	return child, signal, ok && found && open && closed && err == nil && signalErr == nil
}
