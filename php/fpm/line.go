package fpm

import (
	"errors"
	"strings"
)

// FPM hands every line of its configuration to PHP's ini parser by itself (fpm_conf_load_ini_file), so a value never
// goes past its line. What the functions here take for granted was tried on php-fpm8.2 -tt.

type lineKind int

const (
	lineBlank lineKind = iota
	lineSection
	lineEntry
)

type line struct {
	kind    lineKind
	section string
	key     string // canonical
	raw     string // the value as written, without blanks around it and without a comment
	value   string // before $pool
}

// parseLines splits one line of a file into what it says; "[www]user=x" says two things.
func parseLines(text string) ([]line, error) {
	text = strings.TrimSuffix(text, "\r")
	if strings.ContainsAny(text, "\x00\r") {
		return nil, errors.New("control character")
	}
	if !strings.HasPrefix(text, "[") {
		l, err := parseEntry(text)
		if err != nil || l.kind == lineBlank {
			return nil, err
		}
		return []line{l}, nil
	}
	name, rest, ok := strings.Cut(text[1:], "]")
	if !ok {
		return nil, errors.New("section without ]")
	}
	name = unquote(strings.TrimSpace(name))
	if name == "" {
		return nil, errors.New("section without a name")
	}
	lines := []line{{kind: lineSection, section: name}}
	l, err := parseEntry(rest)
	if err != nil {
		return nil, err
	}
	if l.kind == lineEntry {
		lines = append(lines, l)
	}
	return lines, nil
}

func parseEntry(text string) (line, error) {
	text = strings.Trim(text, " \t")
	if text == "" || text[0] == ';' {
		return line{}, nil
	}
	if text[0] == '[' {
		return line{}, errors.New("a section must stand at the beginning of its line")
	}
	i := strings.IndexAny(text, "=;")
	if i < 0 || text[i] == ';' {
		return line{}, errors.New("a directive without =")
	}
	key, err := parseKey(text[:i])
	if err != nil {
		return line{}, err
	}
	value, raw, err := parseValue(text[i+1:])
	if err != nil {
		return line{}, err
	}
	return line{kind: lineEntry, key: key, raw: raw, value: value}, nil
}

func parseKey(text string) (string, error) {
	base, sub, array := strings.Cut(strings.Trim(text, " \t"), "[")
	base = strings.TrimRight(base, " \t")
	if base == "" || strings.ContainsAny(base, `"'{}()!|&~^$`) {
		return "", errors.New("a directive without a name")
	}
	if !array {
		return canonical(base), nil
	}
	sub, ok := strings.CutSuffix(sub, "]")
	sub = unquote(strings.TrimSpace(sub))
	if !ok || sub == "" || strings.ContainsAny(sub, `[]"'`) {
		return "", errors.New("a directive needs one name between [ and ]")
	}
	return canonical(base + "[" + sub + "]"), nil
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// parseValue reads a value up to its comment. Quoted and bare parts stand side by side: "a"b 'c' is ab c.
func parseValue(text string) (value, raw string, err error) {
	text = strings.TrimLeft(text, " \t")
	var b strings.Builder
	bare, hard := true, 0 // hard: how much of b is quoted and keeps its blanks
	i := 0
loop:
	for i < len(text) {
		switch text[i] {
		case ';':
			break loop
		case '"':
			end := closingQuote(text, i+1)
			if end < 0 {
				return "", "", errors.New("a quote is not closed")
			}
			b.WriteString(unescape(text[i+1 : end]))
			bare, hard, i = false, b.Len(), end+1
		case '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				// PHP drops a lonely quote and what follows: it's becomes it.
				break loop
			}
			b.WriteString(text[i+1 : i+1+end])
			bare, hard, i = false, b.Len(), i+end+2
		default:
			b.WriteByte(text[i])
			i++
		}
	}
	full := b.String()
	value = full[:hard] + strings.TrimRight(full[hard:], " \t")
	raw = strings.TrimRight(text[:i], " \t")
	if bare {
		value = word(value)
	}
	return value, raw, nil
}

// closingQuote finds the quote that ends a string. One behind a backslash does so only at the end of the line, even
// when that backslash is itself behind one (zend_ini_scanner.l, start_dblquotes).
func closingQuote(text string, from int) int {
	for i := from; i < len(text); i++ {
		if text[i] == '"' && (i == from || text[i-1] != '\\' || i == len(text)-1) {
			return i
		}
	}
	return -1
}

// unescape undoes the escapes that PHP knows in a quoted ini string; a backslash before anything else stays.
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

func word(s string) string {
	switch strings.ToLower(s) {
	case "on", "yes", "true":
		return "1"
	case "off", "no", "false", "none", "null":
		return ""
	}
	return s
}

// quote writes a value so that FPM and parseValue read it back as it is. It has no way to write line breaks, and that
// is the point: no value can become a second directive.
func quote(value string) (string, error) {
	if strings.ContainsAny(value, "\x00\r\n") {
		return "", errors.New("a value may not hold a line break or a NUL")
	}
	if value == "" {
		return "", nil
	}
	if !strings.Contains(value, "'") {
		return "'" + value + "'", nil
	}
	if strings.ContainsAny(value, `"\`) || strings.Contains(value, "${") {
		return "", errors.New(`a value with ' may not hold ", \ or ${`)
	}
	return `"` + value + `"`, nil
}
