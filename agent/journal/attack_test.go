package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// attackRounds is how often wpmend plans, applies and undoes or recovers while the
// owner races against it, in every race; 10 of 990 and a few of slowRounds, where
// most changes succeed, make more than 10,000.
const attackRounds, slowRounds = 990, 60

// asOwner runs f with the rights of the site's owner, on a thread that ends with it.
func asOwner(wait *sync.WaitGroup, f func()) {
	wait.Go(func() {
		runtime.LockOSThread() // never unlocked: the thread has lost its rights
		// The raw calls change this thread alone. Leaving uid 0 drops every capability.
		for _, call := range [][4]uintptr{{unix.SYS_SETGROUPS, 0, 0, 0}, {unix.SYS_SETRESGID, owner, owner, owner}, {unix.SYS_SETRESUID, owner, owner, owner}} {
			if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				panic(errno)
			}
		}
		f()
	})
}

// everyChange is a tree with its times of change, which nobody can set back: what was
// changed and put back shows too.
func everyChange(t testing.TB, dirs ...string) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			st := info.Sys().(*syscall.Stat_t)
			fmt.Fprintf(&b, "%s %o %d:%d %d links %d bytes %d ctime %d.%09d\n", name, st.Mode, st.Uid, st.Gid, st.Ino, st.Nlink, st.Size, st.Ctim.Sec, st.Ctim.Nsec)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// battlefield is a site in its owner's home, a neighbour's just like it and one of
// root's. The neighbour's lies open: only wpmend's care keeps it.
type battlefield struct {
	place
	others []string // the roots of those that must not change
}

