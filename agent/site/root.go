package site

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// plainly is a document root without detours. One that goes up again may have been made of a customer's own words,
// and leads only to what is his or root's; what is a process's view of the host leads nowhere.
func plainly(dir string, owner uint32) (string, error) {
	clean := filepath.Clean(dir)
	if !filepath.IsAbs(dir) || clean == "/proc" || strings.HasPrefix(clean, "/proc/") {
		return "", fmt.Errorf("the document root %q is left out: it is no plain path of the host's", dir)
	}
	if !slices.Contains(strings.Split(dir, "/"), "..") {
		return clean, nil
	}
	// Behind a link .. is elsewhere than it reads.
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("the document root %q: %w", dir, err)
	}
	if uid, ok := ownerOf(real); !ok || uid != owner && uid != 0 {
		return "", fmt.Errorf("the document root %q is left out: by .. it leads to what belongs to another than the user of its pool; write it without", dir)
	}
	return real, nil
}

// ofOwners leaves out those sites whose folder belongs to the user of another site that is the same folder: a vhost of
// one customer's has come to name another's root, and what his pool makes of it says nothing of the site.
func (h *Host) ofOwners(sites []*Site) []*Site {
	byFolder := map[folder][]*Site{}
	for _, s := range sites {
		f := identify(s.Root)
		byFolder[f] = append(byFolder[f], s)
	}
	return slices.DeleteFunc(sites, func(s *Site) bool {
		same := byFolder[identify(s.Root)]
		if len(same) < 2 {
			return false
		}
		uid, ok := ownerOf(s.Root)
		if !ok || uid == s.Owner || !slices.ContainsFunc(same, func(o *Site) bool { return o.Owner == uid }) {
			return false
		}
		h.Problems = append(h.Problems, fmt.Sprintf("%s of %s is left out: the folder belongs to the user of another pool, which serves it too", s.Root, s.Domain))
		return true
	})
}

func ownerOf(path string) (uint32, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return sys.Uid, true
}
