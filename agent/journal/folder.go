package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// folder is an open folder of a site.
type folder struct {
	fd   int
	path string // for messages
	dev  uint64
	uid  uint32
	gid  uint32
	mode uint32
}

func (f *folder) close() { unix.Close(f.fd) }

// enter opens a real folder in an open one. A link is an error, whoever made it:
// no change ever goes through one.
func enter(dir int, name, whole string) (*folder, error) {
	fd := -1
	err := eintr(func() (err error) {
		fd, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err == unix.ENOTDIR || err == unix.ELOOP {
		refused := &RefusedError{What: whole + " is not a folder", Do: "put the real folder in its place, or make the change by hand"}
		if o, serr := identify(dir, name); serr == nil && o != nil && o.Type == "link" {
			refused.What = whole + " is a link, and no change is made through a link"
		}
		return nil, refused
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: whole, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "stat", Path: whole, Err: err}
	}
	return &folder{fd: fd, path: whole, dev: st.Dev, uid: st.Uid, gid: st.Gid, mode: st.Mode}, nil
}

func (f *folder) trusted(owners []uint32) error {
	if f.uid == 0 || slices.Contains(owners, f.uid) {
		return nil
	}
	return &RefusedError{What: fmt.Sprintf("the folder %s belongs to uid %d, which is neither root nor the site's owner", f.path, f.uid),
		Do: "see who put it there"}
}

// empty says whether an open folder holds nothing.
func (f *folder) empty() (bool, error) {
	fd, err := unix.Openat(f.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, &fs.PathError{Op: "open", Path: f.path, Err: err}
	}
	dir := os.NewFile(uintptr(fd), f.path)
	defer dir.Close()
	_, err = dir.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// checkRel refuses what is not the plain name of something below a site's root.
func checkRel(rel string) error {
	switch {
	case rel == "" || rel == "." || path.IsAbs(rel) || path.Clean(rel) != rel || rel == ".." || strings.HasPrefix(rel, "../"):
		return fmt.Errorf("%q is not a clean path below the site's root", rel)
	case strings.ContainsRune(rel, 0):
		return fmt.Errorf("%q holds a NUL", rel)
	case !utf8.ValidString(rel):
		return fmt.Errorf("%q is not valid UTF-8, so the journal could not hold it", rel)
	}
	for name := range strings.SplitSeq(rel, "/") {
		if len(name) > unix.NAME_MAX {
			return fmt.Errorf("a name in %q is longer than %d bytes", rel, unix.NAME_MAX)
		}
	}
	return nil
}
