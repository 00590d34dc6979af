package panel

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var yamlLine = regexp.MustCompile(`^('[A-Za-z0-9_]+'|"[A-Za-z0-9_]+"|[A-Za-z0-9_]+):(\s.*)?$`)

// yamlSet sets one key of a mapping of the kind that cPanel keeps a pool's settings in: "---", then one key a line, what
// belongs to it behind it or indented below. All else is kept as it is, and a file of another kind is refused: there is
// no YAML parser here, and to guess would cost the domain its pool.
func yamlSet(text []byte, key, value string) ([]byte, error) {
	if bytes.ContainsAny(text, "\x00\t") {
		return nil, errors.New("it holds a tab or a zero byte, which YAML has no use for")
	}
	var out []string
	begun, found, within := false, false, false
	for line := range strings.Lines(string(text)) {
		bare := strings.TrimRight(line, " \r\n")
		m := yamlLine.FindStringSubmatch(bare)
		switch {
		case bare == "---" && !begun:
			begun, within = true, false
		case bare == "" || strings.HasPrefix(bare, "#"):
		case strings.HasPrefix(bare, " ") && begun && (found || len(out) > 1):
			if within {
				continue // of the key that was replaced
			}
		case m != nil && begun:
			if within = strings.Trim(m[1], `'"`) == key; within {
				if found {
					return nil, fmt.Errorf("it has the key %s twice", key)
				}
				found, line = true, key+": "+value+"\n"
			}
		default:
			return nil, fmt.Errorf("it is no plain list of keys below ---: %q", cut(bare))
		}
		out = append(out, line)
	}
	if !begun {
		return nil, errors.New("it does not begin with ---")
	}
	if !found {
		if last := out[len(out)-1]; !strings.HasSuffix(last, "\n") {
			out[len(out)-1] = last + "\n"
		}
		out = append(out, key+": "+value+"\n")
	}
	return []byte(strings.Join(out, "")), nil
}
