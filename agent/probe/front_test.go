package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

var limits = Limits{Timeout: 5 * time.Second, Body: 256 << 10}

// listening is a site whose vhosts listen where the given servers do.
func listening(t *testing.T, servers ...*httptest.Server) site.Site {
	t.Helper()
	s := site.Site{Domain: "shop.example", DocRoot: "/srv/shop", Root: "/srv/shop"}
	v := gateway.Vhost{Names: []string{"shop.example", "www.shop.example"}}
	for _, server := range servers {
		addr, ok := server.Listener.Addr().(*net.TCPAddr)
		if !ok {
			t.Fatal("not TCP")
		}
		v.Listens = append(v.Listens, gateway.Listen{Host: addr.IP.String(), Port: addr.Port, TLS: server.TLS != nil})
	}
	s.Vhosts = []gateway.Vhost{v}
	return s
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

func TestFrontAsksPastCachesWithTheRightHost(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "shop.example" || r.Method != http.MethodGet || r.Header.Get("Cache-Control") != "no-cache" || r.Header.Get("Cookie") == "" {
			t.Errorf("asked %s %s with %v", r.Method, r.Host, r.Header)
		}
		if seen[r.URL.RawQuery] || r.URL.Query().Get(nonce) == "" {
			t.Errorf("query %q", r.URL.RawQuery)
		}
		seen[r.URL.RawQuery] = true
		fmt.Fprint(w, page)
	})
	s := listening(t, server)
	for range 3 {
		if r := ByFront(context.Background(), s, Home(s), limits); r.Outcome != Healthy || r.Status != 200 || !r.Closed {
			t.Errorf("got %+v", r)
		}
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		to      string
		outcome Outcome
	}{
		"within the site":   {"http://www.shop.example/de/", Healthy},
		"relative":          {"/de/", Healthy},
		"to another site":   {"http://bank.example/", Unknown},
		"to a metadata IP":  {"http://169.254.169.254/latest", Unknown},
		"another scheme":    {"file:///etc/passwd", Unknown},
		"to the installer":  {"/wp-admin/install.php", DBError},
		"round in a circle": {"/", Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := listening(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/de/" {
					fmt.Fprint(w, page)
					return
				}
				w.Header().Set("Location", tc.to)
				w.WriteHeader(http.StatusFound)
			}))
			if r := ByFront(context.Background(), s, Home(s), limits); r.Outcome != tc.outcome {
				t.Errorf("got %s (%s), want %s", r.Outcome, r.Detail, tc.outcome)
			}
		})
	}
}

func TestTLSWithoutTrustButWithName(t *testing.T) {
	t.Parallel()
	var sni string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sni = r.TLS.ServerName
		fmt.Fprint(w, page)
	}))
	server.StartTLS()
	t.Cleanup(server.Close)
	s := listening(t, server)
	r := ByFront(context.Background(), s, Home(s), limits)
	if r.Outcome != Healthy || sni != "shop.example" || !strings.HasPrefix(r.URL, "https://") {
		t.Errorf("got %+v with SNI %q", r, sni)
	}
}

func TestTLSEndsAtAProxy(t *testing.T) {
	t.Parallel()
	s := listening(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-Proto") != "https" {
			w.Header().Set("Location", "https://shop.example/")
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
		fmt.Fprint(w, page)
	}))
	if r := ByFront(context.Background(), s, Home(s), limits); r.Outcome != Healthy {
		t.Errorf("got %+v", r)
	}
}

// raw is a gateway that sends bytes as they are.
func raw(t *testing.T, answer func(conn net.Conn)) site.Site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				answer(conn)
			}()
		}
	}()
	addr, _ := l.Addr().(*net.TCPAddr)
	return site.Site{Domain: "shop.example", Vhosts: []gateway.Vhost{{Names: []string{"shop.example"},
		Listens: []gateway.Listen{{Host: "127.0.0.1", Port: addr.Port}}}}}
}

func TestHostileGateway(t *testing.T) {
	t.Parallel()
	short := Limits{Timeout: time.Second, Body: 64 << 10}
	for name, tc := range map[string]struct {
		answer  func(net.Conn)
		outcome Outcome
	}{
		"garbage":      {func(c net.Conn) { io.WriteString(c, "\x00\x01\x02 not HTTP\r\n\r\n") }, Unknown},
		"silence":      {func(c net.Conn) { time.Sleep(3 * time.Second) }, GatewayTimeout},
		"nothing":      {func(net.Conn) {}, Incomplete},
		"half a body":  {func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<html>") }, Incomplete},
		"endless head": {func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n", "X-A: b\r\n") }, Unknown},
		"endless body": {func(c net.Conn) { endless(c, "HTTP/1.1 200 OK\r\n\r\n<html>", "x") }, Healthy},
		"slow body":    {func(c net.Conn) { slowly(c) }, GatewayTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			short := short
			s := raw(t, func(c net.Conn) {
				// Closing with the request unread would reset the connection.
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					return
				}
				tc.answer(c)
			})
			if tc.outcome != GatewayTimeout {
				short.Timeout = time.Minute
			}
			r := ByFront(context.Background(), s, Home(s), short)
			if r.Outcome != tc.outcome || r.Bytes > short.Body {
				t.Errorf("got %s with %d bytes (%s), want %s", r.Outcome, r.Bytes, r.Detail, tc.outcome)
			}
		})
	}
}

func endless(c net.Conn, head, more string) {
	w := bufio.NewWriter(c)
	if _, err := w.WriteString(head); err != nil {
		return
	}
	for {
		if _, err := w.WriteString(more); err != nil {
			return
		}
	}
}

func slowly(c net.Conn) {
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	for {
		if _, err := io.WriteString(c, "x"); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	server := serve(t, func(http.ResponseWriter, *http.Request) {})
	s := listening(t, server)
	server.Close()
	if r := ByFront(context.Background(), s, Home(s), limits); r.Outcome != Unreachable {
		t.Errorf("got %+v", r)
	}
}

func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	s := raw(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		if line, err := in.ReadString('\n'); err != nil || line != "PROXY UNKNOWN\r\n" {
			t.Errorf("preface %q, %v", line, err)
			return
		}
		if _, err := http.ReadRequest(in); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
	})
	s.Vhosts[0].Listens[0].ProxyProtocol = true
	if r := ByFront(context.Background(), s, Home(s), limits); r.Outcome != Healthy {
		t.Errorf("got %+v", r)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s := site.Site{Domain: "shop.example/blog", Base: "/blog", Vhosts: []gateway.Vhost{{Names: []string{"shop.example"}, Listens: []gateway.Listen{{Port: 80}}}}}
	for given, want := range map[string]string{
		"":                              "http://shop.example/blog/",
		"/blog/a?b=c":                   "http://shop.example/blog/a?b=c",
		"http://shop.example/blog/x":    "http://shop.example/blog/x",
		"https://bank.example/":         `--url "https://bank.example/": bank.example does not belong to shop.example/blog`,
		"/other":                        `--url "/other": lies outside of shop.example/blog/, where the site lives`,
		"ftp://shop.example/blog/":      `--url "ftp://shop.example/blog/": only http and https can be probed`,
		"http://shop.example/blog/%zz":  `--url "http://shop.example/blog/%zz": parse "http://shop.example/blog/%zz": invalid URL escape "%zz"`,
		"http://u:p@bank.example/blog/": `--url "http://u:p@bank.example/blog/": bank.example does not belong to shop.example/blog`,
	} {
		u, err := Resolve(s, given)
		got := fmt.Sprint(u)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Resolve(%q):\n got %s\nwant %s", given, got, want)
		}
	}
}
