package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A daemon is a process that the lab started; done closes when it is reaped.
type daemon struct {
	pid  int
	done chan struct{}
}

// launch starts a program that stays in the foreground, with its output in
// logs/NAME.out, and reaps it when it ends.
func (l *Lab) launch(name string, cred *syscall.Credential, argv ...string) error {
	out, err := os.OpenFile(filepath.Join(l.Dir, "logs", name+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	// The host's environment could change what the programs do (PHP_INI_SCAN_DIR,
	// MYSQL_HOME, …); a service manager hands down little more than this.
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	// A group of its own: an interrupt at the terminal is for the test to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: cred}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	d := &daemon{pid: cmd.Process.Pid, done: make(chan struct{})}
	l.waiters.Go(func() {
		cmd.Wait() // how it ended is in its log; that it ended shows in done
		close(d.done)
	})
	l.mu.Lock()
	l.daemons[name] = d
	l.mu.Unlock()
	return nil
}

// daemon returns what launch started last under the name, nil if nothing.
func (l *Lab) daemon(name string) *daemon {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.daemons[name]
}

func (d *daemon) alive() bool {
	if d == nil {
		return false
	}
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// await polls until cond holds; a daemon that ends meanwhile ends the waiting.
func (l *Lab) await(name string, limit time.Duration, cond func() bool) error {
	d := l.daemon(name)
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(3 * time.Millisecond) {
		if cond() {
			return nil
		}
		if d != nil && !d.alive() {
			return fmt.Errorf("%s ended instead of starting:\n%s", name, l.Logs())
		}
	}
	return fmt.Errorf("%s is not ready after %s:\n%s", name, limit, l.Logs())
}

// processes returns the pids of processes whose title (their command line) is
// exactly the given one, whoever started them.
func processes(title string) []int {
	var pids []int
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil // only a malformed pattern can fail
	}
	for _, name := range names {
		cmdline, err := os.ReadFile(name)
		if err != nil {
			continue // it ended meanwhile
		}
		if string(bytes.TrimRight(cmdline, "\x00 ")) == title {
			pid, err := strconv.Atoi(strings.Split(name, "/")[2])
			if err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// terminate asks the processes to end and waits until they are gone.
func terminate(pids []int, limit time.Duration) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("cannot end process %d: %w", pid, err)
		}
	}
	deadline := time.Now().Add(limit)
	for _, pid := range pids {
		for running(pid) {
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d does not end within %s", pid, limit)
			}
			time.Sleep(3 * time.Millisecond)
		}
	}
	return nil
}

// running says whether the process still runs; a zombie does not.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The state follows the name, which is in brackets and may hold anything.
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return !bytes.HasPrefix(bytes.TrimSpace(after), []byte("Z"))
}

// children returns the pids that a process has started itself: proc(5).
func children(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}
