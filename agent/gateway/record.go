package gateway

import (
	"strconv"
	"strings"
	"time"

	"wpmend/php/fpm"
)

const (
	stampLayout = "2006/01/02 15:04:05"
	stderrHead  = `FastCGI sent in stderr: "`
)

// parseRecord reads one record, lines joined (ngx_log_error_core, ngx_http_log_error_handler):
//
//	TIME [LEVEL] PID#TID: *CONN MESSAGE[ while ACTION], client: …, server: …[, request: "…"][, subrequest: "…"]
//	[, upstream: "…"][, host: "…"][, referrer: "…"]
func parseRecord(text string, loc *time.Location) (LogRecord, bool) {
	var rec LogRecord
	text = strings.TrimRight(text, "\r\n")
	stamp, rest, ok := strings.Cut(text, " [")
	if !ok {
		return rec, false
	}
	if rec.Time, ok = parseStamp(stamp, loc); !ok {
		return rec, false
	}
	if rec.Level, rest, ok = strings.Cut(rest, "] "); !ok || !isLevel(rec.Level) {
		return rec, false
	}
	who, rest, ok := strings.Cut(rest, ": ")
	pid, tid, hash := strings.Cut(who, "#")
	var err error
	if rec.PID, err = strconv.Atoi(pid); !ok || !hash || err != nil {
		return rec, false
	}
	if _, err = strconv.ParseUint(tid, 10, 64); err != nil {
		return rec, false
	}
	if after, star := strings.CutPrefix(rest, "*"); star {
		number, message, blank := strings.Cut(after, " ")
		if n, err := strconv.ParseUint(number, 10, 64); err == nil && blank {
			rec.Conn, rest = n, message
		}
	}
	message, found := rec.context(rest)
	if !found && !strings.Contains(rest, stderrHead) {
		// Only PHP's words have lines; what follows here was written by somebody else.
		rest, _, _ = strings.Cut(rest, "\n")
		message, _ = rec.context(rest)
	}
	rec.message(message)
	return rec, true
}

func isLevel(s string) bool {
	switch s {
	case "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug":
		return true
	}
	return false
}

// context takes the fields after the message off and returns the message. The message may hold text that looks like
// fields (a path, PHP's words), so they count only if they run to the end of the record; what a visitor sends comes
// after the first such place.
func (rec *LogRecord) context(s string) (message string, found bool) {
	const first = ", client: "
	for from := 0; ; {
		i := strings.Index(s[from:], first)
		if i < 0 {
			return s, false
		}
		at := from + i
		// Nothing quoted so far: these are nginx' own words, so the fields begin here, and a quote that a visitor put
		// into the request cannot have come from before.
		own := from == 0 && !strings.Contains(s[:at], `"`)
		if rec.fields(s[at+len(first):], own) {
			return s[:at], true
		}
		from = at + len(first)
	}
}

var quotedFields = [...]string{`, request: "`, `, subrequest: "`, `, upstream: "`, `, host: "`, `, referrer: "`}

// fields reads the fields after ", client: "; own says that they certainly are nginx' fields.
func (rec *LogRecord) fields(s string, own bool) bool {
	client, s, ok := strings.Cut(s, ",")
	s, named := strings.CutPrefix(s, " server: ")
	if !ok || client == "" || !named {
		return false
	}
	var server string
	if i := strings.IndexByte(s, ','); i >= 0 {
		server, s = s[:i], s[i:]
	} else {
		server, s = s, ""
	}
	var values [len(quotedFields)]string
	for i, name := range quotedFields {
		rest, ok := strings.CutPrefix(s, name)
		if !ok {
			continue
		}
		end := -1
		switch {
		case i == len(quotedFields)-1: // the last one; it may hold quotes
			if strings.HasSuffix(rest, `"`) {
				end = len(rest) - 1
			}
		case own:
			end = fieldEnd(rest, quotedFields[i+1:])
		case i == 0:
			end = requestEnd(rest)
		default:
			end = strings.IndexByte(rest, '"')
		}
		if end < 0 {
			return false
		}
		values[i], s = rest[:end], rest[end+1:]
	}
	if s != "" {
		return false
	}
	rec.Client, rec.Server, rec.Request, rec.Upstream, rec.Host = client, server, values[0], values[2], values[3]
	rec.UpstreamAddr = upstreamAddr(rec.Upstream)
	return true
}

// requestEnd finds the quote that closes a request line: one that no backslash stands before.
func requestEnd(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// fieldEnd finds the quote that another field, or the end, comes after: nginx escapes none within a field.
func fieldEnd(s string, next []string) int {
	for i := 0; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i == len(s)-1 {
			return i
		}
		for _, name := range next {
			if strings.HasPrefix(s[i+1:], name) {
				return i
			}
		}
	}
	return -1
}

// message reads what stands before the fields.
func (rec *LogRecord) message(s string) {
	begin := strings.Index(s, stderrHead)
	if i := strings.LastIndex(s, " while "); i >= 0 && isAction(s[i+len(" while "):]) && (begin < 0 || s[i-1] == '"') {
		s, rec.Action = s[:i], s[i+len(" while "):]
	}
	rec.Message = s
	if i := begin; i >= 0 {
		rec.Stderr = strings.TrimSuffix(s[i+len(stderrHead):], `"`)
		return
	}
	rec.Errno = errno(s)
}

// isAction: nginx' own words are letters and blanks.
func isAction(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != ' ' && c != '/' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

// errno reads the number of "failed (2: No such file or directory)", which ends the message.
func errno(s string) int {
	if !strings.HasSuffix(s, ")") {
		return 0
	}
	i := strings.LastIndex(s, " (")
	if i < 0 {
		return 0
	}
	number, _, ok := strings.Cut(s[i+2:], ": ")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 {
		return 0
	}
	return n
}

// upstreamAddr reads "fastcgi://unix:/path:" (without the last colon after a timeout), "fastcgi://127.0.0.1:9000",
// "http://unix:/path:/uri". A group's name is no address.
func upstreamAddr(s string) fpm.Address {
	scheme, peer, ok := strings.Cut(s, "://")
	if !ok {
		return fpm.Address{}
	}
	if p, unix := strings.CutPrefix(peer, "unix:"); unix {
		if scheme != "fastcgi" {
			p, _, _ = strings.Cut(p, ":/")
		}
		a, err := fpm.ParseAddress("unix:" + strings.TrimSuffix(p, ":"))
		if err != nil {
			return fpm.Address{}
		}
		return a
	}
	peer, _, _ = strings.Cut(peer, "/")
	if !strings.Contains(peer, ":") {
		return fpm.Address{}
	}
	a, err := fpm.ParseAddress(peer)
	if err != nil {
		return fpm.Address{}
	}
	return a
}
