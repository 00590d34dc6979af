package gateway

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"wpmend/php/fpm"

	"github.com/google/go-cmp/cmp"
)

func scan(t testing.TB, text string) []LogRecord {
	t.Helper()
	var all []LogRecord
	if err := ScanNginxLog(strings.NewReader(text), time.UTC, func(r LogRecord) bool { all = append(all, r); return true }); err != nil {
		t.Fatal(err)
	}
	return all
}

func unix(path string) fpm.Address { return fpm.Address{Network: "unix", Addr: path} }

// The lines are those of a Debian 12 test host (nginx 1.22.1), names changed.
func TestScanNginxLog(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 20, 59, 13, 0, time.UTC)
	const head = "2026/11/22 20:59:13 "
	get := "GET /?p=1 HTTP/1.1"
	for _, c := range []struct {
		line string
		want LogRecord
	}{
		{
			`[crit] 12#13: *7 connect() to unix:/run/php/a.sock failed (2: No such file or directory) while connecting to upstream, client: 192.0.2.1, server: a.example, request: "GET /?p=1 HTTP/1.1", upstream: "fastcgi://unix:/run/php/a.sock:", host: "a.example"`,
			LogRecord{Level: "crit", PID: 12, Conn: 7, Message: "connect() to unix:/run/php/a.sock failed (2: No such file or directory)", Action: "connecting to upstream",
				Client: "192.0.2.1", Server: "a.example", Request: get, Upstream: "fastcgi://unix:/run/php/a.sock:", Host: "a.example", Errno: 2, UpstreamAddr: unix("/run/php/a.sock")},
		},
		{
			`[error] 12#12: *7 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 2001:db8::1, server: , request: "GET /?p=1 HTTP/1.1", upstream: "fastcgi://unix:/run/php/a.sock", host: "a.example:8080", referrer: "https://x/?"a", server: b, host: "c"`,
			LogRecord{Level: "error", PID: 12, Conn: 7, Message: "upstream timed out (110: Connection timed out)", Action: "reading response header from upstream",
				Client: "2001:db8::1", Request: get, Upstream: "fastcgi://unix:/run/php/a.sock", Host: "a.example:8080", Errno: 110, UpstreamAddr: unix("/run/php/a.sock")},
		},
		{
			`[error] 12#12: *7 recv() failed (104: Connection reset by peer) while reading response header from upstream, client: unix:, server: ~^(a|b)$, request: "POST /x HTTP/2.0", subrequest: "/sub", upstream: "fastcgi://[::1]:9000", host: "h"`,
			LogRecord{Level: "error", PID: 12, Conn: 7, Message: "recv() failed (104: Connection reset by peer)", Action: "reading response header from upstream",
				Client: "unix:", Server: "~^(a|b)$", Request: "POST /x HTTP/2.0", Upstream: "fastcgi://[::1]:9000", Host: "h", Errno: 104, UpstreamAddr: fpm.Address{Network: "tcp", Addr: "[::1]:9000"}},
		},
		{
			`[error] 12#12: *7 upstream sent too big header while reading response header from upstream, client: 1.1.1.1, server: a, request: "GET /?p=1 HTTP/1.1", upstream: "fastcgi://127.0.0.1:9000", host: "a"`,
			LogRecord{Level: "error", PID: 12, Conn: 7, Message: "upstream sent too big header", Action: "reading response header from upstream",
				Client: "1.1.1.1", Server: "a", Request: get, Upstream: "fastcgi://127.0.0.1:9000", Host: "a", UpstreamAddr: fpm.Address{Network: "tcp", Addr: "127.0.0.1:9000"}},
		},
		{
			`[error] 12#12: *7 no live upstreams while connecting to upstream, client: 1.1.1.1, server: a, request: "GET /?p=1 HTTP/1.1", upstream: "fastcgi://php", host: "a"`,
			LogRecord{Level: "error", PID: 12, Conn: 7, Message: "no live upstreams", Action: "connecting to upstream", Client: "1.1.1.1", Server: "a", Request: get, Upstream: "fastcgi://php", Host: "a"},
		},
		{
			`[error] 12#12: *7 recv() failed (104: Connection reset by peer) while reading response header from upstream, client: 1.1.1.1, server: a, request: "GET /?p=1 HTTP/1.1", upstream: "http://unix:/run/p.sock:/?p=1", host: "a"`,
			LogRecord{Level: "error", PID: 12, Conn: 7, Message: "recv() failed (104: Connection reset by peer)", Action: "reading response header from upstream",
				Client: "1.1.1.1", Server: "a", Request: get, Upstream: "http://unix:/run/p.sock:/?p=1", Host: "a", Errno: 104, UpstreamAddr: unix("/run/p.sock")},
		},
		{
			"[error] 12#12: *7 FastCGI sent in stderr: \"PHP message: PHP Fatal error:  Uncaught Error: x (2: y) in /a/b.php:3\nStack trace:\n#0 {main}\n  thrown in /a/b.php on line 3; PHP message: more\" while reading response header from upstream, client: 1.1.1.1, server: a, request: \"GET /?p=1 HTTP/1.1\", upstream: \"fastcgi://unix:/a:\", host: \"a\"",
			LogRecord{Level: "error", PID: 12, Conn: 7, Action: "reading response header from upstream",
				Message: "FastCGI sent in stderr: \"PHP message: PHP Fatal error:  Uncaught Error: x (2: y) in /a/b.php:3\nStack trace:\n#0 {main}\n  thrown in /a/b.php on line 3; PHP message: more\"",
				Stderr:  "PHP message: PHP Fatal error:  Uncaught Error: x (2: y) in /a/b.php:3\nStack trace:\n#0 {main}\n  thrown in /a/b.php on line 3; PHP message: more",
				Client:  "1.1.1.1", Server: "a", Request: get, Upstream: "fastcgi://unix:/a:", Host: "a", UpstreamAddr: unix("/a")},
		},
		{ // cut by nginx: what is left of PHP's words, and nobody's action
			"[error] 12#12: *7 FastCGI sent in stderr: \"PHP message: it broke while doing th",
			LogRecord{Level: "error", PID: 12, Conn: 7, Message: "FastCGI sent in stderr: \"PHP message: it broke while doing th", Stderr: "PHP message: it broke while doing th"},
		},
		{ // PHP's words look like fields; nginx' own come after them
			"[error] 12#12: *7 FastCGI sent in stderr: \"x, client: 6.6.6.6, server: victim, request: \"GET / HTTP/1.1\", upstream: \"fastcgi://unix:/victim:\", host: \"victim\\\" while reading upstream, client: 1.1.1.1, server: a, request: \"GET /?p=1 HTTP/1.1\", upstream: \"fastcgi://unix:/a:\", host: \"a\"",
			LogRecord{Level: "error", PID: 12, Conn: 7, Action: "reading upstream",
				Message: "FastCGI sent in stderr: \"x, client: 6.6.6.6, server: victim, request: \"GET / HTTP/1.1\", upstream: \"fastcgi://unix:/victim:\", host: \"victim\\\"",
				Stderr:  "x, client: 6.6.6.6, server: victim, request: \"GET / HTTP/1.1\", upstream: \"fastcgi://unix:/victim:\", host: \"victim\\",
				Client:  "1.1.1.1", Server: "a", Request: get, Upstream: "fastcgi://unix:/a:", Host: "a", UpstreamAddr: unix("/a")},
		},
		{ // the same in a path
			`[error] 12#12: *7 open() "/srv/x, client: 6.6.6.6, server: victim, request: "y" failed (2: No such file or directory), client: 1.1.1.1, server: a, request: "GET /?p=1 HTTP/1.1", host: "a"`,
			LogRecord{Level: "error", PID: 12, Conn: 7, Message: `open() "/srv/x, client: 6.6.6.6, server: victim, request: "y" failed (2: No such file or directory)`,
				Client: "1.1.1.1", Server: "a", Request: get, Host: "a", Errno: 2},
		},
		{ // another program writes into the same file
			"[error] 12#12: *7 connect() failed (111: Connection refused) while connecting to upstream, client: 1.1.1.1, server: a, request: \"GET /?p=1 HTTP/1.1\", upstream: \"fastcgi://127.0.0.1:9000\"\n[22-Nov-2026 20:59:13 UTC] PHP Warning:  x",
			LogRecord{Level: "error", PID: 12, Conn: 7, Message: "connect() failed (111: Connection refused)", Action: "connecting to upstream",
				Client: "1.1.1.1", Server: "a", Request: get, Upstream: "fastcgi://127.0.0.1:9000", Errno: 111, UpstreamAddr: fpm.Address{Network: "tcp", Addr: "127.0.0.1:9000"}},
		},
		{`[notice] 12#12: signal process started`, LogRecord{Level: "notice", PID: 12, Message: "signal process started"}},
		{`[emerg] 12#12: host not found in upstream "php" in /etc/nginx/n.conf:5`, LogRecord{Level: "emerg", PID: 12, Message: `host not found in upstream "php" in /etc/nginx/n.conf:5`}},
		{`[alert] 12#12: *x 3 worker_connections are not enough`, LogRecord{Level: "alert", PID: 12, Message: "*x 3 worker_connections are not enough"}},
		{`[info] 12#12: *7 client closed connection while waiting for request, client: 1.1.1.1, server: 0.0.0.0:80`,
			LogRecord{Level: "info", PID: 12, Conn: 7, Message: "client closed connection", Action: "waiting for request", Client: "1.1.1.1", Server: "0.0.0.0:80"}},
		{ // quotes that a visitor sent
			`[error] 12#12: *7 a.example could not be resolved (110: Operation timed out), client: 1.1.1.1, server: a, request: "GET /"\", client: 6" HTTP/1.1", host: "a"b", referrer: ""`,
			LogRecord{Level: "error", PID: 12, Conn: 7, Message: "a.example could not be resolved (110: Operation timed out)", Client: "1.1.1.1", Server: "a",
				Request: `GET /"\", client: 6" HTTP/1.1`, Host: `a"b`, Errno: 110},
		},
	} {
		c.want.Time = at
		if d := cmp.Diff([]LogRecord{c.want}, scan(t, head+c.line+"\n")); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.line, d)
		}
	}
}

