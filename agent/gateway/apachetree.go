package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	maxApacheDirectives = 2 << 20 // of one configuration; a host of 10,000 vhosts has some 300,000
	apacheFileHead      = "# In file: "
)

// apacheDirective is one directive of Apache's configuration, or a section with what it holds.
type apacheDirective struct {
	name    string // in lower case; "virtualhost" for <VirtualHost …>
	args    []string
	section bool
	body    []*apacheDirective
	file    string
	line    int
}

func (d *apacheDirective) where() string { return fmt.Sprintf("%s:%d", d.file, d.line) }

// arg is argument i, "" if there is none.
func (d *apacheDirective) arg(i int) string {
	if i < len(d.args) {
		return d.args[i]
	}
	return ""
}

// apacheTree grows from the lines of a configuration, in their order.
type apacheTree struct {
	top   []*apacheDirective
	open  []*apacheDirective // sections that are not closed yet, outermost first
	count int
}

// add takes one line without blanks around it: a directive, or the begin or the end of a section (ap_build_config_sub).
func (t *apacheTree) add(line, file string, number int) error {
	if name, ok := strings.CutPrefix(line, "</"); ok {
		name = strings.ToLower(strings.TrimSpace(strings.TrimSuffix(name, ">")))
		if len(t.open) == 0 || t.open[len(t.open)-1].name != name {
			return fmt.Errorf("%s:%d: </%s> ends a section that is not open", file, number, name)
		}
		t.open = t.open[:len(t.open)-1]
		return nil
	}
	if t.count++; t.count > maxApacheDirectives {
		return fmt.Errorf("the configuration has more than %d directives", maxApacheDirectives)
	}
	d := &apacheDirective{file: file, line: number}
	rest, section := strings.CutPrefix(line, "<")
	if section {
		d.section = true
		rest = strings.TrimSuffix(rest, ">")
	}
	name, args := cutBlank(rest)
	d.name, d.args = strings.ToLower(name), apacheWords(args)
	to := &t.top
	if n := len(t.open); n > 0 {
		to = &t.open[n-1].body
	}
	*to = append(*to, d)
	if section {
		if t.open = append(t.open, d); len(t.open) > maxDepth {
			return fmt.Errorf("%s: sections are nested deeper than %d", d.where(), maxDepth)
		}
	}
	return nil
}

func (t *apacheTree) done() ([]*apacheDirective, error) {
	if n := len(t.open); n > 0 {
		return nil, fmt.Errorf("%s: <%s> is not closed", t.open[n-1].where(), t.open[n-1].name)
	}
	return t.top, nil
}

// parseApacheDump reads what -D DUMP_CONFIG prints (mod_info.c): the configuration as the server has it, with includes,
// conditions, macros and variables resolved, and comments that say where each directive stands.
func parseApacheDump(text []byte) ([]*apacheDirective, error) {
	if len(text) > maxDump {
		return nil, fmt.Errorf("the configuration has %d bytes, more than %d", len(text), maxDump)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errors.New("the dump holds a NUL byte")
	}
	var t apacheTree
	file, number := "", 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case strings.HasPrefix(line, apacheFileHead):
			file = strings.TrimPrefix(line, apacheFileHead)
		case line[0] == '#':
			if n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(line[1:], ":"))); err == nil {
				number = n
			}
		case file == "":
			return nil, errors.New("this is no dump of Apache's configuration")
		default:
			if err := t.add(line, file, number); err != nil {
				return nil, err
			}
		}
	}
	if file == "" {
		return nil, errors.New("the dump is empty")
	}
	return t.done()
}

// apacheWords splits the arguments of a directive as ap_getword_conf does: quotes hold blanks, a backslash only another
// backslash or the quote.
func apacheWords(s string) []string {
	var words []string
	for {
		s = strings.TrimLeft(s, " \t\v\f\r\n")
		if s == "" {
			return words
		}
		var word string
		if q := s[0]; q == '"' || q == '\'' {
			end := 1
			for end < len(s) && s[end] != q {
				if s[end] == '\\' && end+1 < len(s) && (s[end+1] == '\\' || s[end+1] == q) {
					end++
				}
				end++
			}
			end = min(end, len(s))
			word, s = unescapeWord(s[1:end], q), s[min(end+1, len(s)):]
		} else {
			end := strings.IndexAny(s, " \t\v\f\r\n")
			if end < 0 {
				end = len(s)
			}
			word, s = unescapeWord(s[:end], 0), s[end:]
		}
		words = append(words, word)
	}
}

// unescapeWord is substring_conf.
func unescapeWord(s string, quote byte) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '\\' || quote != 0 && s[i+1] == quote) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func cutBlank(s string) (first, rest string) {
	if i := strings.IndexAny(s, " \t\v\f\r\n"); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}
