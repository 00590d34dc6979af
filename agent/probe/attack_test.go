package probe

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

// rawFront is a front that answers the nth request with what say writes.
func rawFront(t *testing.T, say func(w io.Writer, n int)) site.Site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				// As much of the request as there is; some attacks do not wait for it.
				_, _ = c.Read(make([]byte, 64<<10))
				say(c, n)
			}()
		}
	}()
	addr := l.Addr().(*net.TCPAddr)
	return site.Site{Domain: "shop.example", DocRoot: "/srv/shop", Root: "/srv/shop",
		Vhosts: []gateway.Vhost{{Names: []string{"shop.example"}, Listens: []gateway.Listen{{Host: "127.0.0.1", Port: addr.Port}}}}}
}

func says(text string) func(io.Writer, int) {
	return func(w io.Writer, _ int) { _, _ = io.WriteString(w, text) }
}

// forever repeats until nobody listens.
func forever(head, text string, every time.Duration) func(io.Writer, int) {
	if every == 0 {
		text = strings.Repeat(text, 1+8192/len(text))
	}
	return func(w io.Writer, _ int) {
		_, err := io.WriteString(w, head)
		for err == nil {
			_, err = io.WriteString(w, text)
			time.Sleep(every)
		}
	}
}

func to(location string) func(io.Writer, int) {
	return says("HTTP/1.1 302 Found\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n")
}

