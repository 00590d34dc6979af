package remedy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/agent/shadow"
	"wpmend/agent/site"
	"wpmend/packaging/lab"
	"wpmend/wp"
)

// stage is one site of a lab with a journal of its own.
type stage struct {
	*testing.T
	lab     *lab.Lab
	index   int
	staged  lab.Site
	site    site.Site
	journal *journal.Journal
	forgot  *[]string
}

// stages makes a stage of each site of a lab.
func stages(t *testing.T, l *lab.Lab) []stage {
	t.Helper()
	h, err := site.Discover(context.Background(), site.Host{}, func(root string) bool { return strings.HasPrefix(root, l.Dir+"/") })
	if err != nil {
		t.Fatal(err)
	}
	var all []stage
	for i, staged := range l.Sites() {
		s, err := site.Find(h.Sites, staged.Root)
		if err != nil {
			t.Fatal(err)
		}
		forgot := &[]string{}
		j, err := journal.Open(path.Join(t.TempDir(), "journal"), journal.Deps{Options: options{s},
			Forget: func(_ context.Context, root, name string) {
				if root != s.Root {
					t.Errorf("the cache of %s is told", root)
				}
				*forgot = append(*forgot, name)
			},
			Lock: func(string) (func(), error) { return func() {}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, stage{t, l, i, staged, s, j, forgot})
	}
	return all
}

// options are the real ones, of the site's own database.
type options struct{ site site.Site }

func (o options) with(ctx context.Context, do func(*wp.Database) error) error {
	c, err := o.site.Config()
	if err != nil {
		return err
	}
	db, err := wp.OpenDatabase(ctx, c, "")
	if err != nil {
		return err
	}
	return errors.Join(do(db), db.Close())
}

func (o options) Option(ctx context.Context, _, name string) (value []byte, err error) {
	err = o.with(ctx, func(db *wp.Database) (err error) { value, err = db.Option(ctx, name); return err })
	return value, err
}

func (o options) SwapOption(ctx context.Context, _, name string, old, new []byte) (swapped bool, err error) {
	err = o.with(ctx, func(db *wp.Database) (err error) { swapped, err = db.SwapOption(ctx, name, old, new); return err })
	return swapped, err
}

func (s stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s stage) snapshot() lab.Snapshot {
	s.Helper()
	snap, err := s.lab.Snapshot(s.index)
	s.must(err)
	return snap
}

// read is what a session of wpmend would know now: where PHP computes it, WordPress
// itself is asked.
func (s stage) read() site.WordPress {
	s.Helper()
	ctx := context.Background()
	w, err := s.site.Read(ctx)
	if errors.Is(err, wp.ErrUnknown) {
		dir := s.TempDir()
		s.must(errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755)))
		sh, err := shadow.Start(ctx, s.site, wp.Paths{}, shadow.Options{Dir: dir})
		s.must(err)
		said, err := sh.Inspect(ctx)
		s.must(errors.Join(err, sh.Close()))
		w, err = s.site.ReadInspected(ctx, said)
		s.must(err)
		return w
	}
	s.must(err)
	return w
}

// pages fetches the front page of every blog: each must be whole.
func (s stage) pages() string {
	s.Helper()
	urls, text := []string{s.staged.URL + "/"}, ""
	if s.staged.Network != "" {
		urls = append(urls, s.staged.BlogURL(2)+"/")
	}
	for _, u := range urls {
		status, body, err := s.lab.GetURL(context.Background(), u)
		if err != nil || status != 200 || !lab.Complete(body) {
			s.Errorf("%s answers %d, %v:\n%.400s", u, status, err, body)
		}
		text += body
	}
	return text
}

// admin does what wp-admin → Plugins does: it drops what is missing from a list.
func (s stage) admin(option string, files ...string) {
	s.Helper()
	ctx, o := context.Background(), options{s.site}
	now, err := o.Option(ctx, "", option)
	s.must(err)
	want := now
	for _, f := range files {
		want, err = wp.RemovePlugin(want, f)
		s.must(err)
	}
	if ok, err := o.SwapOption(ctx, "", option, now, want); err != nil || !ok {
		s.Fatalf("%s is not written: %v, %v", option, ok, err)
	}
}

// loaded tells whether a page says that a component was loaded.
func loaded(page, name string) bool {
	name = strings.TrimSuffix(name, ".php")
	return strings.Contains(page, fmt.Sprintf("<!-- %s was loaded -->", name)) || strings.Contains(page, fmt.Sprintf("<!-- %s saw ", name))
}

// do applies a change and wants the site well, with these components not loaded.
func (s stage) do(c journal.Change, err error, gone ...string) journal.Change {
	s.Helper()
	s.must(err)
	c, err = s.journal.Plan(c)
	s.must(err)
	s.must(s.journal.Apply(context.Background(), c.ID))
	s.must(s.journal.Verified(c.ID))
	page := s.pages()
	for _, name := range gone {
		if loaded(page, name) {
			s.Errorf("%s is still loaded", name)
		}
	}
	for _, step := range c.Steps {
		if step.Kind != journal.Rename {
			continue
		}
		for _, url := range []string{step.To, step.From} {
			if _, body, err := s.lab.GetFrom(context.Background(), s.index, "/"+url); err != nil || strings.Contains(body, "<?php") {
				s.Errorf("/%s shows its source, %v", url, err)
			}
		}
	}
	c, err = s.journal.Get(c.ID)
	s.must(err)
	return c
}

// standing is how a change stands by what is read of the site now.
func (s stage) standing(c journal.Change) remedy.Standing {
	s.Helper()
	now, err := remedy.Readmit(s.site, s.read(), c)
	s.must(err)
	return now.Standing
}

// back undoes a change and wants everything as it was.
func (s stage) back(c journal.Change, before lab.Snapshot, there ...string) {
	s.Helper()
	s.must(s.journal.Undo(context.Background(), c.ID, "test"))
	if d := before.Diff(s.snapshot()); d != "" {
		s.Errorf("undo of %q:\n%s", c.What, d)
	}
	page := s.pages()
	for _, name := range there {
		if !loaded(page, name) {
			s.Errorf("%s is not loaded again", name)
		}
	}
}
