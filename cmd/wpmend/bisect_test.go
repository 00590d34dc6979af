package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// watcher polls what a visitor or an owner could notice of a search: names and owners
// below plugins/, and the raw active_plugins. It collects the distinct states it saw.
type watcher struct {
	s    *stage
	stop context.CancelFunc
	done sync.WaitGroup

	looks  int
	states map[string]int
	err    error
}

func (s *stage) watch() *watcher {
	ctx, cancel := context.WithCancel(s.t.Context())
	w := &watcher{s: s, stop: cancel, states: map[string]int{}}
	for range 2 { // the first state is in before anything starts
		w.look(context.Background())
	}
	w.done.Go(func() {
		for ctx.Err() == nil && w.err == nil {
			w.look(ctx)
			time.Sleep(3 * time.Millisecond)
		}
	})
	return w
}

func (w *watcher) look(ctx context.Context) {
	state, err := w.s.liveState(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.err = err
		}
		return
	}
	w.looks++
	w.states[state]++
}

// liveState is the present state in words.
func (s *stage) liveState(ctx context.Context) (string, error) {
	var b strings.Builder
	dir := filepath.Join(s.Site(0).Root, "wp-content/plugins")
	for _, d := range []string{filepath.Dir(dir), dir} {
		entries, err := os.ReadDir(d)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				return "", err
			}
			uid, gid := owners(info)
			fmt.Fprintf(&b, "%s %s %d:%d\n", e.Name(), info.Mode(), uid, gid)
		}
	}
	var active []byte
	err := s.DB().QueryRowContext(ctx, "SELECT option_value FROM wp_options WHERE option_name = 'active_plugins'").Scan(&active)
	fmt.Fprintf(&b, "%s", active)
	return b.String(), err
}

// end wants that one and the same state was seen throughout.
func (w *watcher) end() {
	w.s.t.Helper()
	w.stop()
	w.done.Wait()
	if w.err != nil {
		w.s.t.Fatal(w.err)
	}
	w.s.t.Logf("the watcher looked %d times", w.looks)
	if len(w.states) != 1 {
		for state, n := range w.states {
			w.s.t.Errorf("%d looks saw:\n%s", n, state)
		}
	}
	if w.looks < 20 {
		w.s.t.Errorf("the watcher looked only %d times", w.looks)
	}
}

// sums are the checksums of every table, options included.
func (s *stage) sums() map[string]string {
	s.t.Helper()
	sums, err := s.TableChecksums(0)
	s.must(err)
	return sums
}

// install writes plugins with this code and makes them active beside the lab's own.
func (s *stage) install(code map[string]string, active string) {
	s.t.Helper()
	plugins := filepath.Join(s.Site(0).Root, "wp-content/plugins")
	info, err := os.Lstat(plugins)
	s.must(err)
	uid, gid := owners(info)
	for slug, php := range code {
		dir := filepath.Join(plugins, slug)
		file := filepath.Join(dir, slug+".php")
		s.must(os.Mkdir(dir, 0o755))
		s.write(file, "<?php\n/**\n * Plugin Name: "+slug+"\n * Version: 2.0\n */\n"+php)
		s.must(os.Lchown(dir, uid, gid))
		s.must(os.Lchown(file, uid, gid))
	}
	s.setActive(active)
}

func (s *stage) setActive(value string) {
	s.t.Helper()
	_, err := s.DB().Exec("UPDATE wp_options SET option_value = ? WHERE option_name = 'active_plugins'", value)
	s.must(err)
}

func (s *stage) active() string {
	s.t.Helper()
	var value string
	s.must(s.DB().QueryRow("SELECT option_value FROM wp_options WHERE option_name = 'active_plugins'").Scan(&value))
	return value
}

// pluginList is active_plugins for these files, as PHP serialises it.
func pluginList(files ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "a:%d:{", len(files))
	for i, f := range files {
		fmt.Fprintf(&b, "i:%d;s:%d:%q;", i, len(f), f)
	}
	return b.String() + "}"
}

