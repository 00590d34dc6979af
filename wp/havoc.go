package wp

import "bytes"

// havoc goes over code of which it is uncertain whether, or with what outcome,
// it runs: each constant and variable that it can touch becomes unknown, and
// what it may run elsewhere is a gap. Inside of a function (inner) a return
// does not end the file.
func (x *follower) havoc(i, to int, inner bool) {
	if x.depth == maxDepth {
		x.tooDeep(i)
		return
	}
	x.depth++
	defer func() { x.depth-- }()
	s := x.source
	for ; i < to && !x.stopped && x.step(s, i); i++ {
		switch s.kind(i) {
		case kindShort:
			x.gap(s, i, "whether PHP reads what follows \"<?\" depends on short_open_tag: write \"<?php\"")
		case kindVariable:
			x.doubt(i)
		case kindComputed:
			x.doubtString(i)
		case kindOp:
			if s.op(i, "$") || s.op(i, "&") && (s.op(i-1, "=") || s.op(i-1, "=>") || s.op(i-1, "(") || s.op(i-1, ",") || s.keyword(i-1) == "as") {
				x.references(s, i)
			}
		case kindName:
			i = x.havocName(i, to, inner)
		}
	}
}

// doubt makes the variable at i unknown; a call of it may run anything.
func (x *follower) doubt(i int) {
	s := x.source
	name := s.text(i)[1:]
	if name == "GLOBALS" {
		x.openVars(s, i, "$GLOBALS is in use")
		return
	}
	x.assign(name, definition{scalar: unknownOf(""), file: s.path, line: s.line(i), why: "the code there may change it"})
	j := i + 1
	for s.op(j, "[") {
		j = s.match[j] + 1
	}
	switch {
	case s.op(j, "("):
		x.gap(s, i, "a function whose name is in $%s", name)
	case (s.op(j, "->") || s.op(j, "?->") || s.op(j, "::")) && x.classes:
		x.gap(s, i, "a method of the site's own code")
	}
}

// doubtString: code in braces inside a string can do anything.
func (x *follower) doubtString(i int) {
	t := x.tokens[i]
	b := x.src[t.start:t.end]
	if (bytes.Contains(b, []byte("{$")) || bytes.Contains(b, []byte("${"))) && bytes.IndexByte(b, '(') >= 0 {
		x.gap(x.source, i, "code inside a string")
	}
}

// havocName handles one name and returns the index of the last token used.
func (x *follower) havocName(i, to int, inner bool) int {
	s := x.source
	if s.declares(i) {
		// A declaration runs nothing; its functions are known already.
		if body := s.next(i, "{"); body >= 0 {
			return s.match[body]
		}
	}
	word := s.keyword(i)
	call := s.op(i+1, "(")
	switch word {
	case "":
		return i
	case "include", "include_once", "require", "require_once":
		x.havocInclude(i, to)
		return i
	case "function", "fn":
		if body := s.next(i+1, "{"); word == "function" && body >= 0 && body < to {
			x.havoc(i+1, s.match[body], true)
			return s.match[body]
		}
		return i
	case "return":
		if !inner {
			x.doubtful = true
		}
		return i
	case "goto":
		x.references(s, i)
		x.gap(s, i, "goto is not followed")
		return i
	case "const":
		x.havocConst(i+1, to)
		return i
	case "new":
		if x.classes {
			x.gap(s, i, "a class of the site's own code")
		}
		return i
	case "eval", "extract", "parse_str", "assert", "create_function", "mb_parse_str":
		x.gap(s, i, "%s()", word)
		return i
	}
	if s.op(i+1, "::") && x.classes {
		x.gap(s, i, "a method of the site's own code")
		return i
	}
	if !call {
		return i
	}
	if f := x.funcs[word]; f != nil {
		x.callUser(f)
		return i
	}
	switch {
	case word == "define":
		x.havocDefine(i)
	case word == "ini_set", word == "set_time_limit":
		x.havocINISet(i, word)
	case callsBack[word]:
		x.gap(s, i, "%s() calls code by name", word)
	}
	return i
}

// callsBack are the functions of PHP that call what their arguments name.
var callsBack = map[string]bool{
	"call_user_func": true, "call_user_func_array": true, "forward_static_call": true, "forward_static_call_array": true,
	"array_map": true, "array_walk": true, "array_walk_recursive": true, "array_filter": true, "array_reduce": true,
	"usort": true, "uasort": true, "uksort": true, "array_udiff": true, "array_uintersect": true, "array_diff_ukey": true,
	"preg_replace_callback": true, "preg_replace_callback_array": true, "iterator_apply": true, "ob_start": true,
	"spl_autoload_register": true, "set_error_handler": true, "set_exception_handler": true, "register_tick_function": true,
	"header_register_callback": true, "unserialize": true, "func_overload": true, "array_diff_uassoc": true, "array_intersect_ukey": true,
}

// callUser goes over the body of a function that the files read declare.
func (x *follower) callUser(f *function) {
	if f.busy {
		return
	}
	f.busy = true
	sub := &follower{reader: x.reader, source: f.source, depth: x.depth}
	sub.havoc(f.from, f.to, true)
	f.busy = false
}

func (x *follower) havocDefine(i int) {
	s := x.source
	t := s.tokens[i+2]
	name, ok := literal(t.kind, s.src[t.start:t.end])
	if !ok || !s.op(i+3, ",") {
		x.gap(s, i, "a constant whose name is computed")
		return
	}
	x.define(name, x.undecided(i))
}

func (x *follower) havocConst(i, to int) {
	s := x.source
	for i < to && s.kind(i) == kindName && s.op(i+1, "=") {
		x.define(x.namespace+s.text(i), x.undecided(i))
		i = s.comma(i, to) + 1
	}
}

func (x *follower) undecided(i int) definition {
	return definition{scalar: unknownOf(""), file: x.path, line: x.line(i), why: "whether that line runs depends on the request"}
}
