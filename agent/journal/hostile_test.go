package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Every way in which a site's owner could lead a change astray ends in a refusal, and
// nothing behind it changes.
func TestRefusedPlans(t *testing.T) {
	t.Parallel()
	link := func(t *testing.T, p place, target, rel string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(p.path(rel)), os.Symlink(target, p.path(rel)), os.Lchown(p.path(rel), owner, owner)); err != nil {
			t.Fatal(err)
		}
	}
	// decoy is a folder of root's that looks like wp-content.
	decoy := func(t *testing.T, p place) string {
		t.Helper()
		dir := filepath.Join(p.dir, "decoy")
		if err := os.MkdirAll(filepath.Join(dir, "plugins", "foo"), 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	tests := []struct {
		name    string
		from    string
		to      string
		prepare func(t *testing.T, p place)
		want    string // ROOT stands for the site's root
	}{
		{name: "plugins is a link to a folder of root's",
			prepare: func(t *testing.T, p place) {
				link(t, p, filepath.Join(decoy(t, p), "plugins"), "wp-content/plugins")
			},
			want: "refused: ROOT/wp-content/plugins is a link, and no change is made through a link; put the real folder in its place, or make the change by hand"},
		{name: "wp-content is a link",
			prepare: func(t *testing.T, p place) { link(t, p, decoy(t, p), "wp-content") },
			want:    "refused: ROOT/wp-content is a link, and no change is made through a link; put the real folder in its place, or make the change by hand"},
		{name: "plugins is a file",
			prepare: func(t *testing.T, p place) {
				if err := errors.Join(os.RemoveAll(p.path("wp-content/plugins")), os.WriteFile(p.path("wp-content/plugins"), nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			},
			want: "refused: ROOT/wp-content/plugins is not a folder; put the real folder in its place, or make the change by hand"},
		{name: "plugins is a neighbour's",
			prepare: func(t *testing.T, p place) { chown(t, p.path("wp-content/plugins"), neighbour) },
			want:    "refused: the folder ROOT/wp-content/plugins belongs to uid 4712, which is neither root nor the site's owner; see who put it there"},
		{name: "the plugin is a neighbour's",
			prepare: func(t *testing.T, p place) { chown(t, p.path("wp-content/plugins/foo"), neighbour) },
			want:    "refused: ROOT/wp-content/plugins/foo belongs to uid 4712, which is neither root nor the site's owner; see who put it there"},
		{name: "the plugin is a pipe",
			prepare: func(t *testing.T, p place) {
				if err := errors.Join(os.RemoveAll(p.path("wp-content/plugins/foo")), unix.Mkfifo(p.path("wp-content/plugins/foo"), 0o644)); err != nil {
					t.Fatal(err)
				}
			},
			want: "refused: ROOT/wp-content/plugins/foo is neither a folder nor a file nor a link"},
		{name: "the plugin is not there", from: "wp-content/plugins/nope", want: "file does not exist"},
		{name: "the new name is taken", to: "wp-content/plugins/bar", want: "file already exists"},
		{name: "out of the site", to: "../foo", want: `"../foo" is not a clean path below the site's root`},
		{name: "out of the site by a detour", from: "wp-content/../../etc", want: `"wp-content/../../etc" is not a clean path below the site's root`},
		{name: "absolute", from: "/etc/passwd", want: `"/etc/passwd" is not a clean path below the site's root`},
		{name: "the root itself", from: ".", want: `"." is not a clean path below the site's root`},
		{name: "NUL", to: "wp-content/plugins/a\x00b", want: `"wp-content/plugins/a\x00b" holds a NUL`},
		{name: "not UTF-8", to: "wp-content/plugins/\xff", want: `"wp-content/plugins/\xff" is not valid UTF-8, so the journal could not hold it`},
		{name: "a name too long", to: "wp-content/plugins/" + strings.Repeat("x", 256),
			want: `a name in "wp-content/plugins/` + strings.Repeat("x", 256) + `" is longer than 255 bytes`},
		{name: "into itself", to: "wp-content/plugins/foo/foo", want: `"wp-content/plugins/foo" and "wp-content/plugins/foo/foo" lie in each other`},
		{name: "a new folder that is not hidden", to: "wp-content/plugins/off/foo", want: `the new folder "wp-content/plugins/off" is not a hidden one beside "wp-content/plugins/foo"`},
		{name: "a new folder elsewhere", to: ".off/foo", want: `the new folder ".off" is not a hidden one beside "wp-content/plugins/foo"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if tt.prepare != nil {
				tt.prepare(t, p)
			}
			before := treeOf(t, p.dir)
			from, to := tt.from, tt.to
			if from == "" {
				from = "wp-content/plugins/foo"
			}
			if to == "" {
				to = fooOff
			}
			_, err := PlanRename(p.root, owner, from, to)
			want := "rename " + from + " to " + to + " below " + p.root + ": " + strings.ReplaceAll(tt.want, "ROOT", p.root)
			if err == nil || err.Error() != want {
				t.Errorf("error\n%v\nwant\n%s", err, want)
			}
			if now := treeOf(t, p.dir); now != before {
				t.Errorf("something changed:\n%s", now)
			}
		})
	}
}

func chown(t testing.TB, name string, uid int) {
	t.Helper()
	if err := os.Lchown(name, uid, uid); err != nil {
		t.Fatal(err)
	}
}

// Nobody can lead wpmend to a root folder that is not his own.
func TestLinksOnTheWayToTheRoot(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		maker  int // of the link
		parent int // owner of the folder that holds the link
		mode   os.FileMode
		root   int // owner of the site's root
		want   string
	}{
		{name: "root's link in root's folder", mode: 0o755, root: owner},
		{name: "the owner's link to his own folder", maker: owner, parent: owner, mode: 0o755, root: owner},
		{name: "the owner's link in root's folder", maker: owner, mode: 0o755, root: owner},
		{name: "the owner's link to root's folder", maker: owner, parent: owner, mode: 0o755, root: 0,
			want: "could have made, but the folder belongs to uid 0"},
		{name: "the owner's link to a neighbour's folder", maker: owner, parent: owner, mode: 0o755, root: neighbour,
			want: "could have made, but the folder belongs to uid 4712"},
		{name: "root's link in the owner's folder, to root's", parent: owner, mode: 0o755, root: 0,
			want: "could have made, but the folder belongs to uid 0"},
		{name: "in a folder that everybody may write", mode: 0o777, root: owner, want: "others may write in"},
		{name: "in a sticky one", mode: 0o777 | os.ModeSticky, root: owner},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			home := filepath.Join(p.dir, "home")
			current := filepath.Join(home, "current")
			err := errors.Join(os.Mkdir(home, 0o755), os.Chmod(home, tt.mode), os.Symlink("../site", current),
				os.Lchown(current, tt.maker, tt.maker), os.Lchown(home, tt.parent, tt.parent), os.Lchown(p.root, tt.root, tt.root))
			if err != nil {
				t.Fatal(err)
			}
			_, err = PlanRename(current, owner, "wp-content/plugins/foo", fooOff)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
		})
	}
}

// The folder is exchanged for a link between the plan and the act.
func TestLinkAfterThePlan(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"apply", "undo"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			j := p.open(t)
			c, err := p.disable()
			if err == nil {
				c, err = j.Plan(c)
			}
			if err == nil && when == "undo" {
				err = j.Apply(context.Background(), c.ID)
			}
			decoy := filepath.Join(p.dir, "decoy")
			plugins := p.path("wp-content/plugins")
			err = errors.Join(err, os.Mkdir(decoy, 0o755), os.CopyFS(filepath.Join(decoy, "plugins"), os.DirFS(plugins)),
				os.Rename(plugins, plugins+".real"), os.Symlink(filepath.Join(decoy, "plugins"), plugins))
			if err != nil {
				t.Fatal(err)
			}
			before := treeOf(t, p.dir+"/decoy") + treeOf(t, p.root)
			if when == "apply" {
				err = j.Apply(context.Background(), c.ID)
			} else {
				err = j.Undo(context.Background(), c.ID, "test")
			}
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.What != plugins+" is a link, and no change is made through a link" {
				t.Errorf("error %v", err)
			}
			if state := p.state(t, j, c.ID); state != Refused {
				t.Errorf("state %s", state)
			}
			if now := treeOf(t, p.dir+"/decoy") + treeOf(t, p.root); now != before {
				t.Errorf("something changed:\n%s\nbefore:\n%s", now, before)
			}
			// A person puts the folder back: recovery leaves it, undo works.
			if err := errors.Join(os.Remove(plugins), os.Rename(plugins+".real", plugins)); err != nil {
				t.Fatal(err)
			}
			if err := j.Undo(context.Background(), c.ID, "test"); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(p.path("wp-content/plugins/foo/foo.php")); err != nil {
				t.Error(err)
			}
		})
	}
}

// A site's owner exchanges plugins/ for a link to a folder of root's as fast as he can
// while changes are planned, applied and undone.
func TestRacingLink(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	decoy := filepath.Join(p.dir, "decoy")
	plugins, link := p.path("wp-content/plugins"), p.path("wp-content/link")
	err := errors.Join(os.CopyFS(decoy, os.DirFS(plugins)), os.Symlink(decoy, link), os.Lchown(link, owner, owner))
	if err != nil {
		t.Fatal(err)
	}
	before := treeOf(t, decoy)
	found := p.snapshot(t)
	stop := make(chan struct{})
	var racer sync.WaitGroup
	swaps := 0
	racer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if unix.Renameat2(unix.AT_FDCWD, plugins, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) == nil {
					swaps++
				}
			}
		}
	})
	applied, refused := 0, 0
	for range 1000 {
		c, err := p.disable()
		if err != nil {
			refused++
			continue
		}
		c, err = j.Plan(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Apply(context.Background(), c.ID); err == nil {
			applied++
		}
		for j.Undo(context.Background(), c.ID, "test") != nil {
			refused++
		}
		if err := os.Remove(filepath.Join(p.journal, c.ID+suffix)); err != nil {
			t.Fatal(err)
		}
		if now := treeOf(t, decoy); now != before {
			t.Fatalf("the decoy changed:\n%s\nbefore:\n%s", now, before)
		}
	}
	close(stop)
	racer.Wait()
	t.Logf("%d exchanges, %d changes applied, %d refusals", swaps, applied, refused)
	if swaps < 1000 || refused == 0 {
		t.Errorf("there was no race: %d exchanges, %d refusals", swaps, refused)
	}
	if target, err := os.Readlink(plugins); err == nil && target == decoy {
		if err := unix.Renameat2(unix.AT_FDCWD, plugins, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE); err != nil {
			t.Fatal(err)
		}
	}
	p.same(t, found)
}

// The plugin itself is exchanged in the moment between the look and the renaming.
func TestExchangedAtTheLastMoment(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	c, err := p.disable()
	if err == nil {
		c, err = j.Plan(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	foo, other := p.path("wp-content/plugins/foo"), p.path("wp-content/plugins/other")
	if err := errors.Join(os.Mkdir(other, 0o755), os.WriteFile(filepath.Join(other, "x"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	j.disk.hook = func(op string) error {
		if op == "before renameat2" {
			j.disk.hook = nil
			return unix.Renameat2(unix.AT_FDCWD, foo, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
		}
		return nil
	}
	before := p.snapshot(t)
	err = j.Apply(context.Background(), c.ID)
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.What != foo+" was exchanged at the very moment of its renaming" {
		t.Fatalf("error %v", err)
	}
	if err := unix.Renameat2(unix.AT_FDCWD, foo, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE); err != nil {
		t.Fatal(err)
	}
	p.same(t, before)
}
