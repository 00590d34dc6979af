package journal

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	crashing "wpmend/packaging/crash"
)

// A power cut takes with it what was not synced, in any combination. Whatever is left of
// the disk, recovery finds the site as found or as fixed and verified; and what wpmend
// said was done is done after the power cut, too.
func TestPowerCut(t *testing.T) {
	instants, cuts := 0, 0
	for _, s := range scenes {
		for _, work := range jobsOf(s) {
			p, before, after := prepare(t, work)
			disk, calls := filmed(t, p, work)
			instants += calls
			nth := 0
			for state := range disk.States {
				// The end is always looked at: nothing may be lost of what is done.
				if nth++; !state.Whole && !thorough() && nth%11 != 0 {
					continue
				}
				cuts++
				if err := state.Put(); err != nil {
					t.Fatalf("%s: %s: %v", work, state, err)
				}
				p.boot(t)
				if state.Whole {
					promised(t, p, work, state.String(), after)
				}
				aftermath(t, p, work, state.String(), before, after)
				if t.Failed() {
					return // the first is enough to read
				}
			}
		}
	}
	fmt.Printf("journal: power cuts at %d instants, %d different disks recovered\n", instants, cuts)
}

// filmed runs a work and gives the model of what it did to the disk.
func filmed(t testing.TB, p place, work string) (disk *crashing.Disk, calls int) {
	t.Helper()
	// A database syncs by itself; so may a server that is told to load its configuration.
	disk, err := crashing.NewDisk(p.dir, func(path string) bool {
		return strings.HasPrefix(path, p.options.dir+"/") || path == p.dir+"/served"
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Remove() })
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+p.dir, crashWork+"="+work)
	var problem error
	h, err := crashing.Hold(child, func(path string) bool { return strings.HasPrefix(path+"/", p.dir+"/") }, func(c crashing.Call) crashing.Verdict {
		calls++
		if err := disk.Record(c); err != nil && problem == nil {
			problem = err
		}
		return crashing.Pass()
	})
	if err == nil {
		err = h.Wait()
	}
	if err == nil {
		err = problem
	}
	if err == nil {
		err = disk.Check()
	}
	if err != nil {
		t.Fatalf("%s: %v", work, err)
	}
	return disk, calls
}

// boot is what happens before anybody recovers: the server loads its configuration, and
// the cache, which lay in memory, is empty.
func (p place) boot(t testing.TB) {
	t.Helper()
	entries, err := os.ReadDir(p.options.dir)
	for _, e := range entries {
		if err == nil && !e.IsDir() {
			p.options.forget(t.Context(), "", e.Name())
		}
	}
	if _, serr := os.Stat(p.host()); err == nil && serr == nil {
		err = p.act(t.Context(), loads)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// promised: after a run that ended well nothing of it is lost.
func promised(t testing.TB, p place, work, label, after string) {
	t.Helper()
	changes, err := p.open(t).List()
	if err != nil {
		t.Errorf("%s: %s: %v", work, label, err)
	}
	if strings.HasSuffix(work, ": do") {
		if fixed := sceneOf(strings.TrimSuffix(work, ": do")).fixed(p); fixed != nil || !all(changes, Verified) {
			t.Errorf("%s: %s: it was done and verified, and is not: %v, %+v", work, label, fixed, changes)
		}
	} else if now := p.snapshot(t); now != after || !all(changes, Undone) {
		t.Errorf("%s: %s: it was undone, and is not: %+v\nwant:\n%s\nnow:\n%s", work, label, changes, after, now)
	}
}
