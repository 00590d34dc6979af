package gateway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wpmend/php/process"
)

// apacheHosts has a bit of everything that a configuration may say of hosts and PHP.
const apacheHosts = `
Define WWW ${APACHE_TEST_ROOT}/www
Listen ADDR:65321
Listen 127.0.0.3:65321
Include parts/*.conf
IncludeOptional none/*.conf
<IfDefine SPECIAL>
  <VirtualHost *:PORT>
    ServerName special.test
    DocumentRoot ${WWW}/special
  </VirtualHost>
</IfDefine>
<IfDefine !SPECIAL>
  <VirtualHost *:PORT>
    ServerName never.test
  </VirtualHost>
</IfDefine>
<IfModule mod_proxy_fcgi.c>
<IfVersion >= 2.4.10>
<VirtualHost *:PORT>
  ServerName https://Sock.Test:8443
  ServerAlias www.sock.test \
    *.sock.test w?b*.sock.example *
  DocumentRoot "DIR/www/"
  ErrorLog logs/sock.error.log
  CustomLog "|/bin/cat" common
  CustomLog logs/sock.access.log "%h %l \"%r\""
  ProxyTimeout 33
  <FilesMatch "\.php$">
    SetHandler "proxy:unix:DIR/fpm a.sock|fcgi://localhost"
  </FilesMatch>
</VirtualHost>
</IfVersion>
</IfModule>
<IfModule !mod_proxy_fcgi.c>
<VirtualHost *:PORT>
  ServerName never2.test
</VirtualHost>
</IfModule>
<VirtualHost *:PORT *:65321>
  ServerName match.test
  DocumentRoot DIR/www
  ProxyPass /static !
  ProxyPassMatch "^/(.*\.php(/.*)?)$" "fcgi://127.0.0.1:9123/DIR/www/$1" timeout=9
</VirtualHost>
<VirtualHost 127.0.0.3:65321>
  ServerName redirect.test
  DocumentRoot DIR/www
  Redirect permanent / https://match.test/
</VirtualHost>
`

const apachePart = `<VirtualHost _default_:PORT>
  ServerName part.test
  Include DIR/parts/common.inc
</VirtualHost>
`

func hostsConfig(t testing.TB) string {
	t.Helper()
	dir, addr := apacheConfig(t, apacheEvent, apacheHosts)
	for _, d := range []string{"logs", "www/special"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "parts/00.conf"), strings.NewReplacer("PORT", fmt.Sprint(port(addr)), "DIR", dir).Replace(apachePart))
	write(t, filepath.Join(dir, "parts/common.inc"), "DocumentRoot ${WWW}\r\nSetEnv MODE \"a \\\"b\\\" c\"\r\n")
	return dir
}

// The configuration that mod_info prints and the one that is read from the files must be the same.
func TestApacheFilesLikeItsOwnDump(t *testing.T) {
	t.Parallel()
	dir := hostsConfig(t)
	own, files := apacheAsked(t, dir, false), apacheAsked(t, dir, true)
	if diff := cmp.Diff(own, files); diff != "" {
		t.Errorf("mod_info's dump and the files differ (-dump +files):\n%s", diff)
	}
	if len(own.Problems) > 0 {
		t.Errorf("problems: %q", own.Problems)
	}
}