func TestScanSeveral(t *testing.T) {
	t.Parallel()
	text := "left of a record that was rotated away\n" +
		"2026/11/22 20:59:13 [error] 1#1: one\n" +
		"2026/11/22 20:59:14 [error] 1#1: two\nits second line\n" +
		"2026/11/22 20:59:15 [error] no process: three\n" +
		"2026/13/45 20:59:15 [error] 1#1: no such day\n" +
		"2026/11/22 20:59:15 [loud] 1#1: no such level\n" +
		"2026/11/22 20:59:15 [error] 1#1: " + strings.Repeat("x", 100<<10) + " 2026/11/22 20:59:15 [error] 1#1: within a line\n" +
		"\x00\xff binary\n" +
		"2026/11/22 20:59:16 [error] 1#1: last, and cut"
	var got []string
	for _, r := range scan(t, text) {
		got = append(got, r.Message[:min(len(r.Message), 20)])
		if len(r.Message) > maxRecord {
			t.Errorf("a message of %d bytes", len(r.Message))
		}
	}
	if d := cmp.Diff([]string{"one", "two", "xxxxxxxxxxxxxxxxxxxx", "last, and cut"}, got); d != "" {
		t.Error(d)
	}
	n := 0
	if err := ScanNginxLog(strings.NewReader(text), nil, func(LogRecord) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("%v after %d records, though one was enough", err, n)
	}
	failing := io.MultiReader(strings.NewReader(text), iotest.ErrReader(errors.New("disk")))
	n = 0
	if err := ScanNginxLog(failing, time.UTC, func(LogRecord) bool { n++; return true }); err == nil || err.Error() != "disk" || n != 4 {
		t.Errorf("%v after %d records", err, n)
	}
}

