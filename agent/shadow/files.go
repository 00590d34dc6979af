package shadow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/wp"
)

// files knows where a site's files really lie, for the overlays over them.
type files struct {
	site  site.Site
	dirs  []string // real folders that the site's code may write to, the root first
	links []link
	none  error // why there are no overlays
}

// link is a folder of the site that lies elsewhere.
type link struct {
	rel  string // its name in the site's tree
	real string
}

// maxLinked bounds the folders outside of the root that get an overlay of their own.
const maxLinked = 32

// readFiles finds the site's root and the folders that trusted links lead to.
func readFiles(s site.Site, paths wp.Paths) files {
	f := files{site: s}
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		f.none = err
		return f
	}
	defer t.Close()
	root, err := real(t, ".")
	if err != nil {
		f.none = err
		return f
	}
	f.dirs = []string{root}
	for _, at := range []string{paths.Content, paths.Plugins, paths.MUPlugins, paths.Themes} {
		if at == "" {
			continue
		}
		f.linked(t, at)
		entries, err := t.ReadDir(at)
		if err != nil {
			continue // it need not exist, and what is refused is none of the site's own
		}
		for _, e := range entries {
			if e.Type()&fs.ModeSymlink != 0 {
				f.linked(t, filepath.Join(at, e.Name()))
			}
		}
	}
	return f
}

// linked notes a folder that may lie elsewhere, for an overlay of its own if the
// site's user may write there.
func (f *files) linked(t *wp.Tree, rel string) {
	info, err := t.Stat(rel)
	if err != nil || !info.IsDir() {
		return
	}
	dir, err := real(t, rel)
	if err != nil || dir == filepath.Join(f.dirs[0], rel) {
		return
	}
	f.links = append(f.links, link{rel, dir})
	sys, ok := info.Sys().(*syscall.Stat_t)
	closed := ok && sys.Uid == 0 && info.Mode().Perm()&0o022 == 0
	inside := slices.ContainsFunc(f.dirs, func(d string) bool { return dir == d || strings.HasPrefix(dir, d+"/") })
	if !closed && !inside && len(f.dirs) <= maxLinked {
		f.dirs = append(f.dirs, dir)
	}
}

// real is the path without links of a folder that the tree trusts.
func real(t *wp.Tree, rel string) (string, error) {
	want, err := t.Stat(rel)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(t.Dir(), rel))
	if err != nil {
		return "", err
	}
	// The names were followed again: it must be what the tree has judged.
	got, err := os.Lstat(path)
	if err == nil && !os.SameFile(want, got) {
		err = errors.New("it changes while it is looked at")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Join(t.Dir(), rel), err)
	}
	return path, nil
}

// overlays are those of a copy without hide.
func (f files) overlays(hide []wp.Component) ([]fpm.Overlay, error) {
	if f.none != nil {
		if len(hide) > 0 {
			return nil, f.none
		}
		return nil, nil
	}
	var all []fpm.Overlay
	for _, dir := range f.dirs {
		all = append(all, fpm.Overlay{Dir: dir})
	}
	if len(hide) == 0 {
		return all, nil
	}
	t, err := wp.OpenTree(f.site.Root, f.site.Owner)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	for _, c := range hide {
		dir, err := real(t, filepath.Dir(c.Path))
		if err != nil {
			return nil, fmt.Errorf("hide %s: %w", c.ID(), err)
		}
		all = append(all, fpm.Overlay{Dir: dir, Hide: []string{filepath.Base(c.Path)}})
	}
	return all, nil
}

// hidden are the components that only the file system can hide.
func (s *Shadow) hidden(masked []wp.Component) ([]wp.Component, error) {
	var hide []wp.Component
	for _, c := range masked {
		if !wp.Filterable(c) {
			hide = append(hide, c)
		}
	}
	if ids, why := s.Untestable(hide); len(ids) > 0 {
		return nil, fmt.Errorf("%s cannot be hidden on this host: %s", strings.Join(ids, ", "), why)
	}
	slices.SortFunc(hide, func(a, b wp.Component) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(hide, func(a, b wp.Component) bool { return a.Path == b.Path }), nil
}

// Untestable are the ids among components that cannot be hidden on this host, and why.
func (s *Shadow) Untestable(components []wp.Component) (ids []string, why string) {
	for _, c := range components {
		if wp.Filterable(c) {
			continue
		}
		if err := s.testable(c); err != nil {
			ids = append(ids, c.ID())
			why = err.Error()
		}
	}
	return ids, why
}

func (s *Shadow) testable(c wp.Component) error {
	if s.files.none != nil {
		return s.files.none
	}
	t, err := wp.OpenTree(s.site.Root, s.site.Owner)
	if err != nil {
		return err
	}
	defer t.Close()
	dir, err := real(t, filepath.Dir(c.Path))
	if err != nil || s.files.covers(dir) {
		return err
	}
	// It lies on another file system, where an overlay was not tried yet.
	ctx, cancel := context.WithTimeout(context.Background(), directTimeout)
	defer cancel()
	copy, err := s.copies.take(ctx, []wp.Component{c})
	if err == nil {
		s.copies.give(copy)
	}
	return err
}

// covers says whether a folder lies in one that every copy has an overlay over.
func (f files) covers(dir string) bool {
	device := func(path string) (uint64, bool) {
		var st syscall.Stat_t
		return st.Dev, syscall.Lstat(path, &st) == nil
	}
	there, ok := device(dir)
	return ok && slices.ContainsFunc(f.dirs, func(d string) bool {
		here, ok := device(d)
		return ok && here == there && (dir == d || strings.HasPrefix(dir, d+"/"))
	})
}
