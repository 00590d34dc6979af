package gateway

import "strings"

// skipLua passes over the Lua source of a *_by_lua_block, after its "{", to the "}" that closes it. Braces count only
// outside of Lua's strings, long brackets and comments, as in ngx_http_lua_conf_read_lua_token.
func (x *lexer) skipLua() error {
	first := x.line
	for depth := 1; x.at < len(x.text); {
		c := x.text[x.at]
		x.newline(c)
		x.at++
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return nil
			}
		case '"', '\'':
			x.skipLuaString(c)
		case '[':
			x.at--
			if !x.skipLong() {
				x.at++
			}
		case '-':
			if x.at < len(x.text) && x.text[x.at] == '-' {
				x.at++
				if !x.skipLong() {
					x.skipLine()
				}
			}
		}
	}
	x.line = first
	return x.errorf("the Lua block is never closed")
}

// skipLuaString runs to the closing quote; a Lua string does not cross a line unless the newline is escaped.
func (x *lexer) skipLuaString(quote byte) {
	for x.at < len(x.text) {
		c := x.text[x.at]
		if c == '\n' {
			return
		}
		x.at++
		if c == '\\' && x.at < len(x.text) {
			x.newline(x.text[x.at])
			x.at++
		}
		if c == quote {
			return
		}
	}
}

// skipLong passes over [[…]] or [=[…]=] if one begins here.
func (x *lexer) skipLong() bool {
	rest := x.text[x.at:]
	if !strings.HasPrefix(rest, "[") {
		return false
	}
	level := 1
	for level < len(rest) && rest[level] == '=' {
		level++
	}
	if level >= len(rest) || rest[level] != '[' {
		return false
	}
	body := rest[level+1:]
	end := strings.Index(body, "]"+rest[1:level]+"]")
	if end < 0 {
		return false
	}
	x.line += strings.Count(body[:end], "\n")
	x.at += level + 1 + end + level + 1
	return true
}

func (x *lexer) skipLine() {
	if end := strings.IndexByte(x.text[x.at:], '\n'); end >= 0 {
		x.at += end
	} else {
		x.at = len(x.text)
	}
}
