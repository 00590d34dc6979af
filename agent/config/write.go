package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// TOML writes the configuration as it is read, each value with its origin in a comment if origins is true.
func (c Config) TOML(origins bool) string {
	var b strings.Builder
	line := func(name string, v any, from Origin) {
		fmt.Fprintf(&b, "%s = %s", name, literal(v))
		if origins {
			fmt.Fprintf(&b, "  # %s", printable(from.String()))
		}
		b.WriteByte('\n')
	}
	table := ""
	for _, k := range c.Keys() {
		group, name, in := strings.Cut(k.Name, ".")
		if !in {
			group, name = "", k.Name
		}
		if group != table {
			fmt.Fprintf(&b, "\n[%s]\n", group)
			table = group
		}
		line(name, k.Value, k.Origin)
	}
	for _, f := range c.FPM {
		b.WriteString("\n[[fpm]]\n")
		line("config", f.Config, c.fpmAt)
		line("args", f.Args, c.fpmAt)
	}
	for _, o := range c.Owners {
		b.WriteString("\n[[owner]]\n")
		line("user", o.User, o.at)
		for _, s := range o.set {
			line(s.key.name, s.value, s.at)
		}
	}
	for _, o := range c.Sites {
		b.WriteString("\n[[site]]\n")
		line("match", o.Match, o.at)
		for _, s := range o.set {
			line(s.key.name, s.value, s.at)
		}
	}
	return b.String()
}

// literal is a value as TOML.
func literal(v any) string {
	switch v := v.(type) {
	case bool, int:
		return fmt.Sprint(v)
	case []string:
		return list(v)
	case []Hours:
		return list(v)
	case fmt.Stringer:
		return quote(v.String())
	}
	return quote(reflect.ValueOf(v).String())
}

func list[T any](values []T) string {
	var all []string
	for _, v := range values {
		all = append(all, literal(v))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// quote writes a basic string, whose escapes are those of JSON but for one control that JSON leaves as it is.
func quote(text string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return `""` // a string is always encoded
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// printable keeps a hostile file name from ending a comment.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, text)
}

// MarshalJSON writes the section with its settings in the tables they stand in.
func (s Site) MarshalJSON() ([]byte, error) { return marshal("match", s.Match, s.set) }

// MarshalJSON writes the section with its settings in the tables they stand in.
func (o Owner) MarshalJSON() ([]byte, error) { return marshal("user", o.User, o.set) }

func marshal(by, name string, set []setting) ([]byte, error) {
	v := map[string]any{by: name}
	for _, s := range set {
		group, key, in := strings.Cut(s.key.name, ".")
		if !in {
			v[group] = s.value
			continue
		}
		if v[group] == nil {
			v[group] = map[string]any{}
		}
		v[group].(map[string]any)[key] = s.value
	}
	return json.Marshal(v)
}
