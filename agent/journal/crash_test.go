package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	crashing "wpmend/packaging/crash"
)

// The tests of this file end wpmend at every single call that changes anything: where
// plugins are renamed by SIGKILL, in a child of this very binary.
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
	err := crashing.Enter()
	at, _ := strconv.Atoi(os.Getenv(crashAt)) // none: the one who holds it ends it
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

// work is one of the jobs that are interrupted: a scene and what is done with it. To
// settle is to undo what an earlier wpmend left.
func (p place) work(name string, hook func(op string) error) error {
	p.options.hook = hook
	j, err := Open(p.journal, p.deps())
	if err != nil {
		return err
	}
	j.disk.hook = hook
	scene, job, _ := strings.Cut(name, ": ")
	switch job {
	case "do":
		return sceneOf(scene).do(p, j, true)
	case "recover":
		report, err := j.Recover(context.Background())
		for _, r := range report {
			err = errors.Join(err, r.Err)
		}
		return err
	}
	return undoAll(j)
}

// prepare makes a place in the state in which a work begins, and says how the site
// must look if the work is not done, or is; "" as the scene says.
func prepare(t testing.TB, work string) (p place, before, after string) {
	t.Helper()
	name, job, _ := strings.Cut(work, ": ")
	s := sceneOf(name)
	p = s.new(t)
	if job == "do" {
		return p, p.snapshot(t), ""
	}
	after = p.snapshot(t)
	if s.back != nil {
		// As found, but for what somebody chose meanwhile.
		was := map[string]string{}
		for name, value := range s.back {
			was[name] = p.options.value(name)
			if err := p.options.put(name, value); err != nil {
				t.Fatal(err)
			}
		}
		after = p.snapshot(t)
		for name, value := range was {
			if err := p.options.put(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(s.do(p, p.open(t), job == "undo"), s.fixed(p), s.meanwhile(p.options)); err != nil {
		t.Fatal(err)
	}
	if job != "undo" {
		// Nothing was verified, and a dead writer left its file.
		if err := os.WriteFile(filepath.Join(p.journal, temporary+"x.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		return p, after, after
	}
	return p, p.snapshot(t), after
}

// countCalls runs a work without interruption.
func countCalls(t *testing.T, work string) (n int, ops []string) {
	t.Helper()
	p, _, after := prepare(t, work)
	if err := p.work(work, func(op string) error { n++; ops = append(ops, op); return nil }); err != nil {
		t.Fatal(err)
	}
	if after != "" {
		p.same(t, after)
	} else if err := sceneOf(strings.TrimSuffix(work, ": do")).fixed(p); err != nil {
		t.Fatal(err)
	}
	return n, ops
}

func TestCrashAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, s := range scenes {
		for _, job := range []string{"do", "undo", "recover", "settle"} {
			work := s.name + ": " + job
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
}

// kill lets a child of this binary die of SIGKILL at call i of a work.
func kill(p place, work string, i int) error {
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+p.dir, crashWork+"="+work, crashAt+"="+strconv.Itoa(i))
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		return fmt.Errorf("the child did not die: %w\n%s", err, out)
	}
	return nil
}

// stop ends a work at its call i by a panic that nothing of it recovers: all that runs
// then are deferred calls, which close files as the kernel would.
func stop(p place, work string, i int) (err error) {
	defer func() {
		if recover() == nil {
			err = fmt.Errorf("it went on: %w", err)
		}
	}()
	calls := 0
	return p.work(work, func(op string) error {
		if calls++; calls == i {
			panic(op)
		}
		return nil
	})
}

// crash lets a work die at its call i, recovers, and looks.
func crash(t *testing.T, work string, i int, op string) {
	p, before, after := prepare(t, work)
	// A process for each of a thousand deaths would take a minute.
	die := stop
	if strings.HasPrefix(work, "plugins: ") {
		die = kill
	}
	if err := die(p, work, i); err != nil {
		t.Errorf("%s, call %d (%s): %v", work, i, op, err)
		return
	}
	p.options.hook = nil
	aftermath(t, p, work, op, before, after)
}

// aftermath recovers and looks.
func aftermath(t testing.TB, p place, work, op, before, after string) {
	t.Helper()
	j := p.open(t)
	if strings.HasSuffix(work, "settle") {
		// Whoever works on the site next need not be recovery.
		if err := undoAll(j); err != nil {
			t.Errorf("%s, died %s: undo: %v", work, op, err)
		}
	}
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
	if left := Interrupted(changes); len(left) > 0 {
		t.Errorf("%s, died %s: after recovery %d changes are still half-done", work, op, len(left))
	}
	if job := work[strings.Index(work, ": ")+2:]; job == "undo" {
		if now := p.snapshot(t); len(changes) == 1 && !(now == before && all(changes, Verified)) && !(now == after && all(changes, Undone)) {
			t.Errorf("%s, died %s: neither as it was nor undone; %+v\nbefore:\n%s\nnow:\n%s", work, op, changes, before, now)
		}
		// Of several changes some may stand; the undo then goes on.
		if err := undoAll(j); err != nil {
			t.Errorf("%s, died %s: undo: %v", work, op, err)
		}
		before = after
	}
	now := p.snapshot(t)
	if fixed := sceneOf(work[:strings.Index(work, ": ")]).fixed(p); now != before && (after != "" || fixed != nil || !all(changes, Verified)) ||
		now == before && !all(must(j.List()), Undone) {
		t.Errorf("%s, died %s: the site is neither as found nor as fixed (%v); changes %+v\nbefore:\n%s\nnow:\n%s", work, op, fixed, changes, before, now)
	}
	if left, _ := filepath.Glob(filepath.Join(p.journal, temporary+"*")); len(left) > 0 {
		t.Errorf("%s, died %s: temporary files are left: %q", work, op, left)
	}
	for _, left := range leftovers(p) {
		t.Errorf("%s, died %s: %s is left", work, op, left)
	}
	// A second recovery finds nothing to do.
	if again, err := j.Recover(context.Background()); err != nil || len(again) > 0 {
		t.Errorf("%s, died %s: a second recovery did %+v, %v", work, op, again, err)
	}
	if p.snapshot(t) != now {
		t.Errorf("%s, died %s: a second recovery changed the site", work, op)
	}
}

// leftovers are files of ours that lie beside the site's.
func leftovers(p place) (found []string) {
	for _, root := range []string{p.root, p.host()} {
		_ = filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
			if err == nil && (strings.HasPrefix(e.Name(), ".wpmend-") || strings.HasPrefix(e.Name(), temporary)) {
				found = append(found, name)
			}
			return nil // the folder of the host is missing in most scenes
		})
	}
	return found
}

func all(changes []Change, s State) bool {
	return !slices.ContainsFunc(changes, func(c Change) bool { return c.State != s })
}

func must(changes []Change, err error) []Change {
	if err != nil {
		panic(err)
	}
	return changes
}

func isDisabled(p place) bool { return sceneOf("plugins").fixed(p) == nil }

// A disk that is full or broken for one call, at every call in turn. That a cache could
// not be told is no error of the change.
func TestFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, s := range scenes {
		for _, job := range []string{"do", "undo"} {
			work, errno := s.name+": "+job, unix.ENOSPC
			if job == "undo" {
				errno = unix.EIO
			}
			t.Run(work+" "+unix.ErrnoName(errno), func(t *testing.T) {
				t.Parallel()
				n, ops := countCalls(t, work)
				for i := 1; i <= n; i++ {
					if strings.HasSuffix(ops[i-1], "forget") {
						continue
					}
					p, before, after := prepare(t, work)
					calls := 0
					err := p.work(work, func(string) error {
						if calls++; calls == i {
							return errno
						}
						return nil
					})
					j := p.open(t)
					if !errors.Is(err, errno) && (s.name != "a batch" || !proven(j)) {
						t.Errorf("%s: the error is %v, not %v", ops[i-1], err, errno)
					}
					if job == "do" && !strings.Contains(ops[i-1], "swap") {
						if changes, _ := j.List(); !slices.ContainsFunc(changes, func(c Change) bool { return c.State == Applied || c.State == Verified }) {
							p.same(t, before) // nobody had to recover
						}
					}
					report, rerr := j.Recover(context.Background())
					if rerr != nil {
						t.Errorf("%s: recover: %+v, %v", ops[i-1], report, rerr)
					}
					if job == "undo" {
						// Some of the changes may stand, verified.
						if err := undoAll(j); err != nil {
							t.Errorf("%s: undo: %v", ops[i-1], err)
						}
						before = after
					}
					if now := p.snapshot(t); now != before && (job == "undo" || s.fixed(p) != nil) {
						t.Errorf("%s: the site is neither as found nor as fixed:\n%s", ops[i-1], now)
					}
				}
			})
		}
	}
}

// proven tells whether one change of a journal is verified: then its batch is.
func proven(j *Journal) bool {
	return slices.ContainsFunc(must(j.List()), func(c Change) bool { return c.State == Verified })
}

// A disk that stays full from one call on: nothing more can be written down, but what
// was done is still taken back.
func TestFullForGood(t *testing.T) {
	t.Parallel()
	n, ops := countCalls(t, "plugins: do")
	for i := 1; i <= n; i++ {
		p, before, _ := prepare(t, "plugins: do")
		calls := 0
		err := p.work("plugins: do", func(op string) error {
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
