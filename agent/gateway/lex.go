package gateway

import (
	"fmt"
	"strings"
)

const (
	maxDump       = 64 << 20 // bytes of one dump
	maxDepth      = 64       // blocks in blocks, and files included by files
	maxDirectives = 4 << 20  // of one walk, files that are included again counted again
	marker        = "# configuration file "
)

// directive is one statement of nginx' language: words, then ";" or a block.
type directive struct {
	name    string
	args    []string
	block   []directive
	isBlock bool
	file    *section
	line    int
	include []*section // for `include`: the files that it stands for, in order
}

func (d *directive) arg(i int) string {
	if i < len(d.args) {
		return d.args[i]
	}
	return ""
}

func (d *directive) where() string { return fmt.Sprintf("%s:%d", d.file.path, d.line) }

// section is one file of a dump.
type section struct {
	path    string
	body    []directive
	err     error // it could not be read: then body is empty
	visited bool
}

// lexer splits a dump into files and a file into directives, as ngx_conf_read_token and ngx_conf_parse do.
type lexer struct {
	text  string
	at    int
	line  int
	file  *section
	words map[string]string // one copy of each word, so that the dump itself can be forgotten
	count int
	// boundary is where the next file begins, once it was found.
	boundary int
}

// files reads a whole dump. Text before the first marker belongs to no file.
func (x *lexer) files() ([]*section, error) {
	at, ok := nextMarker(x.text, 0)
	if !ok {
		return nil, fmt.Errorf("no %q line: this is not the output of nginx -T", strings.TrimSpace(marker))
	}
	var all []*section
	for ok {
		path, body, _ := markerAt(x.text, at)
		s := &section{path: x.word(path)}
		x.file, x.at, x.line, x.boundary = s, body, 1, -1
		s.body, s.err = x.block(0)
		all = append(all, s)
		if x.count > maxDirectives {
			return nil, fmt.Errorf("the configuration has more than %d directives", maxDirectives)
		}
		if at = x.boundary; at >= 0 {
			continue
		}
		// Only a file that could not be read has to look for the next one.
		at, ok = nextMarker(x.text, x.at)
	}
	return all, nil
}

// markerAt reads a line "# configuration file PATH:" at the beginning of a line.
func markerAt(text string, at int) (path string, after int, ok bool) {
	if at > 0 && text[at-1] != '\n' || !strings.HasPrefix(text[at:], marker) {
		return "", 0, false
	}
	end := strings.IndexByte(text[at:], '\n')
	if end < 0 {
		end = len(text) - at
	}
	line := text[at : at+end]
	path, colon := strings.CutSuffix(line[len(marker):], ":")
	if !colon || !strings.HasPrefix(path, "/") {
		return "", 0, false
	}
	return path, min(at+end+1, len(text)), true
}

func nextMarker(text string, from int) (int, bool) {
	for from < len(text) {
		i := strings.Index(text[from:], marker)
		if i < 0 {
			return 0, false
		}
		if _, _, ok := markerAt(text, from+i); ok {
			return from + i, true
		}
		from += i + 1
	}
	return 0, false
}

func (x *lexer) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", x.file.path, x.line, fmt.Sprintf(format, args...))
}

// block reads directives up to "}" or, at depth 0, to the end of the file.
func (x *lexer) block(depth int) ([]directive, error) {
	if depth > maxDepth {
		return nil, x.errorf("blocks are nested deeper than %d", maxDepth)
	}
	var body []directive
	for {
		d := directive{file: x.file}
		end, err := x.statement(&d, depth)
		if err != nil {
			return nil, err
		}
		switch end {
		case 0: // the file ends
			if depth > 0 {
				return nil, x.errorf("the file ends within a block")
			}
			return body, nil
		case '}':
			if depth == 0 {
				return nil, x.errorf("unexpected \"}\"")
			}
			return body, nil
		case '{':
			d.isBlock = true
			if strings.HasSuffix(d.name, "_by_lua_block") {
				err = x.skipLua()
			} else {
				d.block, err = x.block(depth + 1)
			}
			if err != nil {
				return nil, err
			}
		}
		if x.count++; x.count > maxDirectives {
			return nil, x.errorf("the configuration has more than %d directives", maxDirectives)
		}
		body = append(body, d)
	}
}

