package fcgi

import (
	"bytes"
	"net/http"
	"net/textproto"
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

// parseHeader reads a CGI header up to its blank line. It takes and refuses what nginx does
// (ngx_http_parse_header_line): any byte above a space may be part of a name, a line without a colon is a field
// without a value, a NUL is an error.
func parseHeader(raw []byte) (status int, header http.Header, err error) {
	header = http.Header{}
	statusLine, hasStatus := "", false
	for line := range bytes.Lines(raw) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " \t")
		if reason := fieldFault(name, value); reason != "" {
			return 0, header, &HeaderError{reason, cutBytes(line)}
		}
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		if key == "Status" {
			statusLine, hasStatus = string(value), true
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

// parseStatus reads "404 Not Found" or "404"; nginx takes the first three bytes and wants them to be digits.
func parseStatus(s string) (int, error) {
	fault := &HeaderError{"a status that is not a number", cutBytes([]byte("Status: " + s))}
	if len(s) < 3 || len(s) > 3 && s[3] != ' ' {
		return 0, fault
	}
	n := 0
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '9' {
			return 0, fault
		}
		n = n*10 + int(c-'0')
	}
	if n < 100 {
		return 0, fault
	}
	return n, nil
}
