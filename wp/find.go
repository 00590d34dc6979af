package wp

import (
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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

// FindRoots finds the WordPress installs that a document root serves: itself,
// the core's folder that its index.php names, and those in subfolders, two deep.
// Owner is the user id that PHP runs as. The folders are absolute, docroot first.
// A folder that cannot be read holds none; only docroot itself must be readable.
func FindRoots(docroot string, owner uint32) ([]string, error) {
	t, err := OpenTree(docroot, owner)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	var roots []string
	add := func(rel string) {
		if dir := filepath.Join(t.Dir(), rel); !slices.Contains(roots, dir) && isRoot(t, rel) {
			roots = append(roots, dir)
		}
	}
	add(".")
	if core, ok := coreFolder(t); ok {
		add(core)
	}
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

// coreFolder reads from the document root's index.php where the core lies.
func coreFolder(t *Tree) (string, bool) {
	b, err := t.ReadFile("index.php", maxIndexFile)
	if err != nil {
		return "", false
	}
	m := blogHeader.FindSubmatch(b)
	if m == nil {
		return "", false
	}
	rel := path.Clean(strings.TrimPrefix(strings.TrimPrefix(string(m[1]), t.Dir()), "/"))
	return rel, filepath.IsLocal(rel)
}