// The site's own front is what its owner makes of it. A probe ends, keeps little, is never told that all is well by what
// no browser takes, and goes nowhere but to the site's own listeners.
func TestAttackFront(t *testing.T) {
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	trapped := make(chan string, 100)
	go func() {
		for {
			c, err := trap.Accept()
			if err != nil {
				return
			}
			trapped <- c.RemoteAddr().String()
			c.Close()
		}
	}()
	port := trap.Addr().(*net.TCPAddr).Port
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 16 {
		if _, err := z.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	z.Close()
	const ok = "HTTP/1.1 200 OK\r\n"
	const chunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
	long := strings.Repeat("a", 100<<10)
	attacks := []struct {
		name string
		say  func(io.Writer, int)
		well bool // it may be called healthy: the body is long, not wrong
	}{
		{"nothing", func(w io.Writer, _ int) { _, _ = io.Copy(io.Discard, w.(net.Conn)) }, false},
		{"the end at once", says(""), false},
		{"a byte a moment", forever(ok, "X", 50*time.Millisecond), false},
		{"a byte of the body a moment", forever(ok+"\r\n", "X", 50*time.Millisecond), false},
		{"a header without end", forever(ok, "X-Header: value\r\n", 0), false},
		{"a line without end", forever("", "HTTP/1.1 ", 0), false},
		{"a header of two megabytes", says(ok + "X: " + strings.Repeat("x", 2<<20) + "\r\n\r\n<html></html>"), false},
		{"100,000 headers", says(ok + strings.Repeat("X: y\r\n", 200_000) + "\r\n<html></html>"), false},
		{"a body without end", forever(ok+"\r\n", "<html>", 0), true},
		{"chunks without end", forever(chunked, "5\r\n<html\r\n", 0), true},
		{"a chunk as long as there are numbers", says(chunked + "ffffffffffffffff\r\nx"), false},
		{"a chunk's extension without end", forever(chunked+"5;", "x", 0), false},
		{"a trailer without end", forever(chunked+"5\r\n<html\r\n0\r\n", "X: y\r\n", 0), false},
		{"answers before the answer without end", forever("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0), false},
		{"another protocol", says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), false},
		{"a bomb of gzip", says(ok + "Content-Encoding: gzip\r\n\r\n" + bomb.String()), true},
		{"half a gzip", says(ok + "Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + bomb.String()[:20]), false},
		{"a length below nothing", says(ok + "Content-Length: -1\r\n\r\n"), false},
		{"two lengths", says(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), false},
		{"a length that is not kept", says(ok + "Content-Length: 999999999999\r\n\r\n<html></html>"), false},
		{"HTTP/0.9", says("<html>all is well</html>"), false},
		{"HTTP/2", says("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"), false},
		{"FastCGI", says("\x01\x06\x00\x01\x00\x12\x00\x00Status: 200\r\n\r\n<html>"), false},
		{"a status of no kind", says("HTTP/1.1 999 \x1b[2J\r\n\r\n"), false},
		{"orders to the terminal", says("\x1b[2J\x1b]0;owned\x07 \r\n\r\n"), false},
		{"to the metadata service", to("http://169.254.169.254/latest/meta-data/"), false},
		{"to another port of this host", to(fmt.Sprintf("http://127.0.0.1:%d/", port)), false},
		{"to the user's name of another host", to(fmt.Sprintf("http://shop.example@127.0.0.1:%d/", port)), false},
		{"to another host without a scheme", to(fmt.Sprintf("//127.0.0.1:%d/", port)), false},
		{"to another host by backslashes", to(fmt.Sprintf(`http:\\127.0.0.1:%d\`, port)), false},
		{"to another port by the site's name", to(fmt.Sprintf("http://shop.example:%d/", port)), false},
		{"to a Unix socket", to("unix:///run/docker.sock"), false},
		{"to a file", to("file:///etc/shadow"), false},
		{"to itself", to("/"), false},
		{"to itself, longer each time", func(w io.Writer, n int) { to("/"+strings.Repeat("x", 1000*n))(w, n) }, false},
		{"to 100 kilobytes", to("/" + long), false},
		{"to 100 kilobytes elsewhere", to("http://bank.example/" + long), false},
		{"to nowhere", to("http://[::1%25]:99999999/%zz"), false},
		{"a Server of 100 kilobytes", says(ok + "Server: " + long + "\r\nX-Cache: HIT " + long + "\r\nContent-Length: 0\r\n\r\n"), false},
	}
	escapes := 0
	for _, a := range attacks {
		s := rawFront(t, a.say)
		var was, is runtime.MemStats
		runtime.ReadMemStats(&was)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		r := ByFront(ctx, s, Home(s), Limits{Timeout: 400 * time.Millisecond, Body: 64 << 10})
		late := ctx.Err()
		cancel()
		runtime.ReadMemStats(&is)
		escape := func(format string, args ...any) {
			escapes++
			t.Errorf("%s: %s", a.name, fmt.Sprintf(format, args...))
		}
		if late != nil {
			escape("it keeps us")
		}
		if r.Outcome == Healthy && !a.well {
			escape("it is taken for a healthy page: %+v", r)
		}
		if r.Bytes > 64<<10 || len(r.URL) > maxURL+3 || len(r.Signature) > maxShown+3 || len(r.Detail) > 2*maxShown+3 || len(r.Server) > 100 || len(r.Cached) > 200 {
			escape("it keeps %d bytes of body, %d of URL, %d of signature, %d of detail, %d of server, %d of cache", r.Bytes, len(r.URL), len(r.Signature), len(r.Detail), len(r.Server), len(r.Cached))
		}
		// What the attack itself sends is made here, too.
		if grown := is.TotalAlloc - was.TotalAlloc; grown > 256<<20 {
			escape("it took %d MiB", grown>>20)
		}
	}
	if len(trapped) > 0 {
		escapes++
		t.Errorf("%d connections to where the site does not listen", len(trapped))
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks), escapes)
}

// The site's Host is what the administrator's configuration calls it, whatever a redirect makes of it.
func TestAttackRedirectHost(t *testing.T) {
	t.Parallel()
	var hosts []string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host)
		http.Redirect(w, r, "http://root:secret@shop.example:22/\r\nX-Smuggled: 1/../%0d%0aHost:%20evil", http.StatusFound)
	})
	s := listening(t, server)
	r := ByFront(context.Background(), s, Home(s), limits)
	if r.Outcome == Healthy {
		t.Errorf("%+v", r)
	}
	for _, h := range hosts {
		if h != "shop.example" && h != "shop.example:22" {
			t.Errorf("host %q", h)
		}
	}
}
