package wp

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// maxMainFiles bounds the files of one plugin's folder that are looked through
// for a header; WordPress looks through all.
const maxMainFiles = 200

func plugins(t *Tree, p Paths, active ActiveState) ([]Component, error) {
	entries, err := list(t, p.Plugins)
	if err != nil {
		return nil, fmt.Errorf("list plugins: %w", err)
	}
	on := map[string][]string{}
	for _, f := range active.plugins() {
		if name, ok := pluginName(f); ok && !slices.Contains(on[name], f) {
			on[name] = append(on[name], f)
		}
	}
	var found []Component
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if c, ok := plugin(t, p.Plugins, e.Name(), on[e.Name()]); ok {
			found = append(found, c)
		}
	}
	nameRequired(found)
	return found, nil
}

// pluginName is the entry of the plugins folder that a line of active_plugins
// lies in. Lines that WordPress would not load (validate_file, wp_get_active_and_valid_plugins) have none.
func pluginName(file string) (string, bool) {
	if !isPHP(file) || strings.Contains(file, "./") || strings.HasPrefix(file, "/") {
		return "", false
	}
	name, _, _ := strings.Cut(file, "/")
	return name, validName(name)
}

func plugin(t *Tree, dir, name string, on []string) (Component, bool) {
	at := path.Join(dir, name)
	c := Component{Kind: KindPlugin, Name: name, Path: at}
	info, err := t.Stat(at)
	refused := errors.Is(err, ErrRefused)
	switch {
	case refused:
	case err != nil:
		return c, false
	case info.IsDir():
		c.Files, refused = pluginFiles(t, at, name)
		c.ModTime = info.ModTime()
	default:
		head, err := t.ReadHead(at, headSize)
		if isPHP(name) && err == nil && header(head, "Plugin Name") != "" {
			c.Files = []string{name}
		}
		refused = errors.Is(err, ErrRefused)
	}
	for _, f := range on {
		if _, err := t.Stat(path.Join(dir, f)); err == nil || refused {
			c.Active = true
			if !slices.Contains(c.Files, f) {
				c.Files = append(c.Files, f)
			}
		}
	}
	var paths []string
	for _, f := range c.Files {
		paths = append(paths, path.Join(dir, f))
	}
	c.describe(t, paths)
	return c, len(c.Files) > 0
}

// pluginFiles finds the files with a plugin header directly in a folder, as
// active_plugins would write them for a plugin of that name.
func pluginFiles(t *Tree, dir, name string) (files []string, refused bool) {
	entries, err := t.ReadDir(dir)
	if err != nil {
		return nil, errors.Is(err, ErrRefused)
	}
	looked := 0
	for _, e := range entries {
		if !isPHP(e.Name()) || strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			continue
		}
		if looked++; looked > maxMainFiles {
			break
		}
		if head, err := t.ReadHead(path.Join(dir, e.Name()), headSize); err == nil && header(head, "Plugin Name") != "" {
			files = append(files, name+"/"+e.Name())
		}
	}
	return files, false
}

// nameRequired turns slugs into names: that of a single file is its name
// without .php.
func nameRequired(found []Component) {
	known := map[string]bool{}
	for _, c := range found {
		known[c.Name] = true
	}
	for _, c := range found {
		for i, slug := range c.Requires {
			if !known[slug] && known[slug+".php"] {
				c.Requires[i] = slug + ".php"
			}
		}
	}
}
