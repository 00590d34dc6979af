package evidence

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/packaging/lab"
	"wpmend/wp"
)

// One page of a real site kills its worker, and one is slow; the logs of the real
// nginx and FPM tell which.
func TestRealLogs(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 2, TerminateTimeout: 5 * time.Second, SlowlogTimeout: time.Second})
	plugin := filepath.Join(l.Site(0).Root, "wp-content/plugins/plugin-01/plugin-01.php")
	code := `<?php
/* Plugin Name: One page */
if (strpos($_SERVER['REQUEST_URI'], '/shop/') === 0) { posix_kill(getmypid(), 9); }
if (strpos($_SERVER['REQUEST_URI'], '/slow/') === 0) { sleep(30); }
if (strpos($_SERVER['REQUEST_URI'], '/fatal/') === 0) { no_such_function(); }
`
	if err := os.WriteFile(plugin, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	host, err := site.Discover(ctx, site.Host{}, func(root string) bool { return strings.HasPrefix(root, l.Dir+"/") })
	if err != nil {
		t.Fatal(err)
	}
	s, err := site.Find(host.Sites, l.Site(0).Root)
	if err != nil {
		t.Fatal(err, host.Problems)
	}
	w, err := s.Read(ctx)
	if err != nil || w.Database != nil {
		t.Fatal(err, w.Database)
	}
	for range 20 { // a busy host compiles for longer than the pool allows
		if status, _, err := l.Get("/"); status == 200 && err == nil {
			break
		}
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // logs have whole seconds
	marks, err := Mark(s)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now().Truncate(time.Second)
	for path, want := range map[string]int{"/": 200, "/fatal/?x=1&key=secret": 500, "/shop/?add-to-cart=1": 502, "/shop/logo.png": 502, "/slow/": 502} {
		if status, _, err := l.Get(path); status != want || err != nil {
			t.Errorf("%s: %d, %v", path, status, err)
		}
	}
	for range 3 {
		if r := probe.ByFrontRequest(ctx, s, probe.Request{Target: probe.Home(s).JoinPath("shop/"), Method: "HEAD"}, probe.Limits{Timeout: 20 * time.Second, Body: 1 << 20}); r.Status != 502 {
			t.Errorf("%+v", r)
		}
	}
	found, err := Failing(s, begun, 10)
	// The image is a file of PHP's only by the error log.
	want := []string{"/shop/ 502 ×3", "/fatal/?x=1 500 ×1", "/slow/ 502 ×1", "/shop/logo.png 502 ×1"}
	var got []string
	for _, f := range words4(found) {
		got = append(got, f[:strings.LastIndexByte(f, ' ')])
	}
	slices.Sort(want[1:3])
	slices.Sort(got[1:min(3, len(got))])
	if !slices.Equal(got, want) || err != nil {
		t.Errorf("%v, %v, want %v\n%s", got, err, want, l.Logs())
	}

	facts, err := marks.Gather(ctx, s, w, probe.Result{Outcome: probe.BadGateway, Start: begun})
	if err != nil || facts.FirstFailure.Before(begun) || facts.FirstFailure.IsZero() || len(facts.CoreDamaged) != 0 {
		t.Errorf("first failure %v of %v, core %v, %v", facts.FirstFailure, begun, facts.CoreDamaged, err)
	}
	if weights := diagnose.Suspects(facts, w.Components); weights["plugin:plugin-01"] <= 100 || weights["plugin:plugin-02"] > 15 {
		t.Errorf("%v", weights)
	}

	// The same pool's records of another root are not this site's.
	elsewhere := s
	elsewhere.Root = "/srv/elsewhere"
	other, _ := marks.Gather(ctx, elsewhere, w, probe.Result{})
	for _, line := range other.FPM {
		if line.Record.Slow != nil {
			t.Errorf("%+v", line)
		}
	}
	if len(facts.Traces) == 0 || len(other.Traces) != 0 {
		t.Errorf("%d traces, elsewhere %d", len(facts.Traces), len(other.Traces))
	}

	// A half-done update, of a copy: the lab's core is a link to the host's package.
	includes := filepath.Join(s.Root, "wp-includes")
	packaged, err := filepath.EvalSymlinks(includes)
	if err != nil || packaged == includes {
		t.Fatalf("%s is no link to the package's: %v", includes, err)
	}
	if err := errors.Join(os.Remove(includes), os.CopyFS(includes, os.DirFS(packaged))); err != nil {
		t.Fatal(err)
	}
	if real, err := filepath.EvalSymlinks(includes); err != nil || !strings.HasPrefix(real, l.Dir+"/") {
		t.Fatalf("%s lies in %s, outside of the lab: it is not damaged (%v)", includes, real, err)
	}
	for file, damage := range map[string]func(string) error{"wp-includes/load.php": func(f string) error { return os.Truncate(f, 0) }, "wp-includes/kses.php": os.Remove} {
		if err := damage(filepath.Join(s.Root, file)); err != nil {
			t.Fatal(err)
		}
	}
	if marks, err = Mark(s); err != nil {
		t.Fatal(err)
	}
	if facts, err = marks.Gather(ctx, s, w, probe.Result{Outcome: probe.Fatal, Start: begun}); err != nil {
		t.Error(err)
	}
	causes := diagnose.Causes(facts)
	if len(causes) == 0 || causes[0].Cause != diagnose.CoreDamaged || causes[0].Remedy != nil ||
		!slices.Contains(facts.CoreDamaged, wp.CoreFault{File: "wp-includes/kses.php", What: wp.CoreMissing}) ||
		!slices.Contains(facts.CoreDamaged, wp.CoreFault{File: "wp-includes/load.php", What: wp.CoreEmpty}) || len(facts.CoreDamaged) != 2 {
		t.Errorf("%v; %+v", facts.CoreDamaged, causes)
	}
}
