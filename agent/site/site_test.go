package site

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wpmend/agent/gateway"
	"wpmend/php/fpm"
	"wpmend/php/process"
)

// wordpress makes the few files by which a root folder is known.
func wordpress(t *testing.T, root string) {
	t.Helper()
	for file, text := range map[string]string{
		"wp-load.php":             "<?php",
		"wp-includes/version.php": "<?php\n$wp_version = '6.1.9';\n",
	} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func vhost(root, socket string, names ...string) gateway.Vhost {
	return gateway.Vhost{Names: names, Root: root, Listens: []gateway.Listen{{Port: 80}},
		PHP:       []gateway.PHPLocation{{Match: `~ \.php$`, Root: root, Peers: []fpm.Address{{Network: "unix", Addr: socket}}}},
		Locations: []gateway.Location{{Kind: "~", Path: `\.php$`, PHP: 0}}}
}

func master(config string, pid int, pools ...string) fpm.Master {
	m := fpm.Master{Config: config, Binary: "/usr/sbin/php-fpm8.2", Process: process.Process{PID: pid}}
	for _, name := range pools {
		m.Pools = append(m.Pools, fpm.Pool{Name: name, Directives: []fpm.Directive{
			{Key: "listen", Value: "/run/" + name + ".sock"}, {Key: "user", Value: "www-data"}}})
	}
	return m
}

func everything(string) bool { return true }

func domains(h Host) []string {
	var names []string
	for _, s := range h.Sites {
		names = append(names, s.Domain)
	}
	return names
}

func TestVhostsOfOneRootAreOneSite(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	wordpress(t, root)
	h := Host{Masters: []fpm.Master{master("/etc/fpm.conf", 7, "shop")},
		Gateways: []gateway.Gateway{{Kind: "nginx", Vhosts: []gateway.Vhost{
			vhost(root, "/run/shop.sock", "shop.example", "www.shop.example"),
			vhost(root, "/run/shop.sock", "alias.example"),
			{Names: []string{"_"}, Root: root},
		}}}}
	h.join(everything)
	if len(h.Sites) != 1 {
		t.Fatalf("sites: %v, problems: %v", domains(h), h.Problems)
	}
	s := h.Sites[0]
	if s.Domain != "shop.example" || s.Root != root || s.Pool.Name != "shop" || s.OwnerName() != "www-data" || s.Version != "6.1.9" || len(s.Vhosts) != 2 {
		t.Errorf("got %+v", s)
	}
	for host, want := range map[string]bool{"www.shop.example": true, "alias.example": true, "other.example": false} {
		if s.Serves(host) != want {
			t.Errorf("Serves(%s) = %v", host, !want)
		}
	}
}

func TestSubfolders(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	wordpress(t, root)
	wordpress(t, filepath.Join(root, "blog"))
	h := Host{Masters: []fpm.Master{master("/etc/fpm.conf", 7, "shop")},
		Gateways: []gateway.Gateway{{Kind: "nginx", Vhosts: []gateway.Vhost{vhost(root, "/run/shop.sock", "shop.example")}}}}
	h.join(everything)
	if got := domains(h); !slices.Equal(got, []string{"shop.example", "shop.example/blog"}) {
		t.Fatalf("sites: %v, problems: %v", got, h.Problems)
	}
	blog, err := Find(h.Sites, "shop.example/blog")
	if err != nil || blog.Base != "/blog" || blog.Script() != "/blog/index.php" {
		t.Errorf("got %+v, %v", blog, err)
	}
	h.join(func(root string) bool { return strings.HasSuffix(root, "/blog") })
	if got := domains(h); !slices.Equal(got, []string{"shop.example/blog"}) {
		t.Errorf("limited to one root: %v", got)
	}
}

// However a root is reached, it is one site; the name through the link stays when
// the release behind it changes.
func TestLinkedRootIsOneSite(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	release, current := filepath.Join(base, "releases/1"), filepath.Join(base, "current")
	wordpress(t, release)
	if err := os.Symlink("releases/1", current); err != nil {
		t.Fatal(err)
	}
	for _, roots := range [][]string{{release, current}, {current, release}} {
		h := Host{Masters: []fpm.Master{master("/etc/fpm.conf", 7, "shop")}, Gateways: []gateway.Gateway{{Vhosts: []gateway.Vhost{
			vhost(roots[0], "/run/shop.sock", "shop.example"), vhost(roots[1], "/run/shop.sock", "www.shop.example")}}}}
		h.join(everything)
		if len(h.Sites) != 1 {
			t.Fatalf("sites: %v, problems: %v", domains(h), h.Problems)
		}
		s := h.Sites[0]
		if s.Root != current || s.ID != ID(current) || len(s.Vhosts) != 2 || s.Domain != "shop.example" {
			t.Errorf("by %s first: %+v", roots[0], s)
		}
		for _, name := range []string{release, current, current + "/", filepath.Join(base, "current/../releases/1")} {
			if found, err := Find(h.Sites, name); err != nil || found.ID != s.ID {
				t.Errorf("Find(%s): %v", name, err)
			}
		}
		for _, path := range []string{current + "/index.php", release + "/wp-cron.php", release + "/../1/index.php"} {
			if !s.Owns(path) {
				t.Errorf("%s is not the site's", path)
			}
		}
	}
}

func TestOwns(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	wordpress(t, filepath.Join(root, "wp"))
	wordpress(t, filepath.Join(root, "blog"))
	if err := os.WriteFile(filepath.Join(root, "index.php"), []byte("<?php require __DIR__ . '/wp/wp-blog-header.php';"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := Host{Masters: []fpm.Master{master("/etc/fpm.conf", 7, "shop")},
		Gateways: []gateway.Gateway{{Kind: "nginx", Vhosts: []gateway.Vhost{vhost(root, "/run/shop.sock", "shop.example")}}}}
	h.join(everything)
	if got := domains(h); !slices.Equal(got, []string{"shop.example", "shop.example/blog"}) {
		t.Fatalf("sites: %v, problems: %v", got, h.Problems)
	}
	outer, inner := h.Sites[0], h.Sites[1]
	if outer.Core != "wp" || outer.Version != "6.1.9" || inner.Core != "" || outer.Script() != "/index.php" {
		t.Errorf("cores %q and %q", outer.Core, inner.Core)
	}
	for path, want := range map[string]string{
		"/index.php": "outer", "/wp/wp-login.php": "outer", "/blogger/x.php": "outer", "/blog/index.php": "inner", "/x/../blog/index.php": "inner", "/../x.php": "nobody", "": "outer",
	} {
		got := map[[2]bool]string{{true, false}: "outer", {false, true}: "inner", {}: "nobody", {true, true}: "both"}[[2]bool{outer.Owns(root + path), inner.Owns(root + path)}]
		if got != want {
			t.Errorf("%s is %s's, want %s's", path, got, want)
		}
	}
	if outer.Owns("index.php") || outer.Owns("") {
		t.Error("a relative path is nobody's")
	}
}

// What cannot be started any more is forgotten.
func TestForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, binary := filepath.Join(dir, "fpm.conf"), filepath.Join(dir, "php-fpm8.2")
	for _, file := range []string{config, binary} {
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	remembered := []fpm.Master{{Config: config, Binary: binary}, {Config: config, Binary: filepath.Join(dir, "php-fpm8.1")}, {Config: filepath.Join(dir, "old.conf"), Binary: binary}, {Config: config}}
	got := there(remembered, func(m fpm.Master) []string { return []string{m.Binary, m.Config} })
	if len(got) != 2 || got[0].Binary != binary || got[1].Binary != "" || len(remembered) != 4 {
		t.Errorf("got %+v", got)
	}
}

func TestVhostWithoutAPool(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	wordpress(t, root)
	unknown := vhost(root, "/run/gone.sock", "shop.example")
	unclear := vhost(root, "", "vars.example")
	unclear.PHP[0].Peers, unclear.PHP[0].Unknown = nil, "$pool is set by Lua"
	h := Host{Gateways: []gateway.Gateway{{Vhosts: []gateway.Vhost{unknown, unclear}}}}
	h.join(everything)
	if len(h.Sites) != 1 || len(h.unmatched) != 2 {
		t.Fatalf("sites %v, unmatched %v", domains(h), h.unmatched)
	}
	if !strings.Contains(h.unmatched[0], "shop.example asks PHP-FPM at unix:/run/gone.sock, where no known pool listens") ||
		!strings.Contains(h.unmatched[1], "$pool is set by Lua") {
		t.Errorf("got %q", h.unmatched)
	}
}

func TestRunningMasterWinsItsSocket(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	wordpress(t, root)
	for _, masters := range [][]fpm.Master{
		{master("/old.conf", 0, "shop"), master("/new.conf", 9, "shop")},
		{master("/new.conf", 9, "shop"), master("/old.conf", 0, "shop")},
	} {
		h := Host{Masters: masters, Gateways: []gateway.Gateway{{Vhosts: []gateway.Vhost{vhost(root, "/run/shop.sock", "shop.example")}}}}
		h.join(everything)
		if len(h.Sites) != 1 || h.Sites[0].Master.Config != "/new.conf" {
			t.Errorf("with %s first: %+v", masters[0].Config, h.Sites)
		}
	}
}

func TestRootPoolIsNoSite(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	wordpress(t, root)
	m := master("/etc/fpm.conf", 7, "shop")
	m.Pools[0].Directives[1].Value = "root"
	h := Host{Masters: []fpm.Master{m}, Gateways: []gateway.Gateway{{Vhosts: []gateway.Vhost{vhost(root, "/run/shop.sock", "shop.example")}}}}
	h.join(everything)
	if len(h.Sites) != 0 || len(h.Problems) != 1 {
		t.Errorf("sites %v, problems %v", domains(h), h.Problems)
	}
}

func TestRemembered(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	if h, err := Recall(state); err != nil || len(h.Masters) != 0 {
		t.Fatalf("nothing was remembered: %+v, %v", h, err)
	}
	before := Host{Masters: []fpm.Master{master("/etc/a.conf", 7, "a"), master("/etc/b.conf", 8, "b")}}
	if err := before.Remember(state); err != nil {
		t.Fatal(err)
	}
	recalled, err := Recall(state)
	if err != nil {
		t.Fatal(err)
	}
	now := withRemembered([]fpm.Master{master("/etc/b.conf", 99, "b")}, recalled.Masters,
		func(m fpm.Master) string { return m.Config },
		func(m fpm.Master) fpm.Master { m.Process = process.Process{}; return m })
	if len(now) != 2 || now[0].Process.PID != 99 || now[1].Config != "/etc/a.conf" || now[1].Process.PID != 0 {
		t.Errorf("got %+v", now)
	}
	if p, ok := now[1].Pool("a"); !ok || p.Listen().Addr != "/run/a.sock" {
		t.Errorf("the remembered pool lost its directives: %+v", now[1])
	}
	// As wpmend 0.1 wrote it.
	old, err := json.Marshal(struct{ Gateways, Masters any }{[]gateway.Gateway{{Binary: "/usr/sbin/nginx"}}, before.Masters})
	if err == nil {
		err = os.WriteFile(filepath.Join(state, memoryFile), old, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if h, err := Recall(state); err != nil || len(h.Gateways) != 1 || !cmp.Equal(h.Masters, recalled.Masters) {
		t.Errorf("the memory of an earlier version: %+v, %v", h, err)
	}
	if err := os.WriteFile(filepath.Join(state, memoryFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Recall(state); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("a broken memory: %v", err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	sites := []Site{
		{ID: "aaaa11112222", Domain: "a.example", Root: "/srv/a", Vhosts: []gateway.Vhost{{Names: []string{"a.example", "both.example"}}}},
		{ID: "aaaa33334444", Domain: "b.example", Root: "/srv/b", Vhosts: []gateway.Vhost{{Names: []string{"b.example", "both.example"}}}},
	}
	for name, want := range map[string]string{
		"a.example": "/srv/a", "/srv/b": "/srv/b", "/srv/b/": "/srv/b", "aaaa33334444": "/srv/b", "aaaa1": "/srv/a",
	} {
		if s, err := Find(sites, name); err != nil || s.Root != want {
			t.Errorf("Find(%q) = %s, %v", name, s.Root, err)
		}
	}
	for name, matches := range map[string]int{"both.example": 2, "aaaa": 2, "aaa": 0, "none.example": 0, "/srv": 0, "": 0} {
		_, err := Find(sites, name)
		var e *NotFoundError
		if !errors.As(err, &e) || len(e.Matches) != matches {
			t.Errorf("Find(%q): %v", name, err)
		}
	}
}
