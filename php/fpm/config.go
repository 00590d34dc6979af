package fpm

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

const (
	maxDepth = 5        // FPM: "failed to include more than 5 files recusively" (sic)
	maxFiles = 20_000   // one file a pool is the rule, and a large host has a few thousand
	maxFile  = 4 << 20  // bytes
	maxTotal = 64 << 20 // bytes
)

// source gives the loader its files; the real one is disk.
type source interface {
	// read gives a file's text, at most max bytes.
	read(path string, max int) ([]byte, error)
	// glob lists files by a pattern of absolute paths, sorted, folders left out.
	glob(pattern string) ([]string, error)
	// prefix is what relative paths start at.
	prefix() (string, error)
}

// loader reads php-fpm.conf as FPM does: a section goes on until the next one, even across files.
type loader struct {
	source source
	global []Directive
	pools  []Pool
	byName map[string]int // lower-case name to index: a section may come again
	at     int            // index of the current pool, -1 in [global]
	files  int
	total  int
	words  map[string]string // each once, without the files' whole texts, which would stay in memory for the sake of a few words
}

// load reads a configuration and everything that it includes.
func load(from source, config string) (global []Directive, pools []Pool, err error) {
	l := loader{source: from, at: -1, byName: map[string]int{}, words: map[string]string{}}
	if err := l.file(config, 1); err != nil {
		return nil, nil, err
	}
	if err := l.absoluteListens(); err != nil {
		return nil, nil, err
	}
	return l.global, l.pools, nil
}

func (l *loader) file(path string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: included more than %d files deep", path, maxDepth)
	}
	if l.files++; l.files > maxFiles {
		return fmt.Errorf("%s: more than %d files are included", path, maxFiles)
	}
	text, err := l.source.read(path, maxFile)
	if err != nil {
		return err
	}
	if l.total += len(text); l.total > maxTotal {
		return fmt.Errorf("%s: the configuration is larger than %d bytes", path, maxTotal)
	}
	number := 0
	for row := range strings.SplitSeq(string(text), "\n") {
		number++
		said, err := parseLines(row)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", path, number, err)
		}
		for _, s := range said {
			if err := l.take(s, path, number, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loader) take(s line, path string, number, depth int) error {
	if s.kind == lineSection {
		l.enter(s.section)
		return nil
	}
	if s.key == "include" {
		if err := l.include(s.value, depth); err != nil {
			return fmt.Errorf("%s:%d: %w", path, number, err)
		}
		return nil
	}
	d := Directive{Key: l.word(s.key), Value: l.word(s.value), File: path, Line: number}
	if s.raw != s.value {
		d.Raw = l.word(s.raw)
	}
	if l.at < 0 {
		l.global = append(l.global, d)
		return nil
	}
	p := &l.pools[l.at]
	if strings.Contains(d.Value, "$pool") {
		d.Raw, d.Value = l.word(s.raw), strings.ReplaceAll(d.Value, "$pool", p.Name)
		// $pool in $pool: a name is not read again, but it may not make values grow without bound either.
		if len(d.Value) > maxFile {
			return fmt.Errorf("%s:%d: the value is too long with $pool filled in", path, number)
		}
	}
	p.Directives = append(p.Directives, d)
	return nil
}

func (l *loader) word(text string) string {
	w, known := l.words[text]
	if !known {
		w = strings.Clone(text)
		l.words[w] = w
	}
	return w
}

// enter makes a section the current one. FPM compares names without case and goes on with a pool that it knows.
func (l *loader) enter(name string) {
	lower := strings.ToLower(name)
	if lower == "global" {
		l.at = -1
		return
	}
	at, known := l.byName[lower]
	if !known {
		at = len(l.pools)
		l.byName[lower] = at
		l.pools = append(l.pools, Pool{Name: l.word(name)})
	}
	l.at = at
}

func (l *loader) include(pattern string, depth int) error {
	if pattern == "" {
		return errors.New("include names no file")
	}
	if !filepath.IsAbs(pattern) {
		prefix, err := l.source.prefix()
		if err != nil {
			return fmt.Errorf("include %s is relative: %w", pattern, err)
		}
		pattern = prefix + "/" + pattern
	}
	paths, err := l.source.glob(pattern)
	if err != nil {
		return fmt.Errorf("include %s: %w", pattern, err)
	}
	for _, path := range paths {
		if err := l.file(path, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// absoluteListens turns relative sockets into what FPM makes of them: below the pool's prefix, else the master's.
func (l *loader) absoluteListens() error {
	for i := range l.pools {
		p := &l.pools[i]
		p.Directives = slices.Clone(p.Directives) // append left room for as many again
		for j := range p.Directives {
			d := &p.Directives[j]
			if d.Key != "listen" || d.Value == "" || strings.HasPrefix(d.Value, "/") || strings.Contains(d.Value, ":") ||
				strings.Trim(d.Value, "0123456789") == "" {
				continue
			}
			prefix, ok := p.Get("prefix")
			if !ok {
				var err error
				if prefix, err = l.source.prefix(); err != nil {
					return fmt.Errorf("%s:%d: socket %s is relative: %w", d.File, d.Line, d.Value, err)
				}
			}
			if d.Raw == "" {
				d.Raw = d.Value
			}
			d.Value = filepath.Join(prefix, strings.TrimPrefix(d.Value, "$prefix"))
		}
	}
	return nil
}