func newBattlefield(t testing.TB) battlefield {
	t.Helper()
	p := newPlace(t)
	b := battlefield{place: p}
	if err := errors.Join(os.Chmod(p.dir, 0o755), os.Mkdir(p.dir+"/home", 0o755)); err != nil {
		t.Fatal(err)
	}
	for name, uid := range map[string]int{"neighbour": neighbour, "roots": 0} {
		dir := filepath.Join(p.dir, name)
		err := errors.Join(os.CopyFS(dir, os.DirFS(p.root)), os.WriteFile(dir+"/.user.ini", []byte("memory_limit = 64M\n"), 0o644),
			filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error { return errors.Join(err, os.Lchown(name, uid, uid)) }))
		if err != nil {
			t.Fatal(err)
		}
		b.others = append(b.others, dir)
	}
	// The owner's own home, so that he can exchange the root folder itself.
	b.root = p.dir + "/home/site"
	if err := errors.Join(os.Rename(p.root, b.root), os.WriteFile(b.path(".user.ini"), []byte("memory_limit = 64M\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	b.own(t, ".")
	chown(t, p.dir+"/home", owner)
	return b
}

// settle is recovery and undo when the owner is quiet: his site is as it was found.
func (b battlefield) settle(t *testing.T, j *Journal, found string) {
	t.Helper()
	_, err := j.Recover(context.Background())
	if err != nil {
		t.Error(err)
	}
	all, err := j.List()
	if err != nil {
		t.Error(err)
	}
	for _, c := range all {
		if c.State != Undone {
			if err := j.Undo(context.Background(), c.ID, "test"); err != nil {
				t.Error(err)
			}
		}
	}
	b.same(t, found)
}

func exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}

// Races of the owner against every change that wpmend makes among his files. Whoever
// wins, nothing of anybody else's is touched, not for an instant; and when he has put
// his own in order, recovery and undo leave it as it was.
func TestAttackRaces(t *testing.T) {
	t.Parallel()
	const plugins, content = "wp-content/plugins", "wp-content"
	off := func(b battlefield) string { return b.path(fooOff) }
	hidden := func(b battlefield) string { return filepath.Dir(b.path(helloOff)) }
	// swap exchanges what lies at rel with a link to the same of another's.
	swap := func(rel string, other int) (prepare, turn func(b battlefield) error) {
		at := func(b battlefield) (string, string) { return b.path(rel), b.dir + "/home/link" }
		return func(b battlefield) error {
				_, link := at(b)
				return os.Symlink(filepath.Join(b.others[other], rel), link)
			}, func(b battlefield) error {
				name, link := at(b)
				return exchange(name, link)
			}
	}
	races := []struct {
		name    string
		prepare func(b battlefield) error // by the owner, once
		turn    func(b battlefield) error // by the owner, as fast as he can
		tidy    func(b battlefield) error // by the owner, at the end
		again   bool                      // an even number of turns leaves the owner's files in order
		slow    bool
		content bool // wpmend replaces a file's content; else it renames
	}{
		{name: "plugins becomes a link to a neighbour's"},
		{name: "plugins becomes a link to root's"},
		{name: "wp-content becomes a link to a neighbour's"},
		{name: "the root becomes a link to a neighbour's"},
		{name: "the root becomes a link to root's"},
		{name: "the plugin is exchanged for a folder of the owner's", slow: true,
			prepare: func(b battlefield) error { return os.Mkdir(b.path(plugins+"/other"), 0o755) },
			turn:    func(b battlefield) error { return exchange(b.path(plugins+"/foo"), b.path(plugins+"/other")) }},
		{name: "the plugin is exchanged for a link to a neighbour's", slow: true,
			prepare: func(b battlefield) error {
				return os.Symlink(b.others[0]+"/"+plugins+"/foo", b.path(plugins+"/other"))
			},
			turn: func(b battlefield) error { return exchange(b.path(plugins+"/foo"), b.path(plugins+"/other")) }},
		{name: "the name for off is taken, by turns by a folder, a link and a pipe", slow: true,
			turn: func(b battlefield) error {
				errs := []error{os.Mkdir(off(b), 0o755), unix.Rmdir(off(b)), os.Symlink(b.others[0]+"/"+plugins+"/foo", off(b)), unix.Unlink(off(b)), unix.Mkfifo(off(b), 0o666), unix.Unlink(off(b))}
				return errors.Join(errs...)
			}},
		{name: "the hidden folder becomes a link to a neighbour's", slow: true,
			turn: func(b battlefield) error {
				aside := b.path(plugins + "/.aside")
				err := errors.Join(os.Rename(hidden(b), aside), os.Symlink(b.others[0]+"/"+plugins, hidden(b)), unix.Unlink(hidden(b)))
				return errors.Join(err, os.Rename(aside, hidden(b)))
			},
			tidy: func(b battlefield) error {
				if target, err := os.Readlink(hidden(b)); err == nil {
					return fmt.Errorf("still a link to %s: %w", target, unix.Unlink(hidden(b)))
				}
				return nil
			}},
		{name: "all that is written is moved away in the midst", slow: true,
			turn: func(b battlefield) error {
				return errors.Join(os.Rename(b.path(plugins), b.path("gone")), os.Rename(b.path("gone"), b.path(plugins)))
			}},
		{name: "rights come and go", slow: true,
			turn: func(b battlefield) error {
				return errors.Join(os.Chmod(b.path(plugins), 0), os.Chmod(b.path(content), 0), os.Chmod(b.path(content), 0o777), os.Chmod(b.path(content), 0o755), os.Chmod(b.path(plugins), 0o755))
			}},
		{name: "the settings become a link to a neighbour's", content: true},
		{name: "the settings become a link to root's", content: true},
		{name: "the folder of the settings becomes a link to root's", content: true},
		{name: "the settings are saved anew all the time", content: true,
			prepare: func(b battlefield) error { return os.WriteFile(b.dir+"/home/link", []byte("mine = 1\n"), 0o644) },
			turn:    func(b battlefield) error { return exchange(b.path(".user.ini"), b.dir+"/home/link") }},
		{name: "the settings become a pipe", content: true,
			prepare: func(b battlefield) error { return unix.Mkfifo(b.dir+"/home/link", 0o666) },
			turn:    func(b battlefield) error { return exchange(b.path(".user.ini"), b.dir+"/home/link") }},
	}
	for i, s := range []struct {
		rel   string
		other int
	}{0: {plugins, 0}, 1: {plugins, 1}, 2: {content, 0}, 3: {".", 0}, 4: {".", 1}, 11: {".user.ini", 0}, 12: {".user.ini", 1}, 13: {".", 1}} {
		if s.rel != "" {
			races[i].prepare, races[i].turn = swap(s.rel, s.other)
			races[i].again = !races[i].content
		}
	}
	var escapes, rounds atomic.Int64
	t.Cleanup(func() {
		t.Logf("attacks: %d races, %d rounds; escapes: %d", len(races), rounds.Load(), escapes.Load())
	})
	for _, r := range races {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			b := newBattlefield(t)
			j := b.open(t)
			found, before := b.snapshot(t), everyChange(t, b.others...)
			var wait sync.WaitGroup
			var stop atomic.Bool
			var turns atomic.Int64
			var last error
			began := make(chan error)
			asOwner(&wait, func() {
				var err error
				if r.prepare != nil {
					err = r.prepare(b)
				}
				began <- err
				for !stop.Load() {
					if r.turn(b) == nil || r.prepare == nil {
						turns.Add(1)
					}
				}
				if turns.Load()%2 == 1 && r.prepare != nil && r.turn(b) == nil { // an even number leaves all where it was
					turns.Add(1)
				}
				if r.tidy != nil {
					last = r.tidy(b)
				}
			})
			if err := <-began; err != nil {
				t.Fatal(err)
			}
			describe := func() (Change, error) {
				if !r.content {
					return b.disable()
				}
				return Change{Site: "abc", SiteRoot: b.root, What: "set", Why: "test", Actor: "test",
					Steps: []Step{ReplaceFile(b.root, ".user.ini", []byte("memory_limit = 64M\nmax_execution_time = 60\n"), []uint32{owner}, FileMode{UID: owner, GID: owner, Mode: 0o644})}}, nil
			}
			applied, refused := 0, 0
			most := attackRounds
			if r.slow {
				most = slowRounds
			}
			for n := range most {
				rounds.Add(1)
				c, err := describe()
				if err == nil {
					c, err = j.Plan(c)
				}
				if err != nil {
					refused++
					continue
				}
				if j.Apply(context.Background(), c.ID) == nil {
					applied++
				}
				if n%4 == 0 {
					if _, err := j.Recover(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				if j.Undo(context.Background(), c.ID, "test") != nil {
					refused++
				}
			}
			stop.Store(true)
			wait.Wait()
			if last != nil {
				t.Error(last)
			}
			t.Logf("%d turns of the owner's, %d changes applied, %d refusals", turns.Load(), applied, refused)
			if now := everyChange(t, b.others...); now != before {
				escapes.Add(1)
				t.Errorf("ESCAPE: what is not the owner's was changed:\n%s\nbefore:\n%s", now, before)
			}
			if r.again && turns.Load()%2 == 0 {
				b.settle(t, j, found)
			}
			if turns.Load() < int64(most) {
				t.Errorf("there was no race: %d turns", turns.Load())
			}

		})
	}
}
