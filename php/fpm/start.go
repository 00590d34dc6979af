package fpm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"wpmend/php/errlog"
	"wpmend/php/process"
)

// ErrRunning says that a master with this configuration runs already, so nothing was started.
var ErrRunning = errors.New("php-fpm runs already")

const (
	startTimeout = 30 * time.Second // where the caller's context has no deadline
	look         = 10 * time.Millisecond
	// madeUnit begins the names of units that we make; they vanish with their master and cannot be started again.
	madeUnit = "wpmend-php-fpm-"
)

// StartPlan says how a master would be started, without doing it: by its unit, by a transient unit, or, where systemd
// does not run, as a daemon with a session of its own. What is not known well enough to be started is an error.
func (m Master) StartPlan() (argv []string, how string, err error) {
	return m.plan(systemdRuns())
}

func (m Master) plan(systemd bool) (argv []string, how string, err error) {
	if m.Config == "" || m.Binary == "" {
		return nil, "", errors.New("how to start php-fpm is unknown: its binary and its configuration were never seen")
	}
	if systemd && m.unitCanStart() {
		return []string{"systemctl", "start", "--", m.Unit}, "the unit " + m.Unit, nil
	}
	if _, err := trusted(m.Binary); err != nil {
		return nil, "", fmt.Errorf("start php-fpm: %w", err)
	}
	if systemd {
		sum := sha256.Sum256([]byte(m.Config))
		unit := madeUnit + hex.EncodeToString(sum[:4])
		// FPM's own units do not set OOMPolicy, and then the end of one worker by the OOM killer ends them all.
		argv = []string{"systemd-run", "--quiet", "--collect", "--unit=" + unit, "--service-type=exec", "--property=OOMPolicy=continue"}
		for _, e := range m.Env {
			argv = append(argv, "--setenv="+e)
		}
		argv = append(argv, "--", m.Binary, "--nodaemonize", "--fpm-config", m.Config)
		return append(argv, extraArgs(m.Args)...), "the transient unit " + unit + ".service", nil
	}
	argv = []string{m.Binary, "--daemonize", "--fpm-config", m.Config}
	return append(argv, extraArgs(m.Args)...), "a daemon in a session of its own", nil
}

// Start starts a master that does not run, by its StartPlan, and waits until all its sockets accept. The configuration
// is read again and tested first, so a broken one is an error with FPM's own words. A unit that systemd has given up
// on (start-limit-hit) or stopped for good (oom-kill with OOMPolicy=stop) is started all the same. Without systemd the daemon has its
// own session but stays in our control group, which nothing ends as a whole there.
func Start(ctx context.Context, m Master) (Master, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startTimeout)
		defer cancel()
	}
	argv, how, err := m.StartPlan()
	if err != nil {
		return Master{}, err
	}
	m.Process = process.Process{}
	if m, err = loadWith(m); err != nil {
		return Master{}, err
	}
	if running, err := m.find(); err != nil {
		return Master{}, err
	} else if running.PID != 0 {
		return Master{}, fmt.Errorf("%w: process %d with %s", ErrRunning, running.PID, m.Config)
	}
	if err := m.Test(ctx); err != nil {
		return Master{}, err
	}
	if argv[0] == "systemctl" {
		if err := resetFailed(ctx, m.Unit); err != nil {
			return Master{}, fmt.Errorf("start php-fpm by %s: %w", how, err)
		}
	}
	mark, _ := errlog.MarkFile(m.ErrorLog)
	if err := launch(ctx, argv, m.Env); err != nil {
		return Master{}, fmt.Errorf("start php-fpm by %s: %w%s", how, err, m.saidSince(mark))
	}
	if err := m.await(ctx); err != nil {
		return Master{}, fmt.Errorf("started php-fpm by %s, but %w%s", how, err, m.saidSince(mark))
	}
	if m.Process, err = m.find(); err != nil {
		return Master{}, err
	}
	if m.Process.PID == 0 {
		return Master{}, fmt.Errorf("started php-fpm by %s, but no master shows %s in its title%s", how, m.Config, m.saidSince(mark))
	}
	return m, nil
}

// launch runs what starts FPM. FPM's own --daemonize returns when the sockets are bound, and its code says whether.
func launch(ctx context.Context, argv, env []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = "/", cleanEnv(env), time.Second
	// The daemon keeps what it is given: no pipe of ours may be among it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return nil
}

// find looks for a running master of this configuration that speaks for the host.
func (m Master) find() (process.Process, error) {
	procs, err := process.List()
	if err != nil {
		return process.Process{}, err
	}
	masters := map[int]process.Process{}
	for _, p := range procs {
		if config, ok := configOf(p); ok && config == m.Config && p.SpeaksForHost() == nil {
			masters[p.PID] = p
		}
	}
	for _, p := range masters {
		if _, worker := masters[p.PPID]; !worker {
			return p, nil
		}
	}
	return process.Process{}, nil
}

// await waits until every pool's socket takes a connection.
func (m Master) await(ctx context.Context) error {
	for _, p := range m.Pools {
		if err := awaitSocket(ctx, p.Listen(), nil); err != nil {
			return fmt.Errorf("pool %s: %w", p.Name, err)
		}
	}
	return nil
}

// awaitSocket dials until it is let in, ctx ends or ended is closed.
func awaitSocket(ctx context.Context, to Address, ended <-chan struct{}) error {
	if to.Network == "" {
		return errors.New("it has no usable listen address")
	}
	tick := time.NewTicker(look / 4)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, to.Network, to.Addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return errors.New("the master has ended")
		case <-ctx.Done():
			return fmt.Errorf("%s takes no connection: %w", to, err)
		case <-tick.C:
		}
	}
}

// saidSince is what FPM complained of in its log since mark.
func (m Master) saidSince(mark errlog.Mark) string {
	if m.ErrorLog == "" {
		return ""
	}
	text, err := errlog.ReadSince(m.ErrorLog, mark, 64<<10)
	if err != nil {
		return ""
	}
	return words(string(text))
}
