package lab

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

//go:embed systemd.sh
var systemdScript string

const (
	bootTimeout = time.Minute // it takes about a second
	// shared is the machine's end of Systemd.Share.
	shared = "/lab"
	// insideEnv tells a test binary that it runs within a machine.
	insideEnv = "WPMEND_LAB_SYSTEMD"
	// machineCaps are what neither the machine's PID 1 nor what is run in it may do: see systemd.sh.
	machineCaps = "-sys_time,-sys_module,-sys_rawio,-mknod,-wake_alarm,-block_suspend,-mac_admin,-mac_override,-syslog"
)

// SystemdOptions describe a machine. The zero value runs nothing but systemd.
type SystemdOptions struct {
	// Units are started at boot: "php8.2-fpm.service", "nginx.service". Nothing that the host has enabled is.
	Units []string
	// Files are written before anything starts: content by absolute path, 0644 and root's, in folders 0755. A drop-in
	// of a unit, a pool, a page.
	Files map[string]string
}

// Systemd is a machine of its own with a real systemd as PID 1, on top of an overlay of the host's files: what it
// writes is gone with it, its network is nothing but lo, and neither reaches the host. Memory limits are enforced.
// It boots in about a second. To run a test's own code in it, see [InSystemd].
type Systemd struct {
	Share string // a folder of the host's that the machine sees as /lab, live

	dir   string
	pid   int // of its PID 1
	guard *exec.Cmd
	pipe  io.Closer
	ended sync.Once
}

// NewSystemd boots a machine for a test, and ends it with the test, or with the process that runs it, however that
// ends. It fails the test where there can be none.
func NewSystemd(t testing.TB, o SystemdOptions) *Systemd {
	t.Helper()
	s, err := UpSystemd(context.Background(), o)
	if err != nil {
		t.Fatalf("cannot boot a machine with systemd: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("journal of the machine:\n%s", s.Journal())
		}
		if err := s.Close(); err != nil {
			t.Errorf("cannot end the machine: %v", err)
		}
	})
	return s
}

// InSystemd runs the calling test in a machine of its own: called at its beginning, it says false on the host, after
// the same test binary has run this one test in the machine and what it said is in the log here; within it says true,
// and the test goes on.
//
//	if !lab.InSystemd(t, lab.SystemdOptions{Units: []string{"php8.2-fpm.service", "nginx.service"}}) {
//		return
//	}
//
// Within, the host's programs and files are there as they were at boot, systemctl works, [New] does too, and /tmp is
// empty.
func InSystemd(t *testing.T, o SystemdOptions) (inside bool) {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		return true
	}
	s := NewSystemd(t, o)
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Share, "test"), self, 0o755)
	}
	if err != nil {
		t.Fatalf("cannot take the test into the machine: %v", err)
	}
	var names []string
	for name := range strings.SplitSeq(t.Name(), "/") {
		names = append(names, "^"+regexp.QuoteMeta(name)+"$")
	}
	args := []string{"env", insideEnv + "=1", "WPMEND_LONG=" + os.Getenv("WPMEND_LONG"), shared + "/test", "-test.run=" + strings.Join(names, "/"), "-test.v"}
	ctx := context.Background()
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-5*time.Second))
		defer cancel()
		args = append(args, "-test.timeout="+time.Until(deadline.Add(-10*time.Second)).String())
	}
	out, err := s.Run(ctx, args...)
	if err != nil || !strings.Contains(out, "--- PASS: "+t.Name()+" ") {
		t.Errorf("within the machine: %v\n%s", err, out)
	} else {
		t.Logf("within the machine:\n%s", out)
	}
	return false
}

