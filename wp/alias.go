package wp

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Links are where the links of a site lead that components lie behind: PHP's
// messages name files by where they really are.
type Links []alias

type alias struct{ real, rel string }

// FindLinks looks at the folders of components and at the components themselves. A
// link that may not be followed leads nowhere.
func FindLinks(t *Tree, p Paths, components []Component) Links {
	root, err := realDir(t)
	if err != nil {
		return nil
	}
	var found Links
	// The most special first: a plugin's link before that of the plugins' folder.
	for _, c := range components {
		if info, err := t.Lstat(c.Path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			found = found.add(t, root, c.Path)
		}
	}
	for _, dir := range []string{p.Plugins, p.MUPlugins, p.Themes, p.Content} {
		found = found.add(t, root, dir)
	}
	return found
}

func (l Links) add(t *Tree, root, rel string) Links {
	w, err := t.walk("resolve", rel, true)
	if err != nil {
		return l
	}
	defer w.at.close()
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", w.at.fd))
	if err != nil || !filepath.IsAbs(real) || real == filepath.Join(root, rel) {
		return l
	}
	return append(l, alias{real, path.Clean(rel)})
}

// Follow gives a file the path below root that the site knows it by; one that is
// behind no link keeps its own.
func (l Links) Follow(root, file string) string {
	for _, a := range l {
		if rest, ok := strings.CutPrefix(file, a.real); ok && (rest == "" || rest[0] == '/') {
			return path.Join(root, a.rel) + rest
		}
	}
	return file
}
