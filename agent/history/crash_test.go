package history

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	crashing "wpmend/packaging/crash"
)

// crashDir makes this binary one that keeps an incident from its beginning to its end.
const crashDir = "WPMEND_TEST_HISTORY_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	err := crashing.Enter()
	if err == nil {
		err = live(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// live says "open", "resolved" and "undone" when it was promised to be so.
func live(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	i, err := s.Open(Incident{Site: SiteRef{Root: "/srv/www"}})
	if err != nil {
		return err
	}
	fmt.Println(Ongoing)
	i.Note(now(), "looking")
	if err := s.Save(i); err != nil {
		return err
	}
	i.State = Resolved
	if err := s.Close(i); err != nil {
		return err
	}
	fmt.Println(Resolved)
	i.State = Undone
	i.Note(now(), "taken back")
	if err := s.Close(i); err != nil {
		return err
	}
	fmt.Println(Undone)
	return nil
}

// run lets live be held at its calls.
func run(t *testing.T, top string, decide func(crashing.Call) crashing.Verdict) (said string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+filepath.Join(top, "history"))
	var out bytes.Buffer
	child.Stdout = &out
	h, err := crashing.Hold(child, func(path string) bool { return strings.HasPrefix(path+"/", top+"/") }, decide)
	if err != nil {
		t.Fatal(err)
	}
	_ = h.Wait() // killed, or told by what it said
	return out.String()
}

// promised: what was said to be so is so, and the list is readable.
func promised(t *testing.T, top, label, said string) {
	t.Helper()
	s, err := Open(filepath.Join(top, "history"))
	if err != nil {
		t.Fatalf("%s: %v", label, err)
	}
	if err := s.Clean(); err != nil {
		t.Errorf("%s: %v", label, err)
	}
	list, err := s.List(Filter{})
	if err != nil || len(list) > 1 {
		t.Errorf("%s: %+v, %v", label, list, err)
	}
	rank := map[string]int{Ongoing: 1, Resolved: 2, Undone: 3}
	most := strings.Count(said, "\n")
	if is := 0; most > 0 {
		if len(list) == 1 {
			is = rank[list[0].State]
		}
		if is < most {
			t.Errorf("%s: it said %q, and the history has %+v", label, said, list)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(top, "history", ".tmp-*")); len(left) > 0 {
		t.Errorf("%s: %q is left", label, left)
	}
}

func memory(t *testing.T) string {
	t.Helper()
	top, err := os.MkdirTemp("/dev/shm", "wpmend-history-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	return top
}

func TestFaultInKernel(t *testing.T) {
	var calls []crashing.Call
	run(t, memory(t), func(c crashing.Call) crashing.Verdict { calls = append(calls, c); return crashing.Pass() })
	if len(calls) < 15 {
		t.Fatalf("only %d calls: %v", len(calls), calls)
	}
	runs := 0
	for _, at := range calls {
		verdicts := map[string]crashing.Verdict{"SIGKILL": crashing.Kill(), "ENOSPC": crashing.Fail(unix.ENOSPC), "EROFS": crashing.Fail(unix.EROFS), "EIO": crashing.Fail(unix.EIO)}
		if at.Name == "write" {
			verdicts["half"], verdicts["torn"], verdicts["EINTR"] = crashing.Part(), crashing.Torn(), crashing.Fail(unix.EINTR)
		}
		for name, verdict := range verdicts {
			runs++
			top := memory(t)
			said := run(t, top, func(c crashing.Call) crashing.Verdict {
				if c.N == at.N {
					return verdict
				}
				return crashing.Pass()
			})
			promised(t, top, name+" at "+at.String(), said)
		}
	}
	fmt.Printf("history: %d points of injection, %d runs\n", len(calls), runs)
}

func TestPowerCut(t *testing.T) {
	top := memory(t)
	disk, err := crashing.NewDisk(top, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Remove()
	calls := 0
	said := run(t, top, func(c crashing.Call) crashing.Verdict {
		calls++
		if err := disk.Record(c); err != nil {
			t.Error(err)
		}
		return crashing.Pass()
	})
	if err := disk.Check(); err != nil {
		t.Fatal(err)
	}
	cuts := 0
	for state := range disk.States {
		cuts++
		if err := state.Put(); err != nil {
			t.Fatal(err)
		}
		if !state.Whole {
			said = ""
		} else {
			said = Ongoing + "\n" + Resolved + "\n" + Undone + "\n"
		}
		promised(t, top, state.String(), said)
	}
	fmt.Printf("history: power cuts at %d instants, %d different disks\n", calls, cuts)
}
