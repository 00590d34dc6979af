package site_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/packaging/lab"
)

// games is a user that base-passwd puts on every Debian.
const games = 5

var limits = probe.Limits{Timeout: 20 * time.Second, Body: 256 << 10}

// discovered are the sites of a lab, found as on any host.
func discovered(t *testing.T, l *lab.Lab) site.Host {
	t.Helper()
	h, err := site.Discover(context.Background(), site.Host{}, func(root string) bool { return strings.HasPrefix(root, l.Dir+"/") })
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Sites) != len(l.Sites()) {
		t.Fatalf("%d sites, want %d: %q", len(h.Sites), len(l.Sites()), h.Problems)
	}
	return h
}

func wantHealthy(t *testing.T, r probe.Result) {
	t.Helper()
	if r.Outcome != probe.Healthy {
		t.Errorf("%s by %s: %+v", r.URL, r.Route, r)
	}
}

func TestModPHPSite(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Gateway: lab.Apache, Handler: lab.ModPHP, Plugins: 1, Sites: 2, Subfolder: "blog", TLS: true, UID: games})
	h := discovered(t, l)
	for i, s := range h.Sites {
		own := l.Site(i)
		if s.Handler != site.ModPHP || s.Owner != games || s.Root != own.Root || s.Domain != own.Domain+"/blog" || s.Pool.Name != "" || s.Master.Config != "" ||
			s.Gateway.Kind != "apache" || s.Version == "" || len(s.Vhosts) != 2 {
			t.Errorf("site %d: %+v", i, s)
		}
		for _, v := range s.Vhosts {
			if !slices.Equal(v.ErrorLogs, []string{l.ApacheErrorLog(i)}) || !slices.Equal(v.AccessLogs, []string{l.ApacheAccessLog(i)}) {
				t.Errorf("logs of site %d: %q, %q", i, v.ErrorLogs, v.AccessLogs)
			}
		}
		if !slices.Equal(s.Gateway.ErrorLogs, []string{l.ApacheServerLog()}) {
			t.Errorf("the server's logs: %q", s.Gateway.ErrorLogs)
		}
	}
	s := h.Sites[0]
	home := probe.Home(s)
	if home.Scheme != "https" {
		t.Errorf("home of a site with TLS: %s", home)
	}
	wantHealthy(t, probe.ByFront(t.Context(), s, home, limits))
	if err := l.Break(0, lab.Fatal, lab.Slug(1)); err != nil {
		t.Fatal(err)
	}
	plain := &url.URL{Scheme: "http", Host: l.Site(0).Domain, Path: "/blog/no/such/page/"}
	if r := probe.ByFront(t.Context(), s, plain, limits); r.Outcome != probe.Fatal {
		t.Errorf("a fatal error: %+v", r)
	}
	wantHealthy(t, probe.ByFront(t.Context(), h.Sites[1], probe.Home(h.Sites[1]), limits))
	wantLogged(t, s.Vhosts[0].ErrorLogs[0], "Call to undefined function plugin_01_function_that_nobody_defines() in "+l.Site(0).Root+"/wp-content/plugins/plugin-01/")

	// What was seen is enough to know the site when Apache is down.
	if err := l.StopApache(); err != nil {
		t.Fatal(err)
	}
	if err := h.Remember(filepath.Join(l.Dir, "state")); err != nil {
		t.Fatal(err)
	}
	remembered, err := site.Recall(filepath.Join(l.Dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := site.Discover(context.Background(), remembered, func(root string) bool { return strings.HasPrefix(root, l.Dir+"/") })
	if err != nil || len(again.Sites) != 2 || again.Sites[0].Handler != site.ModPHP || again.Sites[0].Owner != games {
		t.Errorf("with Apache down: %+v, %v", again.Sites, err)
	}
}

func TestSiteBehindApache(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Gateway: lab.Apache, Plugins: 1, Sites: 2, UID: 54321, TCP: true})
	h := discovered(t, l)
	for i, s := range h.Sites {
		if s.Handler != site.FPM || s.Owner != 54321 || s.Pool.Name != l.Site(i).Pool || s.Master.Process.PID != l.FPMMaster() || s.Location.ReadTimeout != 300*time.Second {
			t.Errorf("site %d: %+v", i, s)
		}
	}
	s := h.Sites[0]
	wantHealthy(t, probe.ByFront(t.Context(), s, probe.Home(s), limits))
	wantHealthy(t, probe.ByPool(t.Context(), s, probe.Home(s), limits))
	if err := l.Break(0, lab.Fatal, lab.Slug(1)); err != nil {
		t.Fatal(err)
	}
	if r := probe.ByPool(t.Context(), s, probe.Home(s), limits); r.Outcome != probe.Fatal {
		t.Errorf("a fatal error by the pool: %+v", r)
	}
	if r := probe.ByFront(t.Context(), s, probe.Home(s), limits); r.Outcome != probe.Fatal {
		t.Errorf("a fatal error by the front: %+v", r)
	}
	wantLogged(t, s.Location.ErrorLogs[0], "Call to undefined function plugin_01_function_that_nobody_defines()")
}

// wantLogged waits for a fatal error in Apache's log, which follows the answer.
func wantLogged(t *testing.T, file, want string) {
	t.Helper()
	for range 400 {
		log, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		err = gateway.ScanApacheLog(log, nil, func(r gateway.LogRecord) bool {
			found = found || strings.Contains(r.Stderr, want)
			return !found
		})
		log.Close()
		if err != nil {
			t.Fatal(err)
		}
		if found {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%s never says %q", file, want)
}

// An Apache that would run a site's code as root has no sites.
func TestModPHPAsRootIsLeftOut(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for file, text := range map[string]string{"index.php": "<?php require 'wp-load.php';", "wp-load.php": "<?php", "wp-includes/version.php": "<?php\n$wp_version = '6.1.9';\n",
		"wp-settings.php": "<?php", "wp-blog-header.php": "<?php"} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for user, want := range map[uint32]string{0: "as root", 54321: "has no name", 33: ""} {
		h, err := site.Discover(context.Background(), site.Host{Gateways: []gateway.Gateway{{Kind: "apache", User: user, Prefix: root, Vhosts: []gateway.Vhost{{
			Names: []string{"shop.example"}, Root: root, ModPHP: true, Rules: []gateway.Rule{{Kind: "sethandler", Args: []string{"php-script"}, PHP: gateway.ModPHP}}}}}}},
			func(r string) bool { return r == root })
		if err != nil {
			t.Fatal(err)
		}
		problems := strings.Join(h.Problems, "\n")
		if len(h.Sites) != 1 != (want != "") || !strings.Contains(problems, want) {
			t.Errorf("user %d: %d sites, problems: %s", user, len(h.Sites), problems)
		}
	}
}
