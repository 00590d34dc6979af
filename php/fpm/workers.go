package fpm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"wpmend/php/process"
)

// Worker is one process of a pool of a running master, as the kernel shows it.
type Worker struct {
	// Process: while a script runs, Cwd is the script's folder unless the script changes it, since PHP changes to it
	// before and back after it (php_execute_script_ex).
	process.Process
	Pool string
	Age  time.Duration // since it was started
	Busy bool          // it does anything but wait for a request
	// Conn is the inode of the connection that it has accepted, and so names its request; 0: none or unknown, as after
	// fastcgi_finish_request().
	Conn uint64
	// Ran is the processor time that it has had, to the nanosecond where the kernel counts that (CONFIG_SCHED_INFO),
	// else in steps of 10 ms.
	Ran time.Duration
	// Still is for how long it has not had the processor at all while busy; 0: unknown, or it works.
	Still    time.Duration
	Activity Activity
}

// ErrHidden says that the kernel does not let us see what processes of other users do. It takes CAP_SYS_PTRACE, which
// root lacks in some containers.
var ErrHidden = errors.New("what the workers do is hidden from us: it takes CAP_SYS_PTRACE")

// Workers are the worker processes of one pool of a running master, or of all its pools where pool is "". Only children
// of exactly this master count, by their titles. Where the kernel hides what they do, ErrHidden comes along with what
// else is known of them, and none of them is said to be busy.
func (m Master) Workers(pool string) ([]Worker, error) {
	if m.Process.PID == 0 || !m.Process.Alive() {
		return nil, fmt.Errorf("php-fpm with %s does not run", m.Config)
	}
	pids, err := children(m.Process.PID)
	if err != nil {
		return nil, fmt.Errorf("workers of php-fpm with %s: %w", m.Config, err)
	}
	var workers []Worker
	var hidden error
	for _, pid := range pids {
		if pool != "" && !titled(pid, pool) {
			continue // of a hundred pools' workers only one pool's are looked at
		}
		w, err := m.worker(pid)
		switch {
		case errors.Is(err, fs.ErrPermission):
			hidden = ErrHidden
		case errors.Is(err, process.ErrGone) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotWorker):
			continue
		case err != nil:
			return nil, fmt.Errorf("worker %d of php-fpm with %s: %w", pid, m.Config, err)
		}
		workers = append(workers, w)
	}
	if err := m.connections(workers, pool); err != nil && hidden == nil {
		hidden = err
	}
	stillness(workers)
	return workers, hidden
}

// ControlTimeout is the process_control_timeout in force: what the configuration says, unless its file was changed since
// the master read it. 0: a reload ends what runs.
func (m Master) ControlTimeout() time.Duration { return m.controlTimeout() }

// titled reads no more of a process than its title.
func titled(pid int, pool string) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && strings.TrimRight(string(text), "\x00 ") == "php-fpm: pool "+pool
}

// worker reads one child; with an error about rights the rest is valid.
func (m Master) worker(pid int) (Worker, error) {
	p, err := process.Read(pid)
	if err != nil {
		return Worker{}, err
	}
	pool, ok := poolOf(p)
	if !ok || p.PPID != m.Process.PID {
		return Worker{}, ErrNotWorker
	}
	w := Worker{Process: p, Pool: pool, Age: Age(p)}
	if _, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "syscall")); errors.Is(err, fs.ErrPermission) {
		return w, err
	}
	w.Busy = !accepting(pid)
	if w.Activity, err = activity(pid); err != nil {
		return w, err
	}
	w.Ran = w.Activity.CPU
	if ran, ok := runTime(pid); ok {
		w.Ran = ran
	}
	return w, nil
}

// runTime is the first number of /proc/PID/schedstat.
func runTime(pid int) (time.Duration, bool) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "schedstat"))
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(n), err == nil && n > 0
}

// connections fills in which connection each busy worker has accepted: of its sockets the one that the kernel's tables
// show as come to its pool's address.
func (m Master) connections(workers []Worker, pool string) error {
	if !slices.ContainsFunc(workers, func(w Worker) bool { return w.Busy }) {
		return nil
	}
	pools := m.Pools
	if pools == nil {
		fresh, err := loadWith(m)
		if err != nil {
			return err
		}
		pools = fresh.Pools
	}
	var at []Address
	for _, p := range pools {
		if a := p.Listen(); a.Addr != "" && (pool == "" || strings.EqualFold(p.Name, pool)) {
			at = append(at, a)
		}
	}
	accepted := map[uint64]bool{}
	for _, table := range []string{"unix", "tcp", "tcp6"} {
		// Of the master's network namespace, which need not be ours.
		if err := m.accepted(at, table, accepted); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for i, w := range workers {
		if !w.Busy {
			continue
		}
		sockets, err := socketsOf(w.PID)
		if errors.Is(err, fs.ErrPermission) {
			return ErrHidden
		}
		if j := slices.IndexFunc(sockets, func(inode uint64) bool { return accepted[inode] }); j >= 0 {
			workers[i].Conn = sockets[j]
		}
	}
	return nil
}

// socketsOf are the inodes of a process's sockets, by the number of the descriptor.
func socketsOf(pid int) ([]uint64, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var inodes []uint64
	for _, e := range entries {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if rest, ok := strings.CutPrefix(link, "socket:["); ok {
			if n, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 64); err == nil {
				inodes = append(inodes, n)
			}
		}
	}
	return inodes, nil
}
