package wp

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

const (
	// maxFindDepth is how far below the document root a second WordPress is
	// looked for: /blog, /en/blog.
	maxFindDepth = 2
	// maxFindEntries bounds the folders looked at: a document root can be an
	// archive of thousands.
	maxFindEntries = 2000
	// maxIndexFile bounds an index.php that is looked through: WordPress's own
	// has 400 bytes.
	maxIndexFile = 64 << 10
)

// loader is the file that every request to a WordPress goes through.
const loader = "wp-load.php"

// notSites are folders that hold much and never a second WordPress.
var notSites = []string{"wp-admin", "wp-content", "wp-includes", "node_modules", "vendor", "uploads",
	"cgi-bin", "cache", "assets", "images", "img", "css", "js", "fonts", "static", "media"}

// blogHeader finds the core in `require __DIR__ . '/sub/wp-blog-header.php'`,
// the way to give WordPress its own folder.
var blogHeader = regexp.MustCompile(`(?m)^[^/#*\n]*\b(?:require|include)(?:_once)?\b[^;\n]*?['"]([^'"\n]*)/wp-blog-header\.php['"]`)

// FindRoots finds the WordPress installs that a document root serves: in itself
// and in subfolders, two deep. The root of one is the folder whose index.php
// answers for it, wherever below that the core lies: [FindCore] tells. Owner is
// the user id that PHP runs as. The folders are absolute, docroot first. A folder
// that cannot be read holds none; only docroot itself must be readable.
func FindRoots(docroot string, owner uint32) ([]string, error) {
	t, err := OpenTree(docroot, owner)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	var roots []string
	// Folders that are an install, or the core of one, by device and inode: a link
	// that leads back makes no second site.
	taken := map[[2]uint64]bool{}
	add := func(rel string) {
		core, ok := findCore(t, rel)
		root, okRoot := inode(t, rel)
		if !ok || !okRoot || taken[root] {
			return
		}
		taken[root] = true
		if id, ok := inode(t, path.Join(rel, core)); ok {
			taken[id] = true
		}
		roots = append(roots, filepath.Join(t.Dir(), rel))
	}
	add(".")
	level, left := []string{"."}, maxFindEntries
	for range maxFindDepth {
		var next []string
		for _, dir := range level {
			entries, err := t.ReadDir(dir)
			if err != nil && dir == "." {
				return nil, err
			}
			for _, e := range entries {
				if left == 0 {
					return roots, nil
				}
				if !mayHoldSite(e) {
					continue
				}
				left--
				sub := path.Join(dir, e.Name())
				add(sub)
				next = append(next, sub)
			}
		}
		level = next
	}
	return roots, nil
}

func inode(t *Tree, rel string) ([2]uint64, bool) {
	info, err := t.Stat(rel)
	if err != nil {
		return [2]uint64{}, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return [2]uint64{}, false
	}
	return [2]uint64{uint64(st.Dev), st.Ino}, true
}

func mayHoldSite(e fs.DirEntry) bool {
	return (e.IsDir() || e.Type()&fs.ModeSymlink != 0) &&
		!strings.HasPrefix(e.Name(), ".") && !slices.Contains(notSites, strings.ToLower(e.Name()))
}

// isRoot says whether a folder holds WordPress's core: a link that is refused
// counts as none, since nothing below it could be read.
func isRoot(t *Tree, rel string) bool {
	for _, f := range []string{loader, versionFile} {
		if info, err := t.Stat(path.Join(rel, f)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// FindCore tells where below an install's root its core lies: "" for the root
// itself, "wp" with Bedrock and where WordPress has its own folder.
func FindCore(t *Tree) (core string, err error) {
	core, ok := findCore(t, ".")
	if !ok {
		return "", fmt.Errorf("no WordPress in %q: %s and %s are missing, and its index.php names no folder that has them", t.Dir(), loader, versionFile)
	}
	return core, nil
}

func findCore(t *Tree, dir string) (core string, ok bool) {
	// The index.php of the document root has the last word, that of a folder is
	// asked only where there is no core: there can be thousands.
	if dir != "." && isRoot(t, dir) {
		return "", true
	}
	if core, ok := coreFolder(t, dir); ok && isRoot(t, path.Join(dir, core)) {
		if core == "." {
			core = ""
		}
		return core, true
	}
	return "", isRoot(t, dir)
}

// coreFolder reads from a folder's index.php where the core lies.
func coreFolder(t *Tree, dir string) (string, bool) {
	b, err := t.ReadFile(path.Join(dir, "index.php"), maxIndexFile)
	if err != nil {
		return "", false
	}
	m := blogHeader.FindSubmatch(b)
	if m == nil {
		return "", false
	}
	rel := path.Clean(strings.TrimPrefix(strings.TrimPrefix(string(m[1]), filepath.Join(t.Dir(), dir)), "/"))
	return rel, filepath.IsLocal(rel)
}