func TestScanZone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("x", 2*3600)
	var got time.Time
	if err := ScanNginxLog(strings.NewReader("2026/11/22 20:59:13 [error] 1#1: x\n"), zone, func(r LogRecord) bool { got = r.Time; return true }); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 11, 22, 18, 59, 13, 0, time.UTC); !got.Equal(want) {
		t.Errorf("%s, want %s", got, want)
	}
}

// Laws: no panic, no record longer than the bound, nothing invented: every field stands in the text.
func FuzzScanNginxLog(f *testing.F) {
	f.Add(`2026/11/22 20:59:13 [crit] 12#13: *7 connect() to unix:/run/php/a.sock failed (2: No such file) while connecting to upstream, client: 192.0.2.1, server: a, request: "GET / HTTP/1.1", upstream: "fastcgi://unix:/a:", host: "a"`)
	f.Add("2026/11/22 20:59:13 [error] 1#1: *2 FastCGI sent in stderr: \"a\nb\" while reading upstream, client: , server: , request: \"\\\", host: \"\"\n\n2026/11/22 20:59:13 [")
	f.Add("2026/11/22 20:59:13 [error] 1#1: x, client: a, server: b, upstream: \"http://unix:/a:/b\", referrer: \"\"\"")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range scan(t, text) {
			for _, field := range []string{r.Message, r.Action, r.Client, r.Server, r.Request, r.Upstream, r.Host, r.Stderr, r.Level} {
				if len(field) > maxRecord || !strings.Contains(text, field) {
					t.Fatalf("%q is not in the text", field)
				}
			}
			if r.Time.IsZero() || r.Errno < 0 {
				t.Fatalf("%+v", r)
			}
		}
	})
}
