package remedy

import (
	"fmt"
	"os"

	"wpmend/agent/panel"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/php/ini"
)

// poolFile is the pool's own file with the settings in it, all else as it is. A file of our own beside it would be
// easier to take back, but it would keep FPM from starting once the pool's is removed: "user has not been defined".
func (l Limits) poolFile(s site.Site) (path string, text []byte, err error) {
	pool, ok := l.Master.Pool(s.Pool.Name)
	if !ok {
		return "", nil, fmt.Errorf("%s has no pool %s any more", l.Master.Config, s.Pool.Name)
	}
	path = fileOf(pool)
	was, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	var lines []string
	for _, p := range l.Pool {
		lines = append(lines, p.Name+" = "+p.Value)
	}
	if by := managed(path, was, exists, s.Domain, lines); by != nil && l.Override == nil {
		by.Pool = panel.Pool{File: path, Name: pool.Name, User: s.OwnerName()}
		return "", nil, by
	}
	f, err := ini.Parse(was)
	for _, set := range l.Pool {
		if err == nil {
			f, err = f.SetIn(sectionOf(set, pool.Name), set.Name, set.Value)
		}
	}
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", path, err)
	}
	if !l.counts(pool.Name, path, f.Bytes(), l.Pool) {
		return "", nil, fmt.Errorf("%s cannot be set for pool %s in %s: another file of PHP-FPM's configuration has the last word", said(l.Pool), pool.Name, path)
	}
	return path, f.Bytes(), nil
}

// fileOf is the file that says where a pool listens.
func fileOf(pool fpm.Pool) (path string) {
	for _, d := range pool.Directives {
		if d.Key == "listen" {
			path = d.File
		}
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sectionOf: one of the limits is the master's, not a pool's.
func sectionOf(s ini.Setting, pool string) string {
	if s.Name == ini.Control {
		return "global"
	}
	return pool
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
