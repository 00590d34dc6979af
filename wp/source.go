package wp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// source is one PHP file: its tokens without comments and text, and which
// bracket closes which.
type source struct {
	path    string // absolute
	src     []byte
	tokens  []token // the last one is kindEnd
	match   []int   // by opening bracket: the index of the closing one
	deep    bool    // a statement was nested too deep
	ran     bool    // it is certain to have been included
	touched bool    // it may have been
	linked  bool    // behind a link: PHP calls it by another name
}

// SyntaxError says that wp-config.php, or a file that it includes, cannot be read as
// PHP. What only PHP's grammar forbids, such as a missing semicolon, is not seen.
type SyntaxError struct {
	File string // absolute
	Line int
	Msg  string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s: line %d: %s", e.File, e.Line, e.Msg) }

// neither ends the message about a place that is wrong for sure.
const neither = "; PHP cannot read it either: correct it there"

func parse(path string, b []byte) (*source, error) {
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return nil, &SyntaxError{path, 1, "it is UTF-16, which PHP cannot read: save it as UTF-8"}
	}
	all, err := lex(b)
	var wrong *syntaxError
	if errors.As(err, &wrong) {
		return nil, &SyntaxError{path, wrong.line, wrong.msg + neither}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := &source{path: path, src: b}
	php := false
	for _, t := range all {
		switch t.kind {
		case kindOpen:
			php = true
		case kindOpenEcho, kindShort:
			php = true
			s.tokens = append(s.tokens, t)
		case kindHTML, kindComment:
		default:
			s.tokens = append(s.tokens, t)
		}
	}
	if !php {
		return nil, &SyntaxError{path, 1, "it holds no PHP code (no <?php): put the file back from a backup"}
	}
	s.tokens = append(s.tokens, token{kindEnd, int32(len(b)), int32(len(b)), int32(1 + lines(b))})
	return s, s.pair()
}

// pair matches the brackets.
func (s *source) pair() error {
	s.match = make([]int, len(s.tokens))
	var open []int
	for i, t := range s.tokens {
		if t.kind != kindOp {
			continue
		}
		switch c := s.src[t.end-1]; c {
		case '(', '[', '{':
			open = append(open, i)
		case ')', ']', '}':
			if len(open) == 0 || closing(s.src[s.tokens[open[len(open)-1]].end-1]) != c {
				return &SyntaxError{s.path, int(t.line), fmt.Sprintf("%q closes nothing%s", c, neither)}
			}
			s.match[open[len(open)-1]] = i
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t := s.tokens[open[len(open)-1]]
		return &SyntaxError{s.path, int(t.line), fmt.Sprintf("%q is never closed%s", s.src[t.start:t.end], neither)}
	}
	return nil
}

func closing(c byte) byte {
	switch c {
	case '(':
		return ')'
	case '[':
		return ']'
	}
	return '}'
}

func (s *source) text(i int) string {
	t := s.tokens[i]
	return string(s.src[t.start:t.end])
}

func (s *source) line(i int) int { return int(s.tokens[min(i, len(s.tokens)-1)].line) }

func (s *source) kind(i int) kind {
	if i < 0 || i >= len(s.tokens) {
		return kindEnd
	}
	return s.tokens[i].kind
}

func (s *source) op(i int, op string) bool {
	if s.kind(i) != kindOp {
		return false
	}
	t := s.tokens[i]
	return string(s.src[t.start:t.end]) == op
}

// opens tells whether a bracket opens here.
func (s *source) opens(i int) bool {
	if s.kind(i) != kindOp {
		return false
	}
	c := s.src[s.tokens[i].end-1]
	return c == '(' || c == '[' || c == '{'
}

// ends tells whether a statement ends here.
func (s *source) ends(i int) bool {
	return s.kind(i) == kindClose || s.kind(i) == kindEnd || s.op(i, ";")
}

// keyword is a name in lower case without a leading backslash, "" for other
// tokens and for names of members.
func (s *source) keyword(i int) string {
	if s.kind(i) != kindName || s.op(i-1, "->") || s.op(i-1, "?->") || s.op(i-1, "::") {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(s.text(i)), `\`)
}

// next finds an operator from i on in the same statement, stepping over
// brackets; -1 if the statement ends first, or seems to have no end.
func (s *source) next(i int, op string) int {
	for limit := i + 200; i < limit && !s.ends(i); i++ {
		switch {
		case s.op(i, op):
			return i
		case s.opens(i):
			i = s.match[i]
		case s.op(i, "}"), s.op(i, ")"), s.op(i, "]"):
			return -1
		}
	}
	return -1
}

// end is where the expression statement at i ends: its ";" or closing tag, or
// the bracket around it.
func (s *source) end(i int) int {
	for ; !s.ends(i) && !s.op(i, "}"); i++ {
		if s.opens(i) {
			i = s.match[i]
		}
	}
	return i
}
