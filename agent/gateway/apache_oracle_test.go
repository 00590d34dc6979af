package gateway

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const apacheExpand = `
SetEnv MODE live
ServerAdmin admin@main.test
<VirtualHost *:PORT>
  ServerName handler.test
  DocumentRoot DIR/www
  SetEnv MODE staging
  <FilesMatch "\.php$">
    SetHandler "proxy:unix:DIR/a.sock|fcgi://localhost"
    ProxyFCGISetEnvIf "true" PHP_VALUE "memory_limit=64M"
  </FilesMatch>
</VirtualHost>
<VirtualHost *:PORT>
  ServerName tcp.test
  DocumentRoot DIR/www
  <Directory DIR/www>
    <Files ~ "\.php$">
      SetHandler "proxy:fcgi://Localhost:TCP"
    </Files>
    ProxyFCGIBackendType GENERIC
    UnsetEnv MODE
  </Directory>
</VirtualHost>
<VirtualHost *:PORT>
  ServerName match.test:8081
  DocumentRoot DIR/www
  ProxyPassMatch "^/(.*\.php(/.*)?)$" "fcgi://127.0.0.1:TCP/DIR/www/$1"
</VirtualHost>
<VirtualHost *:PORT>
  ServerName implied.test
  DocumentRoot DIR/www
  ProxyPassMatch "^/.*\.php(/.*)?$" "unix:DIR/a.sock|fcgi://localhost/DIR/www"
</VirtualHost>
<VirtualHost *:PORT>
  ServerName prefix.test
  DocumentRoot DIR/www
  ProxyPass /sub/ "fcgi://127.0.0.1:TCP/DIR/www/sub/"
</VirtualHost>
`

