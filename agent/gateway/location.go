package gateway

import (
	"fmt"
	"strings"
)

// scope is what holds while the locations of one vhost are read.
type scope struct {
	*reader
	vhost *Vhost
	sets  []Set // of the server
}

// place is where a location stands within others.
type place struct {
	prefix string
	depth  int
}

// locations reads the locations of a block into to, PHP ones into the vhost.
func (s *scope) locations(to *[]Location, outer level, block []*directive, in place) error {
	if in.depth > maxDepth {
		return fmt.Errorf("locations are nested deeper than %d", maxDepth)
	}
	for _, d := range block {
		if d.name != "location" || !d.isBlock {
			continue
		}
		inner, err := s.flat(d.block)
		if err != nil {
			return err
		}
		l := s.enter(outer, inner)
		loc := Location{PHP: -1, Index: l.index}
		if loc.Kind, loc.Path, err = locationMatch(d); err != nil {
			s.problems.add(d.where(), "%v", err)
			continue
		}
		if l.ownAlias {
			l.alias, l.aliasRegex = loc.Path, loc.Kind == "~" || loc.Kind == "~*"
		}
		here := place{prefixOf(loc, in.prefix), in.depth + 1}
		var pass *directive
		returns := false
		for _, b := range inner {
			switch {
			case b.isBlock:
			case b.name == "fastcgi_pass":
				pass = b
			case b.name == "return":
				returns = true
			case b.name == "try_files":
				loc.TryFiles = b.args
			}
		}
		if pass != nil && !returns {
			loc.PHP = len(s.vhost.PHP)
			s.vhost.PHP = append(s.vhost.PHP, s.php(loc, l, d, inner, pass, here))
		}
		if err := s.locations(&loc.Inner, l, inner, here); err != nil {
			return err
		}
		*to = append(*to, loc)
	}
	return nil
}

// locationMatch reads the words of a location; the sign and the path may be one word (ngx_http_core_location).
func locationMatch(d *directive) (kind, path string, err error) {
	switch len(d.args) {
	case 2:
		kind, path = d.args[0], d.args[1]
	case 1:
		path = d.args[0]
		for _, sign := range []string{"=", "^~", "~*", "~", "@"} {
			if rest, ok := strings.CutPrefix(path, sign); ok {
				kind, path = sign, rest
				break
			}
		}
	default:
		return "", "", fmt.Errorf("a location with %d words", len(d.args))
	}
	switch kind {
	case "", "=", "^~", "~", "~*", "@":
		return kind, path, nil
	}
	return "", "", fmt.Errorf("a location with the sign %q", kind)
}

func (l Location) match() string {
	switch l.Kind {
	case "", "@":
		return l.Kind + l.Path
	}
	return l.Kind + " " + l.Path
}

func prefixOf(l Location, outer string) string {
	switch l.Kind {
	case "~", "~*":
		if p := literalPrefix(l.Path); p != "" && l.Kind == "~" {
			return p
		}
		return outer
	case "@":
		return outer
	}
	if l.Path == "/" {
		return ""
	}
	return l.Path
}

// php reads a location that passes requests to FastCGI.
func (s *scope) php(loc Location, l level, d *directive, block []*directive, pass *directive, in place) PHPLocation {
	p := PHPLocation{
		Match: loc.match(), Prefix: in.prefix, Alias: l.alias, Params: l.params, Split: l.split, Index: l.fcgiIndex,
		NoHeaders: l.noHeaders, BufferSize: l.bufferSize, ReadTimeout: l.readTimeout, ErrorLogs: l.errorLogs,
		File: d.file.path, Line: d.line,
	}
	texts := []string{l.root, pass.arg(0)}
	for _, param := range l.params {
		texts = append(texts, param.Value)
	}
	p.Sets, p.Maps = s.needed(append(s.sets[:len(s.sets):len(s.sets)], s.reader.sets(block)...), texts)
	var elsewhere string
	if p.Conditional, elsewhere = s.conditional(block); elsewhere != "" {
		p.Unknown = "where it passes requests depends on the if at " + elsewhere
	} else {
		s.pass(&p, pass)
	}
	if p.Unknown != "" {
		s.problems.add(d.where(), "location %s: %s", p.Match, p.Unknown)
	}
	if known := s.resolveWith(l.root, p.Sets, p.Maps); !l.aliasRegex {
		p.Root = cleanRoot(known)
		if l.alias != "" && strings.HasSuffix(known, "/") && p.Root != "" && p.Root != "/" {
			p.Root += "/" // an alias is put in as it is written
		}
	}
	return p
}

// conditional finds the `if`s that change what PHP gets, and which PHP: nginx makes locations of their own out of them.
func (s *scope) conditional(block []*directive) (params, pass string) {
	for _, d := range block {
		if d.name != "if" || !d.isBlock {
			continue
		}
		inner, err := s.flat(d.block)
		if err != nil {
			return d.where(), d.where()
		}
		for _, b := range inner {
			switch b.name {
			case "fastcgi_pass":
				pass = d.where()
			case "fastcgi_param", "fastcgi_split_path_info", "fastcgi_index", "root", "alias":
				params = d.where()
			}
		}
	}
	return params, pass
}

// resolve expands a root of the server with what is certain for every request, "" if that is not enough.
func (s *scope) resolve(text, where, what string) string {
	if !strings.Contains(text, "$") {
		return text
	}
	sets, maps := s.needed(s.sets, []string{text})
	known, err := s.static(text, sets, maps)
	if err != nil {
		s.problems.add(where, "%s %s: %v", what, text, err)
		return ""
	}
	return known
}

func (s *scope) resolveWith(text string, sets []Set, maps []Map) string {
	known, err := s.static(text, sets, maps)
	if err != nil {
		return ""
	}
	return known
}

// static expands a text with what is certain for any plain request to this vhost.
func (s *scope) static(text string, sets []Set, maps []Map) (string, error) {
	v := evaluate(sets, maps, func(name string) (string, error) {
		switch {
		case name == "host" && len(s.vhost.Names) == 1 && isPlainName(s.vhost.Names[0]):
			return s.vhost.Names[0], nil
		case plainlyEmpty(name):
			return "", nil
		}
		return "", unknownVariable{name, "it depends on the request"}
	})
	return expand(text, v.get)
}

// plainlyEmpty: a plain request has none of these. Headers are another matter: browsers and proxies add them.
func plainlyEmpty(name string) bool {
	return strings.HasPrefix(name, "arg_") || strings.HasPrefix(name, "cookie_")
}
