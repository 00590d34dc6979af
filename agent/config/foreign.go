package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// mostLinks is how many links a path may lead through, as of the kernel (path_resolution(7)).
const mostLinks = 40

// exchangeable refuses a file in whose place others than root and who runs wpmend could put another: by writing a folder
// on the way to it, from the root on, or by a link of theirs on this way. The file itself need not exist.
func exchangeable(file string) *Error {
	rest := steps(file)
	if !filepath.IsAbs(file) {
		from, err := os.Getwd()
		if err != nil {
			return unreadable(file, err)
		}
		rest = append(steps(from), rest...) // not filepath.Abs, which takes ".." behind a link for what lies before it
	}
	at, links := "/", 0
	for len(rest) > 0 {
		if fault := foreignFolder(at); fault != nil {
			return fault
		}
		next := filepath.Join(at, rest[0]) // at is without links, so that ".." is what lies above it
		rest = rest[1:]
		to, err := os.Readlink(next)
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrNotExist) && len(rest) == 0 {
			at = next
			continue
		}
		info, lerr := os.Lstat(next)
		if err = errors.Join(err, lerr); err != nil {
			return unreadable(next, err)
		}
		if fault := ofStranger(next, info); fault != nil { // in a folder like /tmp everybody can make one
			return fault
		}
		if links++; links > mostLinks {
			return unreadable(file, syscall.ELOOP)
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(steps(to), rest...)
	}
	return nil
}

func steps(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(step string) bool { return step == "" || step == "." })
}

func unreadable(file string, err error) *Error {
	return &Error{File: file, Msg: fmt.Sprintf("cannot read: %v", cause(err))}
}

// foreignFolder refuses a folder where somebody else could exchange a file.
func foreignFolder(dir string) *Error {
	info, err := os.Stat(dir)
	if err != nil {
		return unreadable(dir, err)
	}
	fault := foreign(dir, info)
	if fault != nil {
		fault.Remedy = "keep the configuration in a folder that only root writes, such as " + filepath.Dir(DefaultFile)
	}
	return fault
}

// foreign refuses what others than root and who runs wpmend may write, since whoever may set wpmend up may do what it
// may.
func foreign(file string, info fs.FileInfo) *Error {
	if fault := ofStranger(file, info); fault != nil {
		return fault
	}
	mode := info.Mode()
	if mode.IsDir() && mode&fs.ModeSticky != 0 {
		return nil // nobody exchanges another one's file there
	}
	if mode&0o002 != 0 || mode&0o020 != 0 && info.Sys().(*syscall.Stat_t).Gid != 0 {
		return &Error{File: file, Msg: fmt.Sprintf("others may write it (mode %04o), who could make wpmend do anything", mode.Perm()), Remedy: "chmod go-w " + shellQuoted(file)}
	}
	return nil
}

// ofStranger refuses what belongs to somebody else.
func ofStranger(file string, info fs.FileInfo) *Error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return &Error{File: file, Msg: "its owner cannot be told"}
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		chown := "chown root:root "
		if info.Mode()&fs.ModeSymlink != 0 {
			chown = "chown -h root:root "
		}
		return &Error{File: file, Msg: fmt.Sprintf("belongs to uid %d, who could make wpmend do anything", stat.Uid), Remedy: chown + shellQuoted(file)}
	}
	return nil
}

func shellQuoted(file string) string {
	return "'" + strings.ReplaceAll(file, "'", `'\''`) + "'"
}
