package gateway

import (
	"fmt"
	"strings"
)

// maxValue bounds an expanded text; nginx' own values come from a request and are far shorter.
const maxValue = 64 << 10

// pieces splits a text into what stands for itself and the variables in it: $name, ${name}, $1.
func pieces(text string, literal, variable func(string) error) error {
	for text != "" {
		i := strings.IndexByte(text, '$')
		if i < 0 {
			return literal(text)
		}
		if i > 0 {
			if err := literal(text[:i]); err != nil {
				return err
			}
		}
		name, rest := variableName(text[i+1:])
		if name == "" { // nginx refuses this; it cannot stand in a dump
			if err := literal("$"); err != nil {
				return err
			}
			text = text[i+1:]
			continue
		}
		if err := variable(name); err != nil {
			return err
		}
		text = rest
	}
	return nil
}

// variableName reads the name after a "$" (ngx_http_script_compile).
func variableName(s string) (name, rest string) {
	braced := strings.HasPrefix(s, "{")
	if braced {
		s = s[1:]
	}
	n := 0
	if n < len(s) && s[n] >= '1' && s[n] <= '9' {
		n = 1
	} else {
		for n < len(s) && isNameByte(s[n]) {
			n++
		}
	}
	if !braced {
		return s[:n], s[n:]
	}
	if n == len(s) || s[n] != '}' {
		return "", s
	}
	return s[:n], s[n+1:]
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// references lists the variables of a text.
func references(text string) []string {
	var all []string
	_ = pieces(text, func(string) error { return nil }, func(name string) error { all = append(all, name); return nil })
	return all
}

type lookup func(name string) (string, error)

// expand puts values in the place of variables.
func expand(text string, value lookup) (string, error) {
	var b strings.Builder
	add := func(s string) error {
		if b.Len()+len(s) > maxValue {
			return fmt.Errorf("the value is longer than %d bytes", maxValue)
		}
		b.WriteString(s)
		return nil
	}
	err := pieces(text, add, func(name string) error {
		v, err := value(name)
		if err != nil {
			return err
		}
		return add(v)
	})
	return b.String(), err
}

// unknownVariable is an error for a variable without a certain value.
type unknownVariable struct{ name, why string }

func (e unknownVariable) Error() string {
	if e.why == "" {
		return fmt.Sprintf("the variable $%s is not known", e.name)
	}
	return fmt.Sprintf("the variable $%s is not known: %s", e.name, e.why)
}

// variables are those of one request in one location: its sets and maps, and what the request itself says.
type variables struct {
	values map[string]result
	maps   map[string]Map
	base   lookup
}

type result struct {
	text string
	err  error
}

// evaluate runs the sets in their order, as the rewrite phase does.
func evaluate(sets []Set, maps []Map, base lookup) *variables {
	v := &variables{values: map[string]result{}, maps: map[string]Map{}, base: base}
	for _, m := range maps {
		v.maps[m.Name] = m
	}
	for _, s := range sets {
		var r result
		held, value := yes, lookup(v.get)
		if s.If != nil {
			var m []string
			if held, m = holds(s.If, v.get); m != nil {
				value = captured(m, v.get)
			}
		}
		switch {
		case held == no:
			if _, set := v.values[s.Name]; !set {
				v.values[s.Name] = r // nginx' variables begin empty
			}
			continue
		case held == unknown:
			r.err = unknownVariable{s.Name, "it depends on if (" + strings.Join(s.If, " ") + ")"}
		case s.Unknown != "":
			r.err = unknownVariable{s.Name, s.Unknown}
		case s.Literal:
			r.text = s.Value
		default:
			r.text, r.err = expand(s.Value, value)
		}
		v.values[s.Name] = r
	}
	return v
}

func (v *variables) get(name string) (string, error) {
	if r, ok := v.values[name]; ok {
		return r.text, r.err
	}
	m, ok := v.maps[name]
	if !ok {
		return v.base(name)
	}
	// While it is looked up it has no value, so that maps which need each other come to an end.
	v.values[name] = result{err: unknownVariable{name, "its maps need each other"}}
	text, err := m.lookUp(v.get)
	v.values[name] = result{text, err}
	return text, err
}

// sets lists what a block gives to variables in the rewrite phase; nginx has no if within an if.
func (c *reader) sets(block []*directive) []Set {
	var all []Set
	for _, d := range block {
		if d.isBlock && d.name == "if" {
			inner, err := c.flat(d.block)
			if err != nil {
				c.problems.add(d.where(), "%v", err)
				continue
			}
			for _, s := range c.sets(inner) {
				if s.If = condition(d.args); s.If == nil {
					s.Unknown = "it depends on the if at " + d.where()
				}
				all = append(all, s)
			}
			continue
		}
		name, isVariable := strings.CutPrefix(d.arg(0), "$")
		switch {
		case !isVariable || !strings.Contains(d.name, "set"):
		case d.name == "set" && len(d.args) == 2:
			all = append(all, Set{Name: name, Value: d.args[1]})
		default: // set_by_lua, auth_request_set, set_md5 and the like
			all = append(all, Set{Name: name, Unknown: fmt.Sprintf("it comes from %s at %s", d.name, d.where())})
		}
	}
	return all
}

// given are variables that hold for a whole vhost.
func (c *reader) given(v *Vhost) []Set {
	all := []Set{{Name: "server_name", Value: v.LogName(), Literal: true}}
	if c.hostname != "" {
		all = append(all, Set{Name: "hostname", Value: strings.ToLower(c.hostname), Literal: true})
	}
	if c.version != "" {
		all = append(all, Set{Name: "nginx_version", Value: c.version, Literal: true})
	}
	return all
}

// needed keeps what the texts refer to, directly or through others.
func (c *reader) needed(sets []Set, texts []string) ([]Set, []Map) {
	want := map[string]bool{}
	var maps []Map
	var queue []string
	for _, t := range texts {
		queue = append(queue, references(t)...)
	}
	for len(queue) > 0 {
		name := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if want[name] {
			continue
		}
		want[name] = true
		for _, s := range sets {
			if s.Name != name || s.Literal {
				continue
			}
			queue = append(queue, references(s.Value)...)
			for _, w := range s.If {
				queue = append(queue, references(w)...)
			}
		}
		if m, ok := c.maps[name]; ok {
			maps = append(maps, m)
			queue = append(queue, references(m.Source)...)
			queue = append(queue, references(m.Default)...)
			for _, e := range m.Entries {
				queue = append(queue, references(e.Value)...)
			}
		}
	}
	var kept []Set
	for _, s := range sets {
		if want[s.Name] {
			kept = append(kept, s)
		}
	}
	return kept, maps
}
