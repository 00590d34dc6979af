package fpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/php/errlog"
	"wpmend/php/process"
)

// Allow bounds what a reload or restart may cost.
type Allow struct {
	// Requests is how many running requests it may end: 0 none, Any no matter how many.
	Requests int
	// Lost is a pool whose requests do not count: they fail anyway, or so do all of its sites.
	Lost string
	// Patience is how long to wait for a moment when no more than these would be ended.
	Patience time.Duration
}

// BusyError says that the action would end more running requests than were allowed, so that nothing was done.
type BusyError struct{ Cost Cost }

func (e *BusyError) Error() string {
	return e.Cost.Why + ": not done without leave; with process_control_timeout in its configuration they could finish"
}

// Effect is what an action on a master really did.
type Effect struct {
	Master Master        // as it is now: with daemonize = yes a reload changes its PID
	Cost   Cost          // as foreseen at the moment when it was done
	Ended  int           // running requests that were ended, as counted just before: one that began since is not among them
	Pause  time.Duration // until every pool served again
	Notes  []string      // what it did not bring about, and what else to know
}

const (
	// quietLook is how often the workers are looked at while a quiet moment is awaited.
	quietLook = 2 * time.Millisecond
	// lull is how long a moment is awaited when nothing runs at all, although some requests may be ended: on most hosts
	// there is one. It is short, since a site waits for its remedy.
	lull = 500 * time.Millisecond
	// spare is what a reload takes besides the control timeout: FPM gives a worker one more second between SIGTERM and
	// SIGKILL, and reads its configuration anew.
	spare = 15 * time.Second
	// answerTime is how long a pool may leave a new connection unanswered before it is taken for merely busy.
	answerTime = 3 * time.Second
)

// Reload lets a running master read its configuration again and start new workers; OPcache begins anew, for all pools.
// The configuration is tested first: one that fails takes FPM down for good, since there is no way back from exec
// (fpm_pctl_exec). More running requests than allowed are not ended: then the error is a [BusyError]. It returns when
// all old workers have gone and every pool serves again.
//
// Under systemd it is done by the unit where requests may finish, and by the same signal of our own where they may
// not: systemctl takes its time, in which more of them begin than were counted.
func (m Master) Reload(ctx context.Context, allow Allow) (Effect, error) {
	ctx, cancel := context.WithTimeout(ctx, m.bound(allow))
	defer cancel()
	m, err := m.ready(ctx)
	if err != nil {
		return Effect{}, fmt.Errorf("reload php-fpm: %w", err)
	}
	notes := m.unapplied()
	unit := m.byUnit(ctx)
	mark, _ := errlog.MarkFile(m.ErrorLog)
	c, watch, err := m.quiet(ctx, allow)
	if err != nil {
		return Effect{}, fmt.Errorf("reload php-fpm (%s): %w", m.Config, err)
	}
	defer watch.close()
	if unit && c.Kept {
		_, err = systemctl(ctx, "reload", "--", m.Unit)
	} else {
		err = signal(m.Process, unix.SIGUSR2)
	}
	if err != nil {
		return Effect{}, fmt.Errorf("reload php-fpm (%s): %w", m.Config, err)
	}
	c.Why = c.words("a reload")
	e := Effect{Cost: c, Notes: notes}
	e.Ended, err = watch.wait(ctx, c.Within)
	if err == nil {
		var more []string
		e.Master, more, err = m.back(ctx)
		e.Notes = append(e.Notes, more...)
	}
	e.Pause = time.Since(watch.begun)
	if err != nil {
		return e, fmt.Errorf("php-fpm (%s) was reloaded, but %w%s", m.Config, err, m.saidSince(mark))
	}
	return e, nil
}

// of counts the requests of one pool.
func of(busy []running, pool string) (n int) {
	for _, r := range busy {
		if r.pool == pool {
			n++
		}
	}
	return n
}

// Running is the master as it runs now: its process may have changed since m was seen, by a reload of somebody's. ok
// is false where it does not run.
func (m Master) Running() (now Master, ok bool, err error) {
	p, err := m.find()
	if err != nil || p.PID == 0 {
		return m, false, err
	}
	m.Process = p
	if m, err = loadWith(m); err != nil {
		return m, false, err
	}
	if m.ErrorLog == "" {
		m.ErrorLog = stderrFile(p.PID)
	}
	return m, true, nil
}

// bound is how long an action may take at most.
func (m Master) bound(allow Allow) time.Duration {
	if fresh, err := loadWith(m); err == nil {
		m = fresh
	}
	return m.controlTimeout() + allow.Patience + spare + startTimeout
}

// ready reads the configuration again and has FPM test it.
func (m Master) ready(ctx context.Context) (Master, error) {
	if err := m.Process.SpeaksForHost(); err != nil {
		return m, fmt.Errorf("its master with %s is not there: %w", m.Config, err)
	}
	if config, ok := configOf(m.Process); !ok || config != m.Config {
		return m, fmt.Errorf("process %d is no master with %s", m.Process.PID, m.Config)
	}
	if err := m.Test(ctx); err != nil {
		return m, fmt.Errorf("its configuration does not pass its own test, so nothing was done: %w", err)
	}
	fresh, err := loadWith(m)
	if err != nil {
		return m, err
	}
	if fresh.ErrorLog == "" {
		fresh.ErrorLog = m.ErrorLog
	}
	return fresh, nil
}

