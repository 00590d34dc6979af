package panel

import (
	"strings"
	"unicode/utf8"
)

// quoted reads a line of Hestia's files: KEY='value' KEY='value'. A value is written as in a shell, and may hold a quote
// as '\” (func/main.sh, parse_object_kv_list). What is no such pair ends the reading, and ok is false.
func quoted(line string) (pairs map[string]string, ok bool) {
	pairs = map[string]string{}
	for {
		line = strings.TrimLeft(line, blanks)
		if line == "" {
			return pairs, true
		}
		key, rest, found := strings.Cut(line, "=")
		if !found || !isKey(key) {
			return pairs, false
		}
		value, rest, ok := word(rest)
		if !ok {
			return pairs, false
		}
		pairs[key], line = value, rest
	}
}

const blanks = " \t\r\n\v\f"

// word takes the first word of a text, without its quotes.
func word(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for {
		i := strings.IndexAny(text, blanks+`'\`)
		if i < 0 {
			return b.String() + text, "", true
		}
		b.WriteString(text[:i])
		special := text[i]
		text = text[i+1:]
		switch special {
		case '\'':
			within, after, closed := strings.Cut(text, "'")
			if !closed {
				return "", "", false
			}
			b.WriteString(within)
			text = after
		case '\\':
			if text == "" {
				return "", "", false
			}
			_, n := utf8.DecodeRuneInString(text)
			b.WriteString(text[:n])
			text = text[n:]
		default:
			return b.String(), text, true
		}
	}
}

// assigned reads DirectAdmin's files: key=value, one a line.
func assigned(text string) map[string]string {
	pairs := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		if found && isKey(key) {
			pairs[key] = value
		}
	}
	return pairs
}

func isKey(key string) bool {
	for _, r := range key {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return key != ""
}
