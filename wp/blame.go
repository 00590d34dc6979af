package wp

import (
	"path"
	"regexp"
	"strings"
)

// evaluated is what PHP adds to a file's name for code that it did not read
// from there as is: "x.php(12) : eval()'d code", also nested.
var evaluated = regexp.MustCompile(`\(\d+\) : .*$`)

// Blame says which component of the site a file belongs to, by its path alone:
// nothing is looked up, so a path in a log costs nothing and proves nothing. It
// serves to order suspects. A file outside of root, or of no component (core,
// uploads), belongs to none. PHP writes paths with links resolved: give the
// root's resolved path too, where it differs.
func Blame(file string, p Paths, roots ...string) (id string, ok bool) {
	file = evaluated.ReplaceAllString(file, "")
	if !path.IsAbs(file) || strings.ContainsRune(file, 0) {
		return "", false
	}
	file = path.Clean(file)
	for _, root := range roots {
		if c, ok := blame(file, p, root); ok {
			return c.ID(), true
		}
	}
	return "", false
}

func blame(file string, p Paths, root string) (Component, bool) {
	if !path.IsAbs(root) {
		return Component{}, false
	}
	// mu-plugins first: a site may keep them, or its themes, below plugins.
	for _, place := range []struct{ kind, dir string }{
		{KindMUPlugin, p.MUPlugins}, {KindTheme, p.Themes}, {KindPlugin, p.Plugins},
	} {
		name, rest, ok := below(file, root, place.dir)
		if !ok || !validName(name) || strings.HasPrefix(name, ".") {
			continue
		}
		// A lone file is a component only if WordPress would load it as one.
		if rest == "" && (place.kind == KindTheme || !isPHP(name)) {
			continue
		}
		return Component{Kind: place.kind, Name: name}, true
	}
	if name, rest, ok := below(file, root, p.Content); ok && rest == "" {
		if _, known := dropIns[name]; known {
			return Component{Kind: KindDropIn, Name: name}, true
		}
	}
	return Component{}, false
}

// below splits what follows a folder of the site into its first name and the rest.
func below(file, root, dir string) (name, rest string, ok bool) {
	if dir == "" {
		return "", "", false
	}
	inside, ok := strings.CutPrefix(file, path.Join(root, dir)+"/")
	if !ok {
		return "", "", false
	}
	name, rest, _ = strings.Cut(inside, "/")
	return name, rest, true
}
