package gateway

import (
	"regexp"
	"strings"
)

// compile reads an expression that nginx gives to PCRE. RE2 agrees with PCRE on what it takes; lookarounds, back
// references and possessive quantifiers it does not take, and then there is an error.
func compile(expr string) (*regexp.Regexp, error) {
	return regexp.Compile(expr)
}

// answer is what is known of a match.
type answer int

const (
	no answer = iota
	yes
	unknown
)

// matches asks a `~` or `~*` location about a path. An expression that RE2 does not take is asked without its
// assertions: they only ever narrow, so what does not match without them does not match at all. (`/\.(?!well-known)`
// stands in most hand-made configurations, and says nothing about scripts.)
func matches(kind, expr, path string) answer {
	a, _ := capture(kind, expr, path)
	return a
}

// capture is matches, with $0, $1, … of the match.
func capture(kind, expr, path string) (answer, []string) {
	if kind == "~*" {
		expr = "(?i)" + expr
	}
	re, err := compile(expr)
	if err == nil {
		if m := re.FindStringSubmatch(path); m != nil {
			return yes, m
		}
		return no, nil
	}
	if wider, ok := widen(expr); ok {
		if re, err = compile(wider); err == nil && !re.MatchString(path) {
			return no, nil
		}
	}
	return unknown, nil
}

// captured looks $1 to $9 up in a match and everything else in value.
func captured(m []string, value lookup) lookup {
	return func(name string) (string, error) {
		if len(name) != 1 || name[0] < '1' || name[0] > '9' {
			return value(name)
		}
		if n := int(name[0] - '0'); n < len(m) {
			return m[n], nil
		}
		return "", nil
	}
}

// widen takes the lookarounds out of an expression and makes atomic groups and possessive quantifiers plain ones. The
// result matches whatever expr matches, and perhaps more.
func widen(expr string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(expr); {
		rest := expr[i:]
		switch {
		case rest[0] == '\\':
			n := min(2, len(rest))
			b.WriteString(rest[:n])
			i += n
		case rest[0] == '[':
			n := classEnd(rest)
			b.WriteString(rest[:n])
			i += n
		case strings.HasPrefix(rest, "(?>"):
			b.WriteString("(?:")
			i += 3
		case strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "(?!") ||
			strings.HasPrefix(rest, "(?<=") || strings.HasPrefix(rest, "(?<!"):
			n := groupEnd(rest)
			if n == 0 {
				return "", false
			}
			b.WriteString("(?:)")
			i += n
		case rest[0] == '+' && i > 0 && strings.IndexByte("+*?}", expr[i-1]) >= 0 && !(i > 1 && expr[i-2] == '\\'):
			i++
		default:
			b.WriteByte(rest[0])
			i++
		}
	}
	return b.String(), true
}

// classEnd is the length of the character class that s begins with.
func classEnd(s string) int {
	i := 1
	if i < len(s) && s[i] == '^' {
		i++
	}
	if i < len(s) && s[i] == ']' {
		i++
	}
	for i < len(s) {
		switch {
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], "[:"):
			if end := strings.Index(s[i:], ":]"); end >= 0 {
				i += end + 1
			}
		case s[i] == ']':
			return i + 1
		}
		i++
	}
	return len(s)
}

// groupEnd is the length of the group that s begins with, 0 if it is not closed.
func groupEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); {
		switch s[i] {
		case '\\':
			i++
		case '[':
			i += classEnd(s[i:])
			continue
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return 0
}

// literalPrefix is the folder that every path an anchored expression matches lies in: "/blog/" for `^/blog/.*\.php$`.
func literalPrefix(expr string) string {
	rest, anchored := strings.CutPrefix(expr, "^")
	if !anchored {
		return ""
	}
	re, err := compile(rest)
	if err != nil {
		return ""
	}
	prefix, _ := re.LiteralPrefix()
	i := strings.LastIndexByte(prefix, '/')
	if !strings.HasPrefix(prefix, "/") || i == 0 {
		return ""
	}
	return prefix[:i+1]
}
