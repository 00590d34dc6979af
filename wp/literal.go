package wp

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// literal is the value of a string token as PHP makes it; false if the token
// has none that is certain.
func literal(k kind, text []byte) (string, bool) {
	if len(text) > 0 && (text[0] == 'b' || text[0] == 'B') {
		text = text[1:]
	}
	switch k {
	case kindSingle:
		return unescapeSingle(text[1 : len(text)-1]), true
	case kindDouble:
		return unescape(text[1:len(text)-1], '"')
	case kindHeredoc, kindNowdoc:
		body, ok := heredocBody(text)
		if !ok || k == kindNowdoc {
			return string(body), ok
		}
		return unescape(body, 0)
	}
	return "", false
}

func unescapeSingle(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) && (b[i+1] == '\\' || b[i+1] == '\'') {
			i++
		}
		out = append(out, b[i])
	}
	return string(out)
}

// unescape follows zend_scan_escape_string; quote is the one that needs no
// backslash in the result, 0 in a heredoc.
func unescape(b []byte, quote byte) (string, bool) {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b), true
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 == len(b) {
			out = append(out, b[i])
			continue
		}
		i++
		switch c := b[i]; {
		case c == 'n':
			out = append(out, '\n')
		case c == 't':
			out = append(out, '\t')
		case c == 'r':
			out = append(out, '\r')
		case c == 'f':
			out = append(out, '\f')
		case c == 'e':
			out = append(out, 0x1b)
		case c == 'v':
			out = append(out, '\v')
		case c == '\\' || c == '$' || c == quote && quote != 0:
			out = append(out, c)
		case (c == 'x' || c == 'X') && i+1 < len(b) && isHex(b[i+1]):
			n := prefixLen(b[i+1:], 2, isHex)
			v, _ := strconv.ParseUint(string(b[i+1:i+1+n]), 16, 8)
			out = append(out, byte(v))
			i += n
		case c >= '0' && c <= '7':
			n := prefixLen(b[i:], 3, func(c byte) bool { return c >= '0' && c <= '7' })
			v, _ := strconv.ParseUint(string(b[i:i+n]), 8, 16)
			out = append(out, byte(v))
			i += n - 1
		case c == 'u' && i+1 < len(b) && b[i+1] == '{':
			end := bytes.IndexByte(b[i:], '}')
			if end < 0 {
				return "", false
			}
			v, err := strconv.ParseUint(string(b[i+2:i+end]), 16, 32)
			if err != nil || v > utf8.MaxRune {
				return "", false
			}
			out = appendCodePoint(out, rune(v))
			i += end
		default:
			out = append(out, '\\', c)
		}
	}
	return string(out), true
}

// appendCodePoint encodes halves of surrogate pairs too, as PHP does.
func appendCodePoint(out []byte, r rune) []byte {
	if r >= 0xD800 && r <= 0xDFFF {
		return append(out, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F)
	}
	return utf8.AppendRune(out, r)
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func prefixLen(b []byte, limit int, ok func(byte) bool) int {
	n := 0
	for n < len(b) && n < limit && ok(b[n]) {
		n++
	}
	return n
}

// heredocBody takes the lines between the labels and the closing label's
// indentation off them (PHP 7.3); false where PHP finds a line indented less.
func heredocBody(text []byte) ([]byte, bool) {
	lineEnd := func(b []byte) int { return bytes.IndexAny(b, "\r\n") }
	start := lineEnd(text) + 1
	if text[start-1] == '\r' && text[start] == '\n' {
		start++
	}
	last := bytes.LastIndexAny(text, "\r\n") + 1
	indent := prefixLen(text[last:], len(text), func(c byte) bool { return c == ' ' || c == '\t' })
	if last <= start {
		return nil, true
	}
	end := last - 1
	if text[end] == '\n' && end > start && text[end-1] == '\r' {
		end--
	}
	body := text[start:end]
	if indent == 0 {
		return body, true
	}
	// Tabs and spaces mixed are an error in PHP.
	with := text[last]
	var out []byte
	for {
		n := lineEnd(body)
		line, more := body, n >= 0
		if more {
			line = body[:n]
		}
		cut := prefixLen(line, indent, func(c byte) bool { return c == with })
		if cut < indent && cut < len(line) {
			return nil, false
		}
		out = append(out, line[cut:]...)
		if !more {
			return out, prefixLen(text[last:], indent, func(c byte) bool { return c == with }) == indent
		}
		out = append(out, body[n])
		body = body[n+1:]
	}
}
