package site

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"wpmend/agent/gateway"
	"wpmend/php/fpm"
)

// pooled describes a pool on a socket, run by a user, with one more setting.
func pooled(name, listen, user string, more ...fpm.Directive) fpm.Pool {
	return fpm.Pool{Name: name, Directives: append([]fpm.Directive{{Key: "listen", Value: listen}, {Key: "user", Value: user}}, more...)}
}

func TestCandidate(t *testing.T) {
	t.Parallel()
	const www, backup = 33, 34 // www-data and backup, which base-passwd puts on every Debian
	chdir := fpm.Directive{Key: "chdir", Value: "/srv/shop/public"}
	basedir := fpm.Directive{Key: "php_admin_value[open_basedir]", Value: "/tmp:/srv/shop:/usr/share"}
	for what, tc := range map[string]struct {
		asked string
		owner uint32
		pools []fpm.Pool
		want  string
	}{
		"another version of PHP":        {"/run/php/php8.1-fpm.sock", www, []fpm.Pool{pooled("www", "/run/php/php8.2-fpm.sock", "www-data"), pooled("x", "/run/php/x.sock", "www-data")}, "www"},
		"the folder has the version":    {"/var/opt/remi/php81/run/php-fpm/shop.sock", www, []fpm.Pool{pooled("shop", "/var/opt/remi/php82/run/php-fpm/shop.sock", "backup"), pooled("x", "/run/x.sock", "www-data")}, "shop"},
		"named after the site":          {"/run/shop.sock", www, []fpm.Pool{pooled("shop", "127.0.0.1:9001", "backup"), pooled("x", "/run/x.sock", "www-data")}, "shop"},
		"whose user owns the files":     {"127.0.0.1:9000", backup, []fpm.Pool{pooled("a", "/run/a.sock", "www-data"), pooled("b", "/run/b.sock", "backup")}, "b"},
		"two of that user":              {"127.0.0.1:9000", www, []fpm.Pool{pooled("a", "/run/a.sock", "www-data"), pooled("b", "/run/b.sock", "www-data")}, ""},
		"two ports are no likeness":     {"127.0.0.1:9000", backup, []fpm.Pool{pooled("a", "127.0.0.1:9001", "www-data")}, ""},
		"a setting names the folder":    {"127.0.0.1:9000", www, []fpm.Pool{pooled("a", "/run/a.sock", "www-data"), pooled("b", "/run/b.sock", "backup", basedir)}, "b"},
		"a setting names one within it": {"/run/a.sock", www, []fpm.Pool{pooled("a", "127.0.0.1:9", "www-data"), pooled("b", "/run/b.sock", "backup", chdir)}, "b"},
		"a pool of root's":              {"/run/php/php8.1-fpm.sock", 0, []fpm.Pool{pooled("www", "/run/php/php8.2-fpm.sock", "root")}, ""},
		"none is like it":               {"/run/php/php8.1-fpm.sock", 9999, []fpm.Pool{pooled("x", "/run/php/x.sock", "www-data")}, ""},
		"no pools":                      {"/run/x.sock", www, nil, ""},
	} {
		asked, err := fpm.ParseAddress(tc.asked)
		if err != nil {
			t.Fatal(err)
		}
		h := Host{Masters: []fpm.Master{{Config: "/a.conf", Pools: tc.pools}}}
		s := Site{Root: "/srv/shop", DocRoot: "/srv/shop", Owner: tc.owner, Location: gateway.PHPLocation{Peers: []fpm.Address{asked}}}
		h.unserved(&s)
		if s.Candidate.Pool.Name != tc.want || s.Asked != asked || len(s.Elsewhere) != len(tc.pools) {
			t.Errorf("%s: %+v", what, s.Candidate)
		}
	}
}

// A site whose gateway asks where nobody is: found, with its owner, and whatever needs a pool says why there is none.
func TestUnserved(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	wordpress(t, root)
	wordpress(t, filepath.Join(root, "blog"))
	running, old := master("/etc/8.2.conf", 9, "www", "other"), master("/etc/8.1.conf", 0, "gone")
	h := Host{Masters: []fpm.Master{running, old}, Gateways: []gateway.Gateway{{Kind: "nginx", Vhosts: []gateway.Vhost{
		vhost(root, "/run/www8.1.sock", "shop.example")}}}}
	h.join(everything)
	if len(h.Sites) != 2 || len(h.unmatched) != 1 {
		t.Fatalf("%v, %v, %v", domains(h), h.unmatched, h.Problems)
	}
	for _, s := range h.Sites {
		var e *UnservedError
		if err := s.Unserved(); !errors.As(err, &e) || e.Asked.Addr != "/run/www8.1.sock" || !strings.Contains(err.Error(), "where no known pool listens") {
			t.Errorf("%v", err)
		}
		if s.Pool.Name != "" || s.Master.Config != "" || s.Address() != s.Asked || s.Handler != FPM || s.Version != "6.1.9" || len(s.Elsewhere) != 2 {
			t.Errorf("%+v", s)
		}
	}
	served := Site{Pool: running.Pools[0]}
	if err := served.Unserved(); err != nil || served.Address().Addr != "/run/www.sock" {
		t.Errorf("%v, %v", err, served.Address())
	}
}

func TestAsksHere(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"/run/a.sock": true, "127.0.0.1:9000": true, "[::1]:9000": true, "9000": true, "192.0.2.77:9000": false, "php:9000": false} {
		a, err := fpm.ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := asksHere(gateway.PHPLocation{Peers: []fpm.Address{a}}); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if asksHere(gateway.PHPLocation{}) {
		t.Error("nobody is asked")
	}
}

// Of a group of peers the site's pool is the one that serves.
func TestPeers(t *testing.T) {
	t.Parallel()
	at := func(n int) fpm.Address {
		return fpm.Address{Network: "unix", Addr: "/run/" + strconv.Itoa(n) + ".sock"}
	}
	up, down := master("/up.conf", 7), master("/down.conf", 0)
	pools := map[fpm.Address]Served{at(1): {down, fpm.Pool{Name: "1"}}, at(2): {up, fpm.Pool{Name: "2"}}, at(3): {up, fpm.Pool{Name: "3"}}}
	for what, tc := range map[string]struct {
		peers, backups []fpm.Address
		want           string
	}{
		"the first that runs":        {[]fpm.Address{at(1), at(9), at(2), at(3)}, nil, "2"},
		"none runs":                  {[]fpm.Address{at(9), at(1)}, nil, "1"},
		"a backup runs":              {[]fpm.Address{at(1)}, []fpm.Address{at(3)}, "3"},
		"unknown":                    {[]fpm.Address{at(8), at(9)}, nil, ""},
		"nobody":                     {nil, nil, ""},
		"a peer goes before backups": {[]fpm.Address{at(3)}, []fpm.Address{at(2)}, "3"},
	} {
		p, ok := poolOf(gateway.PHPLocation{Peers: tc.peers, Backups: tc.backups}, pools)
		if p.Pool.Name != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: %+v", what, p)
		}
	}
}
