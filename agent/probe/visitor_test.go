package probe

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

// A real nginx whose fastcgi_cache keeps a 502: visitors see it, a probe of PHP does not.
func TestVisitorSeesTheCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	hold, err := net.Listen("tcp", "127.83.8.1:0")
	if err != nil {
		t.Fatal(err)
	}
	backend := hold.Addr().String()
	hold.Close()
	front, err := net.Listen("tcp", "127.83.8.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := front.Addr().(*net.TCPAddr)
	front.Close()
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%[1]s;\n", kind, dir)
	}
	config := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1; events { worker_connections 64; }
http { access_log off; %[2]s
fastcgi_cache_path %[1]s/cache keys_zone=Z:1m; fastcgi_cache_key "$scheme$request_method$host$request_uri";
server { listen %[3]s; server_name shop.test; add_header X-FastCGI-Cache $upstream_cache_status always;
location / { fastcgi_pass %[4]s; fastcgi_param REQUEST_METHOD $request_method; fastcgi_param SERVER_PROTOCOL $server_protocol; fastcgi_param REQUEST_URI $request_uri;
fastcgi_param HTTP_HOST $host; fastcgi_cache Z; fastcgi_cache_valid 200 502 1m; } } }`, dir, temp, at, backend)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/nginx", "-p", dir, "-c", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	s := site.Site{Domain: "shop.test", Vhosts: []gateway.Vhost{{Names: []string{"shop.test"}, Listens: []gateway.Listen{{Host: at.IP.String(), Port: at.Port}}}}}
	home, limits := Home(s), Limits{Timeout: 10 * time.Second, Body: 1 << 20}
	for range 200 {
		if address, err := Connect(t.Context(), s, home); err == nil && address == at.String() {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if r := AsVisitor(t.Context(), s, home, limits); r.Status != 502 || r.Cached != "" {
		t.Fatalf("%+v", r)
	}

	php, err := net.Listen("tcp", backend)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { php.Close() })
	seen := make(chan *http.Request, 10)
	go fcgi.Serve(php, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		io.WriteString(w, "<html>well</html>")
	}))
	if r := AsVisitor(t.Context(), s, home, limits); r.Status != 502 || r.Outcome != BadGateway || r.Cached != "X-FastCGI-Cache: HIT" || !strings.HasPrefix(r.Server, "nginx") {
		t.Errorf("%+v", r)
	}
	if r := ByFront(t.Context(), s, home, limits); r.Status != 200 || r.Outcome != Healthy || r.Cached != "" || r.URL != home.String() {
		t.Errorf("%+v", r)
	}
	if r := <-seen; Nonce(r.URL) == "" {
		t.Errorf("a probe of PHP asks for %s", r.URL)
	}
	other := home.JoinPath("new/")
	if r := AsVisitor(t.Context(), s, other, limits); r.Status != 200 || r.Cached != "" {
		t.Errorf("%+v", r)
	}
	if r := <-seen; r.URL.RequestURI() != "/new/" || r.Header.Get("Cookie")+r.Header.Get("Cache-Control")+r.Header.Get("Pragma") != "" {
		t.Errorf("a visitor asks for %s, %v", r.URL, r.Header)
	}
	if r := AsVisitor(t.Context(), s, other, limits); r.Status != 200 || r.Cached != "X-FastCGI-Cache: HIT" {
		t.Errorf("%+v", r)
	}
	if address, err := Connect(t.Context(), site.Site{Domain: "shop.test", Vhosts: []gateway.Vhost{{Names: []string{"shop.test"},
		Listens: []gateway.Listen{{Host: "127.83.8.1", Port: 1}}}}}, home); err == nil || address != "127.83.8.1:1" {
		t.Errorf("%s: %v", address, err)
	}
}

func TestCached(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ header, value, cached, server string }{
		{"X-Cache", "HIT from proxy", "X-Cache: HIT from proxy", ""}, {"X-Cache", "MISS, HIT", "X-Cache: MISS, HIT", ""}, {"X-Cache", "MISS", "", ""},
		{"CF-Cache-Status", "DYNAMIC", "", ""}, {"CF-Cache-Status", "STALE", "Cf-Cache-Status: STALE", ""}, {"X-FastCGI-Cache", "BYPASS", "", ""},
		{"Age", "12", "Age: 12", ""}, {"Age", "0", "", ""}, {"Age", "-3", "", ""}, {"Age", "1h", "", ""}, {"X-LiteSpeed-Cache", "hit", "X-Litespeed-Cache: hit", ""},
		{"CF-Ray", "8a-FRA", "", "Cloudflare"}, {"Server", "cloudflare", "", "Cloudflare"}, {"X-Served-By", "cache-fra-1", "", "Fastly"}, {"X-Served-By", "web1", "", ""},
		{"Server", "nginx/1.22.1", "", "nginx/1.22.1"}, {"X-Amz-Cf-Id", "x", "", "CloudFront"},
	} {
		h := http.Header{}
		h.Set(tc.header, tc.value)
		if c, s := cached(h), server(h); c != tc.cached || s != tc.server {
			t.Errorf("%s: %s is %q of %q", tc.header, tc.value, c, s)
		}
	}
}
