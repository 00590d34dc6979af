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
	clocks := make(chan clock, len(byCPU))
	for cpu := range byCPU {
		go func() { clocks <- readClock(cpu) }()
	}
	late := time.After(clockWait)
	for range byCPU {
		var now clock
		select {
		case now = <-clocks:
		case <-late:
			return
		}
		for _, s := range byCPU[now.cpu] {
			// Neither a longer time than it has lived nor one from the future is believed.
			if still := now.at - s.since; now.at > 0 && still > 0 && still <= workers[s.worker].Age+time.Second {
				workers[s.worker].Still = still
			}
		}
	}
}

// clockWait is how long a busy processor may take to let us read its clock.
const clockWait = 50 * time.Millisecond

// clock is what a processor's own clock says; at 0 it is not known.
type clock struct {
	cpu int
	at  time.Duration
}

// readClock moves to a processor for it. The thread is bound to that from then on, so it is never unlocked and ends with
// its goroutine.
func readClock(cpu int) clock {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return clock{cpu: cpu}
	}
	at, err := lastRan("/proc/thread-self/sched")
	if err != nil {
		return clock{cpu: cpu}
	}
	return clock{cpu, at}
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
