package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/php/process"
)

// ErrNotRunning says that no master of the server runs, so there is nothing to reload.
var ErrNotRunning = errors.New("it does not run")

const (
	reloadTimeout = 15 * time.Second // until new workers run
	reloadLook    = 10 * time.Millisecond
)

// Reload lets the server read its configuration again and waits until workers of the new one run. Requests under way
// are finished by the old ones: SIGHUP of nginx, SIGUSR1 ("graceful") of Apache, or `systemctl reload` where a unit owns
// the master. The configuration is tested first, and one that fails is never loaded: Apache's master ends on one, nginx'
// goes on with the old. The master is found anew, since it may have been restarted since g was seen; ErrNotRunning if
// there is none.
func Reload(ctx context.Context, g Gateway) error {
	if err := reload(ctx, g); err != nil {
		return fmt.Errorf("reload %s (%s): %w", g.Kind, g.Config, err)
	}
	return nil
}

func reload(ctx context.Context, g Gateway) error {
	master, err := g.master()
	if err != nil {
		return err
	}
	g.Process = master
	if err := Test(ctx, g); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	before, err := children(master)
	if err != nil {
		return err
	}
	if err := g.signal(ctx); err != nil {
		return err
	}
	if err := g.renewed(ctx, before); err != nil {
		return err
	}
	return accepts(ctx, master)
}

// master is the running master: the one that was seen, or the one of the same program with the same command line that
// has taken its place.
func (g Gateway) master() (process.Process, error) {
	if g.Process.PID != 0 && g.Process.Alive() {
		return g.Process, g.Process.SpeaksForHost()
	}
	procs, err := process.List()
	if err != nil {
		return process.Process{}, err
	}
	candidates := masters(procs)
	if g.Kind == "apache" {
		candidates = apacheMasters(procs)
	}
	candidates = slices.DeleteFunc(candidates, func(p process.Process) bool {
		return p.Exe != g.Binary || !slices.Equal(p.Argv, g.Process.Argv) || p.SpeaksForHost() != nil
	})
	switch len(candidates) {
	case 0:
		return process.Process{}, ErrNotRunning
	case 1:
		return candidates[0], nil
	}
	return process.Process{}, fmt.Errorf("%d masters with this command line run", len(candidates))
}

// signal asks the master for a graceful reload.
func (g Gateway) signal(ctx context.Context) error {
	if unit := g.Process.Unit; strings.HasSuffix(unit, ".service") && canReload(ctx, unit) {
		if out, err := exec.CommandContext(ctx, "systemctl", "reload", "--", unit).CombinedOutput(); err != nil {
			return fmt.Errorf("systemctl reload %s: %w: %s", unit, err, ownWords(out))
		}
		return nil
	}
	p, err := os.FindProcess(g.Process.PID)
	if err != nil {
		return fmt.Errorf("process %d: %w", g.Process.PID, err)
	}
	defer p.Release()
	// p holds whoever has the PID now, by a pidfd; this says that it is still the master.
	if !g.Process.Alive() {
		return ErrNotRunning
	}
	signal := syscall.SIGHUP
	if g.Kind == "apache" {
		signal = syscall.SIGUSR1
	}
	if err := p.Signal(signal); err != nil {
		return fmt.Errorf("signal process %d: %w", g.Process.PID, err)
	}
	return nil
}

// canReload says whether systemd runs and has a reload for the unit.
func canReload(ctx context.Context, unit string) bool {
	// sd_booted(3)
	if info, err := os.Stat("/run/systemd/system"); err != nil || !info.IsDir() {
		return false
	}
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=CanReload", "--value", "--", unit).Output()
	return err == nil && strings.TrimSpace(string(out)) == "yes"
}

// worker is one process of a server.
type worker struct {
	pid   int
	start uint64
}

// children are the processes below a master, with what they show as their title.
func children(master process.Process) (map[worker]string, error) {
	procs, err := process.List()
	if err != nil {
		return nil, err
	}
	found := map[worker]string{}
	for _, p := range procs {
		if p.PPID == master.PID {
			found[worker{p.PID, p.Start}] = strings.Join(p.Argv, " ")
		}
	}
	return found, nil
}

// renewed waits until new workers run, and nginx' old ones take no more requests.
func (g Gateway) renewed(ctx context.Context, before map[worker]string) error {
	tick := time.NewTicker(reloadLook)
	defer tick.Stop()
	for {
		if !g.Process.Alive() {
			return errors.New("its master has ended: start it again, and see its error log")
		}
		now, err := children(g.Process)
		if err != nil {
			return err
		}
		if g.fresh(before, now) {
			return nil
		}
		select {
		case <-ctx.Done():
			if g.Kind == "apache" && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil // a child that still answers may hold the only place (ServerLimit)
			}
			return fmt.Errorf("no new workers run, it seems to go on with its old configuration (see its error log): %w", ctx.Err())
		case <-tick.C:
		}
	}
}

func (g Gateway) fresh(before, now map[worker]string) bool {
	fresh := false
	for w, title := range now {
		_, old := before[w]
		switch {
		case g.Kind == "apache":
			fresh = fresh || !old
		case !strings.HasPrefix(title, "nginx: worker process"):
		case !old:
			fresh = true
		case !strings.HasSuffix(title, "is shutting down"): // ngx_worker_process_cycle
			return false
		}
	}
	return fresh
}
