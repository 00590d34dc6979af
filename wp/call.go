package wp

import "strings"

// primary is a value without operators, and what is done with it.
func (e *eval) primary() scalar {
	s, from := e.source, e.i
	if from >= e.end {
		return e.fail()
	}
	switch s.kind(from) {
	case kindSingle, kindDouble, kindHeredoc, kindNowdoc:
		e.i++
		t := s.tokens[from]
		v := textOf("")
		var ok bool
		if v.text, ok = literal(t.kind, s.src[t.start:t.end]); !ok {
			v = unknownOf("a string that PHP rejects")
		}
		return e.postfix(v, from)
	case kindComputed:
		e.i++
		return e.postfix(e.uncertain(from, "a string that PHP puts together"), from)
	case kindNumber:
		e.i++
		return number(s.text(from))
	case kindVariable:
		return e.variable()
	case kindName:
		return e.name()
	}
	switch {
	case s.op(from, "["):
		e.i = s.match[from] + 1
		if e.take("=") {
			e.expr(precAssign)
		}
		return e.postfix(e.uncertain(from, "a list"), from)
	case s.op(from, "&"), s.op(from, "$"), s.op(from, "..."):
		if !e.dry {
			e.references(s, from)
		}
		e.i++
		if s.op(e.i, "{") {
			e.i = s.match[e.i] + 1
			return e.postfix(e.uncertain(from, "a variable variable"), from)
		}
		e.expr(precUnary)
		return e.uncertain(from, "a reference")
	}
	return e.fail()
}

// variable is a variable, or an assignment to it.
func (e *eval) variable() scalar {
	s, from := e.source, e.i
	name := s.text(from)[1:]
	e.i++
	switch op := e.word(); op {
	case "=":
		e.i++
		v := e.expr(precAssign)
		if !e.dry && !e.bad && !e.stopped {
			e.assign(name, e.definition(from, v))
		}
		return v
	case "+=", "-=", "*=", "/=", ".=", "%=", "&=", "|=", "^=", "<<=", ">>=", "**=", "??=":
		e.i++
		if op == "??=" {
			e.part(maybe, precAssign)
		} else {
			e.expr(precAssign)
		}
		return e.uncertain(from, "$"+name)
	}
	return e.postfix(e.lookup(name), from)
}

// lookup is a variable's value. Those that PHP sets itself are computed.
func (e *eval) lookup(name string) scalar {
	if d, ok := e.vars[name]; ok {
		if d.kind == unknown {
			return unknownOf("$" + name)
		}
		return d.scalar
	}
	return unknownOf("$" + name)
}

// postfix takes indices, members, calls and counters after a value. What comes
// of them is computed.
func (e *eval) postfix(v scalar, from int) scalar {
	s := e.source
	for !e.bad {
		switch op := e.word(); op {
		case "[", "{", "(":
			if s.match[e.i] >= e.end {
				return e.fail()
			}
			e.i = s.match[e.i] + 1
		case "->", "?->", "::":
			e.i++
			switch {
			case e.i >= e.end:
				return e.fail()
			case s.op(e.i, "{"):
				e.i = s.match[e.i] + 1
			case s.op(e.i, "$"):
				e.i += 2
			default:
				e.i++
			}
		case "++", "--":
			e.i++
		case "=", "+=", "-=", "*=", "/=", ".=", "%=", "&=", "|=", "^=", "<<=", ">>=", "**=", "??=":
			if e.i == from+1 {
				return e.fail()
			}
			e.i++
			e.expr(precAssign)
		default:
			return v
		}
		v = e.uncertain(from, s.text(from))
	}
	return v
}

