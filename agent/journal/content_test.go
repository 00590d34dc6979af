package journal

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	iniBefore = "a = 1\nb = 2\n"
	iniAfter  = "a = 1\nb = 3\n"
)

// tune is a change of .user.ini alone.
func (p place) tune() Change {
	return Change{SiteRoot: p.root, What: "tune", Why: "test", Actor: "test", Steps: []Step{
		ReplaceFile(p.root, ".user.ini", []byte(iniAfter), []uint32{owner}, FileMode{UID: owner, GID: owner, Mode: 0o644})}}
}

func newTuned(t testing.TB) (p place, ini string) {
	t.Helper()
	p = newPlace(t)
	p.configured(t)
	return p, p.path(".user.ini")
}

func read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// strays are files that an exchange left.
func strays(t testing.TB, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(dir + "/.wpmend-*")
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// Whatever a site's owner puts in the place of a file is refused, when it is planned as
// well as when it comes between plan and act; nobody waits, and nothing changes.
func TestRefusedContents(t *testing.T) {
	t.Parallel()
	bad := map[string]struct {
		put  func(p place, ini string) error
		want string
	}{
		"a link": {func(p place, ini string) error {
			return errors.Join(os.WriteFile(p.dir+"/shadow", []byte(iniBefore), 0o600), os.Symlink(p.dir+"/shadow", ini))
		}, ".user.ini is a link"},
		"a pipe":   {func(_ place, ini string) error { return unix.Mkfifo(ini, 0o644) }, "is no regular file"},
		"a device": {func(_ place, ini string) error { return unix.Mknod(ini, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 5))) }, "is no regular file"},
		"a socket": {func(_ place, ini string) error { return unix.Mknod(ini, unix.S_IFSOCK|0o644, 0) }, "is no regular file"},
		"a folder": {func(_ place, ini string) error { return os.Mkdir(ini, 0o755) }, "is no regular file"},
		"a file with two names": {func(p place, ini string) error {
			return errors.Join(os.WriteFile(p.dir+"/other", []byte(iniBefore), 0o600), os.Link(p.dir+"/other", ini))
		}, "has 2 names"},
		"a neighbour's": {func(_ place, ini string) error {
			return errors.Join(os.WriteFile(ini, []byte(iniBefore), 0o644), os.Chown(ini, neighbour, neighbour))
		}, "belongs to uid 4712"},
		"ten gigabytes": {func(_ place, ini string) error {
			return errors.Join(os.WriteFile(ini, nil, 0o644), os.Truncate(ini, 10<<30))
		}, "has 10737418240 bytes"},
		"setuid": {func(_ place, ini string) error {
			return errors.Join(os.WriteFile(ini, []byte(iniBefore), 0o644), unix.Chmod(ini, 0o4755))
		}, "setuid"},
	}
	for name, b := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ini := newTuned(t)
			j := p.open(t)
			c, err := j.Plan(p.tune())
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(ini), b.put(p, ini)); err != nil {
				t.Fatal(err)
			}
			was, err := os.Lstat(ini)
			if err != nil {
				t.Fatal(err)
			}
			var refused *RefusedError
			if _, err := j.Plan(p.tune()); !errors.As(err, &refused) || !strings.Contains(refused.What, b.want) {
				t.Errorf("planned with %v", err)
			}
			if err := j.Apply(context.Background(), c.ID); !errors.As(err, &refused) || !strings.Contains(refused.What, b.want) {
				t.Errorf("applied with %v", err)
			}
			if c, err := j.Get(c.ID); err != nil || c.State != Refused || !c.Untouched {
				t.Errorf("%+v, %v", c, err)
			}
			if now, err := os.Lstat(ini); err != nil || !os.SameFile(was, now) || now.Size() != was.Size() || now.Mode() != was.Mode() || len(strays(t, p.root)) > 0 {
				t.Errorf("%v, %v, strays %q", now, err, strays(t, p.root))
			}
		})
	}
}

