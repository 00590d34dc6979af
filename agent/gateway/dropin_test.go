package gateway

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"wpmend/php/process"
)

// conf is a dump of several files: names and texts in turn.
func conf(files ...string) []byte {
	var b strings.Builder
	for i := 0; i < len(files); i += 2 {
		fmt.Fprintf(&b, "# configuration file %s:\n%s\n", files[i], files[i+1])
	}
	return []byte(b.String())
}

const (
	dropMain = `http {
include conf.d/*.conf;
include sites/*;
}`
	dropSite = `server {
server_name a.test;
SERVER
location ~ \.php$ {
LOCATION
fastcgi_pass unix:/a.sock;
}
}`
)

func TestDropIn(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ main, common, server, location, want string }{
		"at the level of http": {want: "/etc/nginx/conf.d/own.conf http /etc/nginx/nginx.conf:2"},
		"in the server":        {server: "include a/*.conf;", want: "/etc/nginx/a/own.conf server /etc/nginx/sites/a:3"},
		"in the location":      {server: "include a/*.conf;", location: "include b/*;", want: "/etc/nginx/b/own.conf location /etc/nginx/sites/a:5"},
		"in a folder that others share": {server: "include a/*.conf;", main: "http { include sites/a; server { include a/*.conf; } server { location /x { include a/own.conf; } } }",
			want: "/etc/nginx/a/own.conf server, and 2 more that include it /etc/nginx/sites/a:3"},
		"no folder for it":                  {server: "include gone/*.conf;", want: "/etc/nginx/conf.d/own.conf http /etc/nginx/nginx.conf:2"},
		"a pattern that it does not match":  {server: "include a/*.inc;", want: "/etc/nginx/conf.d/own.conf http /etc/nginx/nginx.conf:2"},
		"set in the location":               {location: "fastcgi_buffers 4 4k;", want: "/etc/nginx/sites/a:5 fastcgi_buffers is set there"},
		"set in the server":                 {server: "fastcgi_buffer_size 4k;", want: "/etc/nginx/sites/a:3 fastcgi_buffer_size is set there"},
		"set in what http includes":         {common: "fastcgi_buffers 4 4k;", want: "/etc/nginx/conf.d/common.conf:1 fastcgi_buffers is set there"},
		"set in http, place in the server":  {common: "fastcgi_buffers 4 4k;", server: "include a/*.conf;", want: "/etc/nginx/a/own.conf server /etc/nginx/sites/a:3"},
		"something else is set":             {server: "fastcgi_read_timeout 5s;", want: "/etc/nginx/conf.d/own.conf http /etc/nginx/nginx.conf:2"},
		"nothing includes anything":         {main: "http { include sites/a; }", want: "/etc/nginx/sites/a:4 nothing around that location includes a pattern of files"},
		"the folder itself is a pattern":    {main: "http { include */x.conf; include sites/a; }", want: "/etc/nginx/sites/a:4 nothing around that location includes a pattern of files"},
		"set in another server of the file": {server: "} server { fastcgi_buffers 4 4k; } server { server_name b.test;", want: "the location at /etc/nginx/sites/a:4 is not in the configuration any more"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.main == "" {
				tt.main = dropMain
			}
			site := strings.NewReplacer("SERVER", tt.server, "LOCATION", tt.location).Replace(dropSite)
			d, err := readDump(conf("/etc/nginx/nginx.conf", tt.main, "/etc/nginx/conf.d/common.conf", tt.common, "/etc/nginx/sites/a", site))
			if err != nil {
				t.Fatal(err)
			}
			v := Vhost{File: "/etc/nginx/sites/a", Line: 1}
			at, err := d.dropIn(v, PHPLocation{File: v.File, Line: 4}, "own.conf", []string{"fastcgi_buffer_size", "fastcgi_buffers"},
				func(dir string) bool { return dir != "/etc/nginx/gone" })
			got := at.File + " " + at.Level + " " + at.By
			var none *NoDropInError
			if errors.As(err, &none) {
				got = fmt.Sprintf("%s:%d %s", none.File, none.Line, none.Why)
			} else if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestApacheDropIn(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	write(t, dir+"/own/other.conf", "# nothing\n")
	write(t, dir+"/set/other.conf", "\n proxytimeout 5\n")
	for body, want := range map[string]string{
		"IncludeOptional own/*.conf":                                 dir + "/own/zz.conf VirtualHost " + dir + "/site.conf:4",
		"<Directory />\nInclude own/*.conf\n</Directory>":            dir + "/site.conf:2 the vhost includes no pattern of files",
		"Include set/*.conf":                                         dir + "/set/other.conf:2 proxytimeout is set there",
		"IncludeOptional own/*.conf\nProxy\\\nTimeout 4":             dir + "/own/zz.conf VirtualHost " + dir + "/site.conf:4",
		"IncludeOptional own/*.conf\nProxyTimeout \\\n4":             dir + "/site.conf:5 ProxyTimeout is set there",
		"Include own/other.conf":                                     dir + "/site.conf:2 the vhost includes no pattern of files",
		"</VirtualHost>\n<VirtualHost *:81>\nInclude own/*.conf":     dir + "/site.conf:2 the vhost includes no pattern of files",
		"Include \"" + dir + "/own/*\"\n<If true>\nProxyTimeout 4\n": dir + "/site.conf:6 ProxyTimeout is set there",
	} {
		write(t, dir+"/site.conf", "# x\n<VirtualHost *:80>\nServerName a.test\n"+body+"\n</VirtualHost>\n")
		at, err := apacheDropIn(Gateway{Kind: "apache", Prefix: dir}, Vhost{File: dir + "/site.conf", Line: 2}, "zz.conf", []string{"ProxyTimeout"})
		got := at.File + " " + at.Level + " " + at.By
		if none := (*NoDropInError)(nil); errors.As(err, &none) {
			got = fmt.Sprintf("%s:%d %s", none.File, none.Line, none.Why)
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", body, got, want)
		}
	}
}

func TestKeyPrefixes(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"$scheme$request_method$host$request_uri": "[httpGETa.test/ httpGETb.test/ httpHEADa.test/ httpHEADb.test/ httpsGETa.test/ httpsGETb.test/ httpsHEADa.test/ httpsHEADb.test/]",
		"$host:$request_uri":                      "[a.test:/ b.test:/]",
		"${host}x$uri$is_args$args":               "[a.testx/ b.testx/]",
		"$request_uri$host":                       "its key \"$request_uri$host\" does not name the host before the path",
		"$host$cookie_a$request_uri":              "its key \"$host$cookie_a$request_uri\" depends on $cookie_a",
		"$host":                                   "its key \"$host\" does not name the path",
		"":                                        "its key \"\" does not name the path",
		"$scheme$proxy_host$request_uri":          "its key \"$scheme$proxy_host$request_uri\" depends on $proxy_host",
		"$host$request_method$request_method$request_method$request_method$request_method$request_method$request_method$request_method$request_method$uri": "its key \"$host$request_method$request_method$request_method$request_method$request_method$request_method$request_method$request_method$request_method$uri\" has too many values",
	} {
		prefixes, err := keyPrefixes(key, []string{"a.test", "*.a.test", "b.test", "_"})
		got := fmt.Sprint(prefixes)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", key, got, want)
		}
	}
}

