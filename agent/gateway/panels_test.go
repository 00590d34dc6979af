package gateway

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"wpmend/php/fpm"

	"github.com/google/go-cmp/cmp"
)

// panels is the collection of vhosts as the distributions and panels write them; testdata/panels.dump is what
// nginx 1.22.1 printed for it.
func panels(t testing.TB) Gateway {
	t.Helper()
	text, err := os.ReadFile("testdata/panels.dump")
	if err != nil {
		t.Fatal(err)
	}
	g, err := parseNginx(text, host{prefix: "/usr/share/nginx/", version: "1.22.1", hostname: "Web1"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (l Listen) short() string {
	s := l.Unix
	if s == "" {
		s = fmt.Sprintf("%s:%d", l.Host, l.Port)
	}
	for _, f := range []struct {
		name string
		on   bool
	}{{" tls", l.TLS}, {" default", l.Default}, {" proxy", l.ProxyProtocol}} {
		if f.on {
			s += f.name
		}
	}
	return s
}

func addresses(all []fpm.Address) string {
	var s []string
	for _, a := range all {
		s = append(s, a.String())
	}
	return strings.Join(s, " ")
}

// summary is a vhost in a few lines.
func summary(v Vhost) string {
	var b strings.Builder
	var listens []string
	for _, l := range v.Listens {
		listens = append(listens, l.short())
	}
	fmt.Fprintf(&b, "%q on %s root %s\n", v.Names, strings.Join(listens, ", "), v.Root)
	fmt.Fprintf(&b, "  logs %s | %s\n", strings.Join(v.ErrorLogs, " "), strings.Join(v.AccessLogs, " "))
	if v.Returns != "" {
		fmt.Fprintf(&b, "  returns %s\n", v.Returns)
	}
	for _, l := range v.PHP {
		fmt.Fprintf(&b, "  %s below %q: %s/%s root %s alias %q, %d params, buffer %d, %s, %s\n", l.Match, l.Prefix,
			addresses(l.Peers), addresses(l.Backups), l.Root, l.Alias, len(l.Params), l.BufferSize, l.ReadTimeout, strings.Join(l.ErrorLogs, " "))
		if l.Unknown != "" {
			fmt.Fprintf(&b, "    unknown: %s\n", l.Unknown)
		}
	}
	return b.String()
}

func TestPanels(t *testing.T) {
	t.Parallel()
	g := panels(t)
	var got strings.Builder
	for _, v := range g.Vhosts {
		got.WriteString(summary(v))
	}
	want, err := os.ReadFile("testdata/panels.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Error(d)
	}
	wantProblems := []string{
		"/etc/nginx/conf.d/zz-forged.conf: stands in the dump, but nothing before it includes it",
		`/etc/nginx/sites-enabled/names.example.conf:16: location ~ \.php$: fastcgi_pass $pool at /etc/nginx/sites-enabled/names.example.conf:16: the variable $host is not known: it depends on the request`,
		"/etc/nginx/sites-enabled/names.example.conf:13: root /srv/regex/$sub: the variable $sub is not known: it depends on the request",
	}
	if d := cmp.Diff(wantProblems, g.Problems); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"/var/log/nginx/error.log"}, g.ErrorLogs); d != "" {
		t.Error(d)
	}
	if g.Config != "/etc/nginx/nginx.conf" || g.Prefix != "/usr/share/nginx" || g.Kind != "nginx" {
		t.Errorf("%s %s %s", g.Kind, g.Config, g.Prefix)
	}
}

// What was remembered must choose and expand as what was seen.
func TestGatewaySurvivesJSON(t *testing.T) {
	t.Parallel()
	g := panels(t)
	text, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	var back Gateway
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, back) {
		t.Error(cmp.Diff(g, back))
	}
}

// vhost finds the vhost of a host that has PHP.
func vhost(t *testing.T, g Gateway, host string) Vhost {
	t.Helper()
	for _, v := range g.Vhosts {
		if v.Serves(host) && len(v.PHP) > 0 {
			return v
		}
	}
	t.Fatalf("no vhost with PHP serves %s", host)
	return Vhost{}
}

