package remedy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/wp"
)

// later is a date after the change, as a file has that is uploaded some time on.
func later(t *testing.T, name string) {
	t.Helper()
	at := time.Now().Add(-time.Minute)
	if err := errors.Join(os.WriteFile(name, []byte("<?php // new"), 0o644), os.Chtimes(name, at, at)); err != nil {
		t.Fatal(err)
	}
}

func TestReadmit(t *testing.T) {
	t.Parallel()
	const plugins, off = "wp-content/plugins/", "wp-content/plugins/.foo.off-by-wpmend"
	const db = "wp-content/.db.php.off-by-wpmend/db.php" // foo's drop-in, which went first
	for _, tt := range []struct {
		name      string
		meanwhile func(t *testing.T, root string) error
		want      remedy.Standing
		what      string
	}{
		{"nothing", nil, remedy.Off, "nothing at " + db + " has changed since"},
		{"a file was uploaded", func(t *testing.T, root string) error { later(t, root+off+"/inc/a.php"); return nil }, remedy.Changed, off + "/inc has changed since"},
		{"installed again", func(_ *testing.T, root string) error { return os.Mkdir(root+plugins+"foo", 0o755) }, remedy.Reinstalled,
			plugins + "foo is there again, beside the one at " + off},
		{"half of it put back by hand", func(_ *testing.T, root string) error { return os.Rename(root+off, root+plugins+"foo") }, remedy.Off, "nothing at " + db + " has changed since"},
		{"removed", func(_ *testing.T, root string) error { return os.RemoveAll(root + off) }, remedy.Gone, off + " is not there any more"},
		{"another one than the drop-in weighs less", func(_ *testing.T, root string) error {
			return errors.Join(os.RemoveAll(root+off), os.WriteFile(root+"wp-content/db.php", nil, 0o644))
		}, remedy.Reinstalled, "wp-content/db.php is there again, beside the one at " + db},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			root := filepath.Join(dir, "site")
			err := errors.Join(os.MkdirAll(filepath.Join(root, plugins, "foo/inc"), 0o755),
				os.WriteFile(filepath.Join(root, plugins, "foo/foo.php"), []byte("<?php"), 0o644), os.WriteFile(filepath.Join(root, "wp-content/db.php"), []byte("<?php"), 0o644))
			if err != nil {
				t.Fatal(err)
			}
			s := site.Site{Root: root, Domain: "x.test"}
			w := site.WordPress{Paths: wp.DefaultPaths(), Components: []wp.Component{
				{Kind: wp.KindPlugin, Name: "foo", Path: plugins + "foo", Files: []string{"foo/foo.php"}, Active: true},
				{Kind: wp.KindDropIn, Name: "db.php", Path: "wp-content/db.php", Files: []string{"db.php"}, Active: true, Owner: "plugin:foo"}}}
			j, err := journal.Open(filepath.Join(dir, "journal"), journal.Deps{})
			if err != nil {
				t.Fatal(err)
			}
			c, err := remedy.Disable(s, w, []string{"plugin:foo"}, "", "test")
			if err == nil {
				c, err = j.Plan(c)
			}
			if err == nil {
				err = j.Apply(context.Background(), c.ID)
			}
			if err == nil {
				c, err = j.Get(c.ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			// As if it had been a second ago: the times that the kernel notes cannot be set back.
			ago := time.Now().Add(-2 * time.Hour)
			err = filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error { return errors.Join(err, os.Chtimes(name, ago, ago)) })
			for i := range c.Log {
				c.Log[i].Time = time.Now().Add(20*time.Millisecond - time.Second)
			}
			time.Sleep(30 * time.Millisecond)
			if err == nil && tt.meanwhile != nil {
				err = tt.meanwhile(t, root+"/")
			}
			if err != nil {
				t.Fatal(err)
			}
			now, err := remedy.Readmit(s, w, c)
			if err != nil || now.Standing != tt.want || now.What != tt.what {
				t.Errorf("%s, %s, %v; want %s, %s", now.Standing, now.What, err, tt.want, tt.what)
			}
			if err := j.Undo(context.Background(), c.ID, "test"); (err != nil) != (tt.want == remedy.Gone || tt.want == remedy.Reinstalled) {
				t.Errorf("undo: %v", err)
			}
			if c, err = j.Get(c.ID); err != nil {
				t.Fatal(err)
			}
			if now, err := remedy.Readmit(s, w, c); c.State == journal.Undone && (err != nil || now.Standing != remedy.Back) {
				t.Errorf("undone, it is %s, %v", now.Standing, err)
			}
		})
	}
}

// How what was switched off by an option stands is told by the option and by the files.
func TestReadmitByOptions(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, dir := range []string{"wp-content/themes/one", "wp-content/plugins/foo"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := site.Site{Root: root}
	theme := []journal.Step{{Kind: journal.Setting, Name: "stylesheet", Before: []byte("one"), After: []byte("two")},
		{Kind: journal.Setting, Name: "current_theme", Before: []byte("One"), After: []byte("Two")}}
	blog := []journal.Step{{Kind: journal.Setting, Name: "blog-2:template", Before: []byte("one"), After: []byte("two")}}
	plugin := []journal.Step{{Kind: journal.Deactivate, Name: "active_plugins", Plugins: []string{"foo/foo.php"}}}
	for _, tt := range []struct {
		name   string
		active wp.ActiveState
		steps  []journal.Step
		want   remedy.Standing
	}{
		{"the theme is off", wp.ActiveState{Stylesheet: "two"}, theme, remedy.Off},
		{"it is shown again", wp.ActiveState{Stylesheet: "one"}, theme, remedy.Back},
		{"another one was chosen", wp.ActiveState{Stylesheet: "three"}, theme, remedy.Superseded},
		{"of another blog", wp.ActiveState{Stylesheet: "x"}, blog, remedy.Off},
		{"the plugin is off", wp.ActiveState{Plugins: []string{"bar/bar.php"}}, plugin, remedy.Off},
		{"it is active again", wp.ActiveState{Plugins: []string{"foo/foo.php"}}, plugin, remedy.Back},
		{"in the network", wp.ActiveState{Network: []string{"foo/foo.php"}}, plugin, remedy.Back},
		{"on another blog", wp.ActiveState{Blogs: map[int64][]string{7: {"foo/foo.php"}}}, plugin, remedy.Back},
	} {
		c := journal.Change{State: journal.Verified, Steps: tt.steps, Log: []journal.Entry{{State: journal.Applied, Time: time.Now()}}}
		if now, err := remedy.Readmit(s, site.WordPress{Paths: wp.DefaultPaths(), Active: tt.active}, c); err != nil || now.Standing != tt.want {
			t.Errorf("%s: %s (%s), %v; want %s", tt.name, now.Standing, now.What, err, tt.want)
		}
	}
}
