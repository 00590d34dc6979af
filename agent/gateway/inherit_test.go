package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// one reads a configuration with one vhost.
func one(t *testing.T, files ...string) (Vhost, []string) {
	t.Helper()
	g, err := ParseNginx(dumpOf(files...), "/prefix")
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Vhosts) != 1 {
		t.Fatalf("%d vhosts, %q", len(g.Vhosts), g.Problems)
	}
	return g.Vhosts[0], g.Problems
}

func TestInheritance(t *testing.T) {
	t.Parallel()
	v, problems := one(t, "/n.conf", `
		error_log main.log; error_log /var/log/../log/second.log notice;
		http {
			error_log stderr; access_log syslog:server=127.0.0.1; access_log /a/$host.log; access_log acc.log;
			fastcgi_param A http; fastcgi_param B http;
			server {
				fastcgi_buffer_size 8k;
				location /one { fastcgi_pass unix:/one; fastcgi_param C one; error_log off; }
				location /two { fastcgi_pass unix:/two:; fastcgi_read_timeout 1s; root rel; }
				location /three { root /three/; access_log off; location /three/x { fastcgi_pass [::1]:9; } }
				location /none { fastcgi_pass unix:/none; return 410; }
				access_log off;
				fastcgi_read_timeout 2s; root /late;
			}
		}`)
	if problems != nil {
		t.Error(problems)
	}
	var got []string
	for _, l := range v.PHP {
		s := l.Match + " " + addresses(l.Peers) + " root " + l.Root + " " + l.ReadTimeout.String()
		for _, p := range l.Params {
			s += " " + p.Name + "=" + p.Value
		}
		got = append(got, s+" log "+strings.Join(l.ErrorLogs, " "))
		if l.BufferSize != 8192 {
			t.Errorf("%s: buffer %d", l.Match, l.BufferSize)
		}
	}
	want := []string{
		"/one unix:/one root /late 2s C=one log /prefix/off",
		"/two unix:/two root /prefix/rel 1s A=http B=http log ",
		"/three/x [::1]:9 root /three 2s A=http B=http log ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if v.ErrorLogs != nil || v.AccessLogs != nil || v.Root != "/late" {
		t.Errorf("%q %q %s", v.ErrorLogs, v.AccessLogs, v.Root)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	v, _ := one(t, "/n.conf", `error_log logs/e.log; http { access_log acc.log; server { location / { fastcgi_pass 127.0.0.1:9000; } } }`)
	l := v.PHP[0]
	if v.Root != "/prefix/html" || l.Root != v.Root || l.ReadTimeout != time.Minute || l.BufferSize != 0 || l.Prefix != "" {
		t.Errorf("%+v", v)
	}
	if d := cmp.Diff([]string{"/prefix/logs/e.log", "/prefix/acc.log"}, append(l.ErrorLogs, v.AccessLogs...)); d != "" {
		t.Error(d)
	}
}

func TestUnknownPeers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`location / { fastcgi_pass $x; }`:                                                "fastcgi_pass $x at /n.conf:2: the variable $x is not known: it depends on the request",
		`set $x $http_y; location / { fastcgi_pass $x; }`:                                "fastcgi_pass $x at /n.conf:2: the variable $http_y is not known: it depends on the request",
		`location / { set $x unix:/a; if ($http_y = 1) { set $x 2; } fastcgi_pass $x; }`: "fastcgi_pass $x at /n.conf:2: the variable $x is not known: it depends on if ($http_y = 1)",
		`set_by_lua_block $x { return "}" } location / { fastcgi_pass $x; }`:             "fastcgi_pass $x at /n.conf:2: the variable $x is not known: it comes from set_by_lua_block at /n.conf:2",
		`location / { fastcgi_pass a; if ($x) { fastcgi_pass b; } }`:                     "where it passes requests depends on the if at /n.conf:2",
		`location / { fastcgi_pass nowhere; }`:                                           `fastcgi_pass nowhere at /n.conf:2: socket "nowhere" is not an absolute path`,
		`location / { fastcgi_pass empty; }`:                                             `upstream "empty" at /n.conf:1 has no server that is up`,
		`location / { fastcgi_pass $loop; }`:                                             "fastcgi_pass $loop at /n.conf:2: the variable $loop is not known: its maps need each other",
	} {
		v, problems := one(t, "/n.conf", "http { upstream empty { server 127.0.0.1:1 down; } map $loop2 $loop { default a; } map $loop $loop2 { default b; } \nserver { "+text+" } }")
		if len(v.PHP) != 1 || v.PHP[0].Unknown != want || v.PHP[0].Peers != nil || len(problems) != 1 {
			t.Errorf("%s:\n got %q %q\nwant %q", text, v.PHP[0].Unknown, problems, want)
		}
	}
}

func TestPeers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fastcgi_pass LOCALHOST:9000;":                                     "127.0.0.1:9000 /",
		"fastcgi_pass unix:/var/run/a.sock;":                               "unix:/run/a.sock /",
		"fastcgi_pass Group;":                                              "unix:/a 127.0.0.1:80 / 127.0.0.1:3",
		"fastcgi_pass spare;":                                              "127.0.0.1:4 /",
		"set $x group; fastcgi_pass $x;":                                   "unix:/a 127.0.0.1:80 / 127.0.0.1:3",
		"set $x unix:/a; if ($arg_y) { set $x unix:/b; } fastcgi_pass $x;": "unix:/a /",
		"fastcgi_pass $mapped;":                                            "unix:/one /",
		"set $x 1; set $x unix:/two; fastcgi_pass ${x};":                   "unix:/two /",
	} {
		v, problems := one(t, "/n.conf", `http {
			upstream group { server unix:/a weight=5; server 127.0.0.1; server 127.0.0.1:2 down; server 127.0.0.1:3 backup; }
			upstream spare { server 127.0.0.1:4 backup; }
			map $server_name $mapped { default unix:/other; "ONE.example" unix:/one; }
			server { server_name one.example www.one.example; location / { `+text+" } } }")
		if got := addresses(v.PHP[0].Peers) + " / " + addresses(v.PHP[0].Backups); strings.TrimSpace(got) != strings.TrimSpace(want) || problems != nil {
			t.Errorf("%s: %s, want %s; %q", text, got, want, problems)
		}
	}
}
