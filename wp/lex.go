package wp

import (
	"bytes"
	"fmt"
	"strings"
)

// kind is what a token is. White space is no token.
type kind uint8

const (
	kindHTML     kind = iota // text outside of PHP
	kindOpen                 // <?php
	kindOpenEcho             // <?=
	kindShort                // <? : PHP or text, as short_open_tag says
	kindClose                // ?> with the line end that it swallows
	kindComment
	kindSingle   // '…'
	kindDouble   // "…" without variables
	kindHeredoc  // <<<X without variables
	kindNowdoc   // <<<'X'
	kindComputed // "…", <<<X or `…` that PHP has to put together
	kindNumber
	kindName     // identifiers and keywords, with their namespace
	kindVariable // $name
	kindOp
	kindEnd // after the last token
)

// token is a stretch of the source, and the line that it starts on.
type token struct {
	kind       kind
	start, end int32
	line       int32
}

// maxNesting bounds code inside strings inside code.
const maxNesting = 50

// syntaxError is a place that PHP could not read either.
type syntaxError struct {
	line int
	msg  string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.msg) }

type scanner struct {
	src    []byte
	pos    int
	line   int
	tokens []token
	depth  int // of strings inside code inside strings; lines count at depth 0 only
}

// lex splits a PHP file into tokens, as PHP's own scanner does. Casts are
// three tokens and strings with variables one.
func lex(src []byte) ([]token, error) {
	s := &scanner{src: src, line: 1}
	if err := s.html(); err != nil {
		return nil, err
	}
	for s.pos < len(s.src) {
		if err := s.code(); err != nil {
			return nil, err
		}
	}
	return s.tokens, nil
}

// emit takes the source up to end as one token.
func (s *scanner) emit(k kind, end int) {
	s.tokens = append(s.tokens, token{k, int32(s.pos), int32(end), int32(s.line)})
	s.skip(end)
}

func (s *scanner) skip(end int) {
	if s.depth == 0 {
		s.line += lines(s.src[s.pos:end])
	}
	s.pos = end
}

// lines counts line ends as PHP does: \n, \r\n and a lone \r.
func lines(b []byte) int {
	n := bytes.Count(b, []byte{'\n'})
	for i, c := range b {
		if c == '\r' && (i+1 == len(b) || b[i+1] != '\n') {
			n++
		}
	}
	return n
}

func (s *scanner) fail(pos int, format string, args ...any) error {
	return &syntaxError{1 + lines(s.src[:pos]), fmt.Sprintf(format, args...)}
}

// html takes the text before the next opening tag, and the tag.
func (s *scanner) html() error {
	i := bytes.Index(s.src[s.pos:], []byte("<?"))
	if i < 0 {
		if s.pos < len(s.src) {
			s.emit(kindHTML, len(s.src))
		}
		return nil
	}
	if i > 0 {
		s.emit(kindHTML, s.pos+i)
	}
	k, n := openTag(s.src[s.pos:])
	s.emit(k, s.pos+n)
	return nil
}

