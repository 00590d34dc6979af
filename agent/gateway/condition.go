package gateway

import "strings"

// condition reads the words of an `if` without its brackets; nil if there are none (ngx_http_rewrite_if_condition).
func condition(words []string) []string {
	if len(words) == 0 || !strings.HasPrefix(words[0], "(") || !strings.HasSuffix(words[len(words)-1], ")") {
		return nil
	}
	inner := append([]string(nil), words...)
	inner[0] = inner[0][1:]
	last := len(inner) - 1
	if inner[last] == "" {
		return nil
	}
	inner[last] = inner[last][:len(inner[last])-1]
	if inner[0] == "" {
		inner = inner[1:]
	}
	if n := len(inner); n > 0 && inner[n-1] == "" && n != 3 { // "$x = )" compares with nothing; "$x )" ends with a blank
		inner = inner[:n-1]
	}
	if len(inner) == 0 || len(inner) > 3 {
		return nil
	}
	return inner
}

// holds judges a condition. What looks at the disk is not known, nor is what needs an unknown variable. captures are
// $0, $1, … of an expression that matched.
func holds(words []string, value lookup) (held answer, captures []string) {
	if len(words) != 1 && len(words) != 3 {
		return unknown, nil
	}
	left, err := expand(words[0], value)
	if err != nil || !strings.HasPrefix(words[0], "$") {
		return unknown, nil
	}
	if len(words) == 1 {
		return truth(left != "" && left != "0"), nil
	}
	switch op := words[1]; op {
	case "=", "!=":
		right, err := expand(words[2], value)
		if err != nil {
			return unknown, nil
		}
		return truth((left == right) == (op == "=")), nil
	case "~", "~*":
		return capture(op, words[2], left)
	case "!~", "!~*":
		switch matches(op[1:], words[2], left) {
		case yes:
			return no, nil
		case no:
			return yes, nil
		}
	}
	return unknown, nil
}

func truth(b bool) answer {
	if b {
		return yes
	}
	return no
}
