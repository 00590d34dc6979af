package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDisableAndUndo(t *testing.T) {
	t.Parallel()
	for _, verified := range []bool{false, true} {
		t.Run(fmt.Sprintf("verified %v", verified), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			before := p.snapshot(t)
			j := p.open(t)
			c := p.disabled(t, j, verified)
			if !isDisabled(p) {
				t.Fatalf("not disabled:\n%s", p.snapshot(t))
			}
			// The new folder belongs to the site's owner, who can put his file back by FTP.
			var st unix.Stat_t
			if err := unix.Stat(filepath.Dir(p.path(helloOff)), &st); err != nil || st.Uid != owner || st.Gid != owner || st.Mode&0o7777 != 0o755 {
				t.Errorf("the hidden folder: uid %d, gid %d, mode %04o, %v", st.Uid, st.Gid, st.Mode&0o7777, err)
			}
			// Again is no harm.
			again := p.snapshot(t)
			if err := j.Apply(context.Background(), c.ID); err != nil {
				t.Error(err)
			}
			p.same(t, again)
			for range 2 {
				if err := j.Undo(context.Background(), c.ID, "no more wanted"); err != nil {
					t.Fatal(err)
				}
				p.same(t, before)
			}
			c, err := j.Get(c.ID)
			if err != nil || c.State != Undone || c.Note() != "no more wanted" || c.Undoing {
				t.Errorf("change %+v, %v", c, err)
			}
			for what, err := range map[string]error{"Apply": j.Apply(context.Background(), c.ID), "Verified": j.Verified(c.ID)} {
				if err == nil || !strings.HasSuffix(err.Error(), "it is undone") {
					t.Errorf("%s of an undone change: %v", what, err)
				}
			}
		})
	}
}

// What lies under the two names decides, not the record.
func TestTheDiskDecides(t *testing.T) {
	t.Parallel()
	const foo = "wp-content/plugins/foo"
	tests := []struct {
		name    string
		meddle  func(p place) error
		refused string // with ROOT, FOO and OFF; "" if the undo succeeds
		do      string
	}{
		{name: "already put back by hand",
			meddle: func(p place) error { return os.Rename(p.path(fooOff), p.path(foo)) }},
		{name: "installed again",
			meddle:  func(p place) error { return os.Mkdir(p.path(foo), 0o755) },
			refused: "FOO is another one (NEW) than was meant (OLD), and OFF is the one that was meant (OLD)",
			do:      "look at both, keep the one that belongs at the first name, and remove the other"},
		{name: "installed again, the old one removed",
			meddle: func(p place) error {
				return errors.Join(os.Rename(p.path(fooOff), p.path("kept")), os.Mkdir(p.path(foo), 0o755))
			},
			refused: "FOO is another one (NEW) than was meant (OLD), and OFF does not exist",
			do:      "look at both, keep the one that belongs at the first name, and remove the other"},
		{name: "removed",
			meddle:  func(p place) error { return os.RemoveAll(p.path(fooOff)) },
			refused: "FOO does not exist, and OFF does not exist",
			do:      "put it back from a backup, if it was not removed on purpose"},
		{name: "another one under the new name",
			meddle: func(p place) error {
				return errors.Join(os.Rename(p.path(fooOff), p.path("kept")), os.Mkdir(p.path(fooOff), 0o755))
			},
			refused: "FOO does not exist, and OFF is another one (NEW) than was meant (OLD)",
			do:      "look at both, keep the one that belongs at the first name, and remove the other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			found := p.snapshot(t)
			j := p.open(t)
			c := p.disabled(t, j, true)
			if err := tt.meddle(p); err != nil {
				t.Fatal(err)
			}
			err := j.Undo(context.Background(), c.ID, "test")
			if tt.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
				p.same(t, found)
				return
			}
			var refused *RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("error %v", err)
			}
			old := c.Steps[1].Object
			other := ""
			for _, rel := range []string{foo, fooOff} {
				if o, err := identify(unix.AT_FDCWD, p.path(rel)); err == nil && o != nil && !old.is(o.Identity) {
					other = o.Identity.String()
				}
			}
			want := strings.NewReplacer("FOO", p.path(foo), "OFF", p.path(fooOff), "NEW", other, "OLD", old.String()).Replace(tt.refused)
			if refused.What != want || refused.Do != tt.do {
				t.Errorf("refused\n%s\nto do %s\nwant\n%s", refused.What, refused.Do, want)
			}
			// The other step was undone all the same, and only what came back is active again.
			if _, err := os.Stat(p.path("wp-content/plugins/hello.php")); err != nil {
				t.Error(err)
			}
			if state := p.state(t, j, c.ID); state != Refused {
				t.Errorf("state %s", state)
			}
			report, err := j.Recover(context.Background())
			if err != nil || len(report) != 1 || !strings.HasPrefix(report[0].Note, "waits for a person: refused: ") || report[0].State != Refused {
				t.Errorf("recover: %+v, %v", report, err)
			}
		})
	}
}

