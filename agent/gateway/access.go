package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxAccessLine is how many bytes of a line are looked at: a request line of 8 KiB (nginx, large_client_header_buffers)
// in which every byte is escaped, and what stands before it.
const maxAccessLine = 40 << 10

// AccessRecord is one request in an access log. A visitor chooses Method, URI and Host, and with some formats Client.
type AccessRecord struct {
	Time        time.Time
	Client      string
	Method, URI string // as sent, escapes of the log undone; URI may hold any byte
	Status      int
	Bytes       int64  // of the body, or of the whole answer, as the format has it; -1: not written
	Host        string // the host asked for, lower case, without port; "" where the format does not have it
}

// ScanAccess yields the requests in an access log until it ends or yield returns false. It knows the common and the
// combined format, with a host in front or between time and request, whatever follows the bytes, and JSON with the
// usual names. loc (nil: the host's zone) is for times without a zone. What is no request is passed over. The only
// errors are those of r.
func ScanAccess(r io.Reader, loc *time.Location, yield func(AccessRecord) bool) error {
	if loc == nil {
		loc = time.Local
	}
	lines := bufio.NewReaderSize(r, maxAccessLine)
	begins := true
	for {
		line, err := lines.ReadSlice('\n')
		if begins && len(line) > 0 {
			if rec, ok := parseAccess(line, loc); ok && !yield(rec) {
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

func parseAccess(line []byte, loc *time.Location) (AccessRecord, bool) {
	line = bytes.TrimRight(line, "\r\n")
	if bytes.HasPrefix(line, []byte("{")) {
		return parseAccessJSON(line, loc)
	}
	return parseCombined(string(line))
}

// parseCombined reads `[HOST] CLIENT IDENT USER [TIME] [HOST] "REQUEST" STATUS BYTES …`. USER is a visitor's choice
// and may hold blanks and brackets, but no bare quote (ngx_http_log_escape, ap_escape_logitem): the first time that a
// quote follows is the log's own.
func parseCombined(line string) (rec AccessRecord, ok bool) {
	for from := 0; ; {
		i := strings.IndexByte(line[from:], '[')
		if i < 0 {
			return rec, false
		}
		open := from + i
		from = open + 1
		t, rest, timed := accessTime(line[from:])
		if !timed {
			continue
		}
		host, rest, quoted := strings.Cut(rest, `"`)
		host = strings.TrimSpace(host)
		if !quoted || strings.ContainsRune(host, ' ') {
			continue
		}
		rec.Time, rec.Host = t, logHost(host)
		rec.who(line[:open])
		return rec, rec.what(rest)
	}
}

func accessTime(s string) (t time.Time, rest string, ok bool) {
	const end = len("22/Nov/2026:20:59:13 +0100")
	if len(s) <= end || s[end] != ']' {
		return t, "", false
	}
	t, ok = parseAccessStamp(s[:end])
	return t, s[end+1:], ok
}

// who reads what stands before the time: a host comes before the client's address.
func (rec *AccessRecord) who(s string) {
	first, rest, _ := strings.Cut(strings.TrimLeft(s, " "), " ")
	second, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	rec.Client = first
	if second != "" && second != "-" && !isAddress(first) && isAddress(second) {
		rec.Client = second
		if rec.Host == "" {
			rec.Host = logHost(first)
		}
	}
	rec.Client = strings.TrimSuffix(rec.Client, ",") // of X-Forwarded-For's list
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(strings.TrimSuffix(s, ","))
	return err == nil || s == "unix:"
}

// logHost is a host as the log has it, or "" for what cannot be one: "-", "_", a server's wildcard.
func logHost(s string) string {
	s = plainHost(strings.Trim(s, `"`))
	if s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-[]:") != "" || strings.Trim(s, "-.") == "" {
		return ""
	}
	return s
}

// what reads `REQUEST" STATUS BYTES …`.
func (rec *AccessRecord) what(s string) bool {
	end := requestEnd(s)
	if end < 0 {
		return false
	}
	if !rec.request(unescapeLog(s[:end])) {
		return false
	}
	word, numbers, _ := strings.Cut(strings.TrimLeft(s[end+1:min(len(s), end+1+maxNumbers)], " "), " ")
	status, ok := statusOf(word)
	rec.Status, rec.Bytes = status, -1
	if word, _, _ = strings.Cut(strings.TrimLeft(numbers, " "), " "); word == "-" {
		rec.Bytes = 0 // Apache's %b for an empty body
	} else if word != "" {
		if n, err := strconv.ParseInt(word, 10, 64); err == nil && n >= 0 {
			rec.Bytes = n
		}
	}
	return ok
}

func isMethod(s string) bool {
	for i := range len(s) {
		if (s[i] < 'A' || s[i] > 'Z') && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return s != ""
}

// maxNumbers is room for a status and a number of bytes.
const maxNumbers = 32

func statusOf(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && len(s) == 3 && n >= 100
}

// request reads `METHOD URI[ PROTOCOL]`; the URI may hold blanks where a visitor sent them.
func (rec *AccessRecord) request(line string) bool {
	method, rest, ok := strings.Cut(line, " ")
	if !ok || !isMethod(method) {
		return false
	}
	if i := strings.LastIndex(rest, " HTTP/"); i >= 0 {
		rest = rest[:i]
	}
	rec.Method, rec.URI = method, rest
	return rest != ""
}

// maxLogUsers bounds Gateway.LogUsers: who shares a log with so many needs no whole list.
const maxLogUsers = 64

// logUsers tells for each log which names it may speak of. A vhost that only redirects, or one without a name
// and without PHP, writes no failure that could be taken for a site's.
func logUsers(vhosts []Vhost) map[string][]string {
	users := map[string][]string{}
	for _, v := range vhosts {
		named := slices.ContainsFunc(v.Names, func(n string) bool { return n != "" && n != "_" })
		if v.Returns != "" || !named && len(v.PHP) == 0 {
			continue
		}
		files := slices.Concat(v.AccessLogs, v.ErrorLogs)
		for _, l := range v.PHP {
			files = append(files, l.ErrorLogs...)
		}
		slices.Sort(files)
		for _, file := range slices.Compact(files) {
			for _, name := range append(slices.Clip(v.Names), unnamed(v)...) {
				if len(users[file]) < maxLogUsers && !slices.Contains(users[file], name) {
					users[file] = append(users[file], name)
				}
			}
		}
	}
	return users
}

// unnamed gives a vhost without names the empty one, as nginx does.
func unnamed(v Vhost) []string {
	if len(v.Names) == 0 {
		return []string{""}
	}
	return nil
}
