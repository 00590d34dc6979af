package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	crashing "wpmend/packaging/crash"
)

// The tests of this file hold a child at every system call that changes something, by the
// kernel's own means: what the hooks of crash_test.go do not know of is met, too.

// mishap is what happens to a call.
type mishap struct {
	name    string
	verdict crashing.Verdict
	// forGood: to every later call, too, that meets the same disk.
	forGood bool
	only    []string // calls that it can happen to; none: all
}

func (m mishap) fits(c crashing.Call) bool { return m.only == nil || slices.Contains(m.only, c.Name) }

var (
	allocating = []string{"open", "write", "mkdir", "rename", "setxattr", "fsync"}
	writing    = []string{"write"}
	mishaps    = []mishap{
		{"SIGKILL", crashing.Kill(), false, nil},
		{"SIGKILL in mid-write", crashing.Torn(), false, writing},
		{"SIGKILL after a write", crashing.KillAfter(), false, writing},
		{"ENOSPC", crashing.Fail(unix.ENOSPC), false, allocating},
		{"EROFS", crashing.Fail(unix.EROFS), false, nil},
		{"EIO", crashing.Fail(unix.EIO), false, nil},
		{"EINTR", crashing.Fail(unix.EINTR), false, []string{"open", "write", "fsync"}},
		{"short write", crashing.Part(), false, writing},
		{"ENOSPC for good", crashing.Fail(unix.ENOSPC), true, allocating},
		{"EROFS for good", crashing.Fail(unix.EROFS), true, nil},
		{"EIO for good", crashing.Fail(unix.EIO), true, nil},
	}
)

// watched runs a work in a child that is held at its calls.
func watched(p place, work string, decide func(crashing.Call) crashing.Verdict) (said string, err error) {
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+p.dir, crashWork+"="+work)
	var out bytes.Buffer
	child.Stdout, child.Stderr = &out, &out
	h, err := crashing.Hold(child, p.counts, decide)
	if err == nil {
		err = h.Wait()
	}
	return out.String(), err
}

// counts: an option is a row of a database, which knows nothing of half a write; what a
// cache holds and a server has loaded is for recovery to tell them anew.
func (p place) counts(path string) bool {
	return strings.HasPrefix(path, p.dir+"/") && !strings.HasPrefix(path, p.options.dir+"/cached/") && path != p.dir+"/served"
}

// calls are those of a work that nothing happens to.
func calls(t testing.TB, work string) (found []crashing.Call) {
	t.Helper()
	p, _, after := prepare(t, work)
	if said, err := watched(p, work, func(c crashing.Call) crashing.Verdict {
		found = append(found, c)
		return crashing.Pass()
	}); err != nil {
		t.Fatalf("%s: %v: %s", work, err, said)
	}
	if after != "" {
		p.same(t, after)
	}
	return found
}

// tally counts what was tried.
type tally struct{ points, runs, survived atomic.Int64 }

func jobsOf(s scene) (works []string) {
	for _, job := range []string{"do", "undo", "recover", "settle"} {
		works = append(works, s.name+": "+job)
	}
	return works
}

// thorough: every mishap at every call, which takes minutes.
func thorough() bool { return os.Getenv("WPMEND_LONG") != "" }

func TestFaultInKernel(t *testing.T) {
	var met tally
	var nth atomic.Int64
	for _, s := range scenes {
		for _, work := range jobsOf(s) {
			sequence := calls(t, work)
			met.points.Add(int64(len(sequence)))
			var runs sync.WaitGroup
			slots := make(chan struct{}, 2)
			for _, m := range mishaps {
				for _, c := range sequence {
					// A prime, so that the short run meets other calls with each mishap.
					if !m.fits(c) || !thorough() && nth.Add(1)%31 != 0 {
						continue
					}
					slots <- struct{}{}
					runs.Go(func() {
						defer func() { <-slots }()
						met.runs.Add(1)
						happen(t, &met, work, m, c)
					})
				}
			}
			runs.Wait()
		}
	}
	fmt.Printf("journal: %d points of injection, %d runs, of which wpmend outlived %d\n", met.points.Load(), met.runs.Load(), met.survived.Load())
}

// happen lets a mishap come over one call of a work, and looks what that leaves.
func happen(t testing.TB, met *tally, work string, m mishap, at crashing.Call) {
	p, before, after := prepare(t, work)
	label := m.name + " at " + strings.ReplaceAll(at.String(), p.dir, "")
	hit := false
	said, err := watched(p, work, func(c crashing.Call) crashing.Verdict {
		if c.N == at.N || m.forGood && hit && m.fits(c) {
			hit = true
			return m.verdict
		}
		return crashing.Pass()
	})
	if !hit {
		t.Errorf("%s: %s: never got there: %s", work, label, said)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() != strings.HasPrefix(m.name, "SIGKILL") || strings.Contains(said, "panic:") {
		t.Errorf("%s: %s: %v: %s", work, label, err, said)
	}
	if !strings.HasPrefix(m.name, "SIGKILL") {
		met.survived.Add(1)
		honest(t, p, work, label, before, said, err)
	}
	aftermath(t, p, work, label, before, after)
}

// honest: whoever lived on must not have said that all is well when it is not.
func honest(t testing.TB, p place, work, label, before, said string, err error) {
	t.Helper()
	s := sceneOf(work[:strings.Index(work, ": ")])
	changes, lerr := p.open(t).List()
	if lerr != nil {
		t.Errorf("%s: %s: the journal is not readable: %v", work, label, lerr)
	}
	switch job := work[strings.Index(work, ": ")+2:]; {
	case err == nil && job == "do" && (s.fixed(p) != nil || !all(changes, Verified) && !proven(p.open(t))):
		t.Errorf("%s: %s: it said that all went well, but it is not fixed (%v): %+v", work, label, s.fixed(p), changes)
	case err == nil && job != "do" && !all(changes, Undone):
		t.Errorf("%s: %s: it said that all went well, but changes are not undone: %+v", work, label, changes)
	case err != nil && job == "do" && len(Interrupted(changes)) == 0 && !proven(p.open(t)) && p.snapshot(t) != before:
		t.Errorf("%s: %s: changed, and the journal knows nothing of it: %+v (%s)", work, label, changes, said)
	}
}