// An inode number is given out again at once: the time of birth tells the new folder
// from the old one.
func TestIdentity(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	o, err := identify(unix.AT_FDCWD, p.path("wp-content"))
	if err != nil || o.Born.IsZero() || o.Boot == "" || o.Type != "folder" || o.uid != owner {
		t.Fatalf("%+v, %v", o, err)
	}
	was := o.Identity
	data, err := json.Marshal(was)
	var read Identity
	if err := errors.Join(err, json.Unmarshal(data, &read)); err != nil || !read.is(was) {
		t.Errorf("%s is not read as the same: %+v, %v", data, read, err)
	}
	for _, tt := range []struct {
		name   string
		change func(i *Identity)
		same   bool
	}{
		{"nothing", func(*Identity) {}, true},
		{"another inode", func(i *Identity) { i.Ino++ }, false},
		{"born later", func(i *Identity) { i.Born = i.Born.Add(1) }, false},
		{"another type", func(i *Identity) { i.Type = "link" }, false},
		{"another device", func(i *Identity) { i.Dev++ }, false},
		{"another device number after a reboot", func(i *Identity) { i.Dev++; i.Boot = "other" }, true},
		{"the same after a reboot, birth unknown", func(i *Identity) { i.Boot, i.Born = "other", i.Born.AddDate(-9999, 0, 0) }, false},
	} {
		other := was
		tt.change(&other)
		if was.is(other) != tt.same {
			t.Errorf("%s: same is %v", tt.name, !tt.same)
		}
	}
}

func TestApplyRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	c, err := p.disable()
	if err == nil {
		c, err = j.Plan(c)
	}
	// hello.php is updated between the plan and the act; foo is renamed before it.
	hello := p.path("wp-content/plugins/hello.php")
	err = errors.Join(err, os.WriteFile(hello+".new", []byte("<?php // newer"), 0o644), os.Rename(hello+".new", hello), os.Lchown(hello, owner, owner))
	if err != nil {
		t.Fatal(err)
	}
	before := p.snapshot(t)
	var refused *RefusedError
	if err := j.Apply(context.Background(), c.ID); !errors.As(err, &refused) {
		t.Fatalf("error %v", err)
	}
	p.same(t, before)
	if c, err = j.Get(c.ID); err != nil || c.State != Refused || !c.Untouched || !strings.HasPrefix(c.Note(), "not applied: refused: "+hello) {
		t.Errorf("%+v, %v", c, err)
	}
	if err := j.Undo(context.Background(), c.ID, "test"); err != nil {
		t.Errorf("there is nothing to undo, but: %v", err)
	}
	if report, err := j.Recover(context.Background()); err != nil || len(report) != 0 {
		t.Errorf("recover: %+v, %v", report, err)
	}
	p.same(t, before)
}

// A new name that is taken meanwhile is never overwritten, and neither is the old one.
func TestNeverOverwrites(t *testing.T) {
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
	j.disk.hook = func(op string) error {
		if op == "before renameat2" { // too late for any look
			j.disk.hook = nil
			return os.Mkdir(p.path(fooOff), 0o755) // empty: a plain rename would replace it
		}
		return nil
	}
	if err := j.Apply(context.Background(), c.ID); !errors.Is(err, unix.EEXIST) {
		t.Errorf("error %v", err)
	}
	for _, rel := range []string{fooOff, "wp-content/plugins/foo/foo.php", "wp-content/plugins/hello.php"} {
		if _, err := os.Stat(p.path(rel)); err != nil {
			t.Error(err)
		}
	}
}