// name is a keyword, a call or a constant.
func (e *eval) name() scalar {
	s, from := e.source, e.i
	word := s.keyword(from)
	e.i++
	switch word {
	case "include", "include_once", "require", "require_once":
		return e.include(from, word)
	case "exit", "die":
		if s.op(e.i, "(") {
			e.arguments()
		}
		if !e.dry {
			e.stopped = true
		}
		return unknownOf(word)
	case "print", "throw", "clone", "yield":
		e.expr(precAssign)
		if word == "throw" && !e.dry {
			e.stopped = true
		}
		return unknownOf(word)
	case "new", "function", "fn", "static", "match", "list", "array":
		return e.construct(from, word)
	}
	if !s.op(e.i, "(") || e.i >= e.end {
		v := e.constant(strings.TrimPrefix(s.text(from), `\`))
		return e.postfix(v, from)
	}
	open := e.i
	args := e.arguments()
	if e.bad {
		return unknownOf("code that is not followed")
	}
	if e.funcs[word] != nil {
		return e.postfix(e.uncertain(from, word+"()"), from)
	}
	v := unknownOf(word + "()")
	switch word {
	case "define":
		v = e.callDefine(from, args)
	case "ini_set", "set_time_limit":
		e.callINISet(from, word, args)
	case "defined":
		if len(args) == 1 && args[0].kind == text {
			v = e.defined(args[0].text).scalar()
		}
	case "constant":
		if len(args) == 1 && args[0].kind == text {
			v = e.constant(args[0].text)
		}
	case "isset":
		v = e.isset(open)
	case "dirname":
		v = dirnameOf(args)
	case "file_exists", "is_file":
		if len(args) == 1 && args[0].kind == text {
			v = e.exists(args[0].text, word == "is_file").scalar()
		}
	default:
		if !harmless[word] {
			v = e.uncertain(from, word+"()")
		}
	}
	return e.postfix(v, from)
}

// harmless functions of PHP change neither their arguments nor constants or
// variables, and call nothing.
var harmless = map[string]bool{
	"getenv": true, "ini_set": true, "ini_get": true, "error_reporting": true, "set_time_limit": true, "header": true, "trim": true, "rtrim": true,
	"ltrim": true, "strtolower": true, "strtoupper": true, "str_replace": true, "strpos": true, "stripos": true, "substr": true, "sprintf": true,
	"explode": true, "implode": true, "in_array": true, "count": true, "empty": true, "function_exists": true, "class_exists": true,
	"extension_loaded": true, "is_dir": true, "is_readable": true, "file_get_contents": true, "parse_url": true, "php_sapi_name": true,
	"realpath": true, "basename": true, "md5": true, "date_default_timezone_set": true, "str_contains": true, "str_starts_with": true,
	"str_ends_with": true, "strstr": true, "is_string": true, "is_array": true, "json_decode": true, "gethostname": true, "intval": true,
}

// arguments follows the arguments of a call, up to and with its ")".
func (e *eval) arguments() []scalar {
	s := e.source
	i, stop := e.i+1, s.match[e.i]
	if stop >= e.end {
		e.fail()
		return nil
	}
	var args []scalar
	for i < stop && !e.bad {
		end := s.comma(i, stop)
		a := &eval{follower: e.follower, i: i, end: end, depth: e.depth, dry: e.dry}
		args = append(args, a.expr(precLowOr))
		if a.bad || a.i != end {
			e.fail()
		}
		i = end + 1
	}
	e.i = stop + 1
	return args
}

// construct takes what makes objects, functions and lists; none of them is
// followed.
func (e *eval) construct(from int, word string) scalar {
	s := e.source
	switch word {
	case "static":
		if next := e.word(); next == "function" || next == "fn" {
			e.i++
			return e.construct(from, next)
		}
	case "array", "match", "list":
		if !s.op(e.i, "(") {
			break
		}
		e.i = s.match[e.i] + 1
		if word == "match" && s.op(e.i, "{") {
			e.i = s.match[e.i] + 1
		}
		if word == "list" && e.take("=") {
			e.part(maybe, precAssign)
		}
	case "function":
		body := s.next(e.i, "{")
		if body < 0 {
			return e.fail()
		}
		e.i = s.match[body] + 1
	case "fn":
		arrow := s.next(e.i, "=>")
		if arrow < 0 || arrow >= e.end {
			return e.fail()
		}
		e.i = arrow + 1
		e.part(maybe, precAssign)
	case "new":
		if e.word() == "class" {
			body := s.next(e.i, "{")
			if body < 0 {
				return e.fail()
			}
			e.i = s.match[body]
		} else if s.op(e.i, "(") {
			e.i = s.match[e.i]
		}
		e.i++
	}
	if e.i > e.end {
		return e.fail()
	}
	return e.postfix(e.uncertain(from, word), from)
}