// nasty plugins write on every request what would be lasting harm if a masked
// request's view of the site were saved.
var nasty = map[string]string{
	// Saves the rewrite rules as seen now: with a post type's plugin masked, without its rules.
	"flusher": `add_action( 'init', function () { flush_rewrite_rules( false ); }, 999 );`,
	// Switches itself off for good where the plugin that it builds on is missing.
	"addon": `add_action( 'plugins_loaded', function () {
	if ( ! class_exists( 'plugin_01' ) ) {
		require_once ABSPATH . 'wp-admin/includes/plugin.php';
		deactivate_plugins( plugin_basename( __FILE__ ) );
	}
} );`,
	// Puts itself first in the list of active plugins, as load-order plugins do.
	"loadorder": `add_action( 'plugins_loaded', function () {
	$all  = get_option( 'active_plugins' );
	$self = plugin_basename( __FILE__ );
	update_option( 'active_plugins', array_merge( array( $self ), array_values( array_diff( $all, array( $self ) ) ) ) );
	update_option( 'template', get_option( 'template' ) );
} );`,
	// Gives the flusher something to lose.
	"shopposts": `add_action( 'init', function () { register_post_type( 'shop', array( 'public' => true, 'rewrite' => array( 'slug' => 'shop' ) ) ); } );`,
}

// installNasty leaves 30 active plugins: 26 of the lab's and the nasty ones.
func (s *stage) installNasty() {
	s.t.Helper()
	files := []string{"loadorder/loadorder.php", "addon/addon.php", "flusher/flusher.php"}
	for n := 1; n <= 26; n++ {
		files = append(files, lab.Slug(n)+"/"+lab.Slug(n)+".php")
	}
	s.install(nasty, pluginList(append(files, "shopposts/shopposts.php")...))
	_, err := s.DB().Exec("UPDATE wp_options SET option_value = '/%postname%/' WHERE option_name = 'permalink_structure'")
	s.must(err)
	s.wantPlugins(26) // and lets the nasty ones write what they write while all is well
	if rules := s.rewriteRules(); !strings.Contains(rules, "shop/") {
		s.t.Fatalf("the flusher saved no rules for the post type: %s", rules)
	}
}

// The search changes nothing live, whatever the plugins do, and asks few questions.
func TestBisectChangesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  lab.Fault
		probes int // at most: nothing is known after a crash, a fatal names its file
	}{
		{lab.Segfault, 9},
		{lab.Fatal, 4},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lab.Options{Plugins: 26})
			s.installNasty()
			s.breakBy(c.fault, culpritSlug)
			s.page() // what the live site writes when it fails, it has written
			before, sums := s.snapshot(), s.sums()
			w := s.watch()
			b, _ := s.bisect(3)
			w.end()
			s.wantSnapshot(before)
			if after := s.sums(); !maps.Equal(sums, after) {
				t.Errorf("tables changed:\n was %v\n is  %v", sums, after)
			}
			s.wantBisected(b)
			if b.Components != 31 || b.Probes < 3 || b.Probes > c.probes || b.LiveChanges != 0 {
				t.Errorf("%d components, %d probes, %d live changes; want 31 (30 plugins and the theme), 3 to %d, none", b.Components, b.Probes, b.LiveChanges, c.probes)
			}
			t.Logf("%d probes, %d repeats, %d rounds, %.2f s", b.Probes, b.Repeats, b.Rounds, b.Seconds)
			s.wantNasty()
		})
	}
}

// wantNasty is the control: with plugins really away the nasty ones do their harm.
func (s *stage) wantNasty() {
	s.t.Helper()
	s.must(s.Mend(0))
	for _, slug := range []string{lab.Slug(1), "shopposts"} {
		s.json("disable", s.domain(), "plugin:"+slug).exits(0)
	}
	s.wantPlugins(26, lab.Slug(1))
	if strings.Contains(s.active(), "addon/") || strings.Contains(s.rewriteRules(), "shop/") {
		s.t.Errorf("the nasty plugins are harmless, so the test shows nothing: %s\n%s", s.active(), s.rewriteRules())
	}
}