// quiet waits for a moment when no more requests would be ended than allowed, and gives what runs then, with a hold on
// all workers. Between that look and FPM's own act one more may begin; so for a while it waits for a moment with one
// fewer, after a shorter one for a moment with none at all.
func (m Master) quiet(ctx context.Context, allow Allow) (Cost, *leaving, error) {
	begun := time.Now()
	for {
		c, busy, err := m.cost()
		if err != nil {
			return Cost{}, nil, err
		}
		most, waited := allow.Requests, time.Since(begun)
		switch {
		case waited < min(allow.Patience, lull):
			most = 0
		case waited < min(allow.Patience, 4*lull):
			most = max(0, most-1)
		}
		if c.Kept || len(busy)-of(busy, allow.Lost) <= most {
			held, err := m.watch(allow.Lost)
			if err != nil {
				return Cost{}, nil, err
			}
			if others, all := held.look(); c.Kept || others <= most {
				c.Running = all
				if !c.Kept {
					c.Lost = all
				}
				return c, held, nil
			}
			held.close()
		}
		if waited >= allow.Patience {
			c.Why = c.words("this")
			return Cost{}, nil, &BusyError{c}
		}
		select {
		case <-ctx.Done():
			return Cost{}, nil, ctx.Err()
		case <-time.After(quietLook):
		}
	}
}

// signal sends a signal to exactly this process: the descriptor keeps its PID from being another's by then.
func signal(p process.Process, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if !p.Alive() {
		return fmt.Errorf("signal process %d: %w", p.PID, process.ErrGone)
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		return fmt.Errorf("signal process %d: %w", p.PID, err)
	}
	return nil
}

// back waits until a master of this configuration runs and every pool answers, or at least accepts for as long as a
// busy pool may leave that unanswered: then the notes name it. The master keeps its PID over exec, unless it makes
// itself a daemon again; and it keeps the sockets, so that one that accepts is no proof yet.
func (m Master) back(ctx context.Context) (up Master, notes []string, err error) {
	begun, missing := time.Now(), time.Time{}
	for {
		p, err := m.find()
		if err != nil {
			return m, nil, err
		}
		if p.PID != 0 {
			notes := m.silent(ctx)
			still, err := m.find()
			if err == nil && still.PID != 0 && m.accepts(ctx) && (len(notes) == 0 || time.Since(begun) > answerTime) {
				m.Process = still
				return m, notes, nil
			}
		}
		switch {
		case p.PID != 0 || m.Process.Alive():
			missing = time.Time{}
		case missing.IsZero():
			missing = time.Now()
		// Between exec and its title it is found by nothing but its PID, and a daemon changes that.
		case time.Since(missing) > 2*time.Second:
			return m, nil, errors.New("it has not come back")
		}
		select {
		case <-ctx.Done():
			return m, nil, fmt.Errorf("it has not come back in time: %w", ctx.Err())
		case <-time.After(look):
		}
	}
}

// accepts: a queue that is full is one of a pool that is busy, not of one that is gone (connect(2): EAGAIN).
func (m Master) accepts(ctx context.Context) bool {
	return !slices.ContainsFunc(m.Pools, func(p Pool) bool {
		a := p.Listen()
		conn, err := (&net.Dialer{}).DialContext(ctx, a.Network, a.Addr)
		if err != nil {
			return !errors.Is(err, unix.EAGAIN)
		}
		return conn.Close() != nil
	})
}

// silent names the pools whose workers answer nothing in good time.
func (m Master) silent(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	said := make([]string, len(m.Pools))
	var asking sync.WaitGroup
	for i, p := range m.Pools {
		if _, limited := p.Get("listen.allowed_clients"); limited && p.Listen().Network == "tcp" {
			continue // it may not listen to us
		}
		asking.Go(func() {
			if err := answers(ctx, p.Listen()); err != nil {
				said[i] = fmt.Sprintf("pool %s does not answer yet: %v", p.Name, err)
			}
		})
	}
	asking.Wait()
	return slices.DeleteFunc(said, func(s string) bool { return s == "" })
}

// answers asks the worker that takes the connection for its FastCGI values (FCGI_GET_VALUES, section 4.1 of the
// specification): it answers by itself, without running PHP.
func answers(ctx context.Context, to Address) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, to.Network, to.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	const version, getValues, getValuesResult = 1, 9, 10
	if _, err := conn.Write([]byte{version, getValues, 0, 0, 0, 0, 0, 0}); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("nothing within %s", answerTime)
		}
		return err
	}
	if head[0] != version || head[1] != getValuesResult {
		return errors.New("what answers is not FastCGI")
	}
	return nil
}
