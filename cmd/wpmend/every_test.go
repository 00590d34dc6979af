package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// breakComponent breaks a component of the first site, which is there already.
func (s *stage) breakComponent(f lab.Fault, k lab.Kind, name string) {
	s.t.Helper()
	s.must(s.BreakComponent(0, f, k, name))
}

// mend takes the faults back, and waits until PHP has seen it: OPcache looks at a
// file's date once in two seconds.
func (s *stage) mend() {
	s.t.Helper()
	s.must(s.Mend(0))
	for deadline := time.Now().Add(10 * time.Second); !s.healthy(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			status, body, err := s.Get("/")
			s.t.Fatalf("the mended site answers %d with %d bytes, %v", status, len(body), err)
		}
	}
}

// hidden is the snapshot with one component out of WordPress' sight: a folder under
// its hidden name, a single file in a new hidden folder.
func hidden(before lab.Snapshot, component string) lab.Snapshot {
	after := lab.Snapshot{Files: map[string]string{}, Options: maps.Clone(before.Options)}
	dir, name := path.Split(component)
	off := dir + "." + name + ".off-by-wpmend"
	for p, text := range before.Files {
		switch rest, ok := strings.CutPrefix(p, component); {
		case ok && rest == "" && strings.HasSuffix(name, ".php"):
			p = off + "/" + name
		case ok && (rest == "" || rest[0] == '/'):
			p = off + rest
		}
		after.Files[p] = text
	}
	return after
}

// wantHidden compares the first site with what it was, without these components. The
// hidden folders that hold single files are new; whose they are is looked at apart.
func (s *stage) wantHidden(before lab.Snapshot, components ...string) {
	s.t.Helper()
	now := s.snapshot()
	for _, c := range components {
		before = hidden(before, c)
		if strings.HasSuffix(c, ".php") {
			dir, name := path.Split(c)
			delete(now.Files, dir+"."+name+".off-by-wpmend")
		}
	}
	if d := before.Diff(now); d != "" {
		s.t.Errorf("the site is not as it was but for %v:\n%s", components, d)
	}
}

// healsOnly heals the first site and wants exactly these culprits.
func (s *stage) healsOnly(culprits ...string) healJSON {
	s.t.Helper()
	h, r := s.heal(0)
	var got []string
	for _, c := range h.Culprits {
		got = append(got, c.Component)
	}
	slices.Sort(got)
	slices.Sort(culprits)
	if h.State != "resolved" || !slices.Equal(got, culprits) {
		s.t.Errorf("heal: %s, culprits %v; want resolved, %v: %s", h.State, got, culprits, r)
	}
	if !s.healthy() {
		s.t.Error("the site is not healthy after heal")
	}
	return h
}

// Each kind of component as the culprit: found, switched off, all else as before, and
// back again by undo.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 8, SinglePlugins: 2, MUPlugins: 2, ChildTheme: true})
	for _, c := range []struct {
		fault    lab.Fault
		kind     lab.Kind
		name, id string
		path     string // "": the theme, which is not moved
	}{
		{lab.Segfault, lab.KindPlugin, "single-01.php", "plugin:single-01.php", "wp-content/plugins/single-01.php"},
		{lab.Fatal, lab.KindMUPlugin, "must-01.php", "mu-plugin:must-01.php", "wp-content/mu-plugins/must-01.php"},
		{lab.Segfault, lab.KindMUPlugin, "must-02.php", "mu-plugin:must-02.php", "wp-content/mu-plugins/must-02.php"},
		{lab.Kill9, lab.KindDropIn, "advanced-cache.php", "drop-in:advanced-cache.php", "wp-content/advanced-cache.php"},
		{lab.Fatal, lab.KindDropIn, "object-cache.php", "drop-in:object-cache.php", "wp-content/object-cache.php"},
		{lab.Blank200, lab.KindDropIn, "db.php", "drop-in:db.php", "wp-content/db.php"},
		{lab.Fatal, lab.KindChildTheme, "lab-child", "theme:lab-child", ""},
	} {
		t.Run(c.id, func(t *testing.T) {
			s := on(t, s)
			s.must(s.Install(0, c.kind, c.name))
			before := s.snapshot()
			s.breakComponent(c.fault, c.kind, c.name)
			t.Cleanup(s.mend)
			broken := s.snapshot()
			h := s.healsOnly(c.id)
			switch {
			case c.path != "":
				s.wantHidden(broken, c.path)
				s.servesNoSource(h)
			default:
				now := s.snapshot()
				if now.Options["stylesheet"] != "twentytwentythree" || now.Options["template"] != "twentytwentythree" {
					t.Errorf("theme %q of %q, want twentytwentythree", now.Options["stylesheet"], now.Options["template"])
				}
				now.Options = broken.Options
				if d := broken.Diff(now); d != "" {
					t.Errorf("more than the theme's options changed:\n%s", d)
				}
			}
			s.json("incidents", "undo", h.Incident).exits(0)
			s.wantSnapshot(broken)
			s.mend()
			s.wantSnapshot(before)
		})
	}
}

