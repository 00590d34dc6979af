package journal

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is the kernel's own bound, path_resolution(7).
const maxLinks = 40

// openFolder opens the folder rel below a site's root. Every folder on the way must
// belong to root or one of the owners, and so must every link; a link is followed
// only to a folder that lies below the root too (wp-content -> app). A missing folder:
// fs.ErrNotExist.
func openFolder(root, rel string, owners []uint32) (*folder, error) {
	for range maxLinks {
		f, real, err := openReal(root, rel, owners)
		if err != nil || f != nil {
			return f, err
		}
		rel = real // and from the root again: every step of it is looked at
	}
	return nil, &RefusedError{What: fmt.Sprintf("%s goes through more than %d links", path.Join(root, rel), maxLinks)}
}

// openReal is openFolder up to the first link: then it gives the path without it.
func openReal(root, rel string, owners []uint32) (at *folder, real string, err error) {
	if at, err = openRoot(root); err != nil {
		return nil, "", err
	}
	top := at.path
	names := strings.Split(rel, "/")
	if rel == "." {
		names = nil
	}
	for i := 0; ; i++ {
		if err := at.trusted(owners); err != nil {
			at.close()
			return nil, "", err
		}
		if i == len(names) {
			return at, "", nil
		}
		next, err := enter(at.fd, names[i], path.Join(at.path, names[i]))
		if err != nil {
			defer at.close()
			if target, ok := within(root, top, at, names[i], owners); ok {
				return nil, path.Join(append([]string{target}, names[i+1:]...)...), nil
			}
			return nil, "", err
		}
		at.close()
		at = next
	}
}

// within is where a link in an open folder leads, relative to the site's root; false
// if it is no link, if somebody else made it, or if it leads out. root is the root's
// name, top where that really is.
func within(root, top string, at *folder, name string, owners []uint32) (string, bool) {
	link, err := identify(at.fd, name)
	if err != nil || link == nil || link.Type != "link" || link.uid != 0 && !slices.Contains(owners, link.uid) {
		return "", false
	}
	target, err := readlink(at.fd, name, path.Join(at.path, name))
	if err != nil {
		return "", false
	}
	rest := target
	for strings.HasPrefix(rest, "../") {
		rest = rest[len("../"):]
	}
	if strings.Contains("/"+rest+"/", "/../") && rest != ".." {
		return "", false // where that leads depends on what the name before it is
	}
	if !path.IsAbs(target) {
		// No name up to here is a link's, so ".." is what it looks like.
		target = path.Join(at.path, target)
	}
	for _, base := range []string{top, root} {
		if rel, err := filepath.Rel(base, path.Clean(target)); err == nil && filepath.IsLocal(rel) {
			return rel, true
		}
	}
	return "", false
}
