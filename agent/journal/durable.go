package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// seam lets a test stop, or fail, before and after each call that changes the disk.
type seam struct {
	hook func(op string) error
}

func (s seam) call(op string, act func() error) error {
	if s.hook != nil {
		if err := s.hook("before " + op); err != nil {
			return err
		}
	}
	if err := act(); err != nil {
		return err
	}
	if s.hook != nil {
		return s.hook("after " + op)
	}
	return nil
}

func (s seam) sync(what string, fd int) error {
	if err := s.call("fsync "+what, func() error { return eintr(func() error { return unix.Fsync(fd) }) }); err != nil {
		return fmt.Errorf("fsync %s: %w", what, err)
	}
	return nil
}

// eintr repeats a call that a signal interrupted: Go's own preemption signals do.
func eintr(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// temporary begins the name of a file that is being written.
const temporary = ".tmp-"

// Save replaces, or makes, a file of wpmend's own state so that after a crash
// either the old or the new content is there, whole. dir must be root's own.
func Save(dir, name string, data []byte) error {
	return seam{}.save(dir, name, data, 0)
}

// save writes a temporary file, syncs it, gives it its name and syncs the folder.
// flags are those of renameat2. The folder stays locked meanwhile, which keeps
// writers of one name apart; a temporary file that is found has no writer any more.
func (s seam) save(dir, name string, data []byte, flags uint) (err error) {
	folder, err := openOwn(dir)
	if err != nil {
		return err
	}
	defer unix.Close(folder)
	if err := eintr(func() error { return unix.Flock(folder, unix.LOCK_EX) }); err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	temp := temporary + name
	fd := -1
	err = s.call("create", func() error {
		return eintr(func() (err error) {
			fd, err = unix.Openat(folder, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
			return err
		})
	})
	if fd < 0 {
		return fmt.Errorf("create %s: %w", filepath.Join(dir, temp), err)
	}
	f := os.NewFile(uintptr(fd), temp)
	if err == nil {
		err = s.call("write", func() error { _, err := f.Write(data); return err })
	}
	if err == nil {
		err = s.sync("file", fd)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = s.call("rename", func() error {
			return eintr(func() error { return unix.Renameat2(folder, temp, folder, name, flags) })
		})
	}
	if err != nil {
		// The temporary file is gone if only the report of its renaming failed.
		if gone := unix.Unlinkat(folder, temp, 0); gone != nil && gone != unix.ENOENT {
			err = errors.Join(err, gone)
		}
		return fmt.Errorf("write %s: %w", filepath.Join(dir, name), err)
	}
	return s.sync("folder", folder)
}

// Clean removes the temporary files that dead writers of [Save] left in a folder.
func Clean(dir string) error { return seam{}.clean(dir) }

// clean removes the temporary files that dead writers left.
func (s seam) clean(dir string) error {
	folder, err := openOwn(dir)
	if err != nil {
		return err
	}
	defer unix.Close(folder)
	if err := eintr(func() error { return unix.Flock(folder, unix.LOCK_EX) }); err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporary) && e.Type().IsRegular() {
			err = errors.Join(err, s.call("unlink", func() error { return unix.Unlinkat(folder, e.Name(), 0) }))
		}
	}
	return err
}

// Prepare makes a folder for wpmend's own state (0700), with all that lead to it, each
// made durable, and refuses one that is not root's or lies where others could
// exchange it.
func Prepare(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%q is not an absolute path", dir)
	}
	dir = filepath.Clean(dir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) && dir != "/" {
		parent := filepath.Dir(dir)
		if err := makeFolders(parent); err != nil {
			return err
		}
		if err := makeFolder(dir, 0o700); err != nil {
			return err
		}
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err) // it names no file when one on the way is no folder
	}
	for above := filepath.Dir(real); ; above = filepath.Dir(above) {
		var st unix.Stat_t
		if err := unix.Stat(above, &st); err != nil {
			return &fs.PathError{Op: "stat", Path: above, Err: err}
		}
		// In a sticky folder (/tmp) only the owner of an entry can exchange it.
		if st.Uid != 0 || st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0 {
			return fmt.Errorf("%s: the folder %s above it is not root's alone (uid %d, mode %04o)", dir, above, st.Uid, st.Mode&0o7777)
		}
		if above == "/" {
			break
		}
	}
	fd, err := openOwn(dir)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func makeFolders(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFolders(filepath.Dir(dir)); err != nil {
		return err
	}
	return makeFolder(dir, 0o755)
}

func makeFolder(dir string, mode fs.FileMode) error {
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	above, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	return errors.Join(above.Sync(), above.Close())
}

// openOwn opens a folder that belongs to root and that nobody else may write.
func openOwn(dir string) (int, error) {
	fd := -1
	err := eintr(func() (err error) {
		fd, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 {
		unix.Close(fd)
		return -1, fmt.Errorf("%s must belong to root, with nobody else allowed to write there; it belongs to uid %d with mode %04o", dir, st.Uid, st.Mode&0o7777)
	}
	return fd, nil
}