// on is the stage for a subtest.
func on(t *testing.T, s *stage) *stage {
	sub := *s
	sub.t = t
	return &sub
}

// servesNoSource fetches what was renamed by its new URL: never its source.
func (s *stage) servesNoSource(h healJSON) {
	s.t.Helper()
	for _, c := range h.Changes {
		if _, body, err := s.Get("/" + c.To); err != nil || strings.Contains(body, "<?php") {
			s.t.Errorf("/%s shows its source: %v", c.To, err)
		}
	}
}

// A theme with a parent that is not the fallback, and with no theme but itself.
func TestThemes(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3})
	s.must(s.Install(0, lab.KindTheme, "plain"))
	s.breakComponent(lab.Segfault, lab.KindTheme, "plain")
	broken := s.snapshot()
	h := s.healsOnly("theme:plain")
	if now := s.snapshot(); now.Options["stylesheet"] == "plain" || now.Options["template"] == "plain" {
		t.Errorf("theme %q of %q, want another than plain", now.Options["stylesheet"], now.Options["template"])
	}
	s.json("enable", s.domain(), "theme:plain").exits(0)
	s.wantSnapshot(broken)
	if h.Incident == "" {
		t.Error("no incident")
	}
}

// The network's kinds: active in the whole network, on blog 2 only, and sunrise.php.
func TestNetwork(t *testing.T) {
	t.Parallel()
	for _, network := range []string{lab.Subfolders, lab.Subdomains} {
		t.Run(network, func(t *testing.T) {
			s := newStage(t, lab.Options{Plugins: 4, Multisite: network, NetworkPlugins: 3, BlogPlugins: 2})
			before := s.snapshot()
			t.Run("network plugin", func(t *testing.T) {
				s := on(t, s)
				s.breakComponent(lab.Segfault, lab.KindNetwork, "network-02")
				broken := s.snapshot()
				h := s.healsOnly("plugin:network-02")
				s.wantHidden(broken, "wp-content/plugins/network-02")
				s.json("incidents", "undo", h.Incident).exits(0)
				s.wantSnapshot(broken)
				s.mend()
			})
			t.Run("plugin of blog 2", func(t *testing.T) {
				s := on(t, s)
				s.breakComponent(lab.Fatal, lab.KindBlog, "blog-01")
				broken := s.snapshot()
				url := s.Site(0).BlogURL(2) + "/"
				if status, _, err := s.GetURL(context.Background(), url); err != nil || status != 500 {
					t.Fatalf("%s answers %d, %v; want 500", url, status, err)
				}
				// Blog 1 is well: the log tells what failed, and who it was; to act on it a
				// person must say so, since anybody can ask for any URL.
				named, _ := s.heal(4)
				if len(named.Culprits) != 1 || named.Culprits[0].Component != "plugin:blog-01" {
					t.Errorf("culprits %+v, want plugin:blog-01", named.Culprits)
				}
				s.wantSnapshot(broken)
				var h healJSON
				s.json("heal", s.domain(), "--url", url).exits(0).into(&h)
				s.wantHidden(broken, "wp-content/plugins/blog-01")
				if status, body, err := s.GetURL(context.Background(), url); err != nil || status != 200 || !lab.Complete(body) {
					t.Errorf("%s answers %d, %v; want a whole page", url, status, err)
				}
				s.json("incidents", "undo", h.Incident).exits(0)
				s.mend()
			})
			if network == lab.Subfolders {
				t.Run("sunrise", func(t *testing.T) {
					s := on(t, s)
					s.must(s.Install(0, lab.KindDropIn, "sunrise.php"))
					s.breakComponent(lab.Segfault, lab.KindDropIn, "sunrise.php")
					broken := s.snapshot()
					h := s.healsOnly("drop-in:sunrise.php")
					s.wantHidden(broken, "wp-content/sunrise.php")
					s.json("incidents", "undo", h.Incident).exits(0)
					s.wantSnapshot(broken)
					s.mend()
				})
				return
			}
			s.wantSnapshot(before)
		})
	}
}

