package wp

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// offSuffix ends the name of what wpmend switched off; a dot begins it, which
// hides it from wp-admin and from most web servers.
const offSuffix = ".off-by-wpmend"

// Off says under which names a component lies while on and while off, both
// relative to the tree. A folder is renamed: plugins/foo becomes
// plugins/.foo.off-by-wpmend. A single file moves into a new hidden folder
// beside it and keeps its own name (from plugins/hello.php to
// plugins/.hello.php.off-by-wpmend/hello.php): with another suffix its source
// would be served as text, and a hidden *.php in mu-plugins still loads.
// A prepend has no place to go to: both names are empty.
func Off(c Component) (from, to string) {
	if c.Kind == KindPrepend {
		return "", ""
	}
	to = path.Join(path.Dir(c.Path), "."+c.Name+offSuffix)
	if c.singleFile() {
		to = path.Join(to, c.Name)
	}
	return c.Path, to
}

// singleFile says whether the component is a file, not a folder. A plugin is if
// active_plugins writes it without a folder.
func (c Component) singleFile() bool {
	switch c.Kind {
	case KindPlugin, KindMUPlugin:
		return slices.Contains(c.Files, c.Name) || (len(c.Files) == 0 && isPHP(c.Name))
	case KindDropIn, KindPrepend:
		return true
	}
	return false
}

// SwitchedOff finds what carries our name for "off". Each component's Path is
// where it belongs, so [Off] of it gives the way back too. A name that was taken
// again meanwhile (the plugin was installed anew) is found all the same.
func SwitchedOff(t *Tree, p Paths) ([]Component, error) {
	var found []Component
	for _, place := range []struct{ kind, dir string }{
		{KindPlugin, p.Plugins}, {KindTheme, p.Themes}, {KindMUPlugin, p.MUPlugins}, {KindDropIn, p.Content},
	} {
		entries, err := t.ReadDir(place.dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if c, ok := switchedOff(t, place.kind, place.dir, e.Name()); ok {
				found = append(found, c)
			}
		}
	}
	return found, nil
}

func switchedOff(t *Tree, kind, dir, entry string) (Component, bool) {
	name, ok := strings.CutPrefix(entry, ".")
	if !ok {
		return Component{}, false
	}
	name, ok = strings.CutSuffix(name, offSuffix)
	if !ok || !validName(name) {
		return Component{}, false
	}
	off := path.Join(dir, entry)
	c := Component{Kind: kind, Name: name, Path: path.Join(dir, name)}
	if kind == KindDropIn {
		d, known := dropIns[name]
		if !known {
			return Component{}, false
		}
		c.Condition = d
	}
	// A plugin's folder and a file's folder look alike but for what is in them.
	if kind != KindTheme && isPHP(name) {
		if info, err := t.Lstat(path.Join(off, name)); err == nil && !info.IsDir() {
			c.Files = []string{name}
			c.describe(t, []string{path.Join(off, name)})
			return c, true
		}
	}
	switch kind {
	case KindPlugin, KindMUPlugin:
		files, _ := pluginFiles(t, off, name)
		c.Files = files
		var paths []string
		for _, f := range files {
			paths = append(paths, path.Join(off, path.Base(f)))
		}
		c.describe(t, paths)
	case KindTheme:
		c.describe(t, []string{path.Join(off, themeHeader)})
	default:
		return Component{}, false
	}
	return c, true
}
