package fpm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/php"
	"wpmend/php/errlog"
	"wpmend/php/process"
)

// Cost is what an action on a live master would cost its visitors, foretold. All pools of a master suffer together.
type Cost struct {
	// Running requests are at work in all pools of the master. A worker that keeps a connection open between two
	// requests counts, and so does one that is being started.
	Running int
	Pools   []string // those with running requests
	// Waiting connections stand in the queues of the pools, accepted by nobody yet.
	Waiting int
	// Kept: running requests may finish, for as long as Within at most (process_control_timeout).
	Kept   bool
	Within time.Duration
	// Lost is how many requests fail at most, of those that run or wait when the action is taken.
	Lost int
	Why  string // the same in words
}

// Any as a limit of requests means: no matter how many.
const Any = int(^uint(0) >> 1)

// ReloadCost says what a reload (SIGUSR2) would cost now. FPM keeps the sockets open over it, so whoever waits in a
// queue or comes meanwhile waits until the last running request has ended or the time is up, and is served then. With
// process_control_timeout = 0, which is the default, every running request is ended at once (fpm_process_ctl.c).
func (m Master) ReloadCost() (Cost, error) {
	c, err := m.foreseen()
	if err != nil {
		return Cost{}, err
	}
	c.Why = c.words("a reload")
	return c, nil
}

// RestartCost says what a restart would cost now: what runs, unless it may finish, and what waits in the queues, since
// the sockets are closed. What comes between the end of the old master and the start of the new one fails as well and
// is not in Lost.
func (m Master) RestartCost() (Cost, error) {
	c, err := m.foreseen()
	if err != nil {
		return Cost{}, err
	}
	c.Lost += c.Waiting
	c.Why = c.words("a restart") + "; what comes until it runs again fails as well"
	return c, nil
}

// foreseen is the dearest moment of a short while: what was announced from a lucky one might not come again.
func (m Master) foreseen() (Cost, error) {
	var most Cost
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, _, err := m.cost()
		if err != nil {
			return Cost{}, err
		}
		if c.Running+c.Waiting >= most.Running+most.Waiting {
			most = c
		}
		if c.Kept || time.Since(begun) >= foresight {
			return most, nil
		}
	}
}

// foresight is how long the cost is watched before it is announced.
const foresight = 250 * time.Millisecond

// running is a worker at a request.
type running struct {
	process.Process
	pool string
}

func (m Master) cost() (Cost, []running, error) {
	if m.Process.PID == 0 || !m.Process.Alive() {
		return Cost{}, nil, fmt.Errorf("php-fpm with %s does not run", m.Config)
	}
	if m.Pools == nil {
		var err error
		if m, err = loadWith(m); err != nil {
			return Cost{}, nil, err
		}
	}
	busy, err := m.busy()
	if err != nil {
		return Cost{}, nil, err
	}
	c := Cost{Running: len(busy), Within: m.controlTimeout()}
	for _, r := range busy {
		if !slices.Contains(c.Pools, r.pool) {
			c.Pools = append(c.Pools, r.pool)
		}
	}
	slices.Sort(c.Pools)
	at := make([]Address, len(m.Pools))
	for i, p := range m.Pools {
		at[i] = p.Listen()
	}
	c.Waiting = waiting(m.Process.PID, at)
	c.Kept = c.Within > 0
	if !c.Kept {
		c.Lost = c.Running
	}
	return c, busy, nil
}

func (c Cost) words(what string) string {
	switch {
	case c.Running == 0 && c.Lost == 0:
		return what + " ends no request: none runs"
	case c.Kept && c.Lost == 0:
		return fmt.Sprintf("%s lets %s finish for up to %s; meanwhile every pool of the master waits", what, c.requests(), c.Within)
	case c.Kept:
		return fmt.Sprintf("%s lets %s finish for up to %s and refuses %d that wait", what, c.requests(), c.Within, c.Waiting)
	}
	return fmt.Sprintf("%s ends %s at once", what, c.requests())
}

func (c Cost) requests() string {
	return fmt.Sprintf("%s of %s", count(c.Running, "running request"), count(len(c.Pools), "pool"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// controlTimeout is the process_control_timeout in force: what the configuration says, unless its file has changed
// since the master read it. 0: running requests are not let finish, for all that is known.
func (m Master) controlTimeout() time.Duration {
	value, ok := get(m.Global, "process_control_timeout")
	if !ok {
		return 0
	}
	d, err := php.ParseDuration(value)
	if err != nil {
		return 0
	}
	for _, g := range m.Global {
		if g.Key != "process_control_timeout" {
			continue
		}
		info, err := os.Stat(g.File)
		if err != nil || info.ModTime().After(m.loaded()) {
			return 0
		}
	}
	return d
}

// loaded is when the master has read its configuration: at its start, or at the last reload that its log tells of.
func (m Master) loaded() time.Time {
	at := time.Now().Add(-Age(m.Process))
	if m.ErrorLog == "" {
		return at
	}
	tail, err := errlog.ReadTail(m.ErrorLog, 256<<10)
	if err != nil {
		return at
	}
	_ = errlog.ScanFPM(strings.NewReader(string(tail)), time.Local, func(r errlog.FPMRecord) bool {
		// Its times are whole seconds, rounded down.
		if r.Pool == "" && r.Level == "NOTICE" && strings.HasPrefix(r.Text, "fpm is running, pid ") && r.Time.After(at) {
			at = r.Time
		}
		return true
	})
	return at
}

// Age is how long ago a process was started.
func Age(p process.Process) time.Duration {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return 0
	}
	return time.Duration(up.Nano()) - time.Duration(p.Start)*tick
}

// busy are the master's workers that do anything but wait for a request.
func (m Master) busy() ([]running, error) {
	pids, err := children(m.Process.PID)
	if err != nil {
		return nil, err
	}
	var found []running
	for _, pid := range pids {
		p, err := process.Read(pid)
		if errors.Is(err, process.ErrGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		pool, ok := poolOf(p)
		if !ok || p.PPID != m.Process.PID || accepting(pid) {
			// One without a pool's title has been forked just now and has no request yet.
			continue
		}
		found = append(found, running{Process: p, pool: pool})
	}
	return found, nil
}

// poolOf reads a worker's title.
func poolOf(p process.Process) (pool string, ok bool) {
	if len(p.Argv) != 1 {
		return "", false
	}
	return strings.CutPrefix(p.Argv[0], "php-fpm: pool ")
}

// accepting says that a process stands in accept(2), as a worker does between requests and hardly any script. What
// cannot be told counts as work.
func accepting(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "syscall"))
	if err != nil {
		return false
	}
	number, _, _ := strings.Cut(string(text), " ")
	switch runtime.GOARCH {
	case "amd64":
		return number == "43" || number == "288"
	case "arm64":
		return number == "202" || number == "242"
	}
	return false
}