// Apache's own list of its vhosts is the judge of addresses, names and places.
func TestApacheVhosts(t *testing.T) {
	t.Parallel()
	dir := hostsConfig(t)
	g := apacheAsked(t, dir, false)
	text, _, err := runWith(context.Background(), bounds{maxRun, maxDump}, []string{"APACHE_TEST_ROOT=" + dir},
		apacheBinary, "-t", "-D", "DUMP_VHOSTS", "-f", dir+"/apache2.conf", "-D", "SPECIAL")
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`(?:port \d+ namevhost|^\S+\s{2,})\s*(\S+) \((.+):(\d+)\)`)
	var want, got []string
	for line := range strings.Lines(string(text)) {
		if m := place.FindStringSubmatch(line); m != nil {
			want = append(want, strings.ToLower(m[1])+" "+m[2]+":"+m[3])
		}
	}
	for _, v := range g.Vhosts {
		for range v.Listens {
			got = append(got, fmt.Sprintf("%s %s:%d", v.Names[0], v.File, v.Line))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 6 {
		t.Errorf("vhosts (-apache's +ours):\n%s\n%s", diff, text)
	}
	if g.User != 33 || g.Prefix != dir || g.Config != dir+"/apache2.conf" || g.ErrorLogs[0] != dir+"/error.log" || !strings.HasPrefix(g.Version, "2.4.") {
		t.Errorf("the server itself: %+v", g)
	}
	sock := vhostOf(t, g, "sock.test")
	if sock.Root != dir+"/www" || !slices.Equal(sock.ErrorLogs, []string{dir + "/logs/sock.error.log"}) || !slices.Equal(sock.AccessLogs, []string{dir + "/logs/sock.access.log"}) {
		t.Errorf("sock.test: %+v", sock)
	}
	for name, serves := range map[string]bool{"sock.test": true, "a.sock.test": true, "wab1.sock.example": true, "wb.sock.example": false, "other.test": false} {
		if sock.Serves(name) != serves {
			t.Errorf("sock.test serves %s: %v, want %v (%q)", name, !serves, serves, sock.Names)
		}
	}
	l, ok := sock.Location("/index.php")
	if !ok || len(l.Peers) != 1 || l.Peers[0].Addr != dir+"/fpm a.sock" || l.ReadTimeout.Seconds() != 33 {
		t.Errorf("sock.test's location: %+v, %v", l, ok)
	}
	match := vhostOf(t, g, "match.test")
	if l, ok := match.Location("/wp-admin/index.php"); !ok || l.Peers[0].Addr != "127.0.0.1:9123" || l.ReadTimeout.Seconds() != 9 {
		t.Errorf("match.test's location: %+v, %v", l, ok)
	}
	if _, ok := match.Location("/static/x.php"); ok {
		t.Error("ProxyPass /static ! is passed over")
	}
	if v := vhostOf(t, g, "redirect.test"); v.Returns == "" || len(v.PHP) > 0 {
		t.Errorf("redirect.test answers by itself: %+v", v)
	}
}

func vhostOf(t testing.TB, g Gateway, name string) Vhost {
	t.Helper()
	for _, v := range g.Vhosts {
		if slices.Contains(v.Names, name) {
			return v
		}
	}
	t.Fatalf("no vhost %s", name)
	return Vhost{}
}

func TestApacheDiscovered(t *testing.T) {
	t.Parallel()
	dir, addr, cmd := startApache(t, apachePrefork, `
<FilesMatch ".+\.ph(?:ar|p|tml)$">
  SetHandler application/x-httpd-php
</FilesMatch>
<Directory DIR/www/off>
  php_admin_flag engine Off
</Directory>
<IfDefine SPECIAL>
DocumentRoot ${APACHE_TEST_ROOT}/www
</IfDefine>
`)
	procs, err := process.List()
	if err != nil {
		t.Fatal(err)
	}
	var own []process.Process
	for _, p := range procs {
		if p.PID == cmd.Process.Pid || p.PPID == cmd.Process.Pid {
			own = append(own, p)
		}
	}
	found, errs := Discover(t.Context(), own)
	if len(errs) > 0 || len(found) != 1 {
		t.Fatalf("%d gateways, %v", len(found), errs)
	}
	g := found[0]
	if g.Kind != "apache" || g.Process.PID != cmd.Process.Pid || g.Binary != apacheBinary || len(g.Vhosts) != 1 {
		t.Fatalf("%+v", g)
	}
	v := g.Vhosts[0]
	if !v.ModPHP || v.Root != dir+"/www" || !v.Serves("main.test") || v.RunsModPHP("/off/x.php") || v.RunsModPHP("/style.css") || len(v.Listens) != 1 {
		t.Errorf("the main server: %+v", v)
	}
	modPHPFails(t, dir, addr)
}

func TestApacheMastersOnly(t *testing.T) {
	t.Parallel()
	p := func(pid, ppid int, exe string) process.Process {
		return process.Process{PID: pid, PPID: ppid, Exe: exe}
	}
	var got []int
	for _, m := range apacheMasters([]process.Process{
		p(10, 1, "/usr/sbin/apache2"), p(11, 10, "/usr/sbin/apache2"), p(12, 10, "/usr/sbin/apache2"), p(13, 11, "/usr/bin/cat"),
		p(20, 5, "/usr/sbin/apache2"),                                 // configtest: no children
		p(30, 1, "/usr/sbin/httpd"), p(31, 30, "/usr/bin/rotatelogs"), // only a log program
		p(40, 10, "/home/x/httpd"), p(41, 40, "/home/x/httpd"), // another program, started by Apache
	}) {
		got = append(got, m.PID)
	}
	if diff := cmp.Diff([]int{10, 40}, got); diff != "" {
		t.Error(diff)
	}
}

func TestApacheArguments(t *testing.T) {
	t.Parallel()
	for argv, want := range map[string]string{
		"apache2 -k start":                     "",
		"httpd -DFOREGROUND":                   "-D FOREGROUND",
		"apache2 -d conf -f x.conf -Xk start":  "-d /srv/conf -f x.conf",
		"apache2 -f/etc/a.conf -E /tmp/e -D A": "-f /etc/a.conf -D A",
	} {
		got, err := apacheArguments(strings.Fields(argv), "/srv")
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v, want %q", argv, got, err, want)
		}
	}
	for _, argv := range []string{"apache2 -f", "apache2 start"} {
		if got, err := apacheArguments(strings.Fields(argv), "/"); err == nil {
			t.Errorf("%s: %q", argv, got)
		}
	}
}

// A configuration that Apache itself refuses is an error with its words.
func TestApacheBrokenConfiguration(t *testing.T) {
	t.Parallel()
	dir, _ := apacheConfig(t, apacheEvent, "NoSuchDirective on\n")
	_, _, err := apacheSays(t.Context(), apacheBinary, []string{"-f", dir + "/apache2.conf"}, nil, func() string { return "" })
	if err == nil || !strings.Contains(err.Error(), "NoSuchDirective") {
		t.Errorf("%v", err)
	}
}
