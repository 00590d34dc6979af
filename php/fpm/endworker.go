package fpm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/php/process"
)

const (
	// politely is how long a worker may take to die of SIGTERM. FPM's workers keep that signal's default action
	// (fpm_signals_init_child), so only one that stands in the kernel, or whose code caught it, takes longer.
	politely = 2 * time.Second
	// replaced is how long FPM may take to have a new worker.
	replaced = 3 * time.Second
	// dying bounds the wait for a killed worker: one that waits for a dead disk or NFS server cannot die.
	dying = 10 * time.Second
)

// ErrNotWorker says that a process is no worker of this master and pool, or no longer.
var ErrNotWorker = errors.New("is no worker of this pool")

// EndWorker ends one worker of a running master: pid and start (as [process.Process] has it) of a child of exactly
// this master with exactly this pool's title, nothing else ever. It costs the one request that the worker is at. It
// returns when the worker has gone and FPM has another in its place, where its pm wants one.
func (m Master) EndWorker(ctx context.Context, pool string, pid int, start uint64) error {
	p, ok := m.Pool(pool)
	if !ok {
		fresh, err := loadWith(m)
		if err != nil {
			return err
		}
		if p, ok = fresh.Pool(pool); !ok {
			return fmt.Errorf("end worker %d: php-fpm with %s has no pool %q", pid, m.Config, pool)
		}
	}
	if err := m.Process.SpeaksForHost(); err != nil {
		return fmt.Errorf("end worker %d: its master: %w", pid, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("process %d %w", pid, ErrNotWorker)
	}
	if err != nil {
		return fmt.Errorf("end worker %d: %w", pid, err)
	}
	defer unix.Close(fd)
	worker, err := process.Read(pid)
	if err != nil || worker.Start != start || worker.PPID != m.Process.PID || !m.Process.Alive() {
		return fmt.Errorf("process %d %w", pid, ErrNotWorker)
	}
	if title, ok := poolOf(worker); !ok || title != p.Name {
		return fmt.Errorf("process %d %w", pid, ErrNotWorker)
	}
	before := m.workersOf(p.Name)
	for _, s := range []struct {
		signal unix.Signal
		within time.Duration
	}{{unix.SIGTERM, politely}, {unix.SIGKILL, dying}} {
		if err := unix.PidfdSendSignal(fd, s.signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end worker %d: %w", pid, err)
		}
		ended, err := exited(ctx, fd, s.within)
		if err != nil {
			return fmt.Errorf("end worker %d: %w", pid, err)
		}
		if ended {
			return m.refilled(ctx, p, before)
		}
	}
	return fmt.Errorf("worker %d does not die: it stands in the kernel, waiting for a disk or a network file system", pid)
}

// exited waits for the end of the process behind a descriptor.
func exited(ctx context.Context, fd int, within time.Duration) (bool, error) {
	for until := time.Now().Add(within); time.Now().Before(until); {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(look/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, err
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, nil
}

// refilled waits until the pool has as many workers as before. An ondemand pool gets its next one with the next
// request, and a dynamic one may have had more than it wants to spare.
func (m Master) refilled(ctx context.Context, p Pool, before int) error {
	want := before
	switch kind, _ := p.Get("pm"); kind {
	case "ondemand":
		return nil
	case "dynamic":
		want = 1
	}
	for until := time.Now().Add(replaced); m.workersOf(p.Name) < want; {
		if !m.Process.Alive() {
			return errors.New("the worker is gone, and its master with it")
		}
		if time.Now().After(until) {
			return fmt.Errorf("the worker is gone, but pool %s has no other in its place after %s: see the log of PHP-FPM", p.Name, replaced)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
	return nil
}

// workersOf counts the workers of one pool.
func (m Master) workersOf(pool string) (n int) {
	pids, err := children(m.Process.PID)
	if err != nil {
		return 0
	}
	for _, pid := range pids {
		if p, err := process.Read(pid); err == nil {
			if title, ok := poolOf(p); ok && title == pool {
				n++
			}
		}
	}
	return n
}
