package gateway

import (
	"fmt"
	"path"
	"sort"
	"strings"
)

// dump is the files of one `nginx -T`, joined by their includes.
type dump struct {
	main     *section
	files    map[string]*section // all of them, by path
	confDir  string              // what relative includes start from: the main file's folder (ngx_process_options)
	budget   int
	problems problems
}

// problems are what could not be understood; a bounded list.
type problems []string

const maxProblems = 100

func (p *problems) add(where, format string, args ...any) {
	switch len(*p) {
	case maxProblems:
		*p = append(*p, "there is more that could not be understood")
		return
	case maxProblems + 1:
		return
	}
	*p = append(*p, where+": "+fmt.Sprintf(format, args...))
}

// index finds sections by path and by folder.
type index struct {
	sections []*section
	number   map[string]int
	byDir    map[string][]int
	next     int            // nginx prints a file when it first opens it: this is the one that it opens next
	open     [][]*directive // of every open file the includes that it waits for, the one at work first
	budget   int            // comparisons of a path with a pattern
}

const maxMatches = 16 << 20

// readDump reads the files of a dump and resolves their includes among themselves, never from the disk: what lies
// there now may be newer than what the server runs.
func readDump(text []byte) (*dump, error) {
	if len(text) > maxDump {
		return nil, fmt.Errorf("the configuration has %d bytes, more than %d", len(text), maxDump)
	}
	x := lexer{text: string(text), words: map[string]string{}}
	sections, err := x.files()
	if err != nil {
		return nil, err
	}
	d := &dump{main: sections[0], files: map[string]*section{}, confDir: path.Dir(sections[0].path), budget: maxDirectives}
	if d.main.err != nil {
		return nil, d.main.err
	}
	ix := index{sections: sections, number: map[string]int{}, byDir: map[string][]int{}, next: 1, budget: maxMatches}
	for i, s := range sections {
		// nginx prints a file once, however often it is included (ngx_conf_add_dump).
		if _, twice := ix.number[s.path]; twice {
			d.problems.add(s.path, "stands in the dump twice; the first one counts")
			continue
		}
		ix.number[s.path], d.files[s.path] = i, s
		dir := path.Dir(s.path)
		ix.byDir[dir] = append(ix.byDir[dir], i)
	}
	if err := d.resolve(&ix, d.main, 0); err != nil {
		return nil, err
	}
	if ix.budget < 0 {
		return nil, fmt.Errorf("the configuration includes too many patterns of files")
	}
	for _, s := range sections {
		if !s.visited {
			d.problems.add(s.path, "stands in the dump, but nothing before it includes it")
		} else if s.err != nil {
			d.problems.add(s.path, "is left out: %v", s.err)
		}
	}
	return d, nil
}

// resolve gives every include of a file its files, in the order in which nginx opens them. A comment in a customer's
// snippet can look like the beginning of another file; it is seen through where no include of that moment names it.
func (d *dump) resolve(ix *index, s *section, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: files are included deeper than %d", s.path, maxDepth)
	}
	s.visited = true
	ix.open = append(ix.open, includes(nil, s.body))
	top := len(ix.open) - 1
	for len(ix.open[top]) > 0 {
		b := ix.open[top][0]
		pattern := d.absolute(b.args[0])
		found := ix.match(pattern)
		if found == nil && !isPattern(pattern) {
			d.problems.add(b.where(), "%q is not in the dump", b.args[0])
		}
		for _, n := range found {
			next := ix.sections[n]
			if next.visited {
				b.include = append(b.include, next)
				continue
			}
			if n < ix.next || n > ix.next && d.expected(ix) {
				continue
			}
			ix.next = n + 1
			b.include = append(b.include, next)
			if err := d.resolve(ix, next, depth+1); err != nil {
				return err
			}
		}
		ix.open[top] = ix.open[top][1:]
	}
	ix.open = ix.open[:top]
	return nil
}

// expected says whether an include that is still to be served stands for the file that comes next in the dump.
func (d *dump) expected(ix *index) bool {
	for _, waiting := range ix.open {
		if ix.budget -= len(waiting); ix.budget < 0 {
			return true
		}
		for _, b := range waiting {
			pattern := d.absolute(b.args[0])
			if name := ix.sections[ix.next].path; pattern == name || isPattern(pattern) && globMatch(pattern, name) {
				return true
			}
		}
	}
	return false
}

// includes lists the includes of a block, those in inner blocks too.
func includes(to []*directive, body []directive) []*directive {
	for i := range body {
		switch b := &body[i]; {
		case b.isBlock:
			to = includes(to, b.block)
		case b.name == "include" && len(b.args) == 1:
			to = append(to, b)
		}
	}
	return to
}

func isPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

func (d *dump) absolute(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return strings.TrimSuffix(d.confDir, "/") + "/" + name
}

// match lists the sections that an include stands for, in the order of glob(3): by byte.
func (ix *index) match(pattern string) []int {
	if !isPattern(pattern) {
		if n, ok := ix.number[pattern]; ok {
			return []int{n}
		}
		return nil
	}
	var candidates []int
	if dir := path.Dir(pattern); !isPattern(dir) {
		candidates = ix.byDir[dir]
	} else {
		for _, n := range ix.number {
			candidates = append(candidates, n)
		}
	}
	var found []int
	if ix.budget -= len(candidates); ix.budget < 0 {
		return nil
	}
	for _, n := range candidates {
		if globMatch(pattern, ix.sections[n].path) {
			found = append(found, n)
		}
	}
	sort.Slice(found, func(i, j int) bool { return ix.sections[found[i]].path < ix.sections[found[j]].path })
	return found
}

// globMatch is glob(3) as nginx calls it: as path.Match, but "[!a]" negates too and a leading dot must be written.
func globMatch(pattern, name string) bool {
	patterns, names := strings.Split(pattern, "/"), strings.Split(name, "/")
	if len(patterns) != len(names) {
		return false
	}
	for i, p := range patterns {
		if strings.HasPrefix(names[i], ".") && !strings.HasPrefix(p, ".") {
			return false
		}
		ok, err := path.Match(strings.ReplaceAll(p, "[!", "[^"), names[i])
		if err != nil || !ok {
			return false
		}
	}
	return true
}

// flat is a block with its includes in place. It fails when a file of it could not be read, since nobody knows then
// what the block says.
func (d *dump) flat(body []directive) ([]*directive, error) {
	return d.appendFlat(nil, body, 0, false)
}

// flatKnown leaves out the files that could not be read: one broken vhost does not hide all others.
func (d *dump) flatKnown(body []directive) ([]*directive, error) {
	return d.appendFlat(nil, body, 0, true)
}

func (d *dump) appendFlat(to []*directive, body []directive, depth int, known bool) ([]*directive, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("files include each other in a circle")
	}
	for i := range body {
		b := &body[i]
		if d.budget--; d.budget < 0 {
			return nil, fmt.Errorf("the configuration has more than %d directives, counting what is included again", maxDirectives)
		}
		if b.name != "include" || b.isBlock {
			to = append(to, b)
			continue
		}
		for _, s := range b.include {
			if s.err != nil && known {
				continue
			}
			if s.err != nil {
				return nil, fmt.Errorf("%s: includes what cannot be read: %w", b.where(), s.err)
			}
			var err error
			if to, err = d.appendFlat(to, s.body, depth+1, known); err != nil {
				return nil, err
			}
		}
	}
	return to, nil
}