// Every way to lay a site out: check names the cause, heal mends, undo brings it back.
func TestLayouts(t *testing.T) {
	t.Parallel()
	layouts := slices.DeleteFunc(lab.Layouts(), func(l lab.Layout) bool { return l == lab.Plain })
	s := newStage(t, lab.Options{Plugins: 5, Layouts: layouts, MUPlugins: 2})
	for i, layout := range layouts {
		t.Run(string(layout), func(t *testing.T) {
			s := on(t, s)
			culprit := lab.Slug(3)
			if layout == lab.Symlinked {
				culprit = lab.LinkedPlugin
			}
			s.must(s.Break(i, lab.Segfault, culprit))
			before, err := s.Snapshot(i)
			s.must(err)
			domain := s.Site(i).Domain
			s.json("check", domain).exits(3)
			var h healJSON
			r := s.json("heal", domain).exits(0)
			r.into(&h)
			if h.State != "resolved" || len(h.Culprits) != 1 || h.Culprits[0].Component != "plugin:"+culprit {
				t.Fatalf("want plugin:%s switched off: %s", culprit, r)
			}
			status, body, err := s.GetFrom(context.Background(), i, "/")
			if err != nil || status != 200 || !lab.Complete(body) {
				t.Errorf("the site answers %d, %v; want a whole page", status, err)
			}
			s.json("incidents", "undo", h.Incident).exits(0)
			after, err := s.Snapshot(i)
			s.must(err)
			if d := before.Diff(after); d != "" {
				t.Errorf("undo:\n%s", d)
			}
			s.must(s.Mend(i))
		})
	}
}

// A must-use plugin that is a folder, behind Bedrock's loader.
func TestBedrockMustUse(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3, Layout: lab.Bedrock, MUPlugins: 4})
	s.breakComponent(lab.Segfault, lab.KindMUPlugin, "must-02")
	broken := s.snapshot()
	h := s.healsOnly("mu-plugin:must-02")
	s.json("incidents", "undo", h.Incident).exits(0)
	s.wantSnapshot(broken)
}

// Apache with mod_php has no pool to copy: heal searches by renaming, and says so.
func TestModPHP(t *testing.T) {
	t.Parallel()
	for _, o := range []lab.Options{
		{Plugins: 12, Gateway: lab.Apache, Handler: lab.ModPHP},
		{Plugins: 12, Gateway: lab.Apache, Handler: lab.ModPHP, OPcacheFileOverride: true},
		{Plugins: 12, Gateway: lab.Apache, Handler: lab.FPM},
	} {
		t.Run(fmt.Sprintf("%s file-override=%v", o.Handler, o.OPcacheFileOverride), func(t *testing.T) {
			s := newStage(t, o)
			s.breakBy(lab.Segfault, lab.Slug(7))
			broken, rows := s.snapshot(), s.database()
			s.json("check", s.domain()).exits(3)
			b, r := s.bisect(3)
			want := "rename"
			if o.Handler == lab.FPM {
				want = "shadow"
			}
			if b.Method != want || len(b.Culprits) != 1 || b.Culprits[0].Component != "plugin:"+lab.Slug(7) {
				t.Errorf("want %s by %s: %s", lab.Slug(7), want, r)
			}
			s.wantSnapshot(broken)
			h := s.healsOnly("plugin:" + lab.Slug(7))
			s.wantSnapshot(without(broken, lab.Slug(7)))
			s.wantDatabase(rows)
			s.json("incidents", "undo", h.Incident).exits(0)
			s.wantSnapshot(broken)
		})
	}
}

// waiting for a burst of failures is bounded.
const patience = 90 * time.Second

