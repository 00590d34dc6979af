package fcgi

import (
	"bytes"
	"net/http"
	"net/textproto"
	"strconv"
)

// headerEnd returns the offset after the blank line that ends the header, or -1. Lines may end in LF or CRLF. The
// search starts at from.
func headerEnd(b []byte, from int) int {
	if from == 0 {
		if bytes.HasPrefix(b, []byte("\n")) {
			return 1
		}
		if bytes.HasPrefix(b, []byte("\r\n")) {
			return 2
		}
	}
	for i := from; ; {
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return -1
		}
		i += n + 1
		switch rest := b[i:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return i + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return i + 2
		}
	}
}

// parseHeader reads a CGI header up to its blank line. It takes and refuses what nginx does (seen on 1.22,
// ngx_http_parse_header_line): any byte above a space may be part of a name, a line without a colon is a field
// without a value, one that begins with "HTTP/" is passed over, the first Status counts, a NUL is an error.
func parseHeader(raw []byte) (status int, header http.Header, err error) {
	header = http.Header{}
	statusLine, hasStatus := "", false
	for line := range bytes.Lines(raw) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if bytes.HasPrefix(line, []byte("HTTP/")) {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " \t")
		if reason := fieldFault(name, value); reason != "" {
			return 0, header, &HeaderError{reason, cutBytes(line)}
		}
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		if key == "Status" {
			if !hasStatus {
				statusLine, hasStatus = string(value), true
			}
			continue
		}
		header[key] = append(header[key], string(value))
	}
	switch {
	case hasStatus:
		status, err = parseStatus(statusLine)
	case header["Location"] != nil:
		status = http.StatusFound
	default:
		status = http.StatusOK
	}
	return status, header, err
}

func fieldFault(name, value []byte) string {
	if len(name) == 0 {
		return "a line without a name"
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7f {
			return "a name with a blank or control character"
		}
	}
	for _, c := range value {
		if c == 0 || c == '\r' {
			return "a value with a control character"
		}
	}
	return ""
}

// parseStatus reads "404 Not Found" or "404". Like nginx it takes the first three bytes, but refuses numbers below
// 100: no client understands them.
func parseStatus(s string) (int, error) {
	if n, err := strconv.ParseUint(s[:min(3, len(s))], 10, 16); err == nil && n >= 100 {
		return int(n), nil
	}
	return 0, &HeaderError{"a status that is not a number from 100 to 999", cutBytes([]byte("Status: " + s))}
}
