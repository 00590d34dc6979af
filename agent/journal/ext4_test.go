package journal

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	crashing "wpmend/packaging/crash"
)

// loop is a real ext4 whose disk is a file, so that it can be copied as it is at an
// instant: what the file system has not handed to its disk by then is lost.
type loop struct {
	t           *testing.T
	dir         string
	device, mnt string
	bystander   *os.File // whose sync commits what others did, but not their data
	disks       []string // as they were at each instant
}

func (l *loop) do(name string, args ...string) string {
	l.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (l *loop) disk() string { return l.dir + "/disk" }

// newLoop lays a place out on an ext4 of 16 MiB.
func newLoop(t *testing.T, from place, options string) (*loop, place) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "wpmend-ext4-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &loop{t: t, dir: dir, mnt: dir + "/mnt"}
	if err := os.Mkdir(l.mnt, 0o755); err != nil {
		t.Fatal(err)
	}
	l.do("truncate", "-s", "16M", l.disk())
	l.do("mkfs.ext4", "-q", "-b", "1024", "-I", "256", l.disk())
	l.device = l.do("losetup", "-f", "--show", l.disk())
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", l.device).Run() }) // the machine is left as found, or says so below
	l.mount(options)
	t.Cleanup(func() { _ = unix.Unmount(l.mnt, unix.MNT_DETACH) }) // not mounted any more: fine
	l.do("cp", "-a", from.dir, l.mnt+"/place")
	p := placeIn(l.mnt + "/place")
	// The database is another machine's.
	if err := os.Rename(from.options.dir, dir+"/options"); err != nil {
		t.Fatal(err)
	}
	l.do("rm", "-r", p.options.dir)
	if err := os.Symlink(dir+"/options", p.options.dir); err != nil {
		t.Fatal(err)
	}
	if l.bystander, err = os.Create(l.mnt + "/bystander"); err != nil {
		t.Fatal(err)
	}
	l.do("sync", "-f", l.mnt)
	return l, p
}

func (l *loop) mount(options string) {
	l.t.Helper()
	l.do("mount", "-t", "ext4", "-o", options, l.device, l.mnt)
}

// film keeps the disk as it is now.
func (l *loop) film() {
	l.t.Helper()
	name := fmt.Sprintf("%s/disk-%d", l.dir, len(l.disks))
	l.do("cp", "--sparse=always", l.disk(), name)
	// What the kernel writes back of its own meanwhile would make a disk of two instants.
	for exec.Command("cmp", "-s", l.disk(), name).Run() != nil {
		l.do("cp", "--sparse=always", l.disk(), name)
	}
	l.disks = append(l.disks, name)
}

// ownMounts tells that this binary runs in a mount namespace of its own.
const ownMounts = "WPMEND_TEST_OWN_MOUNTS"

// TestPowerCutExt4 is the long run's: it needs loop devices, and time.
func TestPowerCutExt4(t *testing.T) {
	if !thorough() {
		return
	}
	if os.Getenv(ownMounts) == "" {
		// Somebody else's new namespace would keep a file system mounted that is exchanged.
		again := exec.Command("unshare", "--mount", os.Args[0], "-test.run=^TestPowerCutExt4$")
		again.Env = append(os.Environ(), ownMounts+"=1")
		out, err := again.CombinedOutput()
		if fmt.Printf("%s", out); err != nil {
			t.Error(err)
		}
		return
	}
	cuts := 0
	for _, o := range []string{"data=writeback,commit=600", "data=ordered"} {
		for _, scene := range []string{"plugins", "files"} {
			work := scene + ": do"
			from, _, _ := prepare(t, work)
			l, p := newLoop(t, from, o)
			before := p.snapshot(t)
			child := exec.Command(os.Args[0], "-test.run=^$")
			child.Env = append(os.Environ(), crashDir+"="+p.dir, crashWork+"="+work)
			h, err := crashing.Hold(child, p.counts, func(crashing.Call) crashing.Verdict {
				l.film()
				if _, err := l.bystander.Write([]byte("x")); err != nil {
					t.Error(err)
				}
				if err := l.bystander.Sync(); err != nil {
					t.Error(err)
				}
				l.film()
				return crashing.Pass()
			})
			if err == nil {
				err = h.Wait()
			}
			if err != nil {
				t.Fatal(err)
			}
			l.film()
			l.bystander.Close()
			for i, disk := range l.disks {
				cuts++
				if err := unix.Unmount(l.mnt, 0); err != nil {
					t.Fatal(err)
				}
				// The same device: the journal tells objects apart by its number, too.
				l.do("losetup", "-d", l.device)
				l.do("losetup", l.device, disk)
				l.mount(o)
				p.boot(t)
				label := fmt.Sprintf("power cut on ext4 (%s), disk %d of %d", o, i, len(l.disks))
				if i == len(l.disks)-1 {
					promised(t, p, work, label, "")
				}
				aftermath(t, p, work, label, before, "")
				if t.Failed() {
					return
				}
			}
			if err := unix.Unmount(l.mnt, 0); err != nil {
				t.Fatal(err)
			}
			l.do("losetup", "-d", l.device)
		}
	}
	fmt.Printf("journal: %d power cuts on a real ext4\n", cuts)
}

// Recovery is interrupted itself, anywhere, by anything, and once more.
func TestFaultInRecovery(t *testing.T) {
	runs := 0
	share := 1999
	if thorough() {
		share = 29
	}
	nth := 0
	for _, s := range scenes {
		work := s.name + ": do"
		for _, first := range calls(t, work) {
			for _, second := range mishaps {
				for n := range 40 {
					if nth++; nth%share != 0 {
						continue
					}
					runs++
					p, before, after := prepare(t, work)
					label := fmt.Sprintf("SIGKILL at %s, then %s at call %d of recover", first, second.name, n)
					_, _ = watched(p, work, func(c crashing.Call) crashing.Verdict { // killed
						if c.N == first.N {
							return crashing.Kill()
						}
						return crashing.Pass()
					})
					hit := false
					_, _ = watched(p, s.name+": recover", func(c crashing.Call) crashing.Verdict { // it is looked at below
						if second.fits(c) && (c.N == n+1 || hit && second.forGood) {
							hit = true
							return second.verdict
						}
						return crashing.Pass()
					})
					aftermath(t, p, work, label, before, after)
				}
			}
		}
	}
	fmt.Printf("journal: recovery went wrong %d times after a SIGKILL\n", runs)
}