// Expand must give what Apache sends, byte for byte, less what apacheParams says it leaves out.
func TestApacheExpandLikeApache(t *testing.T) {
	t.Parallel()
	tcp := freeAddr(t, "127.0.0.1")
	_, tcpPort, _ := strings.Cut(tcp, ":")
	dir, addr, _ := startApache(t, apacheEvent, strings.ReplaceAll(apacheExpand, "TCP", tcpPort))
	echo(t, "unix", filepath.Join(dir, "a.sock"), nil)
	echo(t, "tcp", tcp, nil)
	chmod(t, filepath.Join(dir, "a.sock"))
	write(t, filepath.Join(dir, "www/sub/x y.php"), "<?php\n")
	write(t, filepath.Join(dir, "www/.htaccess"), "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteCond %{REQUEST_FILENAME} !-d\nRewriteRule . /index.php [L]\n")
	g := apacheAsked(t, dir, false)
	for _, test := range []struct{ host, uri, script, pathInfo string }{
		{"handler.test", "/index.php?x=1&y=%20", "/index.php", ""},
		{"handler.test", "/?x=1", "/index.php", ""},
		{"handler.test", "/a/perma/link/?y=2", "/index.php", ""},
		{"handler.test", "/perma", "/index.php", ""},
		{"handler.test:8080", "/sub/x%20y.php", "/sub/x y.php", ""},
		{"tcp.test", "/index.php", "/index.php", ""},
		{"match.test", "/index.php", "/index.php", ""},
		{"match.test", "/", "/index.php", ""},
		{"match.test", "/perma?q", "/index.php", ""},
		{"match.test", "/sub/x%20y.php/p%20i?q", "/sub/x y.php", "/p i"},
		{"implied.test", "/sub/x%20y.php", "/sub/x y.php", ""},
		{"prefix.test", "/sub/x%20y.php", "/sub/x y.php", ""},
	} {
		name, _, _ := strings.Cut(test.host, ":")
		v := vhostOf(t, g, name)
		l, ok := v.Location(test.script)
		if !ok {
			t.Errorf("%s %s: no location takes %s", test.host, test.uri, test.script)
			continue
		}
		_, query, _ := strings.Cut(test.uri, "?")
		got, err := l.Expand(Target{Scheme: "http", Host: test.host, Method: "GET", URI: test.uri, Script: test.script, PathInfo: test.pathInfo,
			Query: query, ServerAddr: "127.0.0.1", RemoteAddr: "127.0.0.1", ServerPort: port(addr),
			Header: http.Header{"User-Agent": {"probe"}, "Cookie": {"a=1", "b=2"}, "X-Odd.Name": {"z"}, "Authorization": {"Basic eDp5"}, "Proxy": {"no"}}})
		if err != nil {
			t.Errorf("%s %s: %v", test.host, test.uri, err)
			continue
		}
		status, body := get(t, addr, test.host, test.uri, "User-Agent: probe", "Cookie: a=1; b=2", "X-Odd.Name: z", "Authorization: Basic eDp5", "Proxy: no")
		want := asked(body)
		if want == nil {
			t.Errorf("%s %s: apache answers %d: %s", test.host, test.uri, status, body)
			continue
		}
		for _, p := range []map[string]string{got, want} {
			for name := range maps.Clone(p) {
				if slices.Contains([]string{"PATH", "SERVER_SIGNATURE", "REMOTE_PORT", "proxy-nokeepalive", "HTTP_CONNECTION"}, name) {
					delete(p, name)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s (-apache +Expand):\n%s", test.host, test.uri, diff)
		}
	}
}

// Apache with every way to choose a handler; who answered is the judge.
const apacheRules = `
<VirtualHost *:PORT>
  ServerName rules.test
  DocumentRoot DIR/www
  AddHandler "proxy:unix:DIR/b.sock|fcgi://b" .phtml
  <FilesMatch "\.php$">
    SetHandler "proxy:unix:DIR/a.sock|fcgi://a"
  </FilesMatch>
  <Directory DIR/www/b>
    <Files "*.php">
      SetHandler "proxy:unix:DIR/b.sock|fcgi://b"
    </Files>
  </Directory>
  <Directory DIR/www/b/back>
    <FilesMatch "^special\.php$">
      SetHandler "proxy:unix:DIR/a.sock|fcgi://a"
    </FilesMatch>
  </Directory>
  <DirectoryMatch "/www/b/static$">
    <FilesMatch "\.php$">
      SetHandler None
    </FilesMatch>
  </DirectoryMatch>
  <Directory DIR/www/w*d>
    SetHandler "proxy:unix:DIR/b.sock|fcgi://b"
  </Directory>
  <Location /loc>
    SetHandler "proxy:unix:DIR/b.sock|fcgi://b"
  </Location>
  <LocationMatch "^/loc/inner/.*\.php$">
    SetHandler "proxy:unix:DIR/a.sock|fcgi://a"
  </LocationMatch>
  <Location /pass>
    ProxyPass "unix:DIR/b.sock|fcgi://b/DIR/www/pass"
  </Location>
  ProxyPass /pp/keep !
  ProxyPass /pp "unix:DIR/b.sock|fcgi://b/DIR/www/pp"
  ProxyPass /pp/late "unix:DIR/a.sock|fcgi://a/DIR/www/pp/late"
  <Location /none>
    SetHandler None
  </Location>
</VirtualHost>
<VirtualHost *:PORT>
  ServerName if.test
  DocumentRoot DIR/www
  <FilesMatch "\.php$">
    SetHandler "proxy:unix:DIR/a.sock|fcgi://a"
  </FilesMatch>
  <If "%{QUERY_STRING} =~ /never/">
    SetHandler None
  </If>
  <Location /sure>
    ProxyPass "unix:DIR/b.sock|fcgi://b/DIR/www/sure"
  </Location>
</VirtualHost>
`

func TestApacheChoosesLikeApache(t *testing.T) {
	t.Parallel()
	scripts := []string{"/index.php", "/old.phtml", "/old.phtml.bak", "/b/x.php", "/b/deep/x.php", "/b/back/special.php", "/b/back/x.php", "/b/static/x.php",
		"/bb/x.php", "/wild/x.txt", "/wild/sub/x.php", "/loc/x.php", "/loc/inner/x.php", "/location/x.php", "/pass/x.php", "/pp/x.php", "/pp/keep/x.php",
		"/pp/late/x.php", "/none/x.php", "/none/x.phtml", "/plain.txt"}
	dir, addr, _ := startApache(t, apacheEvent, apacheRules)
	for _, name := range []string{"a", "b"} {
		echo(t, "unix", filepath.Join(dir, name+".sock"), nil)
		chmod(t, filepath.Join(dir, name+".sock"))
	}
	for _, s := range scripts {
		write(t, filepath.Join(dir, "www", s), "static")
	}
	g := apacheAsked(t, dir, false)
	v := vhostOf(t, g, "rules.test")
	for _, s := range scripts {
		status, body := get(t, addr, "rules.test", s)
		want := "static"
		if p := asked(body); p != nil {
			want = strings.TrimPrefix(p["SCRIPT_FILENAME"], "proxy:fcgi://")[:1]
		} else if body != "static" {
			t.Errorf("%s: %d %q", s, status, body)
		}
		got := "static"
		if l, ok := v.Location(s); ok {
			got = strings.TrimSuffix(filepath.Base(l.Peers[0].Addr), ".sock")
		}
		if got != want {
			t.Errorf("%s: %s, apache says %s", s, got, want)
		}
	}
	// What depends on a condition that is not judged is not known, unless proxying goes before it.
	v = vhostOf(t, g, "if.test")
	if l, ok := v.Location("/index.php"); ok {
		t.Errorf("an <If> is passed over: %+v", l)
	}
	if l, ok := v.Location("/sure/x.php"); !ok || filepath.Base(l.Peers[0].Addr) != "b.sock" {
		t.Errorf("/sure: %+v, %v", l, ok)
	}
}

func chmod(t *testing.T, socket string) {
	t.Helper()
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
}