func TestPanelsLocation(t *testing.T) {
	t.Parallel()
	g := panels(t)
	for _, c := range []struct{ host, script, match, peers string }{
		{"wordops.example", "/index.php", `~ \.php$`, "unix:/run/php/php83-fpm.sock unix:/run/php/php83-two-fpm.sock"},
		{"wordops.example", "/wp-login.php", `= /wp-login.php`, "unix:/run/php/php83-fpm.sock unix:/run/php/php83-two-fpm.sock"},
		{"wordops.example", "/xmlrpc.php", "", ""},
		{"wordops.example", "/style.css", "", ""},
		// The location of PHP stands before that of the uploads, so it wins.
		{"wordops.example", "/wp-content/uploads/x.php", `~ \.php$`, "unix:/run/php/php83-fpm.sock unix:/run/php/php83-two-fpm.sock"},
		// Here PHP stands before an expression that RE2 does not take.
		{"wordops.example", "/.git/x.php", `~ \.php$`, "unix:/run/php/php83-fpm.sock unix:/run/php/php83-two-fpm.sock"},
		{"wordops.example", "/.well-known/acme-challenge/x.php", "", ""},
		{"cloudpanel.example", "/index.php", `~ \.php$`, "127.0.0.1:17001"},
		{"hestia.example", "/index.php", `~ [^/]\.php(/|$)`, "unix:/run/php/php8.2-fpm-hestia.example.sock"},
		{"hestia.example", "/uploads/a.php", "", ""},
		// PHP lies within "/", so nginx never comes to the expression that hides dotted names.
		{"hestia.example", "/.git/x.php", `~ [^/]\.php(/|$)`, "unix:/run/php/php8.2-fpm-hestia.example.sock"},
		{"subfolders.example", "/index.php", "", ""},
		{"subfolders.example", "/blog/index.php", `~ \.php$`, "127.0.0.1:9001"},
		{"subfolders.example", "/shop/index.php", `~ \.php$`, "127.0.0.1:9004"},
		{"subfolders.example", "/tool/index.php", "= /tool/index.php", "127.0.0.1:9005"},
		{"subfolders.example", "/de/index.php", `~ ^/de/.+\.php$`, "127.0.0.1:9006"},
		{"pools.example", "/index.php", `~ \.php$`, "unix:/run/php/php8.2-fpm-pools.sock"},
		{"carol.users.example", "/index.php", `~ \.php$`, "unix:/run/php/php8.2-fpm-carol.sock"},
		{"x.regex.example", "/index.php", `~ \.php$`, ""},
		{"a.dot.example", "/index.php", "/", "127.0.0.1:9172"},
		{"aapanel.example", "/index.php", `~ [^/]\.php(/|$)`, "unix:/tmp/php-cgi-80.sock"},
	} {
		l, ok := vhost(t, g, c.host).Location(c.script)
		if ok != (c.match != "") || l.Match != c.match || addresses(l.Peers) != c.peers {
			t.Errorf("%s%s: %v %s %s", c.host, c.script, ok, l.Match, addresses(l.Peers))
		}
	}
}

func TestPanelsScript(t *testing.T) {
	t.Parallel()
	g := panels(t)
	for _, c := range []struct{ host, uri, script string }{
		{"wordops.example", "/", "/index.php"},
		{"wordops.example", "/2026/11/a-post/", "/index.php"},
		{"wordops.example", "/wp-login.php", "/wp-login.php"},
		{"wordops.example", "/style.css", ""},
		{"cloudpanel.example", "/", "/index.php"},
		{"hestia.example", "/a/b", "/index.php"},
		{"subfolders.example", "/", ""},
		{"subfolders.example", "/blog/a-post/", "/blog/index.php"},
		{"a.dot.example", "/", "/"}, // it says no fastcgi_index
	} {
		script, ok := vhost(t, g, c.host).Script(c.uri)
		if script != c.script || ok != (c.script != "") {
			t.Errorf("%s%s: %s %v, want %s", c.host, c.uri, script, ok, c.script)
		}
	}
	for _, v := range g.Vhosts {
		if v.Serves("old.example") {
			if s, ok := v.Script("/"); ok {
				t.Errorf("a vhost that only redirects ends in %s", s)
			}
		}
		if len(v.Names) == 1 && v.Names[0] == "_" {
			if s, ok := v.Script("/"); !ok || s != "/index.php" {
				t.Errorf("Debian's default ends in %s %v", s, ok)
			}
		}
	}
}