// UpSystemd boots a machine and returns when its units run.
func UpSystemd(ctx context.Context, o SystemdOptions) (*Systemd, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("it needs root")
	}
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil {
		return nil, fmt.Errorf("it needs the package systemd: run sudo packaging/test, which installs it: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("/tmp", "wpmend-systemd-")
	if err != nil {
		return nil, err
	}
	s := &Systemd{dir: dir, Share: filepath.Join(dir, "share")}
	if err := s.layOut(o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.booted(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// layOut writes what the script reads.
func (s *Systemd) layOut(o SystemdOptions) error {
	for _, d := range []string{"share", "fs", "files"} {
		if err := os.Mkdir(filepath.Join(s.dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	var units strings.Builder
	for _, u := range o.Units {
		units.WriteString(u + "\n")
	}
	files := map[string]string{filepath.Join(s.dir, "units"): units.String(), filepath.Join(s.dir, "systemd.sh"): systemdScript}
	for path, text := range o.Files {
		files[filepath.Join(s.dir, "files", path)] = text
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *Systemd) start() error {
	s.guard = exec.Command("bash", filepath.Join(s.dir, "systemd.sh"), "guard", s.dir)
	// Its own session: an interrupt typed at the terminal must not end it first.
	s.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	s.guard.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	pipe, err := s.guard.StdinPipe()
	if err != nil {
		return err
	}
	s.pipe = pipe
	return s.guard.Start()
}

// booted waits until systemd says that all has started.
func (s *Systemd) booted(ctx context.Context) error {
	for {
		if text, err := os.ReadFile(filepath.Join(s.dir, "pid")); err == nil && s.pid == 0 {
			if s.pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
				return fmt.Errorf("its PID 1 is %q: %w", text, err)
			}
		}
		if s.pid != 0 {
			out, err := s.enter(ctx, "systemctl", "is-system-running", "--wait")
			switch state := strings.TrimSpace(out); {
			case err == nil && state == "running":
				return nil
			case state == "degraded":
				failed, _ := s.enter(ctx, "systemctl", "--no-pager", "--plain", "--failed")
				return fmt.Errorf("it did not boot whole:\n%s%s", failed, s.Journal())
			}
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("it does not boot: %w\n%s", ctx.Err(), log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// enter runs a program within the machine's namespaces, but outside of its control groups.
func (s *Systemd) enter(ctx context.Context, argv ...string) (string, error) {
	all := append([]string{"-t", strconv.Itoa(s.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--",
		"setpriv", "--pdeathsig", "KILL", "--bounding-set", machineCaps, "--inh-caps", machineCaps}, argv...)
	cmd := exec.CommandContext(ctx, "nsenter", all...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root"}
	if tz, ok := os.LookupEnv("TZ"); ok {
		cmd.Env = append(cmd.Env, "TZ="+tz)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	err := cmd.Run()
	return out.String(), err
}

// Run runs a program in the machine, as root in a scope of its own, and gives what it wrote; its exit code is in an
// [exec.ExitError].
func (s *Systemd) Run(ctx context.Context, argv ...string) (string, error) {
	return s.enter(ctx, append([]string{"systemd-run", "--scope", "--quiet", "--collect", "--"}, argv...)...)
}

// Journal is what the machine's journal holds of warnings and of services.
func (s *Systemd) Journal() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := s.enter(ctx, "journalctl", "--no-pager", "--output=short-precise", "--lines=100")
	if err != nil {
		return fmt.Sprintf("%s%v", out, err)
	}
	return out
}

// Close ends the machine and removes every trace of it. It may be called again.
func (s *Systemd) Close() (err error) {
	s.ended.Do(func() { err = s.end() })
	return err
}

func (s *Systemd) end() error {
	s.pipe.Close()
	done := make(chan error, 1)
	go func() { done <- s.guard.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("end the machine: guard: %w", err)
		}
	case <-time.After(endTimeout):
		return fmt.Errorf("cannot end the machine within %s: guard (pid %d) still tries", endTimeout, s.guard.Process.Pid)
	}
	if _, err := os.Lstat(s.dir); err == nil {
		return fmt.Errorf("the guard left %s behind", s.dir)
	}
	return nil
}
