package fpm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/php/process"
)

// Renew lets a pool's workers go one by one and be replaced, each at a moment when it waits for a request, so that none
// is lost; FPM ends a worker in order at SIGQUIT, after its request if one has just come (sig_soft_quit in
// fpm_signals.c). What a worker keeps of its own, such as .user.ini files for user_ini.cache_ttl, is read anew then.
// left is how many were still at work when patience was over.
func (m Master) Renew(ctx context.Context, pool string, patience time.Duration) (left int, err error) {
	if err := m.Process.SpeaksForHost(); err != nil {
		return 0, fmt.Errorf("renew the workers of pool %s: %w", pool, err)
	}
	old, err := m.poolWorkers(pool)
	if err != nil {
		return 0, fmt.Errorf("renew the workers of pool %s: %w", pool, err)
	}
	told := map[int]bool{}
	for until := time.Now().Add(patience); ; {
		left = 0
		for _, w := range old {
			if !w.Alive() {
				continue
			}
			left++
			if told[w.PID] || !accepting(w.PID) {
				continue
			}
			if err := signal(w, unix.SIGQUIT); err != nil && !errors.Is(err, process.ErrGone) && !errors.Is(err, unix.ESRCH) {
				return left, err
			}
			told[w.PID] = true
		}
		if left == 0 || !time.Now().Before(until) {
			return left, nil
		}
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-time.After(quietLook):
		}
	}
}

// poolWorkers are the master's children that carry the pool's title.
func (m Master) poolWorkers(pool string) ([]process.Process, error) {
	pids, err := children(m.Process.PID)
	if err != nil {
		return nil, err
	}
	var found []process.Process
	for _, pid := range pids {
		p, err := process.Read(pid)
		if errors.Is(err, process.ErrGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if of, ok := poolOf(p); ok && of == pool && p.PPID == m.Process.PID {
			found = append(found, p)
		}
	}
	return found, nil
}
