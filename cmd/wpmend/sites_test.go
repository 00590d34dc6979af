package main

import (
	"fmt"
	"strings"
	"testing"

	"wpmend/packaging/lab"
)

// Every site is found with the root, the pool and the owner that it really has.
func TestSites(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]lab.Options{
		"plain":     {Plugins: 1},
		"several":   {Plugins: 1, Sites: 3, Masters: 2},
		"tcp":       {Plugins: 1, Sites: 2, TCP: true},
		"upstream":  {Plugins: 1, Sites: 2, Upstream: true},
		"subfolder": {Plugins: 1, Sites: 2, Subfolder: "blog"},
		"all":       {Plugins: 1, Sites: 3, Masters: 2, TCP: true, Upstream: true, Subfolder: "blog", TLS: true, UID: 54321},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, o)
			owner := "www-data"
			if o.UID != 0 {
				owner = fmt.Sprint(o.UID)
			}
			var found sitesJSON
			s.json("sites").exits(0).into(&found)
			if len(found.Sites) != len(s.Sites()) {
				t.Fatalf("%d sites, want %d: %+v", len(found.Sites), len(s.Sites()), found.Sites)
			}
			ids := map[string]bool{}
			for _, want := range s.Sites() {
				domain := strings.TrimPrefix(want.URL, "http://")
				for _, got := range found.Sites {
					if got.Root != want.Root {
						continue
					}
					ids[got.ID] = true
					if got.Domain != domain || got.Pool != want.Pool || got.Owner != owner || got.Gateway != "nginx" || !got.Running || !strings.HasPrefix(got.Version, "6.") {
						t.Errorf("found %+v, want %s in %s, pool %s, owner %s", got, domain, want.Root, want.Pool, owner)
					}
				}
			}
			if len(ids) != len(s.Sites()) {
				t.Errorf("%d different ids of the right roots, want %d: %+v", len(ids), len(s.Sites()), found.Sites)
			}
			var all checkAllJSON
			s.json("check").exits(0).into(&all)
			if len(all.Sites) != len(s.Sites()) {
				t.Errorf("check of all: %d sites, want %d", len(all.Sites), len(s.Sites()))
			}
			for _, want := range s.Sites() {
				var c checkJSON
				s.json("check", want.Root).exits(0).into(&c)
				if !c.Healthy || c.Outcome != "healthy" || c.Site.Root != want.Root {
					t.Errorf("check %s: %+v, want healthy", want.Root, c)
				}
			}
		})
	}
}

// What is broken on one site is healed there; its neighbours on the same pool's master
// and the same host are not touched, and the worst decides a check of all.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 8, Sites: 3, Masters: 2, TCP: true, Upstream: true, Subfolder: "blog", TLS: true, UID: 54321})
	sick := 1
	s.must(s.Break(sick, lab.Segfault, lab.Slug(5)))
	before := map[int]lab.Snapshot{}
	for i := range s.Sites() {
		snap, err := s.Snapshot(i)
		s.must(err)
		before[i] = snap
	}
	var all checkAllJSON
	s.json("check").exits(3).into(&all)
	for _, c := range all.Sites {
		if want := c.Site.Root != s.Site(sick).Root; c.Healthy != want {
			t.Errorf("%s is healthy: %v, want %v", c.Site.Root, c.Healthy, want)
		}
	}
	var h healJSON
	s.json("heal", s.Site(sick).Root).exits(0).into(&h)
	if h.State != "resolved" || len(h.Culprits) != 1 || h.Culprits[0].Component != "plugin:"+lab.Slug(5) {
		t.Errorf("%+v, want it resolved with %s", h, lab.Slug(5))
	}
	before[sick] = without(before[sick], lab.Slug(5))
	for i := range s.Sites() {
		snap, err := s.Snapshot(i)
		s.must(err)
		if d := before[i].Diff(snap); d != "" {
			t.Errorf("site %d is not as expected:\n%s", i, d)
		}
	}
	s.json("check").exits(0)
}

// Each wpmend keeps to the folders it was given.
func TestOnly(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 1, Sites: 2})
	var found sitesJSON
	s.json("--only", s.Site(1).Root, "sites").exits(0).into(&found)
	if len(found.Sites) != 1 || found.Sites[0].Root != s.Site(1).Root {
		t.Errorf("sites %+v, want %s alone", found.Sites, s.Site(1).Root)
	}
	s.fails(2, "not-found", "--only", s.Site(1).Root, "heal", s.domain())
	if r := s.run("--only", s.Dir+"/nothing", "sites").exits(0); !strings.Contains(r.stdout, "No WordPress site was found") {
		t.Errorf("%s", r)
	}
}

// Two masters of each kind on one machine, with one domain in both: a name that means
// two sites is refused, a root folder means one, and only that one is healed.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 8})
	other := lab.New(t, lab.Options{Plugins: 8, TCP: true})
	both := []string{"--only", s.Dir, "--only", other.Dir}
	with := func(args ...string) []string { return append(append([]string{}, both...), args...) }
	var found sitesJSON
	s.json(with("sites")...).exits(0).into(&found)
	if len(found.Sites) != 2 || found.Sites[0].ID == found.Sites[1].ID || found.Sites[0].Domain != found.Sites[1].Domain {
		t.Errorf("sites %+v, want two of one name", found.Sites)
	}
	e := s.fails(2, "not-found", with("heal", s.domain())...)
	for _, root := range []string{s.Site(0).Root, other.Site(0).Root} {
		if !strings.Contains(e.Error.Message, root) {
			t.Errorf("message %q does not offer %s", e.Error.Message, root)
		}
	}
	s.breakBy(lab.Segfault, lab.Slug(5))
	s.must(other.Break(0, lab.Fatal, lab.Slug(6)))
	mine := s.snapshot()
	theirs, err := other.Snapshot(0)
	s.must(err)
	var h healJSON
	s.json(with("heal", s.Site(0).Root)...).exits(0).into(&h)
	if len(h.Culprits) != 1 || h.Culprits[0].Component != "plugin:"+lab.Slug(5) || h.Site.Root != s.Site(0).Root {
		t.Errorf("%+v, want %s of %s", h, lab.Slug(5), s.Site(0).Root)
	}
	s.wantSnapshot(without(mine, lab.Slug(5)))
	still, err := other.Snapshot(0)
	s.must(err)
	if d := theirs.Diff(still); d != "" {
		t.Errorf("the other host's site changed:\n%s", d)
	}
	var all checkAllJSON
	s.json(with("check")...).exits(3).into(&all)
	for _, c := range all.Sites {
		if want := c.Site.Root == s.Site(0).Root; c.Healthy != want {
			t.Errorf("%s is healthy: %v, want %v", c.Site.Root, c.Healthy, want)
		}
	}
}
