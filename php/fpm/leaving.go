package fpm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/php/process"
)

// leaving watches the workers of a master that is about to end them.
type leaving struct {
	begun   time.Time
	workers []leaver
}

// leaver is one worker, held by a descriptor so that its PID is never taken for another's.
type leaver struct {
	pid  int
	fd   int
	lost bool // of the pool whose requests do not count
	busy bool
}

// watch holds on to all workers that the master has now; lost is the pool whose requests do not count. A master may have
// other children: those of the start script that became it, and, as a container's first process, all orphans.
func (m Master) watch(lost string) (*leaving, error) {
	pids, err := children(m.Process.PID)
	if err != nil {
		return nil, err
	}
	l := &leaving{}
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			l.close()
			return nil, fmt.Errorf("watch worker %d: %w", pid, err)
		}
		p, err := process.Read(pid)
		if err != nil || p.PPID != m.Process.PID {
			_ = unix.Close(fd)
			continue
		}
		pool, worker := poolOf(p)
		if config, forked := configOf(p); !worker && (!forked || config != m.Config) {
			_ = unix.Close(fd)
			continue
		}
		l.workers = append(l.workers, leaver{pid: pid, fd: fd, lost: lost != "" && pool == lost})
	}
	return l, nil
}

// look counts who is at work, as quickly as can be: what follows is to happen before that changes.
func (l *leaving) look() (others, all int) {
	l.begun = time.Now()
	for i := range l.workers {
		w := &l.workers[i]
		if w.busy = !accepting(w.pid); w.busy {
			all++
			if !w.lost {
				others++
			}
		}
	}
	return others, all
}

func (l *leaving) close() {
	for _, w := range l.workers {
		_ = unix.Close(w.fd)
	}
}

// wait waits until all workers have gone, and counts those whose request did not get to its own end: within is how
// long FPM lets them finish. As long as one is left no pool of the master serves; so once all that are left are lost
// anyway, nobody waits for them any more: the one that hangs is often the very reason.
func (l *leaving) wait(ctx context.Context, within time.Duration) (ended int, err error) {
	left, forsaken := slices.Clone(l.workers), false
	for len(left) > 0 {
		if err := ctx.Err(); err != nil {
			return ended, fmt.Errorf("worker %d does not end: %w", left[0].pid, err)
		}
		if !forsaken && time.Since(l.begun) >= lull && !slices.ContainsFunc(left, func(w leaver) bool { return !w.lost }) {
			if err := kill(left); err != nil {
				return ended, err
			}
			forsaken = true
		}
		fds := make([]unix.PollFd, len(left))
		for i, w := range left {
			fds[i] = unix.PollFd{Fd: int32(w.fd), Events: unix.POLLIN}
		}
		if _, err := unix.Poll(fds, int(look/time.Millisecond)); err != nil && !errors.Is(err, unix.EINTR) {
			return ended, fmt.Errorf("wait for the workers: %w", err)
		}
		late := forsaken || time.Since(l.begun) >= within
		var still []leaver
		for i, w := range left {
			switch {
			case fds[i].Revents == 0:
				still = append(still, w)
			case w.busy && late:
				ended++
			}
		}
		left = still
	}
	return ended, nil
}

// kill ends what has not gone by itself.
func (l *leaving) kill() error { return kill(l.workers) }

func kill(workers []leaver) error {
	var errs []error
	for _, w := range workers {
		if err := unix.PidfdSendSignal(w.fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("end worker %d: %w", w.pid, err))
		}
	}
	return errors.Join(errs...)
}
