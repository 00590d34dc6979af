package wp

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
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

// maxChanged bounds the files that are looked at for a change; the largest plugins have
// about 15,000.
const maxChanged = 50_000

// Changed finds a file of a component, at the path where that lies now, that has
// changed since a time, and gives its path; "" if none has. Where there are too many
// files to look at all, it is an error.
//
// A file counts by its date, and by the time when the kernel last changed its entry:
// uploads and archives keep the dates that the author's files had. Folders, and files
// with several names, count by their date alone: linking a file for a backup changes its
// entry too.
func Changed(t *Tree, at string, since time.Time) (string, error) {
	now := time.Now()
	newer := func(info fs.FileInfo) bool {
		// A date in the future tells nothing.
		if m := info.ModTime(); m.After(since) && !m.After(now) {
			return true
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		return ok && info.Mode().IsRegular() && st.Nlink == 1 && time.Unix(st.Ctim.Unix()).After(since)
	}
	looked := 0
	// The component itself may be a link; one within it may lead anywhere, and in circles.
	look := t.Stat
	for queue := []string{at}; len(queue) > 0; queue = queue[1:] {
		info, err := look(queue[0])
		look = t.Lstat
		if queue[0] != at && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("look for changes: %w", err)
		}
		if newer(info) {
			return queue[0], nil
		}
		if !info.IsDir() {
			continue
		}
		entries, err := t.ReadDir(queue[0])
		if err != nil {
			return "", fmt.Errorf("look for changes: %w", err)
		}
		if looked += len(entries); looked > maxChanged {
			return "", fmt.Errorf("look for changes: %s holds more than %d files", t.path(at), maxChanged)
		}
		for _, e := range entries {
			queue = append(queue, path.Join(queue[0], e.Name()))
		}
	}
	return "", nil
}