func (s *stage) rewriteRules() string {
	s.t.Helper()
	var rules string
	s.must(s.DB().QueryRow("SELECT option_value FROM wp_options WHERE option_name = 'rewrite_rules'").Scan(&rules))
	return rules
}

// wantBisected wants a complete report that convicts the broken plugin.
func (s *stage) wantBisected(b bisectJSON) {
	s.t.Helper()
	wantConvicted(s.t, b.Culprits)
	if b.Site.Domain != s.domain() || b.Method != "shadow" || !strings.HasPrefix(b.URL, "http://"+s.domain()+"/") {
		s.t.Errorf("site %+v, method %q, url %q; want %s by shadow", b.Site, b.Method, b.URL, s.domain())
	}
	if b.Outcome == "" || b.Outcome == "healthy" || b.Rounds < 1 || b.Repeats < 1 || b.Seconds <= 0 {
		s.t.Errorf("outcome %q, %d rounds, %d repeats, %f s; want a failing outcome and all above 0", b.Outcome, b.Rounds, b.Repeats, b.Seconds)
	}
}

// Every field that others rely on is there, with its type.
func TestBisectJSON(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3})
	s.breakBy(lab.Fatal, lab.Slug(2))
	var got map[string]any
	s.json("bisect", s.domain()).exits(3).into(&got)
	for name, example := range map[string]any{"site": map[string]any{}, "url": "", "method": "", "outcome": "", "culprits": []any{}, "probes": 0.0,
		"repeats": 0.0, "rounds": 0.0, "live_changes": 0.0, "seconds": 0.0, "fixed": false} {
		if want, is := fmt.Sprintf("%T", example), fmt.Sprintf("%T", got[name]); want != is {
			t.Errorf("%s is a %s, want a %s", name, is, want)
		}
	}
	for _, c := range got["culprits"].([]any) {
		for name, example := range map[string]any{"component": "", "version": "", "signature": "", "with": []any{}} {
			if want, is := fmt.Sprintf("%T", example), fmt.Sprintf("%T", c.(map[string]any)[name]); want != is {
				t.Errorf("%s of a culprit is a %s, want a %s", name, is, want)
			}
		}
	}
}

// The search at another address of the site, where alone it fails.
func TestBisectURL(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 8})
	s.install(map[string]string{"single": `add_action( 'wp', function () { if ( is_single() ) { nobody_defines_this(); } } );`},
		pluginList("plugin-01/plugin-01.php", "single/single.php", "plugin-02/plugin-02.php", "plugin-03/plugin-03.php"))
	if status, _, err := s.Get("/?p=1"); err != nil || status != 500 {
		t.Fatalf("/?p=1 answers %d, %v; want 500", status, err)
	}
	before := s.snapshot()
	if b, _ := s.bisect(0, "--url", "/"); len(b.Culprits) != 0 || b.Outcome != "healthy" {
		t.Errorf("front page: outcome %q, culprits %+v; want healthy, none", b.Outcome, b.Culprits)
	}
	// Without --url the log tells what failed.
	for _, url := range []string{"", "/?p=1", "http://" + s.domain() + "/?p=1"} {
		args := []string{"--url", url}
		if url == "" {
			args = nil
		}
		b, _ := s.bisect(3, args...)
		if len(b.Culprits) != 1 || b.Culprits[0].Component != "plugin:single" || b.Culprits[0].Version != "2.0" {
			t.Errorf("%s: culprits %+v, want plugin:single", url, b.Culprits)
		}
		if b.URL != "http://"+s.domain()+"/?p=1" {
			t.Errorf("%s: url %q", url, b.URL)
		}
	}
	s.fails(2, "usage", "bisect", s.domain(), "--url", "http://elsewhere.test/")
	s.wantSnapshot(before)
}

// bisect --fix is a healing: recorded, verified, undone by its incident.
func TestBisectFix(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30})
	s.breakBy(lab.Segfault, culpritSlug)
	s.page()
	before, rows := s.snapshot(), s.database()
	b, r := s.bisect(0, "--fix")
	t.Logf("took %.2f s", r.took.Seconds())
	s.wantBisected(b)
	if !b.Fixed || len(b.Changes) != 1 || b.Incident == "" {
		t.Errorf("fixed %v, changes %+v, incident %q; want it fixed by one change", b.Fixed, b.Changes, b.Incident)
	}
	s.wantSnapshot(without(before, culpritSlug))
	s.wantPlugins(30, culpritSlug)
	s.wantDatabase(rows)
	s.json("incidents", "undo", b.Incident).exits(0)
	s.wantSnapshot(before)
}

