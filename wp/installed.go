package wp

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// themeHeader holds a theme's headers.
const themeHeader = "style.css"

// dropIns are the files that WordPress loads from wp-content by their name
// alone (_get_dropins of wp-admin/includes/plugin.php, and wp-includes/load.php),
// with the constant that each one needs.
var dropIns = map[string]string{
	"advanced-cache.php":      "WP_CACHE",
	"db.php":                  "",
	"db-error.php":            "",
	"install.php":             "",
	"maintenance.php":         "",
	"object-cache.php":        "",
	"php-error.php":           "",
	"fatal-error-handler.php": "",
	"sunrise.php":             "SUNRISE",
	"blog-deleted.php":        "MULTISITE",
	"blog-inactive.php":       "MULTISITE",
	"blog-suspended.php":      "MULTISITE",
}

// everyRequest are the drop-ins that an ordinary, healthy request loads; the
// others only speak when something is wrong.
var everyRequest = []string{"advanced-cache.php", "db.php", "object-cache.php", "sunrise.php", "fatal-error-handler.php"}

// Components lists what is installed, by kind and name. What the database calls
// active but is not on the disk is left out: WordPress skips it too. A folder
// that a refused link hides is listed if it is active, without its headers.
func Components(t *Tree, p Paths, active ActiveState) ([]Component, error) {
	var all []Component
	for _, list := range []func(*Tree, Paths, ActiveState) ([]Component, error){plugins, themes, muPlugins, dropInFiles} {
		found, err := list(t, p, active)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	for i, c := range all {
		all[i].Owner, _ = Owner(t, c, all)
	}
	return all, nil
}

func themes(t *Tree, p Paths, active ActiveState) ([]Component, error) {
	entries, err := list(t, p.Themes)
	if err != nil {
		return nil, fmt.Errorf("list themes: %w", err)
	}
	var found []Component
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		c := Component{Kind: KindTheme, Name: e.Name(), Path: path.Join(p.Themes, e.Name())}
		c.Active = slices.ContainsFunc(append([]string{active.Stylesheet, active.Template}, active.Themes...), func(slug string) bool { return c.Name == firstName(slug) })
		info, err := t.Stat(c.Path)
		if err != nil && !(c.Active && errors.Is(err, ErrRefused)) {
			continue
		}
		if err == nil {
			if !info.IsDir() {
				continue
			}
			if _, err := t.Stat(path.Join(c.Path, themeHeader)); err != nil && !c.Active {
				continue
			}
			c.ModTime = info.ModTime()
		}
		c.describe(t, []string{path.Join(c.Path, themeHeader), path.Join(c.Path, "functions.php")})
		found = append(found, c)
	}
	return found, nil
}

func dropInFiles(t *Tree, p Paths, _ ActiveState) ([]Component, error) {
	var found []Component
	names := make([]string, 0, len(dropIns))
	for name := range dropIns {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		found = appendFile(found, t, Component{Kind: KindDropIn, Name: name, Path: path.Join(p.Content, name),
			Active: slices.Contains(everyRequest, name), Condition: dropIns[name]})
	}
	return found, nil
}

// Heeds tells whether WordPress loads a drop-in at all: its Condition holds, or may
// hold as far as is known. Of SUNRISE it only asks whether it is defined
// (ms-settings.php), and only in a network.
func (c Config) Heeds(d Component) bool {
	v, defined := c.Const(d.Condition)
	switch {
	case d.Condition == "":
		return true
	case d.Condition == "SUNRISE":
		return defined && c.mayBeNetwork()
	case d.Condition == "MULTISITE":
		return c.mayBeNetwork()
	}
	return defined && (!v.Known || v.True())
}

// appendFile adds a component of one file, if it is there: a link to nowhere is
// absent for WordPress too.
func appendFile(found []Component, t *Tree, c Component) []Component {
	info, err := t.Stat(c.Path)
	if (err != nil && !errors.Is(err, ErrRefused)) || (err == nil && info.IsDir()) {
		return found
	}
	c.Files = []string{c.Name}
	c.describe(t, []string{c.Path})
	return append(found, c)
}

// describe adds what a component's main files say: the first header of each
// kind, and the newest change. What cannot be read says nothing.
func (c *Component) describe(t *Tree, files []string) {
	for _, f := range files {
		info, err := t.Stat(f)
		if err != nil {
			continue
		}
		if info.ModTime().After(c.ModTime) {
			c.ModTime = info.ModTime()
		}
		head, err := t.ReadHead(f, headSize)
		if err != nil || (c.Kind == KindTheme && path.Base(f) != themeHeader) {
			continue
		}
		title := "Plugin Name"
		if c.Kind == KindTheme {
			title = "Theme Name"
			if parent := header(head, "Template"); validName(parent) && parent != c.Name {
				c.Parent = parent
			}
		}
		if c.Title == "" {
			c.Title, c.Version = shown(header(head, title)), shown(header(head, "Version"))
		}
		for _, s := range slugs(header(head, "Requires Plugins")) {
			if c.Kind == KindPlugin && !slices.Contains(c.Requires, s) {
				c.Requires = append(c.Requires, s)
			}
		}
	}
}

// list reads a folder that a site need not have.
func list(t *Tree, dir string) ([]fs.DirEntry, error) {
	entries, err := t.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

func firstName(slug string) string {
	name, _, _ := strings.Cut(slug, "/")
	return name
}

func isPHP(name string) bool { return strings.HasSuffix(name, ".php") }
