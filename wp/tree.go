package wp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxEntries bounds one folder: more than any WordPress folder holds, few
// enough to be read at once.
const maxEntries = 20_000

// Tree is one site's folder, opened once and read only. Paths are relative to
// it, slash-separated, and never leave it, except through a link that can be
// trusted: it, every folder above it down from the tree's and everything it
// leads through belong to root, the site's owner or the owner of the tree's
// folder, nobody else can write there, and whoever could have made the link
// could have read the target. Anything else gives [ErrRefused].
//
// Where others own what lies in it, or could have led here, only what the site's
// owner, or they, could read is read: nobody borrows root's eyes.
//
// Nothing is opened by a path twice, so a link that is exchanged meanwhile
// gains nothing. A Tree may be used by several goroutines, not during Close.
type Tree struct {
	dir     string
	root    place
	owner   uint32
	trusted []uint32 // the site's owner first
	group   *uint32  // which the site's user is in besides his own, if it is known
	leaders []uint32 // who could have led here by a link, and must be able to read what is read
}

// OpenTree opens a site's folder. Owner is the user id that the site's PHP runs
// as. Links on the way to dir are followed if root made them, or if the owner of
// what they lead to did, or the site's owner did and they lead to root's, and could
// have gone there himself.
func OpenTree(dir string, owner uint32) (*Tree, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open site folder %q: %w", dir, err)
	}
	top, err := openPlace(unix.AT_FDCWD, "/")
	if err != nil {
		return nil, fmt.Errorf("open /: %w", err)
	}
	w := walk{at: top}
	err = w.to(strings.Split(abs, "/"), true)
	if err == nil && !w.at.isDir() {
		err = unix.ENOTDIR
	}
	if err == nil {
		err = w.led(owner)
	}
	if err != nil {
		w.at.close()
		return nil, &fs.PathError{Op: "open site folder", Path: abs, Err: err}
	}
	w.at.name = abs
	t := &Tree{dir: abs, root: w.at, owner: owner, trusted: []uint32{owner}}
	for _, uid := range w.readers {
		if uid != w.at.st.Uid && !slices.Contains(t.leaders, uid) {
			t.leaders = append(t.leaders, uid)
		}
	}
	for _, uid := range []uint32{0, w.at.st.Uid} {
		if !slices.Contains(t.trusted, uid) {
			t.trusted = append(t.trusted, uid)
		}
	}
	return t, nil
}

// Dir is the folder's absolute path, as it was opened.
func (t *Tree) Dir() string { return t.dir }

// Owner is the user id that the site's PHP runs as.
func (t *Tree) Owner() uint32 { return t.owner }

// Close gives the folder's descriptor back.
func (t *Tree) Close() error {
	return unix.Close(t.root.fd)
}

// Lstat describes a file without following it if it is a link itself.
func (t *Tree) Lstat(rel string) (fs.FileInfo, error) { return t.stat("lstat", rel, false) }

// Stat describes a file, or what a trusted link leads to.
func (t *Tree) Stat(rel string) (fs.FileInfo, error) { return t.stat("stat", rel, true) }

func (t *Tree) stat(op, rel string, follow bool) (fs.FileInfo, error) {
	w, err := t.walk(op, rel, follow)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(w.at.fd), rel)
	defer f.Close()
	return f.Stat()
}

