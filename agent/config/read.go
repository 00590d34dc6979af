package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// mostSections bounds the sections of all files: more sites than a host ever had.
const mostSections = 50_000

// reader reads the files of one configuration, each over those before it.
type reader struct {
	config Config
	keys   map[string]key
	names  []string // of keys
	groups []string // tables

	file  string
	found places
	first *Error        // the first fault of the file, by its line
	hint  func() string // more words for it, which take a while to find
}

func newReader() *reader {
	r := &reader{config: Default(), keys: map[string]key{}}
	for _, k := range keys() {
		r.keys[k.name] = k
		r.names = append(r.names, k.name)
		if group, _, in := strings.Cut(k.name, "."); in && !slices.Contains(r.groups, group) {
			r.groups = append(r.groups, group)
		}
	}
	return r
}

// read puts what file says over what was read before.
func (r *reader) read(file, text string) *Error {
	r.file, r.first, r.hint = file, nil, nil
	tree, fault := r.parse(strings.TrimPrefix(text, "\uFEFF"))
	if fault != nil {
		return fault
	}
	for name, take := range map[string]func([]map[string]any){"owner": r.owners, "site": r.sites, "fpm": r.fpm} {
		v, given := tree[name]
		delete(tree, name)
		if list, ok := tablesOf(v); ok {
			take(list)
		} else if given {
			r.fault(child("", name), "%s is a list of sections: write [[%s]]", name, name)
		}
	}
	r.config.apply(r.settings(tree, "", "", ""))
	if len(r.config.Owners)+len(r.config.Sites) > mostSections {
		return &Error{File: file, Msg: fmt.Sprintf("there are more than %d sections for owners and sites", mostSections)}
	}
	if r.first != nil && r.hint != nil {
		r.first.Msg += r.hint()
	}
	return r.first
}

// parse makes a tree of text, which is bounded first.
func (r *reader) parse(text string) (map[string]any, *Error) {
	for i, line := range strings.Split(text, "\n") {
		if !utf8.ValidString(line) {
			return nil, &Error{File: r.file, Line: i + 1, Msg: "this is no text in UTF-8"}
		}
	}
	found, rest, refusal, line := scan(text)
	if refusal != "" {
		return nil, &Error{File: r.file, Line: line, Msg: refusal}
	}
	r.found = found
	// What follows a place where no TOML goes on is not bounded; the library needs only a little of it to say why.
	const enough = 1000
	var tree map[string]any
	_, err := toml.Decode(text[:len(text)-max(0, len(rest)-enough)], &tree)
	var syntax toml.ParseError
	switch {
	case errors.As(err, &syntax):
		return nil, &Error{File: r.file, Line: syntax.Position.Line, Msg: syntax.Message}
	case err != nil:
		return nil, &Error{File: r.file, Msg: err.Error()}
	case rest != "":
		return nil, &Error{File: r.file, Line: line, Msg: "this cannot be read as TOML"}
	}
	return tree, nil
}

// fault notes what is wrong at path, and reports whether it is the first by now.
func (r *reader) fault(path, format string, args ...any) bool {
	line := r.found[path]
	if r.first != nil && r.first.Line <= line {
		return false
	}
	r.first, r.hint = &Error{File: r.file, Line: line, Msg: fmt.Sprintf(format, args...)}, nil
	return true
}

// settings reads a table. section is "", or "site." or "owner.", where only what may differ between sites can be set.
func (r *reader) settings(table map[string]any, path, name, section string) (set []setting) {
	for _, part := range sorted(table) {
		v, at, full := table[part], child(path, part), join(name, part)
		k, known := r.keys[full]
		group, grouped := v.(map[string]any)
		switch {
		case known && section != "" && !k.perSite:
			r.fault(at, "%s cannot be set for some sites only: it holds for the whole host", quoted(full))
		case known:
			value, err := k.read(v)
			var in *elementError
			if errors.As(err, &in) {
				at = element(at, in.index)
			}
			if err != nil {
				r.fault(at, "%s%s: %v", section, full, err)
				continue
			}
			set = append(set, setting{k, value, Origin{File: r.file, Line: r.found[at]}})
		case grouped && slices.Contains(r.groups, full):
			set = append(set, r.settings(group, at, full, section)...)
		case slices.Contains(r.groups, full):
			r.fault(at, "%s%s is a table: write [%s], and its keys below it", section, full, full)
		default:
			r.unknown(at, section, full)
		}
	}
	return set
}

