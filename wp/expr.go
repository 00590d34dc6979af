package wp

import "strings"

// eval follows one expression in tokens [i, end) the way PHP would. With dry
// set it only finds out where its parts end.
type eval struct {
	*follower
	i, end int
	depth  int
	dry    bool
	bad    bool // an expression that is not understood
}

// Precedences of PHP 8, loosest first.
const (
	precLowOr = iota
	precLowXor
	precLowAnd
	precAssign
	precTernary
	precCoalesce
	precOr
	precAnd
	precBitOr
	precBitXor
	precBitAnd
	precEqual
	precLess
	precConcat
	precShift
	precAdd
	precMul
	precNot
	precInstanceof
	precUnary
	precPow
)

var binary = map[string]int{
	"or": precLowOr, "xor": precLowXor, "and": precLowAnd, "?": precTernary, "??": precCoalesce, "||": precOr, "&&": precAnd,
	"|": precBitOr, "^": precBitXor, "&": precBitAnd, "==": precEqual, "!=": precEqual, "<>": precEqual, "===": precEqual,
	"!==": precEqual, "<=>": precEqual, "<": precLess, "<=": precLess, ">": precLess, ">=": precLess, ".": precConcat,
	"<<": precShift, ">>": precShift, "+": precAdd, "-": precAdd, "*": precMul, "/": precMul, "%": precMul,
	"instanceof": precInstanceof, "**": precPow,
}

// expressions follows the expressions, separated by commas, in [i, end) and
// gives the value of the last. If it does not understand one, everything that
// it mentions becomes uncertain.
func (x *follower) expressions(i, end int) scalar {
	for end > i && x.source.ends(end-1) {
		end--
	}
	last := unknownOf("nothing")
	for i < end && !x.stopped && !x.returned {
		stop := x.source.comma(i, end)
		try := &eval{follower: x, i: i, end: stop, dry: true}
		try.expr(precLowOr)
		if try.bad || try.i != stop {
			x.havoc(i, stop, false)
			last = unknownOf("code that is not followed")
		} else {
			e := &eval{follower: x, i: i, end: stop}
			last = e.expr(precLowOr)
		}
		i = stop + 1
	}
	return last
}

func (e *eval) word() string {
	if e.i >= e.end {
		return ""
	}
	switch e.source.kind(e.i) {
	case kindOp:
		return e.source.text(e.i)
	case kindName:
		return e.source.keyword(e.i)
	}
	return ""
}

func (e *eval) take(word string) bool {
	if e.word() != word {
		return false
	}
	e.i++
	return true
}

func (e *eval) fail() scalar {
	e.bad = true
	return unknownOf("code that is not followed")
}

// expr takes operators that bind at least as tightly as prec.
func (e *eval) expr(prec int) scalar {
	if e.depth == maxDepth || e.bad || !e.step(e.source, e.i) {
		return e.fail()
	}
	e.depth++
	defer func() { e.depth-- }()
	left := e.unary()
	for !e.bad && !e.stopped {
		op := e.word()
		p, ok := binary[op]
		if !ok || p < prec {
			return left
		}
		e.i++
		switch op {
		case "or", "||":
			left = e.logic(left, p+1, no)
		case "and", "&&":
			left = e.logic(left, p+1, yes)
		case "?":
			left = e.ternary(left)
		case "??":
			left = e.coalesce(left)
		case ".":
			left = concat(left, e.expr(p+1))
		case "==", "!=", "<>", "===", "!==":
			same := equal(left, e.expr(p+1), len(op) == 3)
			if op[0] != '=' {
				same = same.not()
			}
			left = same.scalar()
		case "**":
			e.expr(p)
			left = unknownOf("arithmetic")
		default:
			e.expr(p + 1)
			left = unknownOf("arithmetic or a comparison")
		}
	}
	return left
}

// part follows a part of an expression if it is certain to run, steps over it
// if it is certain not to, and else takes all that it mentions for uncertain.
func (e *eval) part(runs truth, prec int) scalar {
	if runs == yes || e.dry {
		return e.expr(prec)
	}
	from := e.i
	e.dry = true
	e.expr(prec)
	e.dry = false
	if runs == maybe {
		e.havoc(from, e.i, false)
	}
	return unknownOf("a condition that the request decides")
}

