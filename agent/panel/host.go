package panel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/php/transient"
)

const (
	maxFile   = 1 << 20         // bytes of one of a panel's files
	maxOutput = 32 << 20        // bytes that a panel's command may say: 100 bytes for each of 300,000 domains
	maxTime   = 3 * time.Minute // for one command; Plesk writes the pools of all domains anew
	maxSites  = 100_000
)

// host is where a panel lies: the zero value is this machine, root a copy of its layout.
type host struct {
	root string
	own  []uint32 // users besides root whom a layout's files may belong to
	turn *os.File // what the panel's program is handed, nil: nothing
}

func (h host) at(path string) string { return h.root + path }

// trusted is nil when path and every folder above it, below the layout's root, belong to root or to one of users and
// nobody else can write there. Group write is allowed for root's group alone: Hestia keeps its accounts 0660.
func (h host) trusted(path string, users ...uint32) error {
	owners := append(append(slices.Clone(users), 0), h.own...)
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Lstat(h.at(at))
		if err != nil {
			return err
		}
		sys, ok := info.Sys().(*syscall.Stat_t)
		perm := info.Mode().Perm()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a symbolic link", at)
		case !ok || !slices.Contains(owners, sys.Uid):
			return fmt.Errorf("%s does not belong to root", at)
		case perm&0o002 != 0 || perm&0o020 != 0 && sys.Gid != 0 && !slices.Contains(users, sys.Gid):
			return fmt.Errorf("%s can be written by others (mode %04o)", at, perm)
		}
		if at == "/" || at == "." {
			return nil
		}
	}
}

// has says that a trusted file or folder is there.
func (h host) has(path string, users ...uint32) bool { return h.trusted(path, users...) == nil }

// read reads a small regular file that is trusted.
func (h host) read(path string, users ...uint32) ([]byte, error) {
	if err := h.trusted(path, users...); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(h.at(path), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is no regular file", path))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return text, err
}

// readIf is read, with nil for a file that does not exist.
func (h host) readIf(path string, users ...uint32) ([]byte, error) {
	text, err := h.read(path, users...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && text == nil {
		text = []byte{}
	}
	return text, err
}

// folders lists the folders in a trusted one.
func (h host) folders(path string, users ...uint32) ([]string, error) {
	if err := h.trusted(path, users...); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(h.at(path))
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// run runs one of a panel's programs as root and gives what it wrote. It must be root's own; a link, as cPanel has them
// for the many names of one program, counts where it lies in root's own folder and leads to such a program.
func (h host) run(ctx context.Context, program string, args ...string) ([]byte, error) {
	target, err := h.program(program)
	if err != nil {
		return nil, &Error{program, err.Error(), "see who may write there, or reinstall the panel"}
	}
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, target, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/bash", "LC_ALL=C.UTF-8"}
	if h.turn != nil {
		cmd.ExtraFiles = []*os.File{h.turn}
	}
	var out, complaints bounded
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = transient.Run(ctx, cmd, transient.Options{Time: maxTime})
	said := strings.Join(append([]string{program}, args...), " ")
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s did not end within %s", said, maxTime)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: %s", said, err, brief(append(complaints.text, out.text...)))
	case out.more:
		return nil, fmt.Errorf("%s says more than %d bytes", said, maxOutput)
	}
	return out.text, nil
}

// program is the path to run a panel's program by.
func (h host) program(path string) (string, error) {
	if h.root != "" {
		return h.at(path), nil
	}
	if err := h.trusted(filepath.Dir(path)); err != nil {
		return "", fmt.Errorf("%s is not run as root: %w", path, err)
	}
	target, err := filepath.EvalSymlinks(path)
	if err == nil {
		err = h.trusted(target)
	}
	if info, statErr := os.Stat(target); err == nil && (statErr != nil || !info.Mode().IsRegular()) {
		err = errors.Join(statErr, errors.New("it is no regular file"))
	}
	if err != nil {
		return "", fmt.Errorf("%s is not run as root: %w", path, err)
	}
	return path, nil
}

// bounded keeps the first bytes of an output.
type bounded struct {
	text []byte
	more bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := min(maxOutput-len(b.text), len(p))
	b.text = append(b.text, p[:room]...)
	b.more = b.more || room < len(p)
	return len(p), nil
}

// brief is the end of what a program said, fit for a message.
func brief(text []byte) string {
	text = bytes.TrimSpace(bytes.ToValidUTF8(text, []byte("?")))
	if len(text) > 400 {
		text = append([]byte("…"), bytes.ToValidUTF8(text[len(text)-400:], nil)...)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, string(text))
}
