package fpm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"wpmend/php/process"
)

// tick is the step in which the kernel counts processor time for user space (USER_HZ, the same on all of Linux's own
// architectures).
const tick = 10 * time.Millisecond

// Activity is what a worker has done since it began, as the kernel counts it. Of two, taken one after the other, the
// difference tells work from standing still.
type Activity struct {
	PID    int           // as the copy's logs show it
	CPU    time.Duration // in steps of 10 ms
	Bytes  uint64        // read and written by calls, of files more than of sockets (proc(5): rchar, wchar)
	Faults uint64        // pages that it touched first
	// Waiting says that it sleeps until something happens, other than on a disk.
	Waiting bool
}

// Activity is what each worker of the copy has done. It needs no word of FPM's.
func (v *Private) Activity() ([]Activity, error) {
	pids, err := v.workers()
	if err != nil {
		return nil, err
	}
	var all []Activity
	for _, pid := range pids {
		a, err := activity(pid)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, process.ErrGone) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("worker %d: %w", pid, err)
		}
		all = append(all, a)
	}
	return all, nil
}

// workers are the host's PIDs of the master's children.
func (v *Private) workers() ([]int, error) { return children(v.master.PID) }

// children are the PIDs of a process's children.
func children(pid int) ([]int, error) {
	parent := strconv.Itoa(pid)
	text, err := os.ReadFile(filepath.Join("/proc", parent, "task", parent, "children"))
	if err != nil {
		// Kernels without CONFIG_PROC_CHILDREN.
		return listChildren(pid)
	}
	var pids []int
	for field := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func listChildren(parent int) ([]int, error) {
	procs, err := process.List()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, p := range procs {
		if p.PPID == parent {
			pids = append(pids, p.PID)
		}
	}
	return pids, nil
}

func activity(pid int) (Activity, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Activity{}, err
	}
	a, err := parseActivity(string(stat))
	if err != nil {
		return Activity{}, err
	}
	io, err := os.ReadFile(filepath.Join(dir, "io"))
	if err != nil {
		return Activity{}, err
	}
	for line := range strings.Lines(string(io)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if key == "rchar" || key == "wchar" {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return Activity{}, fmt.Errorf("its io says %q: %w", line, err)
			}
			a.Bytes += n
		}
	}
	if a.PID = innerPID(pid); a.PID == 0 {
		return Activity{}, process.ErrGone
	}
	return a, nil
}

// parseActivity takes state, faults and times from /proc/PID/stat (proc(5)), counting from the end of the name.
func parseActivity(stat string) (Activity, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return Activity{}, errors.New("its stat is cut short")
	}
	var n [13]uint64
	for _, i := range []int{7, 9, 11, 12} {
		var err error
		if n[i], err = strconv.ParseUint(fields[i], 10, 64); err != nil {
			return Activity{}, fmt.Errorf("its stat: %w", err)
		}
	}
	return Activity{Waiting: fields[0] == "S", Faults: n[7] + n[9], CPU: time.Duration(n[11]+n[12]) * tick}, nil
}
