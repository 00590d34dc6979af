package wp

import "strconv"

// scalar is a PHP value as far as wpmend follows it.
type scalar struct {
	kind scalarKind
	text string // as PHP converts it to a string; of an unknown one, why it is
}

type scalarKind uint8

const (
	unknown scalarKind = iota // computed, or of a type that is not followed
	null
	boolean
	integer
	text
)

func unknownOf(why string) scalar { return scalar{unknown, why} }

func boolOf(b bool) scalar {
	if b {
		return scalar{boolean, "1"}
	}
	return scalar{boolean, ""}
}

func textOf(s string) scalar { return scalar{text, s} }

// truth is a condition: true, false or unknown.
type truth uint8

const (
	maybe truth = iota
	yes
	no
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) scalar() scalar {
	if t == maybe {
		return unknownOf("a condition that the request decides")
	}
	return boolOf(t == yes)
}

func (t truth) not() truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return maybe
}

// truth is the value as a condition.
func (v scalar) truth() truth {
	if v.kind == unknown {
		return maybe
	}
	return truthOf(isTrue(v.text))
}

// isTrue holds for the string form of every scalar: only "" and "0" are false.
func isTrue(s string) bool { return s != "" && s != "0" }

// number reads an integer as written in PHP; floats are not followed.
func number(s string) scalar {
	digits := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '_' {
			digits = append(digits, s[i])
		}
	}
	n, err := strconv.ParseInt(string(digits), 0, 64)
	if err != nil {
		return unknownOf("a number that is not a whole one")
	}
	return scalar{integer, strconv.FormatInt(n, 10)}
}

// maxText bounds, in bytes, what is put together: doubling a text a few dozen
// times would fill any memory.
const maxText = 64 << 10

func concat(a, b scalar) scalar {
	if a.kind == unknown || b.kind == unknown {
		if b.kind == unknown && a.kind != unknown {
			return b
		}
		return a
	}
	if len(a.text)+len(b.text) > maxText {
		return unknownOf("a text that is too long to be followed")
	}
	return textOf(a.text + b.text)
}

// equal is === and, where PHP needs no conversion to decide it, ==.
func equal(a, b scalar, strict bool) truth {
	switch {
	case a.kind == unknown || b.kind == unknown:
		return maybe
	case a.kind == b.kind && a.text == b.text:
		return yes
	case strict:
		return no
	case a.kind == boolean || b.kind == boolean:
		return truthOf(a.truth() == b.truth())
	case a.kind == integer && b.kind == integer:
		return no
	case a.kind == text && b.kind == text && !looksNumeric(a.text) && !looksNumeric(b.text):
		return no
	}
	return maybe
}

// looksNumeric is generous: what it denies, PHP compares as text.
func looksNumeric(s string) bool {
	for i := 0; i < len(s); i++ {
		if isDigit(s[i]) {
			return true
		}
	}
	return false
}
