package errlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many of root's own links lie on one path at most, as in the kernel.
const maxLinks = 40

// openLog opens a regular file for reading, without waiting and without being led astray.
//
// A log can lie in a customer's folder, and the reader may be root. So the path is walked folder by folder: a link
// is followed only while it and everything above it belong to root and nobody else may replace it (/var/log
// → /data/log); the file itself may be no link at all. A named pipe without a writer does not block.
func openLog(path string) (*os.File, unix.Stat_t, error) {
	var st unix.Stat_t
	if !filepath.IsAbs(path) || strings.IndexByte(path, 0) >= 0 {
		return nil, st, fmt.Errorf("log %q: not an absolute path", path)
	}
	dir, err := openFolder(path)
	if err != nil {
		return nil, st, err
	}
	defer unix.Close(dir)
	base := filepath.Base(filepath.Clean(path))
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Openat(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	})
	if err != nil {
		if kindErr := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); kindErr == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
			return nil, st, notRegular(path, st)
		}
		return nil, st, &fs.PathError{Op: "open log", Path: path, Err: err}
	}
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, st, &fs.PathError{Op: "stat log", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, st, notRegular(path, st)
	}
	if err := oneOfTheirs(dir, st); err != nil {
		unix.Close(fd)
		return nil, st, &fs.PathError{Op: "open log", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), st, nil
}

// oneOfTheirs refuses a hard link that whoever owns the folder has made to another's file: where the kernel does not
// protect them (fs.protected_hardlinks) it needs no right to read.
func oneOfTheirs(dir int, log unix.Stat_t) error {
	if log.Nlink < 2 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return err
	}
	if !onlyRootChanges(st) && log.Uid != st.Uid {
		return fmt.Errorf("it has another name (a hard link) and belongs to uid %d, the folder to uid %d", log.Uid, st.Uid)
	}
	return nil
}

// openFolder walks to the folder that holds path.
func openFolder(path string) (int, error) {
	fail := func(err error) (int, error) {
		return -1, &fs.PathError{Op: "open log folder", Path: filepath.Dir(path), Err: err}
	}
	var st unix.Stat_t
	dir, err := openDir(unix.AT_FDCWD, "/", &st)
	if err != nil {
		return fail(err)
	}
	trusted := onlyRootChanges(st)
	names := folders(filepath.Dir(filepath.Clean(path)))
	for links := 0; len(names) > 0; {
		name := names[0]
		names = names[1:]
		next, err := openDir(dir, name, &st)
		if err == nil {
			unix.Close(dir)
			dir, trusted = next, trusted && onlyRootChanges(st)
			continue
		}
		target, linkErr := readLink(dir, name, trusted)
		if errors.Is(linkErr, unix.EINVAL) { // no link: opening failed for its own reason
			linkErr = err
		}
		if links++; linkErr == nil && links > maxLinks {
			linkErr = unix.ELOOP
		}
		if linkErr != nil {
			unix.Close(dir)
			return fail(linkErr)
		}
		names = append(folders(target), names...)
		if filepath.IsAbs(target) {
			unix.Close(dir)
			if dir, err = openDir(unix.AT_FDCWD, "/", &st); err != nil {
				return fail(err)
			}
			trusted = onlyRootChanges(st)
		}
	}
	return dir, nil
}

func openDir(at int, name string, st *unix.Stat_t) (int, error) {
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return -1, err
	}
	if err := unix.Fstat(fd, st); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// errForeignLink is why a link on the way to a log is not followed.
var errForeignLink = errors.New("a symbolic link on the way does not belong to root alone; give the real path")

// readLink reads the link name in dir; EINVAL if it is none. Owner and target are those of one and the same link, even
// if another takes its place meanwhile.
func readLink(dir int, name string, trusted bool) (string, error) {
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", unix.EINVAL
	}
	if !trusted || st.Uid != 0 {
		return "", errForeignLink
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// onlyRootChanges reports whether nobody but root can replace root's entries of a folder: the sticky bit keeps
// others from it in /tmp and its like.
func onlyRootChanges(st unix.Stat_t) bool {
	return st.Uid == 0 && (st.Mode&0o022 == 0 || st.Mode&unix.S_ISVTX != 0)
}

func folders(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

func ignoringEINTR(open func() (int, error)) (int, error) {
	for {
		fd, err := open()
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// notRegular names what lies in the place of a log.
func notRegular(path string, st unix.Stat_t) error {
	kind := "a special file"
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		kind = "a symbolic link"
	case unix.S_IFDIR:
		kind = "a folder"
	case unix.S_IFIFO:
		kind = "a named pipe"
	case unix.S_IFSOCK:
		kind = "a socket"
	case unix.S_IFCHR, unix.S_IFBLK:
		kind = "a device"
	}
	return fmt.Errorf("log %s is %s, not a regular file; it is not read", path, kind)
}
