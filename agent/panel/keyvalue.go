package panel

import (
	"strings"
)

// quoted reads a line of Hestia's files: KEY='value' KEY='value'. A value ends at the next quote, there is no escape
// (func/main.sh, parse_object_kv_list); what is no such pair ends the reading, and ok is false.
func quoted(line string) (pairs map[string]string, ok bool) {
	pairs = map[string]string{}
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return pairs, true
		}
		key, rest, found := strings.Cut(line, "='")
		if !found || !isKey(key) {
			return pairs, false
		}
		value, rest, found := strings.Cut(rest, "'")
		if !found || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return pairs, false
		}
		pairs[key] = value
		line = rest
	}
}

// assigned reads DirectAdmin's files: key=value, one a line.
func assigned(text string) map[string]string {
	pairs := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		if found && isKey(key) {
			pairs[key] = value
		}
	}
	return pairs
}

func isKey(key string) bool {
	for _, r := range key {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return key != ""
}
