package fpm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stillness fills in for how long busy workers have not had the processor. The kernel keeps when a process last did
// (se.exec_start in /proc/PID/sched, kernel/sched/debug.c), by the clock of the processor that it was on. Those clocks
// drift apart where time is stolen by a hypervisor, so each is asked on its own processor. Where any of this is not to
// be had, Still stays unknown.
func stillness(workers []Worker) {
	type asleep struct {
		worker int
		since  time.Duration
	}
	byCPU := map[int][]asleep{}
	for i, w := range workers {
		if !w.Busy {
			continue
		}
		since, err := lastRan(filepath.Join("/proc", strconv.Itoa(w.PID), "sched"))
		if err != nil {
			continue
		}
		cpu, err := lastCPU(w.PID)
		if err != nil {
			continue // among others because it runs
		}
		byCPU[cpu] = append(byCPU[cpu], asleep{i, since})
	}
	for cpu, sleepers := range byCPU {
		now, err := clockOf(cpu)
		if err != nil {
			continue
		}
		for _, s := range sleepers {
			// Neither a longer time than it has lived nor one from the future is believed.
			if still := now - s.since; still > 0 && still <= workers[s.worker].Age+time.Second {
				workers[s.worker].Still = still
			}
		}
	}
}

// clockOf reads a processor's own clock, from a thread that moves there and ends.
func clockOf(cpu int) (time.Duration, error) {
	type reading struct {
		at  time.Duration
		err error
	}
	read := make(chan reading, 1)
	go func() {
		// Never unlocked: the thread, which is bound to one processor now, ends with its goroutine.
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			read <- reading{err: fmt.Errorf("move to processor %d: %w", cpu, err)}
			return
		}
		at, err := lastRan("/proc/thread-self/sched")
		read <- reading{at, err}
	}()
	r := <-read
	return r.at, r.err
}

// lastRan reads when a process last had the processor, in the time of that processor's clock.
func lastRan(file string) (time.Duration, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return parseLastRan(f)
}

func parseLastRan(r io.Reader) (time.Duration, error) {
	lines := bufio.NewScanner(io.LimitReader(r, 16<<10))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ":")
		if !ok || strings.TrimSpace(name) != "se.exec_start" {
			continue
		}
		ms, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(ms > 0 && ms < float64(1<<62)/1e6) {
			return 0, fmt.Errorf("se.exec_start is %q", strings.TrimSpace(value))
		}
		return time.Duration(ms * float64(time.Millisecond)), nil
	}
	return 0, errors.New("it does not say when it last ran")
}

// errRuns says that a process runs, or would if a processor were free.
var errRuns = errors.New("it runs")

// lastCPU is the processor that a sleeping process was last on: field 39 of /proc/PID/stat.
func lastCPU(pid int) (int, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 37 {
		return 0, errors.New("its stat is cut short")
	}
	if fields[0] == "R" {
		return 0, errRuns
	}
	return strconv.Atoi(fields[36])
}
