package wp

import "bytes"

func (s *scanner) single() error {
	i := s.pos + 1
	if s.src[s.pos] != '\'' {
		i++
	}
	for ; i < len(s.src); i++ {
		switch s.src[i] {
		case '\\':
			i++
		case '\'':
			s.emit(kindSingle, i+1)
			return nil
		}
	}
	return s.fail(s.pos, "a string starts here and never ends")
}

// quoted takes "…" or `…`, with all code that stands inside it.
func (s *scanner) quoted() error {
	i := s.pos
	if c := s.src[i]; c == 'b' || c == 'B' {
		i++
	}
	quote := s.src[i]
	end, computed, err := s.text(i+1, func(i int) (int, bool) { return i + 1, s.src[i] == quote })
	if err != nil {
		return err
	}
	if computed || quote == '`' {
		s.emit(kindComputed, end)
	} else {
		s.emit(kindDouble, end)
	}
	return nil
}

// heredoc takes <<<X, <<<"X" and <<<'X' up to and with the closing X; without
// a label "<<" is an operator.
func (s *scanner) heredoc() error {
	i := s.pos + 3
	if s.src[s.pos] != '<' {
		i++
	}
	for s.at(i) == ' ' || s.at(i) == '\t' {
		i++
	}
	quote := s.at(i)
	if quote == '\'' || quote == '"' {
		i++
	} else {
		quote = 0
	}
	start := i
	i = s.label(i)
	label := s.src[start:i]
	if len(label) == 0 || isDigit(label[0]) || quote != 0 && s.at(i) != quote {
		return s.noHeredoc()
	}
	if quote != 0 {
		i++
	}
	switch {
	case s.at(i) == '\r' && s.at(i+1) == '\n':
		i += 2
	case s.at(i) == '\n' || s.at(i) == '\r':
		i++
	default:
		return s.noHeredoc()
	}
	closes := func(i int) (int, bool) {
		if c := s.src[i-1]; c != '\n' && c != '\r' {
			return i, false
		}
		for s.at(i) == ' ' || s.at(i) == '\t' {
			i++
		}
		end := i + len(label)
		return end, bytes.HasPrefix(s.src[i:], label) && !isLabel(s.at(end))
	}
	if quote == '\'' {
		for ; i < len(s.src); i++ {
			if end, ok := closes(i); ok {
				s.emit(kindNowdoc, end)
				return nil
			}
		}
		return s.fail(s.pos, "the text <<<%s starts here and never ends", label)
	}
	end, computed, err := s.text(i, closes)
	if err != nil {
		return err
	}
	if computed {
		s.emit(kindComputed, end)
	} else {
		s.emit(kindHeredoc, end)
	}
	return nil
}

func (s *scanner) noHeredoc() error {
	if s.src[s.pos] != '<' {
		s.name()
		return nil
	}
	s.emit(kindOp, s.pos+2)
	return nil
}

// text finds the end of a string from i on: where closes says so. Computed
// means that it holds variables or code.
func (s *scanner) text(i int, closes func(int) (int, bool)) (end int, computed bool, err error) {
	for i < len(s.src) {
		if end, ok := closes(i); ok {
			return end, computed, nil
		}
		next := s.at(i + 1)
		switch c := s.src[i]; {
		case c == '\\' && i+1 < len(s.src) && next != '\n' && next != '\r':
			i += 2
		case c == '{' && next == '$', c == '$' && next == '{':
			computed = true
			if i, err = s.inner(i); err != nil {
				return 0, false, err
			}
		case c == '$' && isLabelStart(next):
			computed = true
			i++
		default:
			i++
		}
	}
	return 0, false, s.fail(s.pos, "a string starts here and never ends")
}

// inner steps over code in braces inside a string: its own strings may hold
// the quote that would end ours.
func (s *scanner) inner(i int) (int, error) {
	if s.depth == maxNesting {
		return 0, s.fail(s.pos, "strings and code are nested more than %d times", maxNesting)
	}
	sub := &scanner{src: s.src, pos: i + 1, depth: s.depth + 1}
	if s.src[i] == '$' {
		sub.pos++
	}
	for open := 1; sub.pos < len(sub.src); {
		sub.tokens = sub.tokens[:0]
		if err := sub.code(); err != nil {
			return 0, err
		}
		for _, t := range sub.tokens {
			if t.kind != kindOp {
				continue
			}
			switch sub.src[t.start] {
			case '{':
				open++
			case '}':
				open--
			}
		}
		if open == 0 {
			return sub.pos, nil
		}
	}
	return 0, s.fail(i, "code in braces starts here and never ends")
}
