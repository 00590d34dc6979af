package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bounds of one file. No configuration that a person or a panel writes comes near; past them a file is refused
// before the TOML library, which recurses and copies, meets it.
const (
	mostDepth = 8        // tables within tables, lists within lists
	mostPaths = 16 << 20 // bytes of all keys with the tables they stand in
)

// places are the lines of every key, table and list element of a TOML text, which the library tells for syntax errors
// only. They are named as by child and element.
type places map[string]int

func child(path, key string) string         { return path + "." + strconv.Quote(key) }
func element(path string, index int) string { return path + "[" + strconv.Itoa(index) + "]" }

// scanner finds the places. It checks no syntax: where it cannot go on it stops, and the library says why.
type scanner struct {
	text     string
	at, line int
	found    places
	spent    int
	tables   map[string]int // arrays of tables: their elements so far
	refusal  string         // why it goes no further, past a bound
}

// scan finds the places of text. Where rest is not "", it begins there what no TOML can be; refusal is a bound that is
// passed at line.
func scan(text string) (found places, rest string, refusal string, line int) {
	s := &scanner{text: text, line: 1, found: places{}, tables: map[string]int{}}
	for table, ok := "", true; ok; {
		s.blank(true)
		if s.at == len(s.text) {
			return s.found, "", "", 0
		}
		if s.peek() == '[' {
			table, ok = s.header()
		} else {
			ok = s.pair(table, 1)
		}
		s.blank(false)
		ok = ok && (s.at == len(s.text) || s.newline())
	}
	return s.found, s.text[s.at:], s.refusal, s.line
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) take(token string) bool {
	if !strings.HasPrefix(s.text[s.at:], token) {
		return false
	}
	s.at += len(token)
	return true
}

func (s *scanner) newline() bool {
	if s.take("\n") || s.take("\r\n") {
		s.line++
		return true
	}
	return false
}

// blank skips spaces and comments, and newlines too where they mean nothing.
func (s *scanner) blank(newlines bool) {
	for {
		switch c := s.peek(); {
		case s.at < len(s.text) && (c == ' ' || c == '\t'):
			s.at++
		case c == '#':
			for s.at < len(s.text) && s.text[s.at] != '\n' {
				s.at++
			}
			if s.text[s.at-1] == '\r' && s.at < len(s.text) {
				s.at--
			}
		case newlines && s.newline():
		default:
			return
		}
	}
}

// mark notes a place, once.
func (s *scanner) mark(path string) bool {
	if _, known := s.found[path]; known {
		return true
	}
	if s.spent += len(path); s.spent > mostPaths {
		s.refusal = "too many keys for a configuration"
		return false
	}
	s.found[path] = s.line
	return true
}

// deeper refuses what lies too deep.
func (s *scanner) deeper(depth int) bool {
	if depth > mostDepth {
		s.refusal = fmt.Sprintf("nested more than %d deep", mostDepth)
	}
	return s.refusal == ""
}

// header reads "[table]" or "[[table]]" and returns the path of what follows it.
func (s *scanner) header() (path string, ok bool) {
	end := "]"
	if s.at++; s.take("[") {
		end = "]]"
	}
	s.blank(false)
	keys, ok := s.key()
	s.blank(false)
	if !ok || !s.take(end) {
		return "", false
	}
	for i, key := range keys {
		path = child(path, key)
		ok = ok && s.mark(path)
		n, list := s.tables[path]
		switch {
		case i == len(keys)-1 && end == "]]":
			s.tables[path] = n + 1
			path = element(path, n)
			ok = ok && s.mark(path)
		case list:
			path = element(path, n-1)
		}
	}
	return path, ok
}

// pair reads "key = value".
func (s *scanner) pair(table string, depth int) bool {
	keys, ok := s.key()
	if !ok {
		return false
	}
	path := table
	for _, key := range keys {
		path = child(path, key)
		if !s.mark(path) {
			return false
		}
	}
	s.blank(false)
	if !s.take("=") {
		return false
	}
	s.blank(false)
	return s.value(path, depth+len(keys)-1)
}

// key reads a dotted key.
func (s *scanner) key() (parts []string, ok bool) {
	for {
		var part string
		switch c := s.peek(); c {
		case '"', '\'':
			start := s.at
			if !s.quoted(string(c)) {
				return nil, false
			}
			part = s.text[start+1 : s.at-1]
			if c == '"' {
				part = unescape(part)
			}
		default:
			start := s.at
			for bare(s.peek()) {
				s.at++
			}
			if part = s.text[start:s.at]; part == "" {
				return nil, false
			}
		}
		if parts = append(parts, part); !s.deeper(len(parts)) {
			return nil, false
		}
		s.blank(false)
		if !s.take(".") {
			return parts, true
		}
		s.blank(false)
	}
}

func bare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// value reads past a value, whose own elements and keys are places too.
func (s *scanner) value(path string, depth int) bool {
	if !s.deeper(depth) {
		return false
	}
	for _, quote := range []string{`"""`, `'''`, `"`, `'`} {
		if strings.HasPrefix(s.text[s.at:], quote) {
			return s.quoted(quote)
		}
	}
	if s.take("[") {
		i := -1
		return s.list("]", func() bool {
			i++
			at := element(path, i)
			return s.mark(at) && s.value(at, depth+1)
		})
	}
	if s.take("{") {
		return s.list("}", func() bool { return s.pair(path, depth+1) })
	}
	start := s.at
	for s.at < len(s.text) && !strings.ContainsRune(",]}#\r\n", rune(s.text[s.at])) {
		s.at++
	}
	return s.at > start
}

func (s *scanner) list(end string, item func() bool) bool {
	for {
		s.blank(true)
		if s.take(end) {
			return true
		}
		if !item() {
			return false
		}
		s.blank(true)
		if s.take(end) {
			return true
		}
		if !s.take(",") {
			return false
		}
	}
}

// quoted reads past a string.
func (s *scanner) quoted(quote string) bool {
	long := len(quote) == 3
	s.at += len(quote)
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case strings.HasPrefix(s.text[s.at:], quote):
			s.at += len(quote)
			for i := 0; long && i < 2 && s.peek() == quote[0]; i++ {
				s.at++ // quotes of its own just before the end
			}
			return true
		case c == '\\' && quote[0] == '"' && s.at+1 < len(s.text) && s.text[s.at+1] != '\n' && s.text[s.at+1] != '\r':
			s.at += 2
		case c == '\n':
			if !long {
				return false
			}
			s.newline()
		default:
			s.at++
		}
	}
	return false
}

// unescape reads the escapes of a basic string. Those that TOML does not know the library refuses.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		if at := strings.IndexByte("btnfre", text[i]); at >= 0 {
			b.WriteByte("\b\t\n\f\r\x1b"[at])
			continue
		}
		digits, coded := map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[i]]
		if !coded || i+digits >= len(text) {
			b.WriteByte(text[i])
			continue
		}
		n, err := strconv.ParseUint(text[i+1:i+1+digits], 16, 32)
		if err != nil {
			n = utf8.RuneError
		}
		b.WriteRune(rune(n))
		i += digits
	}
	return b.String()
}
