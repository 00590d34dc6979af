package lab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// left lists the processes that name a lab's folder or have a file in it open,
// this one excepted.
func left(dir string) []string {
	var found []string
	procs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	for _, proc := range procs {
		if proc == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		cmdline, _ := os.ReadFile(proc + "/cmdline") // it may have ended meanwhile
		text := strings.ReplaceAll(string(cmdline), "\x00", " ")
		fds, _ := filepath.Glob(proc + "/fd/*")
		for _, fd := range fds {
			link, _ := os.Readlink(fd)
			text += " " + link
		}
		if strings.Contains(text, dir) {
			found = append(found, filepath.Base(proc)+": "+text)
		}
	}
	return found
}

func wantNothingLeft(t *testing.T, dir string) {
	t.Helper()
	if procs := left(dir); len(procs) > 0 {
		t.Errorf("still running:\n%s", strings.Join(procs, "\n"))
	}
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(*testing.T, *Lab){
		"untouched": func(*testing.T, *Lab) {},
		"a worker hangs": func(t *testing.T, l *Lab) {
			if err := l.Break(0, Hang, Slug(1)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if status, _, err := l.GetFrom(ctx, 0, "/"); err == nil {
				t.Fatalf("status %d from a site that hangs", status)
			}
		},
		"FPM started by somebody else": func(t *testing.T, l *Lab) {
			if err := l.StopFPM(); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("setsid", fpmBinary, "-y", l.FPMConfig(0)).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			wantHealthy(t, l, 0)
		},
		"FPM's master killed, its workers orphaned": func(t *testing.T, l *Lab) {
			pid := l.FPMMaster()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for running(pid) {
				time.Sleep(time.Millisecond)
			}
			wantHealthy(t, l, 0) // workers serve on without a master
		},
		"a small disk mounted": func(t *testing.T, l *Lab) {
			if err := l.Break(0, SessionsFull, ""); err != nil {
				t.Fatal(err)
			}
		},
		"database and FPM stopped": func(t *testing.T, l *Lab) {
			for _, stop := range []func() error{l.StopDB, l.StopFPM} {
				if err := stop(); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := New(t, Options{Plugins: 1})
			if len(left(l.Dir)) == 0 {
				t.Fatal("no process of a running lab is seen")
			}
			disturb(t, l)
			for range 2 {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			wantNothingLeft(t, l.Dir)
		})
	}
}

// A test that is killed, or interrupted at the terminal, leaves nothing either.
func TestKilledLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "interrupted": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), "LAB_TEST_PART=hold")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			dir := strings.TrimSpace(line)
			if err != nil || !strings.HasPrefix(dir, "/tmp/wpmend-lab-") {
				t.Fatalf("the holder says %q, %v", line, err)
			}
			if len(left(dir)) < 4 {
				t.Errorf("processes of a running lab: %q", left(dir))
			}
			// The whole group, as the terminal does.
			if err := syscall.Kill(-cmd.Process.Pid, sig); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Fatal("the holder ended well though a signal ended it")
			}
			for deadline := time.Now().Add(endTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				if _, err := os.Lstat(dir); os.IsNotExist(err) && len(left(dir)) == 0 {
					break
				}
			}
			wantNothingLeft(t, dir)
		})
	}
}

func TestUpThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	template, err := prepareTemplate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := &Lab{o: Options{Sites: 1, Masters: 1, MaxChildren: 1}, daemons: map[string]*daemon{}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.up(ctx, template); err == nil {
		t.Error("a lab came up though its context had ended")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	wantNothingLeft(t, l.Dir)
}
