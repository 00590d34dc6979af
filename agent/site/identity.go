package site

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ID is the stable name of the site whose root folder is root.
func ID(root string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(root)))
	return hex.EncodeToString(sum[:6])
}

// folder tells folders apart by device and inode: one that a link leads to is the
// same. One that is not there is only its own path.
type folder struct {
	dev, ino uint64
	path     string
}

func identify(path string) folder {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return folder{path: filepath.Clean(path)}
	}
	return folder{dev: uint64(st.Dev), ino: st.Ino}
}

// linked tells whether a link leads to root: such a name stays from release to
// release, while the folder behind it changes.
func linked(root string) bool {
	real, err := filepath.EvalSymlinks(root)
	return err == nil && real != filepath.Clean(root)
}

// Roots are the root folder and, where it differs, the same with its links
// followed: PHP's messages show that one. The core's folder is another where a
// link leads out of the root to it.
func (s Site) Roots() []string {
	roots := []string{s.Root}
	for _, dir := range []string{s.Root, filepath.Join(s.Root, s.Core)} {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil && !slices.ContainsFunc(roots, func(root string) bool { return within(real, root) }) {
			roots = append(roots, real)
		}
	}
	return roots
}

// Owns tells whether a file is the site's by its path alone, and not another site's
// that lies in a folder of this one. Of a script that PHP-FPM names, it is what
// tells the sites of one pool apart.
func (s Site) Owns(path string) bool {
	if !filepath.IsAbs(path) {
		return false
	}
	path = filepath.Clean(path)
	in := func(root string) bool { return within(path, root) }
	return slices.ContainsFunc(s.Roots(), in) && !slices.ContainsFunc(s.inner, in)
}

// within tells whether a clean path is a folder or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+string(os.PathSeparator))
}

// nest notes which sites lie within others.
func nest(sites []*Site) {
	type named struct {
		root        string
		site, order int
	}
	var all []named
	roots := make([][]string, len(sites))
	for i, s := range sites {
		roots[i] = s.Roots()
		for _, r := range roots[i] {
			all = append(all, named{r, i, len(all)})
		}
	}
	byRoot := slices.Clone(all)
	slices.SortFunc(byRoot, func(a, b named) int { return strings.Compare(a.root, b.root) })
	for i, outer := range sites {
		found := map[int]bool{} // by order
		for _, r := range roots[i] {
			for _, prefix := range []string{r, strings.TrimSuffix(r, "/") + string(os.PathSeparator)} {
				at, _ := slices.BinarySearchFunc(byRoot, prefix, func(n named, p string) int { return strings.Compare(n.root, p) })
				for ; at < len(byRoot) && strings.HasPrefix(byRoot[at].root, prefix) && within(byRoot[at].root, r); at++ {
					if n := byRoot[at]; n.site != i && n.root != outer.Root {
						found[n.order] = true
					}
				}
			}
		}
		for _, n := range slices.Sorted(maps.Keys(found)) {
			outer.inner = append(outer.inner, all[n].root)
		}
	}
}
