package fpm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/php/errlog"
	"wpmend/php/process"
)

const (
	// terminating is how long FPM gets to end itself after SIGTERM, by which it ends its workers at once.
	terminating = 5 * time.Second
	// supervised is how long whoever started a master gets to start it again.
	supervised = 1500 * time.Millisecond
)

// Restart ends a running master and starts it again. All that a reload does not reach begins anew: the sockets with
// their owner, mode and backlog, the master's own memory. The configuration is tested first: with one that fails the
// old master goes on.
//
// What is lost: requests that run, unless process_control_timeout lets them finish; those in the queues of the pools;
// and those that come until it runs again, since nobody listens then. Where a reload does, it is better: with a
// process_control_timeout it loses nothing.
//
// Under systemd the unit is restarted, after a reset of what made systemd give up on it. Otherwise the master gets
// SIGQUIT where its requests may finish, SIGTERM, SIGKILL, and is started by [Start], unless who started it before
// was quicker. Once it has begun, a cancelled ctx does not stop it: PHP would be left ended.
func (m Master) Restart(ctx context.Context, allow Allow) (Effect, error) {
	if m.Process.PID == 1 {
		return Effect{}, fmt.Errorf("php-fpm (%s) is not ended: it is the first process here, and the container would end with it; restart the container", m.Config)
	}
	ctx, cancel := context.WithTimeout(ctx, m.bound(allow)+terminating)
	defer cancel()
	m, err := m.ready(ctx)
	if err != nil {
		return Effect{}, fmt.Errorf("restart php-fpm: %w", err)
	}
	if _, _, err := m.StartPlan(); err != nil {
		return Effect{}, fmt.Errorf("php-fpm (%s) is not ended: %w", m.Config, err)
	}
	unit := m.byUnit(ctx)
	mark, _ := errlog.MarkFile(m.ErrorLog)
	c, watch, err := m.quiet(ctx, allow)
	if err != nil {
		return Effect{}, fmt.Errorf("restart php-fpm (%s): %w", m.Config, err)
	}
	defer watch.close()
	if err := ctx.Err(); err != nil {
		return Effect{}, fmt.Errorf("restart php-fpm (%s): %w", m.Config, err)
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), m.bound(Allow{})+terminating)
	defer done()
	c.Lost += c.Waiting
	c.Why = c.words("a restart")
	e := Effect{Cost: c}
	finished := false
	if c.Kept && c.Running > 0 {
		if e.Ended, finished, err = m.finish(ctx, watch, c.Within); err != nil {
			return e, fmt.Errorf("restart php-fpm (%s): %w", m.Config, err)
		}
	}
	if unit {
		e.Master, e.Notes, err = m.restartUnit(ctx)
	} else {
		e.Master, err = m.startAnew(ctx, watch)
	}
	if err != nil {
		return e, fmt.Errorf("php-fpm (%s) was restarted, but %w%s", m.Config, err, m.saidSince(mark))
	}
	e.Pause = time.Since(watch.begun)
	if !finished {
		e.Ended, err = watch.wait(ctx, 0)
	}
	return e, err
}

// finish lets the master end after its running requests, for as long as it lets them; ended are those that did not
// get to their own end, if all workers have gone.
func (m Master) finish(ctx context.Context, watch *leaving, within time.Duration) (ended int, all bool, err error) {
	if err := signal(m.Process, unix.SIGQUIT); err != nil {
		return 0, false, err
	}
	limited, cancel := context.WithTimeout(ctx, within+2*time.Second)
	defer cancel()
	ended, err = watch.wait(limited, within)
	if all = err == nil; !all && limited.Err() == nil {
		return ended, false, err
	}
	_, err = m.gone(ctx, 2*time.Second)
	return ended, all, err
}

// gone waits for the end of the master, for so long at most.
func (m Master) gone(ctx context.Context, within time.Duration) (bool, error) {
	for until := time.Now().Add(within); m.Process.Alive(); {
		if !time.Now().Before(until) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(quietLook):
		}
	}
	return true, nil
}

func (m Master) restartUnit(ctx context.Context) (Master, []string, error) {
	if err := resetFailed(ctx, m.Unit); err != nil {
		return m, nil, err
	}
	// With Restart=always systemd itself may have been quicker, once the old master had finished.
	if pid, err := mainPID(ctx, m.Unit); err != nil {
		return m, nil, err
	} else if pid == 0 || pid == m.Process.PID {
		if _, err := systemctl(ctx, "restart", "--", m.Unit); err != nil {
			return m, nil, err
		}
	}
	m.Process = process.Process{}
	return m.back(ctx)
}

// startAnew ends the master with all its workers and starts it again.
func (m Master) startAnew(ctx context.Context, old *leaving) (Master, error) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if !m.Process.Alive() {
			break
		}
		if err := signal(m.Process, sig); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, process.ErrGone) {
			return m, err
		}
		if _, err := m.gone(ctx, terminating); err != nil {
			return m, err
		}
	}
	if m.Process.Alive() {
		return m, fmt.Errorf("its master %d does not end", m.Process.PID)
	}
	// Workers whose master was killed go on serving, and keep the new one from its sockets.
	if err := old.kill(); err != nil {
		return m, err
	}
	if _, err := old.wait(ctx, 0); err != nil {
		return m, err
	}
	if parent := m.Process.PPID; parent > 1 && parent != os.Getpid() {
		// A supervisor other than systemd may be at it already.
		for until := time.Now().Add(supervised); time.Now().Before(until); time.Sleep(look) {
			if p, err := m.find(); err == nil && p.PID != 0 {
				m.Process = p
				return m, m.await(ctx)
			}
		}
	}
	up, err := Start(ctx, m)
	if errors.Is(err, ErrRunning) {
		if m.Process, err = m.find(); err == nil {
			err = m.await(ctx)
		}
		return m, err
	}
	return up, err
}
