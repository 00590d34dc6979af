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
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Identity tells one file system object from another that has taken its name. The
// kernel reuses inode numbers at once, so the time of birth counts too, where the
// file system keeps it; device numbers may change with the next boot, so they count
// only within one.
type Identity struct {
	Dev  uint64    `json:"dev"`
	Ino  uint64    `json:"ino"`
	Born time.Time `json:"born,omitzero"`
	Boot string    `json:"boot,omitempty"` // /proc/sys/kernel/random/boot_id when it was seen
	Type string    `json:"type"`           // folder, file or link
}

func (i Identity) is(other Identity) bool {
	born := !i.Born.IsZero() && !other.Born.IsZero() // both are known
	switch {
	case i.Ino != other.Ino, i.Type != other.Type, born && !i.Born.Equal(other.Born):
		return false
	}
	return i.Dev == other.Dev || born && i.Boot != other.Boot
}

func (i Identity) String() string {
	return fmt.Sprintf("%s, inode %d on device %d", i.Type, i.Ino, i.Dev)
}

// object is what lies under one name.
type object struct {
	Identity
	uid uint32
}

// identify describes name in an open folder, without following it. Absent: nil, nil.
func identify(dir int, name string) (*object, error) {
	var st unix.Statx_t
	err := eintr(func() error {
		return unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	})
	if err == unix.ENOENT {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := &object{uid: st.Uid, Identity: Identity{Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino, Boot: boot(), Type: "special file"}}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		o.Type = "folder"
	case unix.S_IFREG:
		o.Type = "file"
	case unix.S_IFLNK:
		o.Type = "link"
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		o.Born = time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)).UTC()
	}
	return o, nil
}

func boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

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

// openRoot opens a site's root folder from / on, one name at a time. A link on the
// way counts if root made it where nobody else could; a link of another user counts
// only if it leads to a root folder of his own: nobody can lead wpmend into what is
// not his.
func openRoot(root string) (*folder, error) {
	at, err := enter(unix.AT_FDCWD, "/", "/")
	if err != nil {
		return nil, err
	}
	w := way{names: strings.Split(root, "/")}
	for len(w.names) > 0 && err == nil {
		at, err = w.step(at)
	}
	if err == nil {
		for _, maker := range w.makers {
			if maker != at.uid {
				err = &RefusedError{What: fmt.Sprintf("the way to %s goes through a link that uid %d could have made, but the folder belongs to uid %d", root, maker, at.uid),
					Do: "let the gateway's configuration name the real folder"}
			}
		}
	}
	if err != nil {
		at.close()
		return nil, err
	}
	return at, nil
}

// way is the rest of a way from / to a site's root.
type way struct {
	names   []string
	links   int
	passed  []uint32 // who, other than root, owns a folder that was passed
	makers  []uint32 // who, other than root, could have made a link that was followed
	writers error    // the first folder that others than its owner may write
}

// step goes on by one name. The folder that it leaves is closed; on an error the
// one that it came from is given back.
func (w *way) step(at *folder) (*folder, error) {
	name := w.names[0]
	w.names = w.names[1:]
	if name == "" || name == "." {
		return at, nil
	}
	whole := path.Join(at.path, name)
	o, err := identify(at.fd, name)
	if err == nil && o == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return at, &fs.PathError{Op: "open", Path: whole, Err: err}
	}
	w.pass(at)
	if o.Type == "link" {
		target, err := w.follow(at, name, o)
		if err != nil {
			return at, err
		}
		w.names = append(strings.Split(target, "/"), w.names...)
		if !path.IsAbs(target) {
			return at, nil
		}
		name, whole = "/", "/"
	}
	next, err := enter(at.fd, name, whole)
	if err != nil {
		return at, err
	}
	at.close()
	return next, nil
}

func (w *way) pass(f *folder) {
	if f.uid != 0 {
		w.passed = append(w.passed, f.uid)
	}
	// In a sticky folder (/tmp) only the owner of an entry can exchange it.
	if f.mode&0o022 != 0 && f.mode&unix.S_ISVTX == 0 && w.writers == nil {
		w.writers = fmt.Errorf("others may write in %s (mode %04o)", f.path, f.mode&0o7777)
	}
}

func (w *way) follow(at *folder, name string, link *object) (string, error) {
	whole := path.Join(at.path, name)
	// The kernel's own bound, path_resolution(7).
	if w.links++; w.links > 40 {
		return "", &fs.PathError{Op: "open", Path: whole, Err: unix.ELOOP}
	}
	if w.writers != nil {
		return "", &RefusedError{What: fmt.Sprintf("%s is a link on the way to the site's root, and %v", whole, w.writers),
			Do: "let the gateway's configuration name the real folder"}
	}
	if link.uid != 0 {
		w.makers = append(w.makers, link.uid)
	}
	// Who owns a folder above cannot make a link of root's, but choose among those there are.
	w.makers = append(w.makers, w.passed...)
	return readlink(at.fd, name, whole)
}

func readlink(dir int, name, whole string) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, target)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: whole, Err: err}
	}
	return string(target[:n]), nil
}

// openFolder opens the folder rel below a site's root. Every folder on the way must
// be a real one and belong to root or one of the owners. A missing one: fs.ErrNotExist.
func openFolder(root, rel string, owners []uint32) (*folder, error) {
	at, err := openRoot(root)
	if err != nil {
		return nil, err
	}
	if err := at.trusted(owners); err != nil {
		at.close()
		return nil, err
	}
	if rel == "." {
		return at, nil
	}
	for name := range strings.SplitSeq(rel, "/") {
		next, err := enter(at.fd, name, path.Join(at.path, name))
		at.close()
		if err != nil {
			return nil, err
		}
		at = next
		if err := at.trusted(owners); err != nil {
			at.close()
			return nil, err
		}
	}
	return at, nil
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
