package ini

import (
	"bytes"
	"strings"
)

// scanner reads statements as PHP's ini scanner does in its normal mode.
type scanner struct {
	text    string
	at      int
	line    int
	section string
	entries []Entry
	fault   *SyntaxError
}

const blanks = " \t"

// notLabel ends a setting's name (LABEL_CHAR of zend_ini_scanner.l).
const notLabel = "=\n\r\t;&|^$~(){}!\"[]\x00"

func (s *scanner) file() {
	s.at = len(s.text) - len(strings.TrimPrefix(s.text, "\ufeff"))
	for s.at < len(s.text) && s.fault == nil {
		begins := s.at
		s.skip(blanks)
		if s.at == len(s.text) {
			return
		}
		switch c := s.text[s.at]; {
		case c == '\n' || c == '\r':
			s.newline()
		case c == ';':
			s.comment()
		case c == '[' && s.at > begins:
			s.fail("a section that does not stand at the beginning of its line")
		case c == '[':
			s.header()
		default:
			s.entry()
		}
	}
}

func (s *scanner) fail(msg string) {
	if s.fault == nil {
		s.fault = &SyntaxError{Line: s.line, Msg: msg}
	}
}

func (s *scanner) skip(set string) {
	for s.at < len(s.text) && strings.IndexByte(set, s.text[s.at]) >= 0 {
		s.at++
	}
}

// newline goes behind the line end that it stands at: \n, \r or both.
func (s *scanner) newline() {
	if s.text[s.at] == '\r' && s.at+1 < len(s.text) && s.text[s.at+1] == '\n' {
		s.at++
	}
	s.at++
	s.line++
}

// comment goes to the line's end, which is left.
func (s *scanner) comment() {
	if n := strings.IndexAny(s.text[s.at:], "\r\n"); n >= 0 {
		s.at += n
	} else {
		s.at = len(s.text)
	}
}

// count counts the lines within text.
func (s *scanner) count(text string) {
	s.line += strings.Count(text, "\n") + strings.Count(text, "\r") - strings.Count(text, "\r\n")
}