func TestVerifiedNeedsTheEffect(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	c := p.disabled(t, j, false)
	if err := os.Rename(p.path(fooOff), p.path("wp-content/plugins/foo")); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("change %s is not in effect: somebody undid %q", c.ID, "rename wp-content/plugins/foo to "+fooOff)
	if err := j.Verified(c.ID); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestWithoutJournalNothingHappens(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	c, err := p.disable()
	if err != nil {
		t.Fatal(err)
	}
	before := p.snapshot(t)
	if err := os.Chmod(p.journal, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = j.Plan(c)
	want := fmt.Sprintf(`plan "switch off foo and hello": nothing was changed, since it could not be written down first: %s must belong to root, with nobody else allowed to write there; it belongs to uid 0 with mode 0777`, p.journal)
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	p.same(t, before)
}

func TestBadChanges(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	good, err := p.disable()
	if err != nil {
		t.Fatal(err)
	}
	start := StartStep(json.RawMessage(`{}`))
	for _, tt := range []struct {
		name   string
		change func(c *Change)
		want   string
	}{
		{"no steps", func(c *Change) { c.Steps = nil }, "the change has no steps"},
		{"a relative root", func(c *Change) { c.SiteRoot = "site" }, `site root "site" is not a clean absolute path`},
		{"another root", func(c *Change) { c.Steps[0].SiteRoot = "/x" }, fmt.Sprintf(`step 2 (rename): site root "/x" differs from the change's %q`, p.root)},
		{"an unknown kind", func(c *Change) { c.Steps = []Step{{Kind: "format"}} }, `step 1 (format): unknown kind of step "format": a newer wpmend may have written it`},
		{"another option", func(c *Change) { c.Steps[2].Name = "siteurl" }, `step 1 (option): the option "siteurl" is not one that can be guarded`},
		{"start and rename", func(c *Change) { c.Steps = append(c.Steps, start) },
			"step 4 (start): a change is taken back as a whole or not at all: steps without an undo need undo_none, and a change of their own"},
		{"rename without an undo", func(c *Change) { c.UndoNone = "no" },
			"step 1 (option): a change is taken back as a whole or not at all: steps without an undo need undo_none, and a change of their own"},
		{"a start of nothing", func(c *Change) { c.UndoNone, c.Steps = "no", []Step{StartStep(nil)} }, "step 1 (start): what to start is not described"},
		{"nobody starts", func(c *Change) { c.UndoNone, c.Steps = "no", []Step{start} }, "nothing is given to start processes with"},
	} {
		c := good
		c.Steps = slices.Clone(good.Steps)
		tt.change(&c)
		_, err := j.Plan(c)
		if want := `plan "switch off foo and hello": ` + tt.want; err == nil || err.Error() != want {
			t.Errorf("%s: error\n%v\nwant\n%s", tt.name, err, want)
		}
	}
	if list, err := j.List(); err != nil || len(list) != 0 {
		t.Errorf("something was written: %+v, %v", list, err)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var started []string
	fail := error(nil)
	d := p.deps()
	d.Start = func(_ context.Context, what json.RawMessage) error {
		started = append(started, string(what))
		return fail
	}
	j, err := Open(p.journal, d)
	if err != nil {
		t.Fatal(err)
	}
	plan := func() Change {
		t.Helper()
		c, err := j.Plan(Change{SiteRoot: p.root, What: "start PHP-FPM", UndoNone: "others need it", Steps: []Step{StartStep(json.RawMessage(`{"config":"x"}`))}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := plan()
	for range 2 { // the second one must not start it again
		if err := j.Apply(context.Background(), c.ID); err != nil {
			t.Fatal(err)
		}
	}
	// The record is indented, and the description with it.
	if len(started) != 1 || strings.Join(strings.Fields(started[0]), "") != `{"config":"x"}` {
		t.Errorf("started %q", started)
	}
	if report, err := j.Recover(context.Background()); err != nil || len(report) != 0 || p.state(t, j, c.ID) != Applied {
		t.Errorf("recover did something with an applied start: %+v, %v", report, err)
	}
	if err := j.Undo(context.Background(), c.ID, ""); err == nil || err.Error() != "change "+c.ID+" cannot be undone: others need it" {
		t.Errorf("error %v", err)
	}
	if err := j.Verified(c.ID); err != nil {
		t.Error(err)
	}
	fail = errors.New("no such binary")
	c = plan()
	if err := j.Apply(context.Background(), c.ID); !errors.Is(err, fail) || p.state(t, j, c.ID) != Undone {
		t.Errorf("error %v, state %s", err, p.state(t, j, c.ID))
	}
	// Interrupted: nobody can know.
	c = plan()
	report, err := j.Recover(context.Background())
	if err != nil || len(report) != 1 || report[0].Note != "interrupted; whether it was done is not known, and it cannot be undone: others need it" || p.state(t, j, c.ID) != Applied {
		t.Errorf("recover: %+v, %v", report, err)
	}
	if c.UndoByHand() != "" || !slices.Equal(c.Describe(), []string{"start PHP-FPM"}) {
		t.Errorf("%q, %q", c.UndoByHand(), c.Describe())
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.disabled(t, p.open(t), false)
	want := []string{"keep in active_plugins, should wp-admin drop it meanwhile: foo/foo.php, hello.php",
		"rename wp-content/plugins/foo to wp-content/plugins/.foo.off-by-wpmend",
		"rename wp-content/plugins/hello.php to wp-content/plugins/.hello.php.off-by-wpmend/hello.php"}
	if got := c.Describe(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// The commands for a person do what Undo does, whatever a site's folders are called.
func TestUndoByHand(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	nasty := "wp-content/plugins/it's; $(touch gone) `x`\n\"-n"
	p.write(t, nasty+"/a.php", "<?php")
	p.own(t, nasty)
	before := treeOf(t, p.root)
	j := p.open(t)
	c, err := p.disable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := PlanRename(p.root, owner, nasty, "wp-content/plugins/.off")
	if err != nil {
		t.Fatal(err)
	}
	c.Steps = append(c.Steps, s)
	c.Steps[2].Plugins = append(c.Steps[2].Plugins, "evil\ntouch gone/x.php")
	if c, err = j.Plan(c); err == nil {
		err = j.Apply(context.Background(), c.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := c.UndoByHand()
	if want := "mv -n -T -- '" + p.path(fooOff) + "' '" + p.path("wp-content/plugins/foo") + "'\n"; !strings.Contains(text, want) {
		t.Errorf("%s does not hold %s", text, want)
	}
	if want := "# then see in wp-admin, Plugins, that these are active: foo/foo.php, hello.php, \"evil\\ntouch gone/x.php\"\n"; !strings.HasSuffix(text, want) {
		t.Errorf("%s does not end with %s", text, want)
	}
	for i := range 2 {
		cmd := exec.Command("sh", "-s")
		cmd.Stdin, cmd.Dir = strings.NewReader(text), p.dir
		out, err := cmd.CombinedOutput()
		if i == 0 && err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if now := treeOf(t, p.root); now != before {
			t.Errorf("after the commands:\n%s\nbefore:\n%s", now, before)
		}
	}
	if _, err := os.Stat(filepath.Join(p.dir, "gone")); err == nil {
		t.Error("a name was run by the shell")
	}
	if err := j.Undo(context.Background(), c.ID, "was put back by hand"); err != nil {
		t.Error(err)
	}
}

// A plugin that is linked in is switched off at the link; what it leads to stays.
func TestLinkedPlugin(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	shared := filepath.Join(p.dir, "shared")
	rel := "wp-content/plugins/linked"
	if err := errors.Join(os.Mkdir(shared, 0o755), os.Symlink(shared, p.path(rel)), os.Lchown(p.path(rel), owner, owner)); err != nil {
		t.Fatal(err)
	}
	before, far := p.snapshot(t), treeOf(t, shared)
	j := p.open(t)
	s, err := PlanRename(p.root, owner, rel, "wp-content/plugins/.linked.off-by-wpmend")
	if err != nil {
		t.Fatal(err)
	}
	c, err := j.Plan(Change{SiteRoot: p.root, Steps: []Step{s}})
	if err == nil {
		err = j.Apply(context.Background(), c.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(p.path(rel)); !errors.Is(err, os.ErrNotExist) || treeOf(t, shared) != far {
		t.Errorf("%v", err)
	}
	if err := j.Undo(context.Background(), c.ID, "test"); err != nil {
		t.Error(err)
	}
	p.same(t, before)
}