// logic is "left && right" (on is yes) or "left || right" (on is no): right
// runs only if left is what on says.
func (e *eval) logic(left scalar, prec int, on truth) scalar {
	l := left.truth()
	runs := maybe
	if l != maybe {
		runs = truthOf(l == on)
	}
	right := e.part(runs, prec).truth()
	switch {
	case runs == no:
		return boolOf(on == no)
	case runs == yes:
		return right.scalar()
	}
	return maybe.scalar()
}

func (e *eval) ternary(cond scalar) scalar {
	c := cond.truth()
	if e.take(":") {
		other := e.part(c.not(), precTernary+1)
		if c == yes {
			return cond
		}
		if c == maybe {
			return cond
		}
		return other
	}
	first := e.part(c, precAssign)
	if !e.take(":") {
		return e.fail()
	}
	second := e.part(c.not(), precTernary+1)
	switch c {
	case yes:
		return first
	case no:
		return second
	}
	return maybe.scalar()
}

// coalesce: an unknown value may be null.
func (e *eval) coalesce(left scalar) scalar {
	runs := no
	switch left.kind {
	case unknown:
		runs = maybe
	case null:
		runs = yes
	}
	right := e.part(runs, precCoalesce)
	if runs == yes {
		return right
	}
	return left
}

func (e *eval) unary() scalar {
	switch word := e.word(); word {
	case "!":
		e.i++
		return e.expr(precNot).truth().not().scalar()
	case "@":
		e.i++
		return e.expr(precUnary)
	case "-", "+", "~":
		e.i++
		v := e.expr(precUnary)
		if word == "-" && v.kind == integer && v.text != "0" && v.text[0] != '-' {
			return scalar{integer, "-" + v.text}
		}
		return unknownOf("arithmetic")
	case "++", "--":
		from := e.i
		e.i++
		e.expr(precUnary)
		return e.uncertain(from, "a counter")
	case "(":
		return e.parenthesis()
	}
	return e.primary()
}

// parenthesis is a cast or an expression in parentheses.
func (e *eval) parenthesis() scalar {
	s, from := e.source, e.i
	stop := s.match[from]
	if stop >= e.end {
		return e.fail()
	}
	if stop == from+2 && s.kind(from+1) == kindName && casts[s.keyword(from+1)] != unknown {
		e.i = stop + 1
		v := e.expr(precUnary)
		switch kind := casts[s.keyword(from+1)]; {
		case v.kind == unknown || kind == integer && v.kind != integer || kind == null:
			return unknownOf("a cast")
		case kind == boolean:
			return v.truth().scalar()
		default:
			return scalar{kind, v.text}
		}
	}
	inner := &eval{follower: e.follower, i: from + 1, end: stop, depth: e.depth, dry: e.dry}
	v := inner.expr(precLowOr)
	if inner.bad || inner.i != stop {
		return e.fail()
	}
	e.i = stop + 1
	return e.postfix(v, from)
}

// casts by name; null stands for one whose result is not followed.
var casts = map[string]scalarKind{
	"string": text, "binary": text, "bool": boolean, "boolean": boolean, "int": integer, "integer": integer,
	"float": null, "double": null, "real": null, "array": null, "object": null, "unset": null,
}

// uncertain gives up on the value of tokens [from, e.i) and on all that they
// may have changed.
func (e *eval) uncertain(from int, why string) scalar {
	if !e.dry {
		e.havoc(from, e.i, false)
	}
	return unknownOf(why)
}

// name is a constant.
func (e *eval) constant(name string) scalar {
	switch strings.ToLower(name) {
	case "true":
		return boolOf(true)
	case "false":
		return boolOf(false)
	case "null":
		return scalar{null, ""}
	case "__line__":
		return unknownOf("__LINE__")
	case "__dir__", "__file__":
		if e.linked {
			return unknownOf(name + " of a file behind a link")
		}
		if strings.EqualFold(name, "__dir__") {
			return textOf(dirname(e.path, 1))
		}
		return textOf(e.path)
	}
	if d, ok := e.consts[name]; ok {
		if d.kind == unknown {
			return unknownOf(name + " is computed")
		}
		return d.scalar
	}
	switch name {
	case "DIRECTORY_SEPARATOR":
		return textOf("/")
	case "PHP_EOL":
		return textOf("\n")
	}
	return unknownOf("the constant " + name)
}
