package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// scene is a change of one kind, with what happens to the site while it is in force.
type scene struct {
	name    string
	options map[string]string // set before
	plan    func(p place) ([]Change, error)
	// meanwhile is what somebody does before the undo; back is what that leaves
	// different from how the site was found.
	meanwhile func(o *fileOptions) error
	back      map[string]string
	inForce   map[string]string // options while it is in force
	renamed   map[string]string // what lies elsewhere while it is in force
	files     map[string]string // below the place's folder, while it is in force; "" is none
}

const (
	networkList = `a:3:{s:7:"z/z.php";i:1700000003;s:11:"foo/foo.php";i:1700000001;s:11:"bar/bar.php";i:1700000002;}`
	blogList    = `a:2:{i:0;s:11:"foo/foo.php";i:3;s:7:"z/z.php";}`
)

// plugins are the renamings of a folder and a single file, as a scene has them.
var plugins = map[string]string{"wp-content/plugins/foo": fooOff, "wp-content/plugins/hello.php": helloOff}

var scenes = []scene{
	{
		name:    "plugins",
		plan:    func(p place) ([]Change, error) { c, err := p.disable(); return []Change{c}, err },
		inForce: map[string]string{activePlugins: threeActive},
		renamed: plugins,
		// An admin has opened wp-admin → Plugins.
		meanwhile: func(o *fileOptions) error { return o.set(`a:1:{i:0;s:11:"bar/bar.php";}`) },
	},
	{
		name:    "a network's plugins",
		options: map[string]string{networkPlugins: networkList, "blog-2:active_plugins": blogList},
		plan: func(p place) ([]Change, error) {
			c, err := p.disable()
			c.Steps = append(c.Steps, GuardList(p.root, networkPlugins, []string{"foo/foo.php"}), GuardList(p.root, "blog-2:active_plugins", []string{"foo/foo.php"}))
			return []Change{c}, err
		},
		inForce: map[string]string{networkPlugins: networkList, "blog-2:active_plugins": blogList},
		renamed: plugins,
		meanwhile: func(o *fileOptions) error {
			return errors.Join(o.put(networkPlugins, `a:2:{s:7:"z/z.php";i:1700000003;s:11:"bar/bar.php";i:1700000002;}`),
				o.put("blog-2:active_plugins", `a:1:{i:3;s:7:"z/z.php";}`), o.set(`a:1:{i:0;s:11:"bar/bar.php";}`))
		},
	},
	{
		name: "themes",
		options: map[string]string{"template": "one", "stylesheet": "one-child", "current_theme": "One's Child",
			"blog-2:template": "one", "blog-2:stylesheet": "one"},
		plan: func(p place) ([]Change, error) {
			c := Change{SiteRoot: p.root, What: "show another theme", Why: "test", Actor: "test"}
			for _, o := range [][2]string{{"template", "two"}, {"stylesheet", "two"}, {"current_theme", "Two"},
				{"blog-2:template", "two"}, {"blog-2:stylesheet", "two"}, {"blog-2:current_theme", "Two"}} {
				c.Steps = append(c.Steps, SetOption(p.root, o[0], []byte(o[1])))
			}
			return []Change{c}, nil
		},
		inForce: map[string]string{"template": "two", "stylesheet": "two", "current_theme": "Two", "blog-2:template": "two", "blog-2:stylesheet": "two"},
		// The owner of blog 2 chose a child of what was shown.
		meanwhile: func(o *fileOptions) error { return o.put("blog-2:stylesheet", "two-child") },
		back:      map[string]string{"blog-2:template": "two", "blog-2:stylesheet": "two-child"},
	},
	{
		name:    "deactivated",
		options: map[string]string{networkPlugins: networkList},
		plan: func(p place) ([]Change, error) {
			drop, err := PlanRename(p.root, owner, "wp-content/db.php", "wp-content/.db.php.off-by-wpmend/db.php")
			return []Change{{SiteRoot: p.root, What: "deactivate foo with its drop-in", Why: "test", Actor: "test", Steps: []Step{
				DeactivatePlugins(p.root, activePlugins, []string{"foo/foo.php"}), DeactivatePlugins(p.root, networkPlugins, []string{"foo/foo.php"}), drop}}}, err
		},
		inForce: map[string]string{activePlugins: `a:2:{i:0;s:11:"bar/bar.php";i:2;s:9:"hello.php";}`,
			networkPlugins: `a:2:{s:7:"z/z.php";i:1700000003;s:11:"bar/bar.php";i:1700000002;}`},
		renamed: map[string]string{"wp-content/db.php": "wp-content/.db.php.off-by-wpmend/db.php"},
		// The owner activates another plugin; the network's list stays as it is.
		meanwhile: func(o *fileOptions) error {
			return o.set(`a:3:{i:0;s:11:"bar/bar.php";i:1;s:9:"hello.php";i:2;s:11:"new/new.php";}`)
		},
		back: map[string]string{activePlugins: `a:4:{i:0;s:11:"bar/bar.php";i:1;s:11:"foo/foo.php";i:2;s:9:"hello.php";i:3;s:11:"new/new.php";}`},
	},
	{
		name:    "a batch",
		options: map[string]string{"template": "one", "stylesheet": "one"},
		plan: func(p place) ([]Change, error) {
			c, err := p.disable()
			first, second, third := c, c, Change{SiteRoot: p.root, What: "theme", Why: "test", Actor: "test"}
			first.Steps, second.Steps = []Step{c.Steps[0], GuardPlugins(p.root, []string{"foo/foo.php"})}, []Step{c.Steps[1], GuardPlugins(p.root, []string{"hello.php"})}
			third.Steps = []Step{SetOption(p.root, "template", []byte("two")), SetOption(p.root, "stylesheet", []byte("two"))}
			return []Change{first, second, third}, err
		},
		inForce:   map[string]string{"template": "two", "stylesheet": "two", activePlugins: threeActive},
		renamed:   plugins,
		meanwhile: func(o *fileOptions) error { return o.set(`a:1:{i:0;s:11:"bar/bar.php";}`) },
	},
	{
		name: "files",
		plan: func(p place) ([]Change, error) {
			mode := FileMode{UID: owner, GID: owner, Mode: 0o640}
			return []Change{{SiteRoot: p.root, What: "tune", Why: "test", Actor: "test", Steps: []Step{
				ActStep(OnUndo, loads),
				ReplaceHostFile(p.host()+"/pool.conf", []byte("[www]\nlimit = 60\n")),
				ReplaceHostFile(p.host()+"/own.conf", []byte("own\n")),
				ReplaceFile(p.root, ".user.ini", []byte("a = 1\nb = 3\n"), []uint32{owner}, mode),
				ReplaceFile(p.root, "wp-content/new.ini", []byte("new\n"), []uint32{owner}, mode),
				ReplaceFile(p.root, "wp-content/old.ini", nil, []uint32{owner}, mode),
				ActStep(OnApply, loads),
			}}}, nil
		},
		files: map[string]string{"host/pool.conf": "[www]\nlimit = 60\n", "host/own.conf": "own\n", "site/.user.ini": "a = 1\nb = 3\n",
			"site/wp-content/new.ini": "new\n", "site/wp-content/old.ini": "", "served": "own\n[www]\nlimit = 60\n"},
		meanwhile: func(*fileOptions) error { return nil },
	},
}

