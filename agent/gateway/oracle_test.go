package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// nginxDump is what the real nginx prints for a configuration file.
func nginxDump(t *testing.T, config string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	text, _, err := run(ctx, bounds{time.Minute, maxDump}, "/usr/sbin/nginx", "-T", "-e", "stderr", "-c", config)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The collection, put on the disk, must be read from nginx' own dump of it as from the stored one.
func TestPanelsThroughNginx(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	stored, err := os.ReadFile("testdata/panels.dump")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(listen\s+)\[[0-9a-f:]+\]:(\d+)`).ReplaceAllString(string(stored), "${1}[::1]:3$2")
	text = regexp.MustCompile(`(listen\s+)\d+\.\d+\.\d+\.\d+:(\d+)`).ReplaceAllString(text, "${1}127.66.1.2:2$2")
	text = regexp.MustCompile(`(listen\s+)(\d+)([; ])`).ReplaceAllString(text, "${1}127.66.1.1:2$2$3")
	text = regexp.MustCompile(`(/etc|/var/log|/home|/run|/www|/usr/share/nginx)/`).ReplaceAllString(text, dir+"$1/")
	text = strings.ReplaceAll(text, "/var"+dir+"/run/", "/var/run/")
	files := strings.Split(text, marker)
	for i := 1; i < len(files); i++ {
		name, body, _ := strings.Cut(files[i], ":\n")
		// The comment that looks like a file belongs to the file before it.
		for i+1 < len(files) && strings.HasPrefix(files[i+1], dir+"/etc/nginx/conf.d/zz-forged.conf:") {
			i++
			body = strings.TrimSuffix(body, "\n") + "\n" + marker + files[i]
		}
		write(t, name, strings.TrimSuffix(body, "\n"))
	}
	for _, d := range []string{"/home/cloudpanel/logs/nginx", "/www/wwwlogs", "/var/log/nginx/domains", "/run"} {
		if err := os.MkdirAll(dir+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ssl := dir + "/etc/nginx/ssl"
	if err := os.MkdirAll(ssl, 0o755); err != nil {
		t.Fatal(err)
	}
	selfSigned(t, ssl+"/cert.pem", ssl+"/key.pem")
	fresh, err := ParseNginx(nginxDump(t, dir+"/etc/nginx/nginx.conf"), "/p")
	if err != nil {
		t.Fatal(err)
	}
	want, err := ParseNginx([]byte(text), "/p")
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Vhosts) != len(panels(t).Vhosts) {
		t.Fatalf("%d vhosts", len(want.Vhosts))
	}
	if d := cmp.Diff(want, fresh); d != "" {
		t.Error(d)
	}
}

// choices is a vhost in which every location says its name, so that nginx itself is the judge of which one it takes.
const choices = `
  fastcgi_param URI $uri;
  server {
    listen ADDR; server_name choices.example;
    location / { fastcgi_param AT root; fastcgi_pass unix:DIR/fcgi;
      location /in { fastcgi_param AT in; fastcgi_pass unix:DIR/fcgi; location ~ deep { fastcgi_param AT in-deep; fastcgi_pass unix:DIR/fcgi; } }
      location = /exact { fastcgi_param AT exact; fastcgi_pass unix:DIR/fcgi; }
      location ~ \.nested$ { fastcgi_param AT nested; fastcgi_pass unix:DIR/fcgi; }
    }
    location ^~ /hard/ { fastcgi_param AT hard; fastcgi_pass unix:DIR/fcgi; location ~ \.php$ { fastcgi_param AT hard-php; fastcgi_pass unix:DIR/fcgi; } }
    location /soft/ { fastcgi_param AT soft; fastcgi_pass unix:DIR/fcgi; location ^~ /soft/hard/ { fastcgi_param AT soft-hard; fastcgi_pass unix:DIR/fcgi; } }
    location /soft/long/ { return 404; }
    location /none/ { }
    location ~ ^/RE { fastcgi_param AT case; fastcgi_pass unix:DIR/fcgi; location ~ \.php$ { fastcgi_param AT case-php; fastcgi_pass unix:DIR/fcgi; } location ~ x/ { fastcgi_param AT case-x; fastcgi_pass unix:DIR/fcgi; } }
    location ~* ^/re { fastcgi_param AT nocase; fastcgi_pass unix:DIR/fcgi; }
    location ~ /\.(?!well-known) { fastcgi_param AT hidden; fastcgi_pass unix:DIR/fcgi; }
    location ~ \.php$ { fastcgi_param AT php; fastcgi_pass unix:DIR/fcgi; }
    location ~ \.php { return 404; }
    location = / { fastcgi_param AT front; fastcgi_pass unix:DIR/fcgi; }
    location @named { fastcgi_param AT named; fastcgi_pass unix:DIR/fcgi; }
  }
`

func TestLocationAgreesWithNginx(t *testing.T) {
	t.Parallel()
	dir, addr := tempDir(t), freeAddr(t, "127.66.2.1")
	echo(t, "unix", dir+"/fcgi", nil)
	startNginx(t, dir, addr, strings.ReplaceAll(choices, "ADDR", addr))
	g, err := ParseNginx(nginxDump(t, dir+"/nginx.conf"), "/p")
	if err != nil || len(g.Vhosts) != 1 || g.Problems != nil {
		t.Fatalf("%v %v", err, g)
	}
	uris := []string{"/", "/x", "/index.php", "/.well-known/a.php", "/.hidden/a", "/.hidden/a.php"}
	parts := []string{"in", "deep", "exact", ".nested", "hard", "soft", "long", "none", "RE", "re", "x", "a.php", "b.phpx", ".well-known", ".git"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		uri := ""
		for range 1 + random.IntN(3) {
			if uri == "" || random.IntN(3) > 0 {
				uri += "/"
			}
			uri += parts[random.IntN(len(parts))]
		}
		uris = append(uris, uri)
	}
	php, unsure := 0, 0
	for _, uri := range uris {
		want := asked(fetch(t, addr, "GET "+uri+" HTTP/1.1\nHost: choices.example\nConnection: close"))["AT"]
		got := ""
		if l, ok := g.Vhosts[0].Location(uri); ok {
			got = l.Params[len(l.Params)-1].Value
			php++
		} else if found, final := search(g.Vhosts[0].Locations, uri); found == nil && final && want != "" {
			unsure++
			continue // an expression that RE2 does not take: no answer is no wrong one
		}
		if got != want {
			t.Errorf("%s: nginx takes %q, we say %q", uri, want, got)
		}
	}
	if php < 200 || unsure > len(uris)/4 {
		t.Errorf("of %d paths %d came to PHP and %d were not decided", len(uris), php, unsure)
	}
}

const parameters = `
  map $http_x_forwarded_proto $proxied { default $https; https on; }
  map $host $word { hostnames; default plain; *.wild.example wild; ~^(?<w>[a-z]+)\.named\. named-$w; }
  map $uri $mapped { default none; ~^/(.)(.)  "$2$1"; }
  map "$arg_a-$cookie_c" $both { default other; x-y pair; }
  server {
    listen ADDR; server_name params.example *.wild.example *.named.example;
    root DIR/site; set $outer "from ${server_name}";
    include fastcgi_params;
    fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
    fastcgi_pass_request_headers on;
    location / { try_files $uri $uri/ /index.php?$args; }
    location ~ \.php { include all.conf;
      fastcgi_split_path_info ^(.+?\.php)(/.*)$;
      set $path_info $fastcgi_path_info;
      if ($http_x_debug = "yes") { set $debug on; }
      if ($http_x_debug !~ "^y") { set $plain not$outer; }
      if ($request_uri ~* "^/(IN)DEX") { set $caught $1; }
      include fastcgi_params;
      fastcgi_param PATH_INFO $path_info;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_param REAL $realpath_root$fastcgi_script_name;
      fastcgi_param A "$outer|$debug|$plain|$caught|$proxied|$word|$mapped|$both";
      fastcgi_param B "${request_method}:$request_filename:$is_args:$args:$http_x_debug:$arg_b:$host:$http_host:$scheme";
      fastcgi_param C "$request|$http_cookie|$remote_user|$proxy_add_x_forwarded_for|$hostname|$nginx_version|$document_uri";
      fastcgi_param HTTP_PROXY "";
      fastcgi_param HTTP_X_LEFT_OUT "" if_not_empty;
      fastcgi_param TWICE one; fastcgi_param TWICE two;
      fastcgi_pass unix:DIR/fcgi;
    }
    location /alias/ { alias DIR/other/; location ~ \.php$ {
      fastcgi_param FILE $request_filename; fastcgi_param ROOT $document_root; fastcgi_param NAME $fastcgi_script_name; fastcgi_param HTTPS $https if_not_empty;
      fastcgi_pass unix:DIR/fcgi; fastcgi_pass_request_headers off; } }
    location /dir/ { fastcgi_index run.php; fastcgi_param NAME $fastcgi_script_name; fastcgi_pass unix:DIR/fcgi; }
  }
`

func TestExpandAgreesWithNginx(t *testing.T) {
	t.Parallel()
	dir, addr := tempDir(t), freeAddr(t, "127.66.3.1")
	params, err := os.ReadFile("/etc/nginx/fastcgi_params")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/fastcgi_params", string(params))
	write(t, dir+"/all.conf", "# nothing\n")
	write(t, dir+"/real/index.php", "")
	write(t, dir+"/other/index.php", "")
	if err := os.Symlink("real", dir+"/site"); err != nil {
		t.Fatal(err)
	}
	echo(t, "unix", dir+"/fcgi", nil)
	startNginx(t, dir, addr, strings.ReplaceAll(parameters, "ADDR", addr))
	version, err := exec.CommandContext(t.Context(), "/usr/sbin/nginx", "-v").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	h := host{prefix: "/p", version: parseBuild(string(version)).version, hostname: hostname}
	g, err := parseNginx(nginxDump(t, dir+"/nginx.conf"), h)
	if err != nil || len(g.Vhosts) != 1 || g.Problems != nil {
		t.Fatalf("%v %v", err, g.Problems)
	}
	headers := map[string]http.Header{
		"none": {},
		"some": {"X-Debug": {"yes"}, "X-Forwarded-Proto": {"https"}, "Cookie": {"c=y; d=z"}, "Proxy": {"evil"}, "X-Left-Out": {"x"},
			"Authorization": {"Basic dXNlcjpwYXNz"}, "X-Forwarded-For": {"192.0.2.1"}, "User-Agent": {"a \"b\""}},
		"length": {"Content-Type": {"text/plain"}, "Content-Length": {"0"}, "X-Debug": {"yo"}},
	}
	for _, hostHeader := range []string{"params.example", "PARAMS.example:8080", "a.b.wild.example", "me.named.example."} {
		for name, header := range headers {
			for _, c := range []struct{ uri, script, info string }{
				{"/index.php", "/index.php", ""},
				{"/index.php/more/info?a=x&B=2", "/index.php", "/more/info"},
				{"/a/permalink/?a=x", "/index.php", ""},
				{"/alias/index.php", "/alias/index.php", ""},
				{"/dir/", "/dir/", ""},
			} {
				var head strings.Builder
				fmt.Fprintf(&head, "GET %s HTTP/1.1\nHost: %s\nConnection: close", c.uri, hostHeader)
				sent := http.Header{"Connection": {"close"}}
				for k, v := range header {
					fmt.Fprintf(&head, "\n%s: %s", k, v[0])
					sent[k] = v
				}
				want := asked(fetch(t, addr, head.String()))
				if want == nil {
					t.Errorf("%s: nginx passes nothing on", c.uri)
					continue
				}
				v := g.Vhosts[0]
				l, ok := v.Location(c.script)
				if !ok {
					t.Errorf("%s: no location", c.script)
					continue
				}
				_, query, _ := strings.Cut(c.uri, "?")
				target := Target{Scheme: "http", Host: hostHeader, Method: "GET", URI: c.uri, Script: c.script, PathInfo: c.info, Query: query,
					Header: sent, ServerAddr: "127.66.3.1", RemoteAddr: "127.0.0.1", ServerPort: port(addr), RealRoot: filepath.Join(dir, "real")}
				got, err := l.Expand(target)
				if err != nil {
					t.Errorf("%s: %v", c.uri, err)
					continue
				}
				if want["REMOTE_PORT"] != "" && got["REMOTE_PORT"] != "" {
					want["REMOTE_PORT"] = got["REMOTE_PORT"]
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s of %s with %s (-nginx +ours):\n%s", c.uri, hostHeader, name, d)
				}
			}
		}
	}
}