// A real nginx caches errors of what is behind it; those of one vhost are dropped, and
// nothing else, whatever else lies in the folder.
func TestPurge(t *testing.T) {
	t.Parallel()
	dir, addr := tempDir(t), freeAddr(t, "127.0.0.1")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	status := http.StatusInternalServerError
	behind := freeAddr(t, "127.0.0.1")
	server := &http.Server{Addr: behind, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, status)
	})}
	go func() { _ = server.ListenAndServe() }()
	t.Cleanup(func() { server.Close() })
	cmd := startNginx(t, dir, addr, `proxy_cache_path DIR/cache levels=1:2 keys_zone=Z:1m; proxy_cache_key $scheme$request_method$host$request_uri;
		server { listen `+addr+`; server_name a.test; location / { proxy_cache Z; proxy_cache_valid any 1h; proxy_pass http://`+behind+`; } }
		server { listen `+addr+`; server_name b.test xa.test; location / { proxy_cache Z; proxy_cache_valid any 1h; proxy_pass http://`+behind+`; } }`)
	get := func(host, path string) string {
		return fetch(t, addr, "GET "+path+" HTTP/1.1\nHost: "+host+"\nConnection: close")
	}
	p, err := process.Read(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	g := running(t, p.PID)
	for _, host := range []string{"a.test", "b.test", "xa.test"} {
		for _, path := range []string{"/", "/x?y=1"} {
			if got := get(host, path); got != "500" {
				t.Fatalf("%s%s: %q", host, path, got)
			}
		}
	}
	status = http.StatusOK
	if a, well := get("a.test", "/"), get("a.test", "/well"); a != "500" || well != "200" {
		t.Fatalf("the cache serves %q and %q", a, well)
	}
	caches, errs := Caches(t.Context(), g, g.Vhosts[0])
	if len(caches) != 1 || len(errs) > 0 || caches[0].Path != dir+"/cache" || fmt.Sprint(caches[0].Levels) != "[1 2]" {
		t.Fatalf("%+v, %v", caches, errs)
	}
	// What a hostile worker could put there.
	outside := dir + "/outside"
	write(t, outside, entry("httpGETa.test/evil", "HTTP/1.1 500 X"))
	forged := hash("httpGETa.test/evil")
	bad := filepath.Join(dir, "cache", forged[31:], forged[29:31])
	if err := errors.Join(os.MkdirAll(bad, 0o755), os.Symlink(outside, filepath.Join(bad, forged)), os.Symlink(dir, dir+"/cache/0a"),
		os.WriteFile(filepath.Join(bad, strings.Repeat("0", 32)), []byte(entry("httpGETa.test/", "HTTP/1.1 500 X")), 0o644)); err != nil {
		t.Fatal(err)
	}
	n, err := Purge(t.Context(), caches)
	if err != nil || n != 2 {
		t.Errorf("dropped %d, %v", n, err)
	}
	if a, x := get("a.test", "/"), get("a.test", "/x?y=1"); a != "200" || x != "200" {
		t.Errorf("after the purge %q and %q", a, x)
	}
	if b, xa := get("b.test", "/"), get("xa.test", "/x?y=1"); b != "500" || xa != "500" {
		t.Errorf("a neighbour's answers are %q and %q", b, xa)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
	if n, err := Purge(t.Context(), caches); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
	// The folder itself led astray, or gone.
	if err := errors.Join(os.Rename(dir+"/cache", dir+"/moved"), os.Symlink(dir+"/moved", dir+"/cache")); err != nil {
		t.Fatal(err)
	}
	if _, err := Purge(t.Context(), caches); err == nil || !strings.Contains(err.Error(), "it is no folder") {
		t.Errorf("through a link: %v", err)
	}
	if err := os.Remove(dir + "/cache"); err != nil {
		t.Fatal(err)
	}
	if n, err := Purge(t.Context(), caches); err != nil || n != 0 {
		t.Errorf("without a folder: %d, %v", n, err)
	}
}

// The gateway's workers own the folders, and may exchange one while it is walked.
func TestPurgeWaitsForNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := syscall.Mkfifo(filepath.Join(dir, "0a"), 0o600); err != nil {
		t.Fatal(err)
	}
	visit := func(name string) error { return fmt.Errorf("%s was visited", name) }
	if err := (Cache{}).walk(root, "0a", nil, visit); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a FIFO in the place of a folder: %v", err)
	}
}