// ReadFile reads a regular file of at most limit bytes; a larger one, even if
// only by a hole, is an error that names both sizes. What is not a regular file
// (a FIFO, a device, a folder) is not opened.
func (t *Tree) ReadFile(rel string, limit int64) ([]byte, error) {
	b, size, err := t.read(rel, limit)
	if err == nil && size > limit {
		err = &fs.PathError{Op: "read", Path: t.path(rel), Err: fmt.Errorf("it has %d bytes, more than the %d that are read of such a file", size, limit)}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ReadHead reads at most the first limit bytes of a regular file.
func (t *Tree) ReadHead(rel string, limit int64) ([]byte, error) {
	b, _, err := t.read(rel, limit)
	if err != nil {
		return nil, err
	}
	return b[:min(int64(len(b)), limit)], nil
}

// ReadOwn is ReadFile of what the site's own user could read, being in group too:
// for what is handed to a process of his. [ErrRefused] if he could not.
func (t *Tree) ReadOwn(rel string, group uint32, limit int64) ([]byte, error) {
	own := *t
	own.leaders = append(slices.Clone(t.leaders), t.owner)
	own.group = &group
	return own.ReadFile(rel, limit)
}

// read gives up to limit bytes and the file's size: at least the number of bytes
// that were there when it was read. A file known to be larger is still read,
// since the caller may want its head.
func (t *Tree) read(rel string, limit int64) (b []byte, size int64, err error) {
	w, err := t.walk("read", rel, true)
	if err != nil {
		return nil, 0, err
	}
	defer w.at.close()
	fail := func(err error) ([]byte, int64, error) {
		return nil, 0, &fs.PathError{Op: "read", Path: t.path(rel), Err: err}
	}
	switch {
	case w.at.isDir():
		return fail(unix.EISDIR)
	case w.at.st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fail(errors.New("it is not a regular file"))
	}
	// A hard link needs no right to read: where the kernel does not protect them
	// (fs.protected_hardlinks), a customer can have one to root's files.
	if w.at.st.Nlink > 1 {
		w.readers = append(w.readers, t.owner)
	}
	if !slices.Contains(t.trusted, w.at.st.Uid) {
		w.always = append(w.always, t.owner)
	}
	if err := w.grants(4); err != nil {
		return fail(err)
	}
	// Through /proc it is this very inode that is opened, not what has its name now.
	f, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", w.at.fd), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return fail(errors.Unwrap(err))
	}
	defer f.Close()
	b, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return fail(errors.Unwrap(err))
	}
	return b, max(w.at.st.Size, int64(len(b))), nil
}

// ReadDir lists a folder, sorted by name. An entry's Info describes the entry
// itself, not what a link leads to. More than 20,000 entries are an error.
func (t *Tree) ReadDir(rel string) ([]fs.DirEntry, error) {
	w, err := t.walk("list", rel, true)
	if err != nil {
		return nil, err
	}
	defer w.at.close()
	fail := func(err error) ([]fs.DirEntry, error) {
		return nil, &fs.PathError{Op: "list", Path: t.path(rel), Err: err}
	}
	if err := w.grants(4); err != nil {
		return fail(err)
	}
	fd, err := retry(func() (int, error) {
		return unix.Openat(w.at.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return fail(err)
	}
	// os looks an entry up by the folder's name where the file system does not
	// tell types; through /proc that name stays this very folder.
	f := os.NewFile(uintptr(fd), fmt.Sprintf("/proc/self/fd/%d", fd))
	defer f.Close()
	found, err := f.ReadDir(maxEntries + 1)
	if err != nil && err != io.EOF {
		return fail(err)
	}
	if len(found) > maxEntries {
		return fail(fmt.Errorf("it holds more than %d entries", maxEntries))
	}
	slices.SortFunc(found, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for i, e := range found {
		found[i] = entry{DirEntry: e, tree: t, rel: path.Join(rel, e.Name())}
	}
	return found, nil
}

// entry asks its tree about itself: os would go by the path.
type entry struct {
	fs.DirEntry
	tree *Tree
	rel  string
}

func (e entry) Info() (fs.FileInfo, error) { return e.tree.Lstat(e.rel) }

func (t *Tree) walk(op, rel string, follow bool) (*walk, error) {
	clean := path.Clean(rel)
	if !filepath.IsLocal(clean) || strings.ContainsRune(rel, 0) {
		return nil, &fs.PathError{Op: op, Path: rel, Err: fmt.Errorf("%w: it is not a path inside %q", ErrRefused, t.dir)}
	}
	start, err := openPlace(t.root.fd, ".")
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: t.path(rel), Err: err}
	}
	start.name = t.dir
	w := &walk{at: start, trusted: t.trusted, always: slices.Clone(t.leaders), group: t.group}
	if err := w.to(strings.Split(clean, "/"), follow); err != nil {
		w.at.close()
		return nil, &fs.PathError{Op: op, Path: t.path(rel), Err: err}
	}
	return w, nil
}

func (t *Tree) path(rel string) string { return filepath.Join(t.dir, rel) }