// The rename method asks the live site and puts everything back.
func TestBisectRename(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 12})
	s.breakBy(lab.Segfault, lab.Slug(7))
	s.page()
	before, rows := s.snapshot(), s.database()
	b, _ := s.bisect(3, "--method", "rename")
	if len(b.Culprits) != 1 || b.Culprits[0].Component != "plugin:"+lab.Slug(7) || b.Method != "rename" || b.LiveChanges == 0 {
		t.Errorf("culprits %+v by %s with %d live changes; want %s by rename, some", b.Culprits, b.Method, b.LiveChanges, lab.Slug(7))
	}
	s.wantSnapshot(before)
	s.wantDatabase(rows)
	var left recoverJSON
	s.json("recover").exits(0).into(&left)
	if !left.Clean || len(left.Changes) != 0 {
		t.Errorf("recover found %+v, want nothing left", left)
	}
}

// Two culprits that do not know of each other, and one that fails only beside another.
func TestBisectSeveral(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 12})
	s.breakBy(lab.Fatal, lab.Slug(3))
	s.breakBy(lab.Segfault, lab.Slug(9))
	before := s.snapshot()
	h, _ := s.heal(0)
	want := without(without(before, lab.Slug(3)), lab.Slug(9))
	if len(h.Changes) != 2 {
		t.Errorf("changes %+v, want two", h.Changes)
	}
	s.wantSnapshot(want)
	s.wantPlugins(12, lab.Slug(3), lab.Slug(9))
	s.json("incidents", "undo", h.Incident).exits(0)
	s.wantSnapshot(before)
}

// What cannot work without the culprit goes off along with it, and comes back with it.
func TestHealDependants(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 6})
	s.install(map[string]string{"extension": "// Requires Plugins: plugin-03\n" +
		"add_action( 'init', function () { new plugin_03(); } );"}, pluginList("extension/extension.php", file(1), file(2), file(3), file(4), file(5), file(6)))
	s.breakBy(lab.Fatal, lab.Slug(3))
	before := s.snapshot()
	h, _ := s.heal(0)
	if len(h.Culprits) != 1 || h.Culprits[0].Component != "plugin:"+lab.Slug(3) || len(h.Changes) != 2 {
		t.Errorf("culprits %+v, changes %+v; want %s alone, and two changes", h.Culprits, h.Changes, lab.Slug(3))
	}
	s.wantPlugins(6, lab.Slug(3))
	s.wantSnapshot(without(without(before, lab.Slug(3)), "extension"))
	s.json("incidents", "undo", h.Incident).exits(0)
	s.wantSnapshot(before)
}

// No plugin is at fault, and wpmend says so.
func TestBisectHealthy(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 5})
	before := s.snapshot()
	b, r := s.bisect(0)
	if len(b.Culprits) != 0 || !strings.Contains(b.Finding, "none of them is at fault") || b.Fixed {
		t.Errorf("finding %q, want that no plugin is at fault: %s", b.Finding, r)
	}
	s.wantSnapshot(before)
}

// With FPM stopped the private copy finds every plugin innocent. The site fails all
// the same, so this is no success: none found while failing is exit 4.
func TestBisectFPMStopped(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 5})
	s.json("sites").exits(0)
	s.breakBy(lab.FPMStopped, "")
	before := s.snapshot()
	b, r := s.bisect(4)
	r.limit(10 * time.Second)
	if len(b.Culprits) != 0 || b.Outcome == "healthy" || !strings.Contains(b.Finding, "none of them is at fault") {
		t.Errorf("want a failing outcome and no culprit: %s", r)
	}
	if s.FPMMaster() != 0 {
		t.Error("bisect started FPM")
	}
	s.wantSnapshot(before)
}
