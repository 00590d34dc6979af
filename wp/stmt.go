package wp

// follower follows the statements of one file.
type follower struct {
	*reader
	*source
	depth     int
	namespace string
	returned  bool // the file ended itself
	doubtful  bool // it may have: the rest may run or not
}

// run follows the statements of tokens [i, to).
func (x *follower) run(i, to int) {
	if x.depth == maxDepth {
		x.tooDeep(i)
		return
	}
	x.depth++
	defer func() { x.depth-- }()
	for i < to && !x.stopped && !x.returned && x.step(x.source, i) {
		if x.doubtful {
			x.havoc(i, to, false)
			return
		}
		i = max(x.statement(i, to), i+1)
	}
}

// statement follows one statement and returns the index after it.
func (x *follower) statement(i, to int) int {
	s := x.source
	switch {
	case s.kind(i) == kindShort:
		x.gap(s, i, "whether PHP reads what follows \"<?\" depends on short_open_tag: write \"<?php\"")
		return i + 1
	case s.ends(i):
		return i + 1
	case s.op(i, "{"):
		x.run(i+1, s.match[i])
		return s.match[i] + 1
	case s.op(i, "#["):
		return s.match[i] + 1
	}
	end := min(s.skip(i, 0), to)
	if s.deep {
		x.tooDeep(i)
		return to
	}
	word := s.keyword(i)
	if s.kind(i) == kindOpenEcho {
		word = "echo"
	}
	if s.op(i+1, "::") || s.op(i+1, "(") && !statementWords[word] {
		word = ""
	}
	switch word {
	case "if":
		x.branch(i, end)
	case "while", "for", "foreach", "do", "switch", "try", "unset":
		x.havoc(i, end, false)
	case "goto":
		x.references(s, i)
		x.gap(s, i, "goto is not followed")
	case "declare":
		return s.match[min(i+1, to)] + 1
	case "namespace":
		x.namespace = ""
		if s.kind(i+1) == kindName {
			x.namespace = s.text(i+1) + `\`
			i++
		}
		return i + 1
	case "use":
		if next := s.keyword(i + 1); next == "function" || next == "const" {
			x.gap(s, i, "use %s: names mean something else from there on", next)
		}
	case "global", "break", "continue":
	case "function", "class", "trait", "interface", "abstract", "final", "readonly", "enum":
		if !s.declares(i) {
			x.expressions(i, end)
		}
	case "const":
		x.constants(i+1, end)
	case "echo":
		x.expressions(i+1, end)
	case "return":
		x.expressions(i+1, end)
		x.returned = true
	case "__halt_compiler":
		x.returned = true
	case "static":
		if s.kind(i+1) == kindVariable {
			x.havoc(i, end, false)
		} else {
			x.expressions(i, end)
		}
	default:
		if s.kind(i) == kindName && s.op(i+1, ":") {
			return i + 2 // a label
		}
		x.expressions(i, end)
	}
	return end
}

// statementWords begin a statement though a parenthesis follows.
var statementWords = map[string]bool{
	"if": true, "while": true, "for": true, "foreach": true, "switch": true, "unset": true, "declare": true,
	"echo": true, "return": true, "__halt_compiler": true,
}

// declares tells a named function or a class from an expression.
func (s *source) declares(i int) bool {
	switch s.keyword(i) {
	case "function":
		return s.kind(i+1) == kindName || s.op(i+1, "&") && s.kind(i+2) == kindName
	case "class", "trait", "interface", "enum", "abstract", "final", "readonly":
		return s.kind(i+1) == kindName
	}
	return false
}

// skip returns the index after the statement at i.
func (s *source) skip(i, depth int) int {
	if depth > maxDepth {
		s.deep = true
		return len(s.tokens) - 1
	}
	after := func(j int) int { return min(j+1, len(s.tokens)-1) }
	word := s.keyword(i)
	switch {
	case s.op(i, "{"):
		return after(s.match[i])
	case s.declares(i):
		if body := s.next(i, "{"); body >= 0 {
			return after(s.match[body])
		}
	case word == "if" && s.op(i+1, "("):
		return s.afterIf(s.match[i+1]+1, depth)
	case word == "while", word == "for", word == "foreach", word == "switch":
		if s.op(i+1, "(") {
			return s.body(s.match[i+1]+1, depth, "end"+word)
		}
	case word == "declare" && s.op(i+1, "("):
		return s.body(s.match[i+1]+1, depth, "enddeclare")
	case word == "do":
		j := s.skip(i+1, depth+1)
		if s.keyword(j) == "while" {
			return after(s.end(j))
		}
		return j
	case word == "try" && s.op(i+1, "{"):
		j := s.match[i+1] + 1
		for s.keyword(j) == "catch" && s.op(j+1, "(") && s.op(s.match[j+1]+1, "{") {
			j = s.match[s.match[j+1]+1] + 1
		}
		if s.keyword(j) == "finally" && s.op(j+1, "{") {
			j = s.match[j+1] + 1
		}
		return min(j, len(s.tokens)-1)
	}
	end := s.end(i)
	if s.op(end, "}") {
		return end
	}
	return after(end)
}

// body returns the index after a loop's body: one statement, or ":" up to the
// closing word.
func (s *source) body(i, depth int, closes string) int {
	if !s.op(i, ":") {
		return s.skip(i, depth+1)
	}
	for i++; s.kind(i) != kindEnd && !s.op(i, "}"); {
		switch word := s.keyword(i); {
		case word == closes:
			return min(s.end(i)+1, len(s.tokens)-1)
		case closes == "endif" && word == "else":
			i += 2
		case closes == "endif" && word == "elseif" && s.op(i+1, "("):
			i = s.match[i+1] + 2
		default:
			i = max(s.skip(i, depth+1), i+1)
		}
	}
	return min(i, len(s.tokens)-1)
}

// afterIf returns the index after an if statement whose body starts at i.
func (s *source) afterIf(i, depth int) int {
	for {
		if s.op(i, ":") {
			return s.body(i, depth, "endif")
		}
		i = s.skip(i, depth+1)
		word := s.keyword(i)
		if word == "else" && s.keyword(i+1) == "if" {
			i++
			word = "elseif"
		}
		switch {
		case word == "else":
			return s.skip(i+1, depth+1)
		case word != "elseif" || !s.op(i+1, "("):
			return i
		}
		i = s.match[i+1] + 1
	}
}

// branch follows an if statement: the branch that is certain, or none.
func (x *follower) branch(i, end int) {
	s := x.source
	for i < end {
		word := s.keyword(i)
		if word == "else" && s.keyword(i+1) == "if" {
			i++
			word = "if"
		}
		body := i + 1
		holds := yes
		if word != "else" {
			if !s.op(i+1, "(") {
				x.havoc(i, end, false)
				return
			}
			holds = x.expressions(i+2, s.match[i+1]).truth()
			body = s.match[i+1] + 1
		}
		from, to, next := x.bodyOf(body, end)
		switch holds {
		case yes:
			x.run(from, to)
			return
		case maybe:
			x.havoc(body, end, false)
			return
		}
		i = next
	}
}

// bodyOf returns the tokens of a branch's body and where the next branch starts.
func (x *follower) bodyOf(i, end int) (from, to, next int) {
	s := x.source
	if !s.op(i, ":") {
		j := min(s.skip(i, x.depth), end)
		if word := s.keyword(j); word != "else" && word != "elseif" {
			return i, j, end
		}
		return i, j, j
	}
	j := i + 1
	for j < end {
		switch s.keyword(j) {
		case "elseif", "else":
			return i + 1, j, j
		case "endif":
			return i + 1, j, end
		}
		j = max(s.skip(j, x.depth), j+1)
	}
	return i + 1, end, end
}

// constants follows "const A = 1, B = 2;".
func (x *follower) constants(i, end int) {
	s := x.source
	for i < end && !s.ends(i) {
		stop := s.comma(i, end)
		if s.kind(i) != kindName || !s.op(i+1, "=") {
			x.havoc(i, end, false)
			return
		}
		v := x.expressions(i+2, stop)
		x.define(x.namespace+s.text(i), x.definition(i, v))
		i = stop + 1
	}
}

// comma is the next comma outside of brackets in [i, end), or the end.
func (s *source) comma(i, end int) int {
	for ; i < end && !s.ends(i) && !s.op(i, ","); i++ {
		if s.opens(i) {
			i = s.match[i]
		}
	}
	return i
}

// definition is v, as set at token i.
func (x *follower) definition(i int, v scalar) definition {
	d := definition{scalar: v, sure: true, file: x.path, line: x.line(i)}
	if v.kind == unknown {
		d.why = v.text
	}
	return d
}

func (x *follower) tooDeep(i int) {
	x.stopped = true
	x.gap(x.source, i, "the code is nested too deep to be followed")
}
