package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// The faults of the host. Each shows with a plugin that is broken by [Scribbler].
const (
	SessionsFull  Fault = "sessions-full"  // the disk with PHP's sessions has no room
	SessionInodes Fault = "session-inodes" // the disk with PHP's sessions has no inodes
)

// hostFault breaks the host as the site sees it; ok is false for other faults.
func (l *Lab) hostFault(site int, f Fault) (undo func() error, ok bool, err error) {
	options := ""
	switch f {
	case SessionsFull:
		options = "size=64k"
	case SessionInodes:
		options = "size=1m,nr_inodes=3"
	default:
		return nil, false, nil
	}
	undo, err = l.fullSessions(site, options)
	return undo, true, err
}

// fullSessions gives the pool a folder for sessions on a small disk of its own, and
// fills it. The guard unmounts what lies below the lab's folder.
func (l *Lab) fullSessions(site int, options string) (func() error, error) {
	dir := filepath.Join(l.Dir, "tmp", fmt.Sprintf("sessions%d", site))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options+",mode=1777"); err != nil {
		return nil, fmt.Errorf("mount a small disk: %w", err)
	}
	unmount := func() error { return errors.Join(syscall.Unmount(dir, syscall.MNT_DETACH), os.Remove(dir)) }
	for n := 0; ; n++ {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("fill%d", n)), make([]byte, 16<<10), 0o644); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			return nil, errors.Join(err, unmount())
		}
	}
	pool, err := l.repool(site, appending("php_admin_value[session.save_path] = "+dir))
	if err != nil {
		return nil, errors.Join(err, unmount())
	}
	return func() error { return errors.Join(pool(), unmount()) }, nil
}