// unknown says so of a key, and which one may have been meant.
func (r *reader) unknown(path, section, name string) {
	if !r.fault(path, "unknown key %s", quoted(section+name)) {
		return
	}
	r.hint = func() string {
		if n := nearest(name, r.known(section)); n != "" {
			return fmt.Sprintf(": did you mean %q?", section+n)
		}
		return ""
	}
}

// known are the keys and tables that may stand in a section, or outside of all.
func (r *reader) known(section string) []string {
	switch section {
	case "":
		return slices.Concat(r.names, r.groups, []string{"fpm", "owner", "site"})
	case "fpm.":
		return []string{"config", "args"}
	}
	names := slices.DeleteFunc(slices.Clone(r.names), func(name string) bool { return !r.keys[name].perSite })
	return slices.Concat(names, r.groups, map[string][]string{"owner.": {"user"}, "site.": {"match"}}[section])
}

func sorted(table map[string]any) []string {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// join writes a dotted key as TOML does.
func join(table, name string) string {
	if name == "" || strings.ContainsFunc(name, func(c rune) bool { return c > 127 || !bare(byte(c)) }) {
		name = quoted(name)
	}
	if table == "" {
		return name
	}
	return table + "." + name
}

// tablesOf takes an array of tables in either of its forms.
func tablesOf(v any) ([]map[string]any, bool) {
	switch v := v.(type) {
	case []map[string]any:
		return v, true
	case []any:
		var all []map[string]any
		for _, e := range v {
			t, ok := e.(map[string]any)
			if !ok {
				return nil, false
			}
			all = append(all, t)
		}
		return all, true
	}
	return nil, false
}

// named takes from a section the key that says what it is for.
func (r *reader) named(t map[string]any, kind, by, example string, i int) (name string, at string) {
	section := element(child("", kind), i)
	v, given := t[by]
	delete(t, by)
	if !given {
		r.fault(section, "this [[%s]] does not say which: it needs a line such as %s = %q", kind, by, example)
		return "", section
	}
	name, err := text(v)
	if err == nil && strings.TrimSpace(name) == "" {
		err = fmt.Errorf("is empty: write it as in %s = %q", by, example)
	}
	if err == nil && strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == '*' || c == 0x7f }) {
		err = fmt.Errorf("%s names nothing: patterns and controls are not read here", quoted(name))
	}
	if err != nil {
		r.fault(child(section, by), "%s.%s: %v", kind, by, err)
	}
	return name, section
}

func (r *reader) owners(list []map[string]any) {
	for i, t := range list {
		user, at := r.named(t, "owner", "user", "alice", i)
		set := r.settings(t, at, "", "owner.")
		r.config.Owners = append(r.config.Owners, Owner{User: user, set: set, at: Origin{File: r.file, Line: r.found[at]}})
	}
}

func (r *reader) sites(list []map[string]any) {
	for i, t := range list {
		match, at := r.named(t, "site", "match", "example.com", i)
		if filepath.IsAbs(match) {
			match = filepath.Clean(match)
		} else {
			match = strings.ToLower(match)
		}
		set := r.settings(t, at, "", "site.")
		r.config.Sites = append(r.config.Sites, Site{Match: match, set: set, at: Origin{File: r.file, Line: r.found[at]}})
	}
}

// fpm reads the masters, which replace those of the files before.
func (r *reader) fpm(list []map[string]any) {
	r.config.FPM = []FPM{}
	for i, t := range list {
		conf, at := r.named(t, "fpm", "config", "/opt/php/etc/php-fpm.conf", i)
		if conf != "" && !filepath.IsAbs(conf) {
			r.fault(child(at, "config"), "fpm.config: %s must be an absolute path", quoted(conf))
		}
		f := FPM{Config: conf, Args: []string{}}
		for _, name := range sorted(t) {
			if name != "args" {
				r.unknown(child(at, name), "fpm.", join("", name))
				continue
			}
			args, err := texts(func(string) error { return nil })(t[name])
			if err != nil {
				path := child(at, name)
				var in *elementError
				if errors.As(err, &in) {
					path = element(path, in.index)
				}
				r.fault(path, "fpm.args: %v", err)
			}
			f.Args = args
		}
		r.config.FPM = append(r.config.FPM, f)
	}
	r.config.fpmAt = Origin{File: r.file, Line: r.found[child("", "fpm")]}
}