func hash(key string) string {
	sum := md5.Sum([]byte(key))
	return hex.EncodeToString(sum[:])
}

func TestParseEntry(t *testing.T) {
	t.Parallel()
	const stderr = "\x01\x07\x00\x01\x00\x12\x06\x00Status: 200\r\n\r\nxyz\x00\x00\x00\x00\x00\x00"
	for answer, want := range map[string]int{
		"HTTP/1.1 502 Bad Gateway\r\nStatus: 200\r\n\r\nx":                                              502,
		"HTTP/1.1 502 Bad Gateway\r\nA: b\r\n\r\nStatus: 200":                                           502,
		"X-A: b\r\n\r\nStatus: 500\r\n\r\n":                                                             200,
		stderr + "\x01\x06\x00\x01\x00\x20\x00\x00Status: 500 Internal\r\nA: b\r\n\r\nbody":             500,
		"\x01\x06\x00\x01\x00\x0a\x00\x00Status: 50\x01\x06\x00\x01\x00\x0f\x00\x003 x\r\nA: b\r\n\r\n": 503,
	} {
		key, status, ok := parseEntry([]byte("\x05binary\nKEY: k\n" + answer))
		if !ok || string(key) != "k" || status != want {
			t.Errorf("%q: %q, %d, %v; want %d", answer, key, status, ok, want)
		}
	}
	for _, broken := range []string{"", "\nKEY: k", "\nKEY: k\nHTTP/1.1 500 x\r\n", stderr, "\nKEY: k\nStatus: x\r\n\r\n"} {
		if _, _, ok := parseEntry([]byte(broken)); ok {
			t.Errorf("%q was read", broken)
		}
	}
}

func entry(key, head string) string {
	return "\x05\x00binary\nKEY: " + key + "\n" + head + "\r\nServer: x\r\n\r\nbody"
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte(entry("httpGETa.test/", "HTTP/1.1 500 X")))
	f.Add([]byte(entry("k", "Status: 503 Service Unavailable\r\nX: y")))
	f.Add([]byte("\nKEY: a\n"))
	f.Add([]byte("\nKEY: a\n\x01\x07\x00\x01\x00\x05\x03\x00error\x00\x00\x00\x01\x06\x00\x01\x00\x1c\x00\x00Status: 500 X\r\nA: b\r\n\r\nbody"))
	f.Fuzz(func(t *testing.T, head []byte) {
		key, _, ok := parseEntry(head)
		if !ok {
			return
		}
		if strings.ContainsRune(string(key), '\n') || !strings.Contains(string(head), "\nKEY: "+string(key)+"\n") {
			t.Errorf("key %q", key)
		}
		if (Cache{Prefixes: []string{"", "x"}}).drops(strings.Repeat("0", 32), head) {
			t.Error("an entry is dropped under a name that is not its key's")
		}
	})
}
