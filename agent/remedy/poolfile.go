package remedy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/php/ini"
)

// poolFile is a file of FPM's configuration and what it is to hold.
type poolFile struct {
	path     string
	text     []byte
	settings []ini.Setting
}

// poolFiles says where the pool's settings go: into files of our own beside the pool's, since FPM merges sections of one
// name, the last of its own directives counts and the first of PHP's; where the configuration includes no such file,
// into the pool's own.
func (l Limits) poolFiles(s site.Site) ([]poolFile, error) {
	pool, ok := l.Master.Pool(s.Pool.Name)
	if !ok {
		return nil, fmt.Errorf("%s has no pool %s any more", l.Master.Config, s.Pool.Name)
	}
	home := ""
	for _, d := range pool.Directives {
		if d.Key == "listen" {
			home = d.File
		}
	}
	text, err := os.ReadFile(home)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, p := range l.Pool {
		lines = append(lines, p.Name+" = "+p.Value)
	}
	if by := managed(home, text, exists, s.Domain, lines); by != nil {
		return nil, by
	}
	own, php := []ini.Setting{}, []ini.Setting{}
	for _, p := range l.Pool {
		if strings.Contains(p.Name, "[") {
			php = append(php, p)
		} else {
			own = append(own, p)
		}
	}
	var files []poolFile
	for _, part := range []struct {
		settings []ini.Setting
		names    []string // of our own file, before which or behind which all others stand
	}{{php, []string{"00-wpmend-%s.conf", "0-wpmend-%s.conf"}}, {own, []string{"zz-wpmend-%s.conf", "zzzz-wpmend-%s.conf"}}} {
		if len(part.settings) == 0 {
			continue
		}
		f, err := l.place(pool, home, part.names, part.settings)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// place finds the file in which the settings count.
func (l Limits) place(pool fpm.Pool, home string, names []string, settings []ini.Setting) (poolFile, error) {
	patterns, err := l.Master.Includes()
	if err != nil {
		return poolFile{}, err
	}
	for _, name := range names {
		file := filepath.Join(filepath.Dir(home), fmt.Sprintf(name, pool.Name))
		if !slices.ContainsFunc(patterns, func(p string) bool { ok, err := filepath.Match(p, file); return ok && err == nil }) {
			continue
		}
		was, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return poolFile{}, err
		}
		text, err := l.ownPoolFile(pool.Name, was, settings)
		if err != nil {
			return poolFile{}, err
		}
		if l.counts(pool.Name, file, text, settings) {
			return poolFile{file, text, settings}, nil
		}
	}
	text, err := os.ReadFile(home)
	if err != nil {
		return poolFile{}, err
	}
	f, err := ini.Parse(text)
	for _, s := range settings {
		if err == nil {
			f, err = f.SetIn(sectionOf(s, pool.Name), s.Name, s.Value)
		}
	}
	if err != nil {
		return poolFile{}, fmt.Errorf("%s: %w", home, err)
	}
	if !l.counts(pool.Name, home, f.Bytes(), settings) {
		return poolFile{}, fmt.Errorf("%s cannot be set for pool %s: neither a file beside %s nor this file itself would have the last word", said(settings), pool.Name, home)
	}
	return poolFile{home, f.Bytes(), settings}, nil
}

// sectionOf: one of the limits is the master's, not a pool's.
func sectionOf(s ini.Setting, pool string) string {
	if s.Name == ini.Control {
		return "global"
	}
	return pool
}

// ownPoolFile is wpmend's own file with these settings and those that it held.
func (l Limits) ownPoolFile(pool string, was []byte, settings []ini.Setting) ([]byte, error) {
	old, err := ini.Parse(was)
	if err != nil {
		return nil, err
	}
	var f ini.File
	for _, e := range old.Entries() {
		if f, err = f.SetIn(e.Section, e.Name, e.Value); err != nil {
			return nil, err
		}
	}
	for _, s := range settings {
		if f, err = f.SetIn(sectionOf(s, pool), s.Name, s.Value); err != nil {
			return nil, err
		}
	}
	head := append(l.header(), "; This file is wpmend's own. If the pool goes, it must go too: a pool without its own file keeps PHP-FPM from starting.")
	return append([]byte(strings.Join(head, "\n")+"\n"), f.Bytes()...), nil
}

// counts says whether FPM would take the settings, were the file so.
func (l Limits) counts(pool, file string, text []byte, settings []ini.Setting) bool {
	m, err := l.Master.Supposing(file, text)
	if err != nil {
		return false
	}
	p, ok := m.Pool(pool)
	if !ok {
		return false
	}
	for _, s := range settings {
		v, _ := p.Get(s.Name)
		if s.Name == ini.Control {
			v = ""
			for _, d := range m.Global {
				if d.Key == s.Name {
					v = d.Value
				}
			}
		}
		if v != s.Value {
			return false
		}
	}
	return true
}
