// Package transient runs the host's own programs for a wpmend that systemd has locked in. Our unit takes rights away
// that nginx -T, php-fpm -t or a private FPM master need (to mount, to open their logs); each such program then gets
// a transient service, with rights and bounds of its own, and passes on its output and its exact end. Where nothing
// is taken from us, on a shell or without systemd, it is started directly.
//
// A program of ours never outlives us, however we end: in its unit a helper, which is this very binary, holds one end
// of a socket pair, and ends the unit when the other end closes. BindsTo=wpmend.service would not do: starting such a
// unit asks for a start of ours too, which systemd refuses while ours is being stopped, when changes are taken back.
//
// The unit is made by systemd-run rather than over D-Bus: that is one program, on every host with systemd, and what
// it cannot pass on exactly (an end by a signal, its own failures) the helper says.
package transient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"wpmend/php/process"
)

// Options say how a program runs.
type Options struct {
	// Time after which systemd ends the unit, whatever we do; an hour if 0. A direct start has no such end.
	Time time.Duration
	// Memory that the unit may take, in systemd's words: "512M", "50%". "": no bound. A direct start has no bound.
	Memory string
	// Tasks is how many processes and threads it may have, 0 for systemd's default. A direct start has no bound.
	Tasks int
	// NoNewPrivs takes the right to gain rights (prctl(2), PR_SET_NO_NEW_PRIVS).
	NoNewPrivs bool
	// Alone gives the program a PID namespace in which it is PID 1: the kernel ends what it started with it.
	Alone bool
	// Prepare runs on the thread that the program is forked from, before that, with Data. In a unit it runs in the
	// helper: the one given to [Help] is meant, and must be the same.
	Prepare func(data []byte) error
	Data    []byte
}

// Exit is the end of a program that did not succeed, an [*exec.ExitError] or an [*ExitError].
type Exit interface {
	error
	Exited() bool  // by itself, not by a signal
	ExitCode() int // -1 if by a signal
}

// ExitError is how a program in a unit ended, in the words of exec.ExitError.
type ExitError struct{ Status syscall.WaitStatus }

func (e *ExitError) Error() string {
	if e.Status.Signaled() {
		return "signal: " + e.Status.Signal().String()
	}
	return "exit status " + strconv.Itoa(e.Status.ExitStatus())
}

// Exited says whether it ended by itself.
func (e *ExitError) Exited() bool { return e.Status.Exited() }

// ExitCode is -1 after a signal.
func (e *ExitError) ExitCode() int { return e.Status.ExitStatus() }

// stopTime is how long systemd may take to end a unit.
const stopTime = 10 * time.Second

// Run runs cmd to its end like [exec.Cmd.Run]; cmd must have been made with ctx. Of SysProcAttr a unit takes the
// credential alone. What failed to end well is an [Exit].
func Run(ctx context.Context, cmd *exec.Cmd, o Options) error {
	if !Confined() {
		if o.NoNewPrivs || o.Prepare != nil || o.Alone {
			return runDirect(cmd, o)
		}
		return cmd.Run()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := startUnit(ctx, cmd, o)
	if err != nil {
		return err
	}
	select {
	case <-c.ended:
	case <-ctx.Done():
		c.Kill()
		select {
		case <-c.ended:
		case <-time.After(stopTime):
			return fmt.Errorf("%w, and its unit %s does not end", ctx.Err(), c.unit)
		}
		return ctx.Err()
	}
	switch {
	case !c.finished:
		return fmt.Errorf("its unit %s was ended before it", c.unit)
	case c.status != 0:
		return &ExitError{c.status}
	}
	return nil
}

// Child is a running program that does not outlive us.
type Child struct {
	PID int // as we see it

	kill  func()
	ended chan struct{}
	unit  string // "" for a direct start

	finished bool // before ended: status is known
	status   syscall.WaitStatus
}

// Start starts cmd, and returns when it runs or ctx has ended before that; later ctx means nothing. Its output must be
// files, nothing else is read to its end. What Prepare refuses is its error, or a [*Refusal] from a unit.
func Start(ctx context.Context, cmd *exec.Cmd, o Options) (*Child, error) {
	if Confined() {
		return startUnit(ctx, cmd, o)
	}
	return startDirect(cmd, o)
}

// Refusal is an error of the helper's, in words.
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return r.Text }

// Ended is closed when it, and in a unit or with Alone everything that it started, has ended.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Kill begins to end it; Ended says when it has. It may be called again.
func (c *Child) Kill() { c.kill() }

// capSysAdmin is CAP_SYS_ADMIN's bit, capabilities(7).
const capSysAdmin = 1 << 21

// Confined says whether we run as a service of systemd's that takes from us what our programs need: NoNewPrivileges,
// or the right to mount. A service without that, a shell and a container start programs directly.
func Confined() bool {
	// sd_booted(3)
	if info, err := os.Lstat("/run/systemd/system"); err != nil || !info.IsDir() {
		return false
	}
	if os.Geteuid() != 0 {
		return false
	}
	self, err := process.Read(os.Getpid())
	if err != nil || !strings.HasSuffix(self.Unit, ".service") {
		return false
	}
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && lessened(status)
}

// lessened reads /proc/PID/status (proc(5)).
func lessened(status []byte) bool {
	for line := range bytes.Lines(status) {
		name, value, _ := strings.Cut(string(bytes.TrimSpace(line)), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "NoNewPrivs":
			if value == "1" {
				return true
			}
		case "CapBnd":
			if set, err := strconv.ParseUint(value, 16, 64); err == nil && set&capSysAdmin == 0 {
				return true
			}
		}
	}
	return false
}

// errUnreached says that systemd did not start the helper.
var errUnreached = errors.New("systemd did not start it")
