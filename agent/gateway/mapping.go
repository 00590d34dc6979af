package gateway

import (
	"strings"
)

// mapping reads one `map`.
func (c *reader) mapping(b *directive) {
	name, ok := strings.CutPrefix(b.arg(1), "$")
	if !ok || len(b.args) != 2 {
		return
	}
	m := Map{Name: name, Source: b.arg(0)}
	block, err := c.flat(b.block)
	if err != nil {
		m.Unknown = err.Error()
	}
	for _, d := range block {
		switch {
		case d.isBlock:
		case len(d.args) == 0:
			m.Hostnames = m.Hostnames || d.name == "hostnames"
		case d.name == "default":
			m.Default = d.args[0]
		case strings.HasPrefix(d.name, "~"):
			m.Entries = append(m.Entries, MapEntry{d.name, d.args[0]})
		default:
			m.Entries = append(m.Entries, MapEntry{strings.ToLower(strings.TrimPrefix(d.name, `\`)), d.args[0]})
		}
	}
	c.maps[name] = m
}

// lookUp finds the value of a map as ngx_http_map_find does: a plain entry, then the longest wildcard, then the first
// expression, then the default.
func (m Map) lookUp(value lookup) (string, error) {
	if m.Unknown != "" {
		return "", unknownVariable{m.Name, m.Unknown}
	}
	source, err := expand(m.Source, value)
	if err != nil {
		return "", err
	}
	key := strings.ToLower(source)
	if m.Hostnames {
		key = strings.TrimSuffix(key, ".")
	}
	if e, ok := m.plain(key); ok {
		return expand(e.Value, value)
	}
	for _, e := range m.Entries {
		expr, isRegex := strings.CutPrefix(e.Match, "~")
		if !isRegex {
			continue
		}
		if rest, nocase := strings.CutPrefix(expr, "*"); nocase {
			expr = "(?i)" + rest
		}
		re, err := compile(expr)
		if err != nil {
			if wider, ok := widen(expr); ok {
				if re, err := compile(wider); err == nil && !re.MatchString(source) {
					continue
				}
			}
			return "", unknownVariable{m.Name, "its map asks " + e.Match}
		}
		found := re.FindStringSubmatch(source)
		if found == nil {
			continue
		}
		return expand(e.Value, captured(found, func(name string) (string, error) {
			if n := re.SubexpIndex(name); n >= 0 {
				return found[n], nil
			}
			return value(name)
		}))
	}
	return expand(m.Default, value)
}

// plain finds the entry for a key that is no expression.
func (m Map) plain(key string) (MapEntry, bool) {
	var best MapEntry
	rank, length := 0, 0
	for _, e := range m.Entries {
		r := 0
		switch {
		case strings.HasPrefix(e.Match, "~"):
		case e.Match == key:
			return e, true
		case !m.Hostnames || !nameMatches(e.Match, key):
		case e.Match[0] == '.' && e.Match[1:] == key:
			return e, true
		case strings.HasSuffix(e.Match, ".*"):
			r = 1
		default:
			r = 2
		}
		if r > rank || r > 0 && r == rank && len(e.Match) > length {
			best, rank, length = e, r, len(e.Match)
		}
	}
	return best, rank > 0
}