// header reads [section].
func (s *scanner) header() {
	from := s.at + 1
	n := strings.IndexAny(s.text[from:], "]\r\n\x00")
	if n < 0 || s.text[from+n] != ']' {
		s.fail("a section without its ]")
		return
	}
	name := unquote(strings.Trim(s.text[from:from+n], blanks))
	if strings.ContainsAny(name, "\"'\\$;") {
		s.fail("a section with quotes or signs in its name")
		return
	}
	s.section = name
	s.at = from + n + 1
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// entry reads name = value, name[sub] = value, or a name alone, which sets nothing.
func (s *scanner) entry() {
	e := Entry{Section: s.section, Line: s.line, start: s.at}
	n := strings.IndexAny(s.text[s.at:], notLabel)
	if n < 0 {
		n = len(s.text) - s.at
	}
	e.Name = strings.TrimRight(s.text[s.at:s.at+n], blanks)
	if e.Name == "" {
		s.fail("a line that begins with " + printed(s.text[s.at]))
		return
	}
	if _, word := words[strings.ToLower(e.Name)]; word {
		s.fail(e.Name + " is no name of a setting")
		return
	}
	s.at += n
	if s.at < len(s.text) && s.text[s.at] == '[' {
		end := strings.IndexAny(s.text[s.at:], "]\r\n\x00")
		if end < 0 || s.text[s.at+end] != ']' {
			s.fail("a name without its ]")
			return
		}
		e.Name += "[" + unquote(strings.Trim(s.text[s.at+1:s.at+end], blanks)) + "]"
		s.at += end + 1
	}
	s.skip(blanks)
	switch {
	case s.at == len(s.text) || strings.IndexByte("\r\n;", s.text[s.at]) >= 0:
		if strings.Contains(e.Name, "[") {
			s.fail(e.Name + " without =")
		}
		return
	case s.text[s.at] != '=':
		s.fail(printed(s.text[s.at]) + " within a name")
		return
	}
	s.at++
	s.skip(blanks)
	if s.value(&e) {
		s.entries = append(s.entries, e)
	}
}

func printed(c byte) string {
	if c < ' ' || c > '~' {
		return "a control character"
	}
	return string(rune(c))
}

// words are what PHP's scanner turns into booleans where they stand alone and without quotes.
var words = map[string]string{"true": "1", "on": "1", "yes": "1", "false": "", "off": "", "no": "", "none": "", "null": ""}

// wordAt is the length of one of the words at the beginning of text, 0 if none stands there by itself.
func wordAt(text string) int {
	n := strings.IndexFunc(text, func(r rune) bool { return r < 'A' || r > 'z' || r > 'Z' && r < 'a' })
	if n < 0 {
		n = len(text)
	}
	if n < 2 || n > 5 || n < len(text) && strings.IndexByte("$= \t\n\r;&|^~()!\"\x00", text[n]) < 0 {
		return 0
	}
	if _, ok := words[strings.ToLower(text[:n])]; !ok {
		return 0
	}
	return n
}

// value reads up to the comment or the line's end, and goes behind both; taken says that PHP takes what was read.
// Quoted and bare parts stand side by side; a quoted one may go over several lines.
func (s *scanner) value(e *Entry) (taken bool) {
	e.at, e.end = s.at, s.at
	var b []byte
	bare, hard := true, 0 // hard: how much of b is quoted and keeps its blanks
loop:
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '\n', '\r', ';':
			break loop
		case 0:
			s.fail("a NUL") // PHP takes what stands before it
			break loop
		case '=':
			s.fail("= within a value that is not quoted")
			return false
		case '"':
			end := closing(s.text, s.at+1)
			if end < 0 {
				s.fail("a quote is not closed")
				return false
			}
			inner := s.text[s.at+1 : end]
			e.Computed = e.Computed || strings.Contains(inner, "${")
			// The scanner drops blanks before such quotes and behind them.
			b = append(b[:hard+len(bytes.TrimRight(b[hard:], blanks))], unescape(inner)...)
			s.count(inner)
			bare, hard, s.at = false, len(b), end+1
			e.end = s.at
			s.skip(blanks)
		case '\'':
			end := strings.IndexByte(s.text[s.at+1:], '\'')
			if end < 0 {
				s.fail("a quote is not closed") // PHP takes what stands before it
				break loop
			}
			inner := s.text[s.at+1 : s.at+1+end]
			b = append(b, inner...)
			s.count(inner)
			bare, hard, s.at = false, len(b), s.at+end+2
			e.end = s.at
			if inner == "" && s.at < len(s.text) && strings.IndexByte("\r\n;", s.text[s.at]) < 0 {
				s.fail("something behind ''") // PHP drops it
				return false
			}
		default:
			if c == '$' && (s.at+1 == len(s.text) || strings.IndexByte("\r\n;\"'=\\", s.text[s.at+1]) >= 0) {
				s.fail("$ at the end of a value") // PHP takes the sign behind it along
				return false
			}
			if word := wordAt(s.text[s.at:]); word > 0 && (s.at == e.at || strings.IndexByte("\"' \t", s.text[s.at-1]) >= 0) {
				s.at += word
				e.end = s.at
				b = append(b, s.text[s.at-word:s.at]...)
				s.skip(blanks)
				if e.end-word != e.at || s.at < len(s.text) && strings.IndexByte("\r\n;", s.text[s.at]) < 0 {
					s.fail("a word such as on or no beside something else")
					return false
				}
				continue
			}
			if strings.IndexByte("&|^~()!", c) >= 0 || c == '$' && strings.HasPrefix(s.text[s.at:], "${") {
				e.Computed = true
			}
			b = append(b, c)
			s.at++
			if strings.IndexByte(blanks, c) < 0 {
				e.end = s.at
			}
		}
	}
	e.Value = string(b[:hard]) + strings.TrimRight(string(b[hard:]), blanks)
	if word, ok := words[strings.ToLower(e.Value)]; ok && bare {
		e.Value = word
	}
	if e.Computed {
		e.Value = s.text[e.at:e.end]
	}
	if s.at < len(s.text) && s.text[s.at] == ';' {
		s.comment()
		if s.at == len(s.text) && e.at == e.end {
			s.fail("the file ends within a setting")
			return false
		}
	}
	if s.at < len(s.text) && s.fault == nil {
		s.newline()
	}
	e.eol = s.at
	return true
}

// closing finds the quote that ends a string. One behind a backslash does so only at the end of a line, even when that
// backslash is itself behind one (zend_ini_scanner.l, start_dblquotes).
func closing(text string, from int) int {
	for i := from; i < len(text); i++ {
		if text[i] == '"' && (i == from || text[i-1] != '\\' || i+1 == len(text) || text[i+1] == '\r' || text[i+1] == '\n') {
			return i
		}
	}
	return -1
}

// unescape undoes the escapes that PHP knows in a quoted string; a backslash before anything else stays.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`"\'$`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
