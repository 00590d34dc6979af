package gateway

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"wpmend/php/fpm"

	"github.com/google/go-cmp/cmp"
)

// What the real nginx writes when a peer is missing, refuses, hangs up or complains.
func TestScanWhatNginxWrites(t *testing.T) {
	t.Parallel()
	dir, addr, closed := tempDir(t), freeAddr(t, "127.66.6.1"), freeAddr(t, "127.66.6.2")
	echo(t, "unix", dir+"/echo", func(params [][2]string) string {
		return "PHP message: PHP Warning:  one in /a.php on line 1\nsecond \"line\", client: 6.6.6.6, server: victim"
	})
	l, err := net.Listen("unix", dir+"/hangup")
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
			_, _ = conn.Read(make([]byte, 16))
			conn.Close()
		}
	}()
	startNginx(t, dir, addr, strings.NewReplacer("ADDR", addr, "CLOSED", closed).Replace(`
	server { listen ADDR; server_name .logs.example;
		location /missing { fastcgi_pass unix:DIR/none.sock; }
		location /refused { fastcgi_pass CLOSED; }
		location /hangup { fastcgi_pass unix:DIR/hangup; }
		location /stderr { fastcgi_pass unix:DIR/echo; }
		location /group { fastcgi_pass dead; }
	}
	upstream dead { server unix:DIR/d1 down; server unix:DIR/d2 down; }`))
	for _, path := range []string{"/missing", "/refused?q=\"a\"", "/hangup", "/stderr", "/group"} {
		fetch(t, addr, "GET "+path+" HTTP/1.1\nHost: www.logs.example\nReferer: http://x/\", server: y\nConnection: close")
	}
	text, err := os.ReadFile(dir + "/error.log")
	if err != nil {
		t.Fatal(err)
	}
	g, err := ParseNginx(nginxDump(t, dir+"/nginx.conf"), "/")
	if err != nil {
		t.Fatal(err)
	}
	type short struct {
		Message, Action, Server, Request, Host, Stderr string
		Errno                                          int
		Addr                                           fpm.Address
	}
	var got []short
	if err := ScanNginxLog(strings.NewReader(string(text)), time.Local, func(r LogRecord) bool {
		if r.Client != "" {
			got = append(got, short{r.Message, r.Action, r.Server, r.Request, r.Host, r.Stderr, r.Errno, r.UpstreamAddr})
			if age := time.Since(r.Time); age < -time.Second || age > time.Minute || r.Client != "127.0.0.1" && r.Client != "127.66.6.1" || r.Conn == 0 || r.PID == 0 {
				t.Errorf("%+v", r)
			}
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	server, host := g.Vhosts[0].LogName(), "www.logs.example"
	said := "PHP message: PHP Warning:  one in /a.php on line 1\nsecond \"line\", client: 6.6.6.6, server: victim"
	const reading = "reading response header from upstream"
	want := []short{
		{"connect() to unix:" + dir + "/none.sock failed (2: No such file or directory)", "connecting to upstream", server, "GET /missing HTTP/1.1", host, "", 2, unix(dir + "/none.sock")},
		{"connect() failed (111: Connection refused)", "connecting to upstream", server, "GET /refused?q=\"a\" HTTP/1.1", host, "", 111, fpm.Address{Network: "tcp", Addr: closed}},
		{"recv() failed (104: Connection reset by peer)", reading, server, "GET /hangup HTTP/1.1", host, "", 104, unix(dir + "/hangup")},
		{"FastCGI sent in stderr: \"" + said + `"`, reading, server, "GET /stderr HTTP/1.1", host, said, 0, unix(dir + "/echo")},
		{"no live upstreams", "connecting to upstream", server, "GET /group HTTP/1.1", host, "", 0, fpm.Address{}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s\n%s", d, text)
	}
}
