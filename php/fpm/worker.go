package fpm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"wpmend/php/process"
)

// ErrNoWorker says that a PID is no worker of a copy, or no longer.
var ErrNoWorker = errors.New("is no worker of the private copy")

// EndWorker ends one worker of the copy at once, by its PID as the copy's logs show it; FPM starts another in its
// place. A PID that is no worker of this copy, or of one that has ended, is ErrNoWorker: nothing else is ever signalled.
func (v *Private) EndWorker(pid int) error {
	if pid <= 1 {
		return fmt.Errorf("process %d %w", pid, ErrNoWorker)
	}
	hosts, err := v.workers()
	if err != nil {
		return err
	}
	for _, host := range hosts {
		if innerPID(host) != pid {
			continue
		}
		p, err := process.Read(host)
		if err != nil {
			break
		}
		return v.signal(p)
	}
	return fmt.Errorf("process %d %w", pid, ErrNoWorker)
}

// signal holds on to the process before it looks a last time whether it is still our worker.
func (v *Private) signal(p process.Process) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("process %d %w", p.PID, ErrNoWorker)
	}
	if err != nil {
		return fmt.Errorf("end worker %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if again, err := process.Read(p.PID); err != nil || again.Start != p.Start || again.PPID != v.master.PID || !v.master.Alive() {
		return fmt.Errorf("process %d %w", p.PID, ErrNoWorker)
	}
	// The site's code may have caught SIGTERM.
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end worker %d: %w", p.PID, err)
	}
	return nil
}

// innerPID is a process's PID in its own namespace: the last field of NSpid in /proc/PID/status (Linux 4.1).
func innerPID(pid int) int {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				inner, err := strconv.Atoi(fields[len(fields)-1])
				if err == nil {
					return inner
				}
			}
		}
	}
	return 0
}
