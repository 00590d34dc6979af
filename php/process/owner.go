package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// SpeaksForHost is nil when what the process says of itself may be believed for the whole host: it runs as root (real
// and effective), in our user namespace and below our root folder, from a binary that root owns, nobody else can replace
// and nobody else can start as root. Otherwise the error says which of these does not hold. A binary that an upgrade replaced while it ran is
// judged by the path that it had.
func (p Process) SpeaksForHost() error {
	if err := p.speaks(); err != nil {
		return fmt.Errorf("process %d does not speak for the host: %w", p.PID, err)
	}
	return nil
}

func (p Process) speaks() error {
	if p.PID <= 0 || !p.Alive() {
		return ErrGone
	}
	dir := filepath.Join(procfs, strconv.Itoa(p.PID))
	status, err := readFile(filepath.Join(dir, "status"))
	if err != nil {
		return gone(p.PID, err)
	}
	real, effective, err := parseUIDs(status)
	if err != nil {
		return err
	}
	if real != 0 || effective != 0 {
		return fmt.Errorf("it runs as uid %d (effective %d), not as root", real, effective)
	}
	if err := sameUserNamespace(dir); err != nil {
		return err
	}
	// A container without a user namespace has a root of its own, and its binaries are not the host's.
	if !sameFile(filepath.Join(dir, "root")+"/", "/") {
		return errors.New("it has another root folder (container or chroot)")
	}
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		return fmt.Errorf("its binary cannot be read: %w", err)
	}
	path := p.Exe
	if exe == path && !sameFile(filepath.Join(dir, "exe"), path) {
		return fmt.Errorf("%s is another file for it than for the host", path)
	}
	if exe != path && exe != path+" (deleted)" {
		return fmt.Errorf("it runs %s now, no longer %s", exe, path)
	}
	if err := RootOnly(path); err != nil {
		return err
	}
	running, err := os.Stat(filepath.Join(dir, "exe"))
	if err != nil {
		return gone(p.PID, err)
	}
	// sudo, su and their like become root by both ids while they still wait for a password.
	if running.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		return fmt.Errorf("anybody can start %s as root (setuid), by any name", path)
	}
	if !p.Alive() {
		return ErrGone
	}
	return nil
}

func sameUserNamespace(dir string) error {
	theirs, err := os.Readlink(filepath.Join(dir, "ns/user"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without user namespaces has only one
	}
	if err != nil {
		return fmt.Errorf("its user namespace cannot be read: %w", err)
	}
	ours, err := os.Readlink(filepath.Join(procfs, "self/ns/user"))
	if err != nil {
		return fmt.Errorf("read our user namespace: %w", err)
	}
	if theirs != ours {
		return errors.New("it lives in another user namespace, where root may be anybody")
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// RootOnly is nil when path is a regular file that, with every folder above it, belongs to root and can be written by
// nobody else. Symbolic links are refused, because the link's target would have to be asked too; a sticky folder is
// refused, because anybody can create names in it before root does.
func RootOnly(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return fmt.Errorf("%q is not a clean absolute path", path)
	}
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if err := rootOnly(at, info, at == path); err != nil {
			return err
		}
		if at == "/" {
			return nil
		}
	}
}

func rootOnly(path string, info fs.FileInfo, leaf bool) error {
	if leaf && !info.Mode().IsRegular() || !leaf && !info.IsDir() {
		return fmt.Errorf("%s is a %s", path, kind(info.Mode()))
	}
	// With an access control list the group bits hold its mask, so a list that lets others write is seen here too.
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written by others than root (mode %04o)", path, info.Mode().Perm())
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || sys.Uid != 0 {
		return fmt.Errorf("%s does not belong to root", path)
	}
	return nil
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode.IsRegular():
		return "regular file"
	}
	return "special file"
}