// Files of the host: nobody but root may have a hand in them.
func TestRefusedHostFiles(t *testing.T) {
	t.Parallel()
	p, _ := newTuned(t)
	j := p.open(t)
	plan := func(name string) error {
		_, err := j.Plan(Change{SiteRoot: p.root, What: "x", Why: "x", Actor: "x", Steps: []Step{ReplaceHostFile(name, []byte("x"))}})
		return err
	}
	if err := errors.Join(os.Mkdir(p.host()+"/open", 0o755), os.Chmod(p.host()+"/open", 0o775), os.Mkdir(p.host()+"/theirs", 0o755),
		os.Chown(p.host()+"/theirs", owner, owner), os.WriteFile(p.host()+"/loose", nil, 0o644), os.Chmod(p.host()+"/loose", 0o664),
		os.Symlink(p.host(), p.dir+"/way"), os.Symlink(p.host(), p.root+"/way"), os.Lchown(p.root+"/way", owner, owner),
		os.WriteFile(p.host()+"/own", nil, 0o644), os.Chown(p.host()+"/own", owner, owner)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		p.host() + "/open/x":   "others than root may write",
		p.host() + "/theirs/x": "is not root's alone",
		p.host() + "/loose":    "others than root may write",
		p.host() + "/own":      "belongs to uid 4711",
		p.root + "/way/x":      "is not root's alone",
		p.root + "/x":          "is not root's alone",
		p.host() + "/nope/x":   "does not exist",
		"relative":             "not a clean absolute path",
		"/etc/../x":            "not a clean absolute path",
	} {
		if err := plan(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if err := plan(p.dir + "/way/x"); err != nil {
		t.Errorf("a link of root's in a folder of root's: %v", err)
	}
}

// An editor who saves at the very moment of the exchange loses nothing, by whichever
// way he saves, and if wpmend dies then.
func TestSavedMeanwhile(t *testing.T) {
	t.Parallel()
	const edited = "a = 1\nb = 2\nc = mine\n"
	ways := map[string]func(ini string) error{
		"in place": func(ini string) error { return os.WriteFile(ini, []byte(edited), 0o644) },
		"by a new file": func(ini string) error {
			return errors.Join(os.WriteFile(ini+"~", []byte(edited), 0o644), os.Chown(ini+"~", owner, owner), os.Rename(ini+"~", ini))
		},
	}
	for name, save := range ways {
		for _, job := range []string{"apply", "undo", "remove"} {
			t.Run(name+", "+job, func(t *testing.T) {
				t.Parallel()
				saves(t, job, save, edited)
			})
		}
	}
}

func saves(t *testing.T, job string, save func(string) error, edited string) {
	// Died after the call with this number; 0: not at all.
	for death := range 8 {
		p, ini := newTuned(t)
		j := p.open(t)
		change := p.tune()
		if job == "remove" {
			change.Steps[0].File.After = nil
		}
		c, err := j.Plan(change)
		if err == nil && job == "undo" {
			err = errors.Join(j.Apply(context.Background(), c.ID), j.Verified(c.ID))
		}
		if err != nil {
			t.Fatal(err)
		}
		saved, calls := false, 0
		j.disk.hook = func(op string) error {
			if op == "before renameat2" && !saved {
				saved = true
				return save(ini)
			}
			if saved && strings.HasPrefix(op, "after") {
				if calls++; calls == death {
					panic(op)
				}
			}
			return nil
		}
		died := func() (died bool) {
			defer func() { died = recover() != nil }()
			if job == "undo" {
				err = j.Undo(context.Background(), c.ID, "test")
			} else {
				err = j.Apply(context.Background(), c.ID)
			}
			return false
		}()
		var refused *RefusedError
		if !died && !errors.As(err, &refused) {
			t.Errorf("the error is %v", err)
		}
		if died {
			if _, err := p.open(t).Recover(context.Background()); err != nil {
				t.Errorf("recover: %v", err)
			}
		}
		if got := read(t, ini); got != edited {
			t.Errorf("death %d: what was saved became %q", death, got)
		}
		if left := strays(t, p.root); len(left) > 0 {
			t.Errorf("death %d: left %q", death, left)
		}
	}
}

// Once somebody has edited the file, it is his.
func TestUndoOfEdited(t *testing.T) {
	t.Parallel()
	p, ini := newTuned(t)
	j := p.open(t)
	c, err := j.Plan(p.tune())
	if err == nil {
		err = errors.Join(j.Apply(context.Background(), c.ID), j.Verified(c.ID), os.WriteFile(ini, []byte(iniAfter+"c = 1\n"), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	want := "refused: " + ini + " was edited since; take back by hand: - b = 2, + b = 3"
	for range 2 {
		if err := j.Undo(context.Background(), c.ID, "test"); err == nil || err.Error() != want {
			t.Errorf("undo: %v", err)
		}
	}
	if got := read(t, ini); got != iniAfter+"c = 1\n" {
		t.Errorf("it became %q", got)
	}
	if r, err := j.Recover(context.Background()); err != nil || len(r) != 1 || r[0].Note != "waits for a person: "+want {
		t.Errorf("%+v, %v", r, err)
	}
	// Put right by hand.
	if err := os.WriteFile(ini, []byte("a = 1\nb = 9\nc = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := j.Recover(context.Background()); err != nil || len(r) != 1 || r[0].State != Undone {
		t.Errorf("%+v, %v", r, err)
	}
	if got := read(t, ini); got != "a = 1\nb = 9\nc = 1\n" {
		t.Errorf("it became %q", got)
	}
}

// Disks that refuse, for real: full, read-only, and files that nobody may change.
func TestRefusingDisks(t *testing.T) {
	t.Parallel()
	p, ini := newTuned(t)
	mount := func(flags uintptr, data string) {
		t.Helper()
		if err := unix.Mount("tmpfs", p.root, "tmpfs", flags, data); err != nil {
			t.Fatal(err)
		}
	}
	mount(0, "size=128k,mode=755,uid=4711")
	t.Cleanup(func() {
		if err := unix.Unmount(p.root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := errors.Join(os.WriteFile(ini, []byte(iniBefore), 0o644), os.Chown(ini, owner, owner)); err != nil {
		t.Fatal(err)
	}
	j := p.open(t)
	fails := func(c Change, errno unix.Errno) {
		t.Helper()
		c, err := j.Plan(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Apply(context.Background(), c.ID); !errors.Is(err, errno) {
			t.Errorf("the error is %v, want %v", err, errno)
		}
		if got := read(t, ini); got != iniBefore || len(strays(t, p.root)) > 0 {
			t.Errorf("it became %q, left %q", got, strays(t, p.root))
		}
		if c, err := j.Get(c.ID); err != nil || c.State != Undone && errno != unix.EROFS {
			t.Errorf("%+v, %v", c, err)
		}
	}
	big := p.tune()
	big.Steps[0].File.After = []byte(strings.Repeat("x = 1\n", 100_000))
	fails(big, unix.ENOSPC)
	setFlags(t, ini, 0x10) // FS_IMMUTABLE_FL (linux/fs.h)
	fails(p.tune(), unix.EPERM)
	setFlags(t, ini, 0)
	mount(unix.MS_REMOUNT|unix.MS_RDONLY, "")
	fails(p.tune(), unix.EROFS)
	mount(unix.MS_REMOUNT, "")
	if r, err := j.Recover(context.Background()); err != nil || len(r) > 1 || read(t, ini) != iniBefore {
		t.Errorf("%+v, %v", r, err)
	}
}

func setFlags(t *testing.T, name string, flags int) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags); err != nil {
		t.Fatal(err)
	}
}

// The commands for a person put back files and all, do nothing twice or to a file that
// was edited, and show no secret.
func TestContentByHand(t *testing.T) {
	t.Parallel()
	s := sceneOf("files")
	p := s.new(t)
	if err := os.Chmod(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const secret = "env[PASSWORD] = 'sesame'\n"
	if err := errors.Join(os.WriteFile(p.host()+"/pool.conf", []byte(secret+"[www]\nlimit = 30\n"), 0o600), p.act(t.Context(), loads)); err != nil {
		t.Fatal(err)
	}
	before := p.snapshot(t)
	j := p.open(t)
	if err := s.do(p, j, true); err != nil {
		t.Fatal(err)
	}
	c := must(j.List())[0]
	text := c.UndoByHand()
	if said := text + strings.Join(c.Describe(), "\n"); strings.Contains(said, "sesame") || !strings.Contains(said, "- limit = 30, + limit = 60") {
		t.Errorf("it says %s", said)
	}
	if want := []string{"let the server load it, when this is undone", "make " + p.host() + "/own.conf: + own", "remove wp-content/old.ini: - old"}; !slices.Equal(want,
		[]string{c.Describe()[0], c.Describe()[2], c.Describe()[5]}) {
		t.Errorf("%q", c.Describe())
	}
	for range 2 {
		cmd := exec.Command("sh", "-s")
		cmd.Stdin, cmd.Dir = strings.NewReader(text), p.dir
		if out, err := cmd.CombinedOutput(); len(out) > 0 && !strings.Contains(string(out), "annot open") || err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if now := p.snapshot(t); now != before {
			t.Errorf("after the commands:\n%s\nbefore:\n%s\n%s", now, before, text)
		}
	}
	if info, err := os.Stat(c.Record); err != nil || info.Mode() != 0o600 {
		t.Errorf("the record: %v, %v", info, err)
	}
	if err := j.Undo(context.Background(), c.ID, "was put back by hand"); err != nil {
		t.Error(err)
	}
}

func TestSecretLines(t *testing.T) {
	t.Parallel()
	got := difference(nil, []byte("env[DB_PASSWORD] = \"x y\"\nauth_key=abc\nmemory_limit = 1M\nphp_admin_value[mysqli.default_pw] = p\nfastcgi_param SECRET v;\nmonkey\n"+
		strings.Repeat("l", 200)+"\n\x1b[31m\n"))
	want := []string{"+ env[DB_PASSWORD] = …", "+ auth_key=…", "+ memory_limit = 1M", "+ php_admin_value[mysqli.default_pw] = …", "+ fastcgi_param SECRET …", "+ monkey",
		"+ " + strings.Repeat("l", 160) + "…", `+ "\x1b[31m"`}
	if !slices.Equal(got, want) {
		t.Errorf("%q\n%q", got, want)
	}
	if got := difference(nil, []byte(strings.Repeat("x\n", 5)+strings.Repeat("y\n", 20))); len(got) != maxShown+1 || got[maxShown] != "and 13 more lines" {
		t.Errorf("%q", got)
	}
}

// The wpmend of before wrote the new content under the spare name itself, so its death may have left a part of it there.
// That is nobody's save: recovery leaves what is served as it was.
func TestPartOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"", "some"} {
		p, ini := newTuned(t)
		was := read(t, ini)
		j := p.open(t)
		c, err := j.Plan(p.tune())
		if err != nil {
			t.Fatal(err)
		}
		w := &work{Journal: j, change: c}
		spare := filepath.Join(filepath.Dir(ini), w.spare(c.Steps[0]))
		if part != "" {
			part = string(c.Steps[0].File.After[:5])
		}
		if err := os.WriteFile(spare, []byte(part), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := p.open(t).Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := read(t, ini); now != was {
			t.Errorf("a part of %q: %s holds %q, was %q", part, ini, now, was)
		}
		if left := strays(t, filepath.Dir(ini)); len(left) > 0 {
			t.Errorf("a part of %q: %q are left", part, left)
		}
	}
}
