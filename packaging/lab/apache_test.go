package lab

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// games is a user that base-passwd puts on every Debian.
const games = 5

// wantPages asks for what a visitor and the lab's own plugins show.
func wantPages(t *testing.T, l *Lab) {
	t.Helper()
	for i := range l.Sites() {
		wantHealthy(t, l, i)
	}
	for path, want := range map[string]int{"/wp-login.php": 200, "/wp-admin/": 302, "/.htaccess": 403} {
		if status, _, err := l.Get(path); err != nil || status != want {
			t.Errorf("%s: status %d, %v; want %d", path, status, err, want)
		}
	}
	// Only the rules of .htaccess bring such a path to WordPress.
	if status, body, err := l.Get("/no/such/page/"); err != nil || status != 200 || !Complete(body) {
		t.Errorf("a permalink: status %d, %v; want a page of WordPress:\n%s", status, err, clip(body, 300))
	}
}

func writeProbe(t *testing.T, s Site, php string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.DocRoot, "probe.php"), []byte("<?php\n"+php), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestApacheModPHP(t *testing.T) {
	t.Parallel()
	l := New(t, Options{Gateway: Apache, Handler: ModPHP, Plugins: 2, Sites: 2, TLS: true, UID: games, OPcacheKeepsOld: true, OPcacheFileOverride: true})
	wantPages(t, l)
	if n := len(l.FPMMasters()); n != 0 {
		t.Errorf("%d FPM masters run beside mod_php", n)
	}
	writeProbe(t, l.Site(0), `echo php_sapi_name(), ' ', posix_getuid(), ' ', ini_get('opcache.validate_timestamps'), ' ', ini_get('opcache.enable_file_override');`)
	if _, body, err := l.Get("/probe.php"); err != nil || body != "apache2handler 5 0 1" {
		t.Errorf("mod_php says %q, %v", body, err)
	}

	// With both of OPcache's options a renamed plugin goes on running, see field.md §6.8.
	plugins := filepath.Join(l.Site(0).Root, "wp-content/plugins")
	if err := os.Rename(filepath.Join(plugins, Slug(1)), filepath.Join(plugins, "away")); err != nil {
		t.Fatal(err)
	}
	if _, body, err := l.Get("/"); err != nil || !strings.Contains(body, "<!-- "+Slug(1)+" saw ") {
		t.Errorf("a renamed plugin is gone at once (%v): OPcache looked at the disk", err)
	}
	if err := l.StopApache(); err != nil {
		t.Fatal(err)
	}
	if err := l.StartApache(); err != nil {
		t.Fatal(err)
	}
	if _, body, err := l.Get("/"); err != nil || strings.Contains(body, "<!-- "+Slug(1)+" saw ") || !strings.Contains(body, "<!-- "+Slug(2)+" saw ") {
		t.Errorf("after a restart a renamed plugin still runs, or its neighbour does not (%v)", err)
	}
	if err := l.Break(0, FPMStopped, ""); err == nil {
		t.Error("there is an FPM to stop")
	}
	dir := l.Dir
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantNothingLeft(t, dir)
}

func TestApacheFPM(t *testing.T) {
	t.Parallel()
	l := New(t, Options{Gateway: Apache, Plugins: 1, Sites: 2, Subfolder: "blog", UID: 54321})
	wantPages(t, l)
	writeProbe(t, l.Site(0), `echo php_sapi_name(), ' ', posix_getuid();`)
	status, body, err := l.Get("/../probe.php")
	if err != nil || body != "fpm-fcgi 54321" {
		t.Errorf("FPM says %d %q, %v", status, body, err)
	}
	if err := l.Break(0, FPMStopped, ""); err != nil {
		t.Fatal(err)
	}
	// Apache's word for a pool that is gone is 503, not 502 (field.md §2.2).
	if status, _, err := l.GetFrom(context.Background(), 1, "/"); err != nil || status != 503 {
		t.Errorf("without FPM: %d, %v; want 503", status, err)
	}
	if err := l.Mend(0); err != nil {
		t.Fatal(err)
	}
	wantHealthy(t, l, 1)
}

func TestGatewayOptions(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{
		"no gateway":         {Gateway: "iis"},
		"no handler":         {Handler: "cgi"},
		"lives in Apache":    {Handler: ModPHP},
		"has no pools":       {Gateway: Apache, Handler: ModPHP, Masters: 2},
		"a user with a name": {Gateway: Apache, Handler: ModPHP, UID: 54321},
	} {
		if err := o.setGateway(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error with %q", o, err, want)
		}
	}
}