// statement reads words up to ";", "{" or "}", which it returns; 0 is the end of the file.
func (x *lexer) statement(d *directive, depth int) (end byte, err error) {
	words := 0
	for {
		atEnd := x.space(depth == 0 && words == 0)
		if atEnd {
			if words > 0 {
				return 0, x.errorf("the file ends within %q", d.name)
			}
			return 0, nil
		}
		c := x.text[x.at]
		switch c {
		case ';', '{':
			if words == 0 {
				return 0, x.errorf("unexpected %q", c)
			}
			x.at++
			return c, nil
		case '}':
			if words > 0 {
				return 0, x.errorf("unexpected \"}\"")
			}
			x.at++
			return c, nil
		}
		if words == 0 {
			d.line = x.line
		}
		w, err := x.next()
		if err != nil {
			return 0, err
		}
		if words++; words == 1 {
			d.name = w
		} else {
			d.args = append(d.args, w)
		}
	}
}

// space passes over blanks and comments and says whether the file ends. A line that announces the next file ends this
// one only where a file can end: everywhere else it is a comment that looks like it.
func (x *lexer) space(mayEnd bool) bool {
	for x.at < len(x.text) {
		switch x.text[x.at] {
		case '\n':
			x.line++
			x.at++
		case ' ', '\t', '\r':
			x.at++
		case '#':
			if mayEnd {
				if _, _, ok := markerAt(x.text, x.at); ok {
					x.boundary = x.at
					return true
				}
			}
			end := strings.IndexByte(x.text[x.at:], '\n')
			if end < 0 {
				x.at = len(x.text)
				return true
			}
			x.at += end
		default:
			return false
		}
	}
	return true
}

// next reads one word, quoted or not.
func (x *lexer) next() (string, error) {
	if c := x.text[x.at]; c == '"' || c == '\'' {
		return x.quoted(c)
	}
	start, escaped, dollar := x.at, false, false
	for ; x.at < len(x.text); x.at++ {
		c := x.text[x.at]
		if c == '{' && dollar {
			dollar = false
			continue
		}
		switch c {
		case ' ', '\t', '\r', '\n', ';', '{':
			return x.unescape(x.text[start:x.at], escaped), nil
		case '\\':
			escaped = true
			if x.at+1 < len(x.text) {
				x.at++
				x.newline(x.text[x.at])
			}
		}
		dollar = c == '$'
	}
	return "", x.errorf("the file ends within a word")
}

func (x *lexer) quoted(quote byte) (string, error) {
	first := x.line
	x.at++
	start, escaped := x.at, false
	for ; x.at < len(x.text); x.at++ {
		switch c := x.text[x.at]; c {
		case quote:
			w := x.unescape(x.text[start:x.at], escaped)
			x.at++
			if x.at < len(x.text) {
				switch x.text[x.at] {
				case ' ', '\t', '\r', '\n', ';', '{', ')':
				default:
					return "", x.errorf("unexpected %q after a quoted word", x.text[x.at])
				}
			}
			return w, nil
		case '\\':
			escaped = true
			if x.at+1 < len(x.text) {
				x.at++
				x.newline(x.text[x.at])
			}
		default:
			x.newline(c)
		}
	}
	x.line = first
	return "", x.errorf("the quote %c is never closed", quote)
}

func (x *lexer) newline(c byte) {
	if c == '\n' {
		x.line++
	}
}

func (x *lexer) unescape(s string, escaped bool) string {
	if !escaped {
		return x.word(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			switch s[i+1] {
			case '"', '\'', '\\':
				i++
			case 't':
				b.WriteByte('\t')
				i++
				continue
			case 'r':
				b.WriteByte('\r')
				i++
				continue
			case 'n':
				b.WriteByte('\n')
				i++
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return x.word(b.String())
}

func (x *lexer) word(s string) string {
	if w, ok := x.words[s]; ok {
		return w
	}
	w := strings.Clone(s)
	x.words[w] = w
	return w
}