// Several independent culprits, conflicts, dependants, forged logs: among 60.
func TestHardGuilt(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 60, TerminateTimeout: 5 * time.Second})
	for _, c := range []struct {
		name     string
		breaks   func(*stage)
		culprits []string // all of these
		members  []string // or one of these, with the others named
		off      []string // what goes along
		most     int      // questions, 0: not bounded
	}{
		{"two independent", func(s *stage) {
			s.breakBy(lab.Segfault, lab.Slug(11))
			s.breakBy(lab.Fatal, lab.Slug(42))
		}, []string{lab.Slug(11), lab.Slug(42)}, nil, nil, 2 + 2*7 + 4},
		{"three independent", func(s *stage) {
			s.breakBy(lab.Segfault, lab.Slug(5))
			s.breakBy(lab.Kill9, lab.Slug(33))
			s.breakBy(lab.Blank200, lab.Slug(59))
		}, []string{lab.Slug(5), lab.Slug(33), lab.Slug(59)}, nil, nil, 2 + 3*7 + 6},
		{"conflict of two", func(s *stage) { s.must(s.Conflict(0, lab.Segfault, lab.Slug(9), lab.Slug(51))) },
			nil, []string{lab.Slug(9), lab.Slug(51)}, nil, 0},
		{"conflict of three", func(s *stage) { s.must(s.Conflict(0, lab.Fatal, lab.Slug(9), lab.Slug(30), lab.Slug(51))) },
			nil, []string{lab.Slug(9), lab.Slug(30), lab.Slug(51)}, nil, 0},
		{"a dependant", func(s *stage) {
			s.must(s.Depend(0, lab.Slug(20), true, lab.Slug(21), lab.Slug(22), lab.Slug(23)))
			s.breakBy(lab.Segfault, lab.Slug(22))
		}, []string{lab.Slug(22)}, nil, nil, 0},
		{"the base", func(s *stage) {
			s.must(s.Depend(0, lab.Slug(20), true, lab.Slug(21), lab.Slug(22), lab.Slug(23)))
			s.breakBy(lab.Segfault, lab.Slug(20))
		}, []string{lab.Slug(20)}, nil, []string{lab.Slug(21), lab.Slug(22), lab.Slug(23)}, 0},
		{"the base, without headers", func(s *stage) {
			s.must(s.Depend(0, lab.Slug(20), false, lab.Slug(21), lab.Slug(22)))
			s.breakBy(lab.Segfault, lab.Slug(22))
		}, []string{lab.Slug(22)}, nil, nil, 0},
		{"forged fatals", func(s *stage) {
			s.breakBy(lab.Segfault, lab.Slug(44))
			s.forge(lab.Slug(3), 300)
		}, []string{lab.Slug(44)}, nil, nil, 2 + 7 + 4},
		{"warm", func(s *stage) { s.breakBy(lab.Segfault.When(lab.Warm), lab.Slug(17)) }, []string{lab.Slug(17)}, nil, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := on(t, s)
			before := s.snapshot()
			t.Cleanup(s.mend)
			c.breaks(s)
			s.page()
			broken := s.snapshot()
			h, r := s.heal(0)
			t.Logf("%d questions, %.1f s", h.Probes, h.Seconds)
			var ids, along []string
			for _, k := range h.Culprits {
				ids = append(ids, strings.TrimPrefix(k.Component, "plugin:"))
				along = append(along, k.Dependants...)
				if len(c.members) > 0 {
					ids = append(ids, trimmed(k.With)...)
				}
			}
			slices.Sort(ids)
			want := append(append([]string{}, c.culprits...), c.members...)
			slices.Sort(want)
			if h.State != "resolved" || !slices.Equal(ids, want) || !slices.Equal(trimmed(along), c.off) {
				t.Errorf("culprits (with partners) %v and along %v, want %v and %v: %s", ids, along, want, c.off, r)
			}
			if c.most > 0 && h.Probes > c.most {
				t.Errorf("%d questions, want at most %d", h.Probes, c.most)
			}
			after := broken
			for _, k := range h.Culprits {
				for _, id := range append([]string{k.Component}, k.Dependants...) {
					after = without(after, strings.TrimPrefix(id, "plugin:"))
				}
			}
			s.wantSnapshot(after)
			s.json("incidents", "undo", h.Incident).exits(0)
			s.wantSnapshot(broken)
			s.mend()
			s.wantSnapshot(before)
		})
	}
}

func trimmed(ids []string) []string {
	var slugs []string
	for _, id := range ids {
		slugs = append(slugs, strings.TrimPrefix(id, "plugin:"))
	}
	return slugs
}

// forge writes fatals against an innocent into the logs that a site's owner, or
// anybody who asks, can write to.
func (s *stage) forge(innocent string, lines int) {
	s.t.Helper()
	var b strings.Builder
	for i := range lines {
		fmt.Fprintf(&b, "%s [error] 1#1: *%d FastCGI sent in stderr: \"PHP message: PHP Fatal error:  Uncaught Error: forged in %s/wp-content/plugins/%s/%s.php:1\" while reading response header from upstream, client: 127.0.0.1, server: %s, request: \"GET / HTTP/1.1\", host: \"%s\"\n",
			time.Now().Format("2006/01/02 15:04:05"), i, s.Site(0).Root, innocent, innocent, s.domain(), s.domain())
	}
	f, err := os.OpenFile(s.NginxErrorLog(0), os.O_APPEND|os.O_WRONLY, 0)
	s.must(err)
	_, err = f.WriteString(b.String())
	s.must(err)
	s.must(f.Close())
}

