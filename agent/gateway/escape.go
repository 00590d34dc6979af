package gateway

import (
	"strconv"
	"strings"
)

// unescapeLog undoes what servers write for bytes that would break a line: \xHH (ngx_http_log_escape), and Apache's \n,
// \" and the like (ap_escape_errorlog_item, ap_escape_logitem). What is no escape stays.
func unescapeLog(s string) string {
	next := strings.IndexByte(s, '\\')
	if next < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for next >= 0 && next+1 < len(s) {
		b.WriteString(s[:next])
		c := s[next+1]
		s = s[next+2:]
		switch c {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'b':
			b.WriteByte('\b')
		case 'v':
			b.WriteByte('\v')
		case '\\', '"':
			b.WriteByte(c)
		case 'x':
			if len(s) >= 2 {
				if n, err := strconv.ParseUint(s[:2], 16, 8); err == nil {
					b.WriteByte(byte(n))
					s = s[2:]
					break
				}
			}
			b.WriteString(`\x`)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
		next = strings.IndexByte(s, '\\')
	}
	b.WriteString(s)
	return b.String()
}
