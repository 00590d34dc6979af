package fpm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// openNames opens a path by its names from the root folder on, without any right but to name it (O_PATH). A link on the
// way is an error.
func openNames(path string) (*os.File, error) {
	at, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/", Err: err}
	}
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		unix.Close(at)
		if err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		at = next
		var st unix.Stat_t
		if err := unix.Fstat(at, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK {
			unix.Close(at)
			return nil, &os.PathError{Op: "open", Path: path, Err: errors.Join(err, fmt.Errorf("%s is a link", name))}
		}
	}
	return os.NewFile(uintptr(at), path), nil
}

// handle names an open file for calls that take paths: it stays this very file, whatever has its name by then.
func handle(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// mountID is the number of the mount in which an open file lies, as the mount table counts them (Linux 3.15).
func mountID(f *os.File) (int, error) {
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strconv.Atoi(strings.TrimSpace(rest))
		}
	}
	return 0, fmt.Errorf("the kernel does not say in which mount %s lies", f.Name())
}

func likeness(of *os.File, dir string) error { return likenessOf(int(of.Fd()), dir) }

// likenessOf gives dir the owner, mode, access lists, labels and times of an open folder: an overlay shows those of its
// upper folder, and the site's user must not gain a right by it.
func likenessOf(fd int, dir string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return unix.ENOTDIR
	}
	if err := unix.Chown(dir, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(dir, st.Mode&0o7777); err != nil {
		return err
	}
	if err := copyAttributes("/proc/self/fd/"+strconv.Itoa(fd), dir); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, dir, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// copyAttributes copies extended attributes. Those that decide about access must arrive; others (user.*) are told to be
// lost by a tmpfs before Linux 6.6, and no harm comes of it.
func copyAttributes(from, to string) error {
	names := make([]byte, 64<<10)
	n, err := unix.Listxattr(from, names)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the attributes: %w", err)
	}
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if name == "" || strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		size, err := unix.Getxattr(from, name, value)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err == nil {
			err = unix.Setxattr(to, name, value[:size], 0)
		}
		if err != nil && (strings.HasPrefix(name, "system.") || strings.HasPrefix(name, "security.")) {
			return fmt.Errorf("copy the attribute %s of %s: %w", name, filepath.Base(from), err)
		}
	}
	return nil
}
