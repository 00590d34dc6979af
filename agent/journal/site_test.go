package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wpmend/wp"
)

// owner stands for the uid of a pool, neighbour for that of another customer.
const (
	owner     = 4711
	neighbour = 4712
)

// place is one site with a journal and a database, all below one folder.
type place struct {
	dir, root, journal string
	options            *fileOptions
}

const threeActive = `a:3:{i:0;s:11:"bar/bar.php";i:1;s:11:"foo/foo.php";i:2;s:9:"hello.php";}`

// newPlace makes a site with two plugins in folders, one in a file and a theme. It lies
// in memory, where a sync costs nothing.
func newPlace(t testing.TB) place {
	t.Helper()
	memory := "/dev/shm"
	if _, err := os.Stat(memory); err != nil {
		memory = ""
	}
	dir, err := os.MkdirTemp(memory, "wpmend-journal-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := placeIn(dir)
	for name, text := range map[string]string{
		"wp-config.php":                       "<?php",
		"wp-content/plugins/foo/foo.php":      "<?php // foo",
		"wp-content/plugins/foo/inc/more.php": "<?php // more",
		"wp-content/plugins/bar/bar.php":      "<?php // bar",
		"wp-content/plugins/hello.php":        "<?php // hello",
		"wp-content/themes/one/style.css":     "/* one */",
		"wp-content/mu-plugins/must.php":      "<?php // must",
		"wp-content/uploads/2026/a.txt":       "a",
	} {
		p.write(t, name, text)
	}
	p.own(t, ".")
	if err := errors.Join(os.Mkdir(p.options.dir, 0o700), os.Mkdir(p.options.dir+"/cached", 0o700), p.options.set(threeActive)); err != nil {
		t.Fatal(err)
	}
	return p
}

func placeIn(dir string) place {
	return place{dir: dir, root: filepath.Join(dir, "site"), journal: filepath.Join(dir, "journal"),
		options: &fileOptions{dir: filepath.Join(dir, "options")}}
}

func (p place) path(rel string) string { return filepath.Join(p.root, rel) }

func (p place) write(t testing.TB, rel, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(p.path(rel)), 0o755), os.WriteFile(p.path(rel), []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// own gives everything below rel to the site's owner.
func (p place) own(t testing.TB, rel string) {
	t.Helper()
	err := filepath.WalkDir(p.path(rel), func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(name, owner, owner))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (p place) deps() Deps {
	return Deps{Options: p.options, Forget: p.options.forget, Act: p.act, Lock: func(string) (func(), error) { return func() {}, nil }}
}

func (p place) open(t testing.TB) *Journal {
	t.Helper()
	j, err := Open(p.journal, p.deps())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

const (
	fooOff   = "wp-content/plugins/.foo.off-by-wpmend"
	helloOff = "wp-content/plugins/.hello.php.off-by-wpmend/hello.php"
)

// disable describes switching off a folder, a single file, and the guard of both.
func (p place) disable() (Change, error) {
	c := Change{Site: "abc", SiteRoot: p.root, What: "switch off foo and hello", Why: "test", Actor: "test"}
	for from, to := range map[string]string{"wp-content/plugins/foo": fooOff, "wp-content/plugins/hello.php": helloOff} {
		s, err := PlanRename(p.root, owner, from, to)
		if err != nil {
			return c, err
		}
		c.Steps = append(c.Steps, s)
	}
	if c.Steps[0].Folder != "" { // maps have no order: the folder first
		c.Steps[0], c.Steps[1] = c.Steps[1], c.Steps[0]
	}
	c.Steps = append(c.Steps, GuardPlugins(p.root, []string{"foo/foo.php", "hello.php"}))
	return c, nil
}

// disabled plans and applies the change, and verifies it if asked.
func (p place) disabled(t testing.TB, j *Journal, verified bool) Change {
	t.Helper()
	c, err := p.disable()
	if err == nil {
		c, err = j.Plan(c)
	}
	if err == nil {
		err = j.Apply(context.Background(), c.ID)
	}
	if err == nil && verified {
		err = j.Verified(c.ID)
	}
	if err == nil {
		c, err = j.Get(c.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// snapshot is all of a site: names, types, modes, owners, inodes, contents, and the option.
func (p place) snapshot(t testing.TB) string {
	t.Helper()
	options, err := p.options.all()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.host()); err != nil {
		return treeOf(t, p.root) + options
	}
	served, err := os.ReadFile(p.dir + "/served")
	if err != nil {
		t.Fatal(err)
	}
	return treeOf(t, p.root) + options + treeOf(t, p.host()) + "the server has loaded " + string(served)
}

// host is a folder of the host's configuration, which a server has loaded.
func (p place) host() string { return filepath.Join(p.dir, "host") }

// act lets that server load it again.
func (p place) act(_ context.Context, what json.RawMessage) error {
	names, err := filepath.Glob(p.host() + "/*.conf")
	if err != nil || !bytes.Contains(what, []byte(`"load"`)) {
		return fmt.Errorf("%s: %w", what, err)
	}
	var text []byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		text = append(text, data...)
	}
	return os.WriteFile(p.dir+"/served", text, 0o600)
}

var loads = json.RawMessage(`{"do":"load","words":"let the server load it","hand":["cat host/*.conf > served"]}`)

func treeOf(t testing.TB, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		content := ""
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			content = string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			content, _ = os.Readlink(name)
		}
		if strings.HasSuffix(name, ".ini") || strings.HasSuffix(name, ".conf") || strings.HasSuffix(name, ".php.off-by-wpmend") {
			st.Ino = 0 // of these, and of a folder of ours, only the content counts
		}
		rel, _ := filepath.Rel(root, name)
		fmt.Fprintf(&b, "%s %v %d:%d inode %d %q\n", rel, info.Mode(), st.Uid, st.Gid, st.Ino, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (p place) same(t testing.TB, before string) {
	t.Helper()
	if diff := cmp.Diff(before, p.snapshot(t)); diff != "" {
		t.Errorf("the site is not as before (-before +now):\n%s", diff)
	}
}

func (p place) state(t testing.TB, j *Journal, id string) State {
	t.Helper()
	c, err := j.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	return c.State
}

// fileOptions are the options of a site, in files, so that they outlive a killed child,
// beside what an object cache holds of them.
type fileOptions struct {
	dir  string
	hook func(op string) error
	// meddle runs before each swap, as a neighbour who writes at the same time.
	meddle func(o *fileOptions)
	err    error
}

func (o *fileOptions) file(name string) string { return filepath.Join(o.dir, name) }

func (o *fileOptions) cached(name string) string { return filepath.Join(o.dir, "cached", name) }

func (o *fileOptions) value(name string) string {
	b, _ := os.ReadFile(o.file(name))
	return string(b)
}

// put sets an option as WordPress does: the cache learns it too.
func (o *fileOptions) put(name, v string) error {
	return errors.Join(o.store(name, v), os.WriteFile(o.cached(name), []byte(v), 0o600))
}

func (o *fileOptions) store(name, v string) error {
	return errors.Join(os.WriteFile(o.cached(name)+".new", []byte(v), 0o600), os.Rename(o.cached(name)+".new", o.file(name)))
}

func (o *fileOptions) get() string { return o.value(activePlugins) }

func (o *fileOptions) set(v string) error { return o.put(activePlugins, v) }

// all are the options as text. What a cache says otherwise is in it too.
func (o *fileOptions) all() (string, error) {
	entries, err := os.ReadDir(o.dir)
	var b strings.Builder
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		fmt.Fprintf(&b, "option %s %s\n", e.Name(), o.value(e.Name()))
		if c, cerr := os.ReadFile(o.cached(e.Name())); cerr != nil || string(c) != o.value(e.Name()) {
			fmt.Fprintf(&b, "but WordPress sees %q\n", c)
		}
	}
	return b.String(), err
}

// forget drops an option from the cache; the next visitor puts in what the database says.
func (o *fileOptions) forget(_ context.Context, _, name string) {
	_ = seam{hook: o.hook}.call("forget", func() error {
		return os.WriteFile(o.cached(name), []byte(o.value(name)), 0o600)
	})
}

func (o *fileOptions) Option(_ context.Context, _, name string) ([]byte, error) {
	if o.err != nil {
		return nil, o.err
	}
	v, err := os.ReadFile(o.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q", wp.ErrNoOption, name)
	}
	return v, err
}

func (o *fileOptions) SwapOption(_ context.Context, _, name string, old, new []byte) (bool, error) {
	if o.meddle != nil {
		o.meddle(o)
	}
	now, err := os.ReadFile(o.file(name))
	if err != nil || !bytes.Equal(old, now) {
		return false, nil
	}
	swapped := false
	err = seam{hook: o.hook}.call("swap", func() error {
		swapped = true
		return o.store(name, string(new))
	})
	return swapped, err
}
