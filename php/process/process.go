// Package process reads the host's processes from /proc and says which of them may be believed. A customer can run a
// program called "nginx", or one titled "php-fpm: master process (…)", so a title proves nothing by itself:
// SpeaksForHost asks who owns the process, its binary and every folder above that. The package refuses to know what a
// process is for; it starts and signals nothing.
//
// Invariant: a Process is one reading of one process. PID and Start together are unique since boot, so a PID that was
// used again is never taken for the process that had it before.
package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

const (
	procfs = "/proc"
	// A command line may be megabytes long; what we look for stands at its beginning.
	maxFile = 64 << 10
)

// ErrGone says that the process ended before or while it was read.
var ErrGone = errors.New("the process has ended")

// Process is one process as it was when read. It is plain data and survives JSON.
type Process struct {
	PID   int      `json:"pid"`
	PPID  int      `json:"ppid"`
	UID   uint32   `json:"uid"`            // real user id
	Start uint64   `json:"start"`          // clock ticks between boot and its start (proc(5), stat field 22)
	Exe   string   `json:"exe,omitempty"`  // resolved by the kernel; without the " (deleted)" that an upgrade leaves
	Argv  []string `json:"argv,omitempty"` // a title that the program wrote over its arguments is one element
	Unit  string   `json:"unit,omitempty"` // systemd system unit by its cgroup, "" if none
	Cwd   string   `json:"cwd,omitempty"`
}

// List reads all processes of the host, by PID. Kernel threads, zombies and processes that end meanwhile are left out.
func List() ([]Process, error) {
	return list(procfs)
}

// Read reads one process; ErrGone when there is none of that PID.
func Read(pid int) (Process, error) {
	return read(procfs, pid)
}

// Alive says whether this very process still runs: same PID, same Start, not a zombie.
func (p Process) Alive() bool {
	if p.PID <= 0 {
		return false
	}
	s, err := readStat(procfs, p.PID)
	return err == nil && s.start == p.Start && !s.dead()
}

// MountNamespace is the path of the process's mount namespace, for setns(2).
func (p Process) MountNamespace() string {
	return filepath.Join(procfs, strconv.Itoa(p.PID), "ns/mnt")
}

func list(proc string) ([]Process, error) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid <= 0 {
			continue
		}
		// What cannot be read has gone or is hidden from us; either way it is no witness.
		if p, err := read(proc, pid); err == nil {
			found = append(found, p)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].PID < found[j].PID })
	return found, nil
}

func read(proc string, pid int) (Process, error) {
	before, err := readStat(proc, pid)
	if err != nil {
		return Process{}, err
	}
	if before.dead() || before.kernel {
		return Process{}, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	dir := filepath.Join(proc, strconv.Itoa(pid))
	p := Process{PID: pid, PPID: before.ppid, Start: before.start}
	status, err := readFile(filepath.Join(dir, "status"))
	if err != nil {
		return Process{}, gone(pid, err)
	}
	if p.UID, _, err = parseUIDs(status); err != nil {
		return Process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	cmdline, err := readFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return Process{}, gone(pid, err)
	}
	p.Argv = parseArgv(cmdline)
	// Without leave to trace the process these stay hidden: unknown, and then it does not speak for the host.
	if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil {
		p.Exe = strings.TrimSuffix(exe, " (deleted)")
	}
	if cwd, err := os.Readlink(filepath.Join(dir, "cwd")); err == nil {
		p.Cwd = cwd
	}
	if cgroup, err := readFile(filepath.Join(dir, "cgroup")); err == nil {
		p.Unit = parseUnit(cgroup)
	}
	// The PID may have changed hands between the first read and the last.
	if after, err := readStat(proc, pid); err != nil || after.start != before.start {
		return Process{}, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	return p, nil
}

func readStat(proc string, pid int) (stat, error) {
	text, err := readFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, gone(pid, err)
	}
	s, err := parseStat(text)
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return s, nil
}

func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(b), err
}

// gone folds the two ways in which /proc says that a process has ended into one.
func gone(pid int, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	return fmt.Errorf("process %d: %w", pid, err)
}
