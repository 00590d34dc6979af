package fpm

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// supposing is a source in which one file holds something else.
type supposing struct {
	source
	path    string
	content []byte // nil: it is not there
}

func (s *supposing) read(path string, max int) ([]byte, error) {
	if path != s.path {
		return s.source.read(path, max)
	}
	if len(s.content) > max {
		return nil, fmt.Errorf("%s would be larger than %d bytes", path, max)
	}
	return s.content, nil
}

func (s *supposing) glob(pattern string) ([]string, error) {
	paths, err := s.source.glob(pattern)
	if err != nil {
		return nil, err
	}
	paths = slices.DeleteFunc(paths, func(p string) bool { return p == s.path })
	hidden := strings.HasPrefix(filepath.Base(s.path), ".") && !strings.HasPrefix(filepath.Base(pattern), ".")
	if ok, err := filepath.Match(strings.ReplaceAll(pattern, "[!", "[^"), s.path); err != nil || !ok || hidden || s.content == nil {
		return paths, err
	}
	at, _ := slices.BinarySearch(paths, s.path)
	return slices.Insert(paths, at, s.path), nil
}

// Supposing is the master with the configuration that it would read if one file held something else; nil: if it were
// not there. Nothing is written.
func (m Master) Supposing(path string, content []byte) (Master, error) {
	from := &supposing{source: &disk{binary: m.Binary, args: m.Args}, path: path, content: content}
	global, pools, err := load(from, m.Config)
	if err != nil {
		return Master{}, fmt.Errorf("read the configuration of PHP-FPM as it would be: %w", err)
	}
	m.Global, m.Pools, m.ErrorLog = global, pools, errorLog(global)
	return m, nil
}

// noting keeps the patterns that are asked for.
type noting struct {
	source
	patterns []string
}

func (n *noting) glob(pattern string) ([]string, error) {
	n.patterns = append(n.patterns, filepath.Clean(pattern))
	return n.source.glob(pattern)
}

// Includes lists the patterns of files that the configuration includes, absolute and in their order.
func (m Master) Includes() ([]string, error) {
	from := &noting{source: &disk{binary: m.Binary, args: m.Args}}
	if _, _, err := load(from, m.Config); err != nil {
		return nil, fmt.Errorf("read the configuration of PHP-FPM: %w", err)
	}
	return from.patterns, nil
}
