package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests of this file end wpmend at every single call that changes anything. A
// child of this very binary does the work, and kills itself at the call.
const (
	crashDir  = "WPMEND_TEST_CRASH_DIR"
	crashWork = "WPMEND_TEST_CRASH_WORK"
	crashAt   = "WPMEND_TEST_CRASH_AT"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	at, err := strconv.Atoi(os.Getenv(crashAt))
	if err == nil {
		p := placeIn(dir)
		calls := 0
		err = p.work(os.Getenv(crashWork), func(string) error {
			if calls++; calls == at {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return nil
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// work is one of the jobs that are interrupted.
func (p place) work(name string, hook func(op string) error) error {
	p.options.hook = hook
	j, err := Open(p.journal, p.deps())
	if err != nil {
		return err
	}
	j.disk.hook = hook
	if name == "disable" {
		c, err := p.disable()
		if err != nil {
			return err
		}
		if c, err = j.Plan(c); err != nil {
			return err
		}
		if err := j.Apply(context.Background(), c.ID); err != nil {
			return err
		}
		return j.Verified(c.ID)
	}
	if name == "recover" {
		_, err := j.Recover(context.Background())
		return err
	}
	changes, err := j.List()
	if err != nil {
		return err
	}
	return j.Undo(context.Background(), changes[0].ID, "test")
}

// prepare brings a place into the state in which a work begins, and says how the site
// must look if the work is not done, or is.
func (p place) prepare(t testing.TB, work string) (before, after string) {
	t.Helper()
	found := p.snapshot(t)
	if work == "disable" {
		return found, ""
	}
	j := p.open(t)
	p.disabled(t, j, work == "undo")
	// Meanwhile an admin has opened wp-admin → Plugins.
	if err := p.options.set(`a:1:{i:0;s:11:"bar/bar.php";}`); err != nil {
		t.Fatal(err)
	}
	if work == "recover" {
		// Nothing was verified, and a dead writer left its file.
		if err := os.WriteFile(filepath.Join(p.journal, temporary+"x.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		return found, found
	}
	return p.snapshot(t), found
}

// countCalls runs a work without interruption.
func countCalls(t *testing.T, work string) (n int, ops []string) {
	t.Helper()
	p := newPlace(t)
	_, after := p.prepare(t, work)
	if err := p.work(work, func(op string) error { n++; ops = append(ops, op); return nil }); err != nil {
		t.Fatal(err)
	}
	if after != "" {
		p.same(t, after)
	} else if _, err := os.Stat(p.path(fooOff)); err != nil {
		t.Fatal(err)
	}
	return n, ops
}

func TestCrashAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, work := range []string{"disable", "undo", "recover"} {
		t.Run(work, func(t *testing.T) {
			t.Parallel()
			n, ops := countCalls(t, work)
			t.Logf("%s: %d places to die", work, n)
			if n < 20 {
				t.Fatalf("only %d calls were counted: %q", n, ops)
			}
			var crashes sync.WaitGroup
			slots := make(chan struct{}, 2)
			for i := 1; i <= n; i++ {
				slots <- struct{}{}
				crashes.Go(func() {
					defer func() { <-slots }()
					crash(t, work, i, ops[i-1])
				})
			}
			crashes.Wait()
		})
	}
}

// crash lets a child die at its call i, recovers, and looks.
func crash(t *testing.T, work string, i int, op string) {
	p := newPlace(t)
	before, after := p.prepare(t, work)
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+p.dir, crashWork+"="+work, crashAt+"="+strconv.Itoa(i))
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("%s: the child did not die at call %d (%s): %v\n%s", work, i, op, err, out)
		return
	}
	j := p.open(t)
	report, err := j.Recover(context.Background())
	if err != nil {
		t.Errorf("%s, died %s: recover: %v", work, op, err)
	}
	for _, r := range report {
		if r.Err != nil {
			t.Errorf("%s, died %s: %s: %v", work, op, r.What, r.Err)
		}
	}
	changes, err := j.List()
	if err != nil {
		t.Errorf("%s, died %s: list: %v", work, op, err)
	}
	now, verified := p.snapshot(t), len(changes) == 1 && changes[0].State == Verified
	switch {
	case work == "disable" && now == before && !verified:
	case work == "disable" && verified && isDisabled(p):
	case work == "undo" && now == before && verified:
	case work != "disable" && now == after && len(changes) == 1 && changes[0].State == Undone:
	default:
		t.Errorf("%s, died %s (call %d): the site is neither as found nor as fixed; changes %+v\nbefore:\n%s\nnow:\n%s", work, op, i, changes, before, now)
	}
	if left, _ := filepath.Glob(filepath.Join(p.journal, temporary+"*")); len(left) > 0 {
		t.Errorf("%s, died %s: temporary files are left: %q", work, op, left)
	}
	// A second recovery finds nothing to do.
	if again, err := j.Recover(context.Background()); err != nil || len(again) > 0 {
		t.Errorf("%s, died %s: a second recovery did %+v, %v", work, op, again, err)
	}
	if p.snapshot(t) != now {
		t.Errorf("%s, died %s: a second recovery changed the site", work, op)
	}
}

func isDisabled(p place) bool {
	for rel, there := range map[string]bool{fooOff: true, helloOff: true, "wp-content/plugins/foo": false, "wp-content/plugins/hello.php": false} {
		if _, err := os.Lstat(p.path(rel)); (err == nil) != there {
			return false
		}
	}
	return p.options.get() == threeActive
}

// A disk that is full or broken for one call, at every call in turn.
func TestFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, errno := range []unix.Errno{unix.ENOSPC, unix.EIO} {
		for _, work := range []string{"disable", "undo"} {
			t.Run(work+" "+unix.ErrnoName(errno), func(t *testing.T) {
				t.Parallel()
				n, ops := countCalls(t, work)
				for i := 1; i <= n; i++ {
					p := newPlace(t)
					before, after := p.prepare(t, work)
					calls := 0
					err := p.work(work, func(string) error {
						if calls++; calls == i {
							return errno
						}
						return nil
					})
					if !errors.Is(err, errno) {
						t.Errorf("%s: the error is %v, not %v", ops[i-1], err, errno)
					}
					j := p.open(t)
					if work == "disable" && !strings.Contains(ops[i-1], "swap") {
						if changes, _ := j.List(); len(changes) == 0 || changes[0].State != Applied && changes[0].State != Verified {
							p.same(t, before) // nobody had to recover
						}
					}
					report, rerr := j.Recover(context.Background())
					if rerr != nil {
						t.Errorf("%s: recover: %+v, %v", ops[i-1], report, rerr)
					}
					now := p.snapshot(t)
					if now != before && now != after && !isDisabled(p) {
						t.Errorf("%s: the site is neither as found nor as fixed:\n%s", ops[i-1], now)
					}
				}
			})
		}
	}
}

// A disk that stays full from one call on: nothing more can be written down, but what
// was done is still taken back.
func TestFullForGood(t *testing.T) {
	t.Parallel()
	n, ops := countCalls(t, "disable")
	for i := 1; i <= n; i++ {
		p := newPlace(t)
		before := p.snapshot(t)
		calls := 0
		err := p.work("disable", func(op string) error {
			if calls++; calls >= i && (strings.HasSuffix(op, "write") || strings.HasSuffix(op, "create") || strings.HasSuffix(op, "mkdir")) {
				return unix.ENOSPC
			}
			return nil
		})
		if err == nil {
			continue // nothing was written after call i
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: the error is %v", ops[i-1], err)
		}
		if isDisabled(p) {
			// Only its verification could not be written.
			changes, _ := p.open(t).List()
			if len(changes) != 1 || changes[0].State != Applied {
				t.Errorf("%s: changed, but the journal says %+v", ops[i-1], changes)
			}
			continue
		}
		p.same(t, before)
	}
}