// configured lays out the files that the scene "files" is about.
func (p place) configured(t testing.TB) {
	t.Helper()
	if err := errors.Join(os.Mkdir(p.host(), 0o755), os.WriteFile(p.host()+"/pool.conf", []byte("[www]\nlimit = 30\n"), 0o644),
		p.act(t.Context(), loads)); err != nil {
		t.Fatal(err)
	}
	p.write(t, ".user.ini", "a = 1\nb = 2\n")
	p.write(t, "wp-content/old.ini", "old\n")
	for _, name := range []string{".user.ini", "wp-content/old.ini"} {
		p.own(t, name)
		if err := errors.Join(os.Chmod(p.path(name), 0o604), unix.Setxattr(p.path(name), "user.who", []byte("me"), 0)); err != nil {
			t.Fatal(err)
		}
	}
}

func sceneOf(name string) scene {
	for _, s := range scenes {
		if s.name == name {
			return s
		}
	}
	panic(name)
}

// newScene makes a place as a scene begins.
func (s scene) new(t testing.TB) place {
	t.Helper()
	p := newPlace(t)
	p.write(t, "wp-content/db.php", "<?php // foo's")
	p.own(t, "wp-content/db.php")
	if s.files != nil {
		p.configured(t)
	}
	for name, value := range s.options {
		if err := p.options.put(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// do plans and applies the scene's changes, and verifies them all if asked.
func (s scene) do(p place, j *Journal, verify bool) error {
	changes, err := s.plan(p)
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range changes {
		if c, err = j.Plan(c); err != nil {
			return err
		}
		if err := j.Apply(context.Background(), c.ID); err != nil {
			return err
		}
		ids = append(ids, c.ID)
	}
	if !verify {
		return nil
	}
	return j.VerifiedAll(ids)
}

// undo takes every change of a journal back, the newest first.
func undoAll(j *Journal) error {
	changes, err := j.List()
	for i := range changes {
		err = errors.Join(err, j.Undo(context.Background(), changes[len(changes)-1-i].ID, "test"))
	}
	return err
}

// fixed tells whether all of the scene is in force.
func (s scene) fixed(p place) error {
	for from, to := range s.renamed {
		if _, err := os.Lstat(p.path(to)); err != nil {
			return err
		}
		if _, err := os.Lstat(p.path(from)); err == nil {
			return fmt.Errorf("%s is there", from)
		}
	}
	for name, want := range s.files {
		if got, err := os.ReadFile(filepath.Join(p.dir, name)); string(got) != want || (err != nil) != (want == "") {
			return fmt.Errorf("%s is %q, %w; want %q", name, got, err, want)
		}
	}
	for name, want := range s.inForce {
		cached, err := os.ReadFile(p.options.cached(name))
		if got := p.options.value(name); got != want || err != nil || string(cached) != want {
			return fmt.Errorf("%s is %s, and WordPress sees %s; want %s", name, got, cached, want)
		}
	}
	return nil
}