// A failure one time in three: searched once it recurs, with odds of 99 % and more.
func TestOneInThree(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 12})
	s.breakBy(lab.Segfault.When(lab.OneInThree), lab.Slug(8))
	broken := s.snapshot()
	var h healJSON
	// Three healthy answers in a row come by chance; a passing failure is let pass once.
	for deadline := time.Now().Add(patience); h.State != "resolved" && time.Now().Before(deadline); {
		r := call(t, s.command("--json", "heal", s.domain()))
		r.into(&h)
		if h.State == "escalated" {
			t.Logf("escalated: %v", h.Advice)
		}
	}
	if h.State != "resolved" || len(h.Culprits) != 1 || h.Culprits[0].Component != "plugin:"+lab.Slug(8) {
		t.Fatalf("%s, culprits %+v; want %s switched off", h.State, h.Culprits, lab.Slug(8))
	}
	if h.Causes[0].Confidence < 0.99 {
		t.Errorf("odds %v, want at least 0.99", h.Causes[0].Confidence)
	}
	s.wantSnapshot(without(broken, lab.Slug(8)))
}

// Only who is logged in sees it fail.
func TestAsUser(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 6})
	s.breakBy(lab.Fatal.When(lab.LoggedIn), lab.Slug(2))
	before := s.snapshot()
	if b, _ := s.bisect(0); len(b.Culprits) != 0 {
		t.Errorf("as a visitor: culprits %+v, want none", b.Culprits)
	}
	for _, url := range []string{"/", "/wp-admin/"} {
		b, r := s.bisect(3, "--as-user", "admin", "--url", url)
		if len(b.Culprits) != 1 || b.Culprits[0].Component != "plugin:"+lab.Slug(2) {
			t.Errorf("%s as admin: want %s: %s", url, lab.Slug(2), r)
		}
	}
	s.fails(2, "no-such-user", "bisect", s.domain(), "--as-user", "nobody-here")
	s.wantSnapshot(before)
}

// A firewall's loader that PHP itself loads first, gone missing: named, never renamed,
// and what to do is said.
func TestPrepend(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 4})
	root := s.Site(0).Root
	s.write(root+"/.user.ini", "; Wordfence WAF\nauto_prepend_file = '"+root+"/wordfence-waf.php'\n; END Wordfence WAF\n")
	s.must(s.ReloadFPM(context.Background())) // workers remember for five minutes that there was none
	broken := s.snapshot()
	h, r := s.heal(4)
	if len(h.Causes) == 0 || h.Causes[0].Cause != "prepend-missing" || !strings.Contains(h.Causes[0].Advice, root+"/wordfence-waf.php") || !strings.Contains(h.Causes[0].Advice, root+"/.user.ini") {
		t.Errorf("want the missing file named, and where it is asked for: %s", r)
	}
	s.wantSnapshot(broken)
}

// Whoever finds a query that makes a plugin fatal must not get it switched off: the
// culprit is named, and acted upon once a person says so.
func TestCraftedURL(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3})
	s.install(map[string]string{"crafted": `if ( isset( $_GET['boom'] ) ) { nobody_defines_this(); }`},
		pluginList("plugin-01/plugin-01.php", "crafted/crafted.php"))
	if status, _, err := s.Get("/?boom=1"); err != nil || status != 500 {
		t.Fatalf("/?boom=1 answers %d, %v; want 500", status, err)
	}
	before := s.snapshot()
	h, r := s.heal(4)
	if len(h.Culprits) != 1 || h.Culprits[0].Component != "plugin:crafted" || !strings.Contains(strings.Join(h.Advice, " "), "--url '") {
		t.Errorf("want plugin:crafted named and --url in the advice: %s", r)
	}
	s.wantSnapshot(before)
	s.json("heal", s.domain(), "--url", "/?boom=1").exits(0)
	s.wantSnapshot(without(before, "crafted"))
}

// What the owner has updated since it was switched off is offered.
func TestOffersUpdated(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3})
	s.breakBy(lab.Segfault, lab.Slug(2))
	s.healsOnly("plugin:" + lab.Slug(2))
	var c struct{ Notes []string }
	s.json("check", s.domain()).exits(0).into(&c)
	if len(c.Notes) != 0 {
		t.Errorf("nothing has changed, yet it is noted: %v", c.Notes)
	}
	time.Sleep(1100 * time.Millisecond) // changes within a second of the renaming may be its own
	file := s.Site(0).Root + "/wp-content/plugins/" + off(lab.Slug(2)) + "/" + lab.Slug(2) + ".php"
	s.write(file, "<?php // the owner's new version\n")
	s.json("check", s.domain()).exits(0).into(&c)
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "has changed since") {
		t.Errorf("want one note that it has changed: %v", c.Notes)
	}
}