// openTag says which tag text begins with, given that it begins with "<?".
func openTag(text []byte) (kind, int) {
	if len(text) > 2 && text[2] == '=' {
		return kindOpenEcho, 3
	}
	if len(text) >= 5 && strings.EqualFold(string(text[2:5]), "php") {
		switch {
		case len(text) == 5:
			return kindOpen, 5
		case bytes.HasPrefix(text[5:], []byte("\r\n")):
			return kindOpen, 7
		case isSpace(text[5]):
			return kindOpen, 6
		}
	}
	return kindShort, 2
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isLabel: PHP's names may hold any byte above ASCII.
func isLabel(c byte) bool {
	return c >= 0x80 || c == '_' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
func isLabelStart(c byte) bool { return isLabel(c) && !isDigit(c) }

func (s *scanner) at(i int) byte {
	if i < len(s.src) {
		return s.src[i]
	}
	return 0
}

func (s *scanner) has(prefix string) bool {
	return bytes.HasPrefix(s.src[s.pos:], []byte(prefix))
}

// code takes one token, or the white space before one.
func (s *scanner) code() error {
	c, next := s.src[s.pos], s.at(s.pos+1)
	switch {
	case isSpace(c):
		end := s.pos
		for end < len(s.src) && isSpace(s.src[end]) {
			end++
		}
		s.skip(end)
	case c == '#' && next != '[', c == '/' && next == '/':
		s.lineComment()
	case c == '/' && next == '*':
		end := bytes.Index(s.src[s.pos+2:], []byte("*/"))
		if end < 0 {
			return s.fail(s.pos, "a comment starts here and never ends")
		}
		s.emit(kindComment, s.pos+2+end+2)
	case c == '?' && next == '>':
		s.closeTag()
		return s.html()
	case c == '\'', (c == 'b' || c == 'B') && next == '\'':
		return s.single()
	case c == '"', c == '`', (c == 'b' || c == 'B') && next == '"':
		return s.quoted()
	case s.has("<<<") || (c == 'b' || c == 'B') && bytes.HasPrefix(s.src[s.pos+1:], []byte("<<<")):
		return s.heredoc()
	case c == '$' && isLabelStart(next):
		s.emit(kindVariable, s.label(s.pos+1))
	case isLabelStart(c), c == '\\' && isLabelStart(next):
		s.name()
	case isDigit(c), c == '.' && isDigit(next):
		s.emit(kindNumber, s.number())
	default:
		s.emit(kindOp, s.pos+s.operator())
	}
	return nil
}

// closeTag takes a closing tag and the line end after it.
func (s *scanner) closeTag() {
	end := s.pos + 2
	if s.at(end) == '\r' && s.at(end+1) == '\n' {
		end += 2
	} else if s.at(end) == '\n' || s.at(end) == '\r' {
		end++
	}
	s.emit(kindClose, end)
}

// lineComment ends before the line's end, or before a closing tag.
func (s *scanner) lineComment() {
	end := s.pos
	for end < len(s.src) && s.src[end] != '\n' && s.src[end] != '\r' && !bytes.HasPrefix(s.src[end:], []byte("?>")) {
		end++
	}
	s.emit(kindComment, end)
}

func (s *scanner) label(i int) int {
	for i < len(s.src) && isLabel(s.src[i]) {
		i++
	}
	return i
}

// name takes a, a\b, \a\b or namespace\a as one token, as PHP 8 does.
func (s *scanner) name() {
	end := s.pos
	for {
		if s.at(end) == '\\' {
			end++
		}
		end = s.label(end)
		if s.at(end) != '\\' || !isLabelStart(s.at(end+1)) {
			break
		}
	}
	halt := strings.EqualFold(string(s.src[s.pos:end]), "__halt_compiler")
	s.emit(kindName, end)
	if halt && s.depth == 0 {
		s.halt()
	}
}

// halt takes "();" after __halt_compiler; the rest of the file is data.
func (s *scanner) halt() {
	for n := 0; n < 3 && s.pos < len(s.src); {
		if s.has("?>") {
			s.closeTag()
			break
		}
		before := len(s.tokens)
		if err := s.code(); err != nil {
			break
		}
		for _, t := range s.tokens[before:] {
			if t.kind != kindComment {
				n++
			}
		}
	}
	if s.pos < len(s.src) {
		s.emit(kindHTML, len(s.src))
	}
}

func (s *scanner) number() int {
	digits := func(i int, ok func(byte) bool) int {
		for ok(s.at(i)) || s.at(i) == '_' && i > s.pos && ok(s.at(i-1)) && ok(s.at(i+1)) {
			i++
		}
		return i
	}
	if s.at(s.pos) == '0' {
		var ok func(byte) bool
		switch s.at(s.pos + 1) {
		case 'x', 'X':
			ok = func(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
		case 'b', 'B':
			ok = func(c byte) bool { return c == '0' || c == '1' }
		case 'o', 'O':
			ok = func(c byte) bool { return c >= '0' && c <= '7' }
		}
		if ok != nil && ok(s.at(s.pos+2)) {
			return digits(s.pos+2, ok)
		}
	}
	end := digits(s.pos, isDigit)
	if s.at(end) == '.' && (end > s.pos || isDigit(s.at(end+1))) {
		end = digits(end+1, isDigit)
	}
	if e := s.at(end); e == 'e' || e == 'E' {
		i := end + 1
		if s.at(i) == '+' || s.at(i) == '-' {
			i++
		}
		if isDigit(s.at(i)) {
			end = digits(i, isDigit)
		}
	}
	return end
}

// operators, longest first.
var operators = [...]string{
	"<=>", "**=", "...", "<<=", ">>=", "===", "!==", "??=", "?->",
	"<<", ">>", "**", "++", "--", "->", "=>", "==", "!=", "<>", "<=", ">=", "&&", "||", "??", "::", "#[",
	"+=", "-=", "*=", "/=", ".=", "%=", "&=", "|=", "^=",
}

func (s *scanner) operator() int {
	for _, op := range operators {
		if s.has(op) {
			return len(op)
		}
	}
	return 1
}
