package fpm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"wpmend/php/process"
	"wpmend/php/transient"
)

// view is the part of the host's files that a private copy sees.
type view struct {
	Mounts   string // path of the mount namespace, "" for that of whoever forks
	Overlays []Overlay
	Scratch  string // an empty folder for them
}

// Prepare makes the calling thread ready to fork a private copy. It is what the program's helper needs to know of this
// package; see [transient.Help].
func Prepare(data []byte) error {
	var v view
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("what a private copy is to see: %w", err)
	}
	if err := joinMounts(v.Mounts); err != nil {
		return err
	}
	return lay(v.Overlays, v.Scratch)
}

// A private copy gets what the machine can spare, and is ended should a search of ours go on without end.
func privateBounds(data []byte) transient.Options {
	return transient.Options{Memory: "50%", Tasks: 512, Alone: true, Prepare: Prepare, Data: data}
}

// spawn starts cmd as a child that sees v. It is PID 1 of its own PID namespace, so nothing that it started outlives
// it, and it does not outlive us.
func spawn(ctx context.Context, cmd *exec.Cmd, v view) (*transient.Child, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	c, err := transient.Start(ctx, cmd, privateBounds(data))
	var far *transient.Refusal
	if errors.As(err, &far) {
		if why, ok := strings.CutPrefix(far.Text, ErrNoOverlay.Error()); ok {
			return nil, fmt.Errorf("%w%s", ErrNoOverlay, why)
		}
	}
	return c, err
}

// identity reads the child's. It is reaped as soon as it ends, so its PID may be another's by then.
func identity(c *transient.Child) (process.Process, error) {
	p, err := process.Read(c.PID)
	if err != nil {
		return process.Process{}, err
	}
	select {
	case <-c.Ended():
		return process.Process{}, fmt.Errorf("process %d: %w", p.PID, process.ErrGone)
	default:
		return p, nil
	}
}

// joinMounts moves the calling thread into another process's mount namespace, unless it is there already.
func joinMounts(mnt string) error {
	if mnt == "" {
		return nil
	}
	f, err := os.Open(mnt)
	if err != nil {
		return fmt.Errorf("open the mount namespace: %w", err)
	}
	defer f.Close()
	theirs, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open the mount namespace: %w", err)
	}
	if ours, err := os.Stat("/proc/thread-self/ns/mnt"); err == nil && os.SameFile(ours, theirs) {
		return nil
	}
	// setns(2): a thread that shares its root and working folder with others may not change its mounts.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leave the shared working folder: %w", err)
	}
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("join the mount namespace %s (needs CAP_SYS_ADMIN): %w", mnt, err)
	}
	return nil
}
