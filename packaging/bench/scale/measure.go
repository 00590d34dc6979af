package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	tick   = 10 * time.Millisecond // of /proc/PID/stat: USER_HZ is 100 on Linux
	settle = 10 * time.Second
	// fresh is how long folders are looked through again because somebody may be at work there; those of a real host are
	// older.
	fresh      = 65 * time.Second
	startLimit = 5 * time.Minute
)

// row is one line of the table.
type row struct {
	sites           int
	cold            usage // from the start until it watches
	unchanged       usage // a discovery when nothing has changed
	rss, pss, peak  int   // kB
	idle            usage
	probes          float64 // a second
	fds, goroutines int
	busy            float64 // share of both that other work took of the machine meanwhile
	threads         int
}

// usage is processor time, that of ended children included, and the time that went by.
type usage struct{ cpu, wall time.Duration }

func printHead(to io.Writer) {
	fmt.Fprintf(to, "%6s | %-17s | %-19s | %7s %7s %7s | %-8s %8s | %5s %5s %6s | %s\n",
		"sites", "cold: cpu    wall", "unchanged: cpu wall", "RSS MB", "PSS", "peak", "idle cpu", "probes/s", "fds", "gorout", "thread", "machine busy")
}

func (r row) print(to io.Writer) {
	mb := func(kb int) string { return fmt.Sprintf("%.1f", float64(kb)/1024) }
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
	fmt.Fprintf(to, "%6d | %8s %8s | %9s %9s | %7s %7s %7s | %7.2f%% %8.2f | %5d %6d %6d | %3.0f%%\n",
		r.sites, seconds(r.cold.cpu), seconds(r.cold.wall), seconds(r.unchanged.cpu), seconds(r.unchanged.wall),
		mb(r.rss), mb(r.pss), mb(r.peak), 100*r.idle.cpu.Seconds()/r.idle.wall.Seconds(), r.probes, r.fds, r.goroutines, r.threads, 100*r.busy)
}

// measureHost builds a host, runs wpmend on it and prints its row.
func measureHost(sites int, idle time.Duration, binary string, visits float64, soak int) error {
	h := &host{sites: sites}
	if err := h.setUp(); err != nil {
		return err
	}
	if err := h.build(); err != nil {
		return fmt.Errorf("build the host: %w", err)
	}
	if err := h.start(); err != nil {
		return err
	}
	time.Sleep(fresh)
	log, err := os.Create(base + "/wpmend.log")
	if err != nil {
		return err
	}
	cmd := exec.Command(binary, "--state", base+"/state", "--only", base+"/www", "--verbose", "run")
	cmd.Stdout, cmd.Stderr = log, log
	// The machine's threads of the runtime's own are those of a small host.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = cmd.Process.Kill() }() // the namespaces end with this process anyway
	pid := cmd.Process.Pid
	if err := wait(log.Name(), "msg=watching"); err != nil {
		return err
	}
	r := row{sites: sites}
	if r.cold.cpu, err = cpuOf(pid); err != nil {
		return err
	}
	r.cold.wall = time.Since(begun)
	stop := h.visitors(visits)
	defer stop()
	time.Sleep(settle)
	if err := r.watch(pid, idle); err != nil {
		return err
	}
	r.debug(log.Name())
	r.print(os.Stdout)
	if soak > 0 {
		if err := h.soak(&r, pid, soak); err != nil {
			return fmt.Errorf("soak: %w", err)
		}
	}
	if keep := os.Getenv("WPMEND_BENCH_LOG"); keep != "" {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			return err
		}
		return os.WriteFile(fmt.Sprintf("%s.%d", keep, sites), text, 0o644)
	}
	return nil
}

// visitors ask the first half of the sites in turn.
func (h *host) visitors(rate float64) (stop func()) {
	done := make(chan struct{})
	if rate > 0 {
		go func() {
			turn := time.NewTicker(time.Duration(float64(time.Second) / rate))
			defer turn.Stop()
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				case <-turn.C:
					go visit(i % max(1, h.sites/2)) // a visitor more or less
				}
			}
		}()
	}
	return func() { close(done) }
}

// watch measures an idle wpmend.
func (r *row) watch(pid int, idle time.Duration) error {
	probes, err := countProbes()
	if err != nil {
		return err
	}
	cpu, err := cpuOf(pid)
	if err != nil {
		return err
	}
	before, all := machine()
	begun := time.Now()
	time.Sleep(idle)
	after, err := cpuOf(pid)
	if err != nil {
		return err
	}
	r.idle = usage{after - cpu, time.Since(begun)}
	more, err := countProbes()
	if err != nil {
		return err
	}
	r.probes = float64(more-probes) / r.idle.wall.Seconds()
	if afterBusy, afterAll := machine(); afterAll > all {
		r.busy = (afterBusy - before) / (afterAll - all)
	}
	r.rss, r.peak, r.threads = status(pid, "VmRSS"), status(pid, "VmHWM"), status(pid, "Threads")
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		r.pss = field(string(text), "Pss")
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	r.fds = len(fds)
	return err
}

// cpuOf is what a process and its ended children used.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("wpmend ended: %w", err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int
	for _, i := range []int{11, 12, 13, 14} { // utime stime cutime cstime, proc(5)
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// machine is how long the processors worked and how long there were, in ticks.
func machine() (busy, all float64) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, f := range strings.Fields(line)[1:] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil || i > 7 { // guests are in user
			break
		}
		if all += n; i != 3 && i != 4 { // idle, iowait
			busy += n
		}
	}
	return busy, all
}

func status(pid int, name string) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return field(string(text), name)
}

func field(text, name string) int {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// countProbes counts wpmend's own requests in all access logs.
func countProbes() (n int, err error) {
	logs, err := filepath.Glob(base + "/www/*/logs/access.log")
	if err != nil {
		return 0, err
	}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			return 0, err
		}
		n += bytes.Count(text, []byte("?wpmend="))
	}
	return n, nil
}

func wait(log, what string) error {
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte(what)) {
			return nil
		}
	}
	return fmt.Errorf("wpmend does not say %q within %s", what, startLimit)
}

var discovered = regexp.MustCompile(`msg=discovered .*unchanged=(true|false) took=(\S+) cpu=(\S+) goroutines=(\d+)`)

// debug takes what wpmend says of its discoveries.
func (r *row) debug(log string) {
	f, err := os.Open(log)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := discovered.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[4]); err == nil {
			r.goroutines = n
		}
		if m[1] == "true" {
			wall, errWall := time.ParseDuration(m[2])
			cpu, errCPU := time.ParseDuration(m[3])
			if errWall == nil && errCPU == nil {
				r.unchanged = usage{cpu, wall}
			}
		}
	}
}
