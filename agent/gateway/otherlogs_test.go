package gateway

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wpmend/php/fpm"
)

func collect(t testing.TB, scan func(io.Reader, func(LogRecord) bool) error, text string) []LogRecord {
	t.Helper()
	var all []LogRecord
	if err := scan(strings.NewReader(text), func(r LogRecord) bool { all = append(all, r); return true }); err != nil {
		t.Fatal(err)
	}
	return all
}

func liteSpeed(r io.Reader, yield func(LogRecord) bool) error {
	return ScanLiteSpeedLog(r, time.UTC, yield)
}

// The lines are from reports to the projects: openlitespeed issues 13, 186, 363, lsws1clk issue 2.
func TestScanLiteSpeedLog(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		v, err := time.Parse("2006-01-02 15:04:05.000000", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	got := collect(t, liteSpeed, "junk\n"+
		"2014-08-10 02:33:50.460000 [INFO] [uds://tmp/lshttpd/lsphp.sock] Connection refused, restart!\n"+
		"2019-12-10 03:56:45.012477 [INFO] [2455] [203.0.113.9:4773:HTTP2-3#Example] ExtConn timed out while processing, timeout=10.\n"+
		"2019-12-10 03:56:45.012525 [INFO] [2455] [T0] [:4773:HTTP2-3] connection to [/tmp/lshttpd/admin_php5.sock] on request #0, confirmed, 0, associated process: 2856, running: 0, error: Connection timed out!\n"+
		"2020-06-26 12:46:25.005145 [NOTICE] [121.101.104.52:20750#Example] No request delivery notification has been received from LSAPI application, possible dead lock.\n"+
		"2023-08-25 12:36:32.050226 [NOTICE] [64] [lsphp.10000] add child process pid: 109\r\n"+
		"2023-08-25 12:36:33.000001 [NOTICE] [64] [STDERR] Child process with pid: 109 was killed by signal: 11, core dumped: no\n"+
		"2023-13-25 12:36:33.000001 [NOTICE] no such month\n2023-08-25 12:36:33 [WORSE] no such level\n")
	want := []LogRecord{
		{Time: at("2014-08-10 02:33:50.460000"), Level: "info", Message: "[uds://tmp/lshttpd/lsphp.sock] Connection refused, restart!", Action: "connecting to upstream", Errno: int(syscall.ECONNREFUSED),
			Upstream: "unix:/tmp/lshttpd/lsphp.sock", UpstreamAddr: fpm.Address{Network: "unix", Addr: "/tmp/lshttpd/lsphp.sock"}},
		{Time: at("2019-12-10 03:56:45.012477"), Level: "info", PID: 2455, Client: "203.0.113.9", Server: "Example", Message: "ExtConn timed out while processing, timeout=10.",
			Action: "reading response header from upstream", Errno: int(syscall.ETIMEDOUT)},
		{Time: at("2019-12-10 03:56:45.012525"), Level: "info", PID: 2455, Message: "connection to [/tmp/lshttpd/admin_php5.sock] on request #0, confirmed, 0, associated process: 2856, running: 0, error: Connection timed out!",
			Action: "reading response header from upstream", Errno: int(syscall.ETIMEDOUT), Upstream: "unix:/tmp/lshttpd/admin_php5.sock", UpstreamAddr: fpm.Address{Network: "unix", Addr: "/tmp/lshttpd/admin_php5.sock"}},
		{Time: at("2020-06-26 12:46:25.005145"), Level: "notice", Client: "121.101.104.52", Server: "Example", Action: "reading response header from upstream",
			Message: "No request delivery notification has been received from LSAPI application, possible dead lock."},
		{Time: at("2023-08-25 12:36:32.050226"), Level: "notice", PID: 64, Message: "[lsphp.10000] add child process pid: 109"},
		{Time: at("2023-08-25 12:36:33.000001"), Level: "notice", PID: 64, Message: "[STDERR] Child process with pid: 109 was killed by signal: 11, core dumped: no",
			Stderr: "Child process with pid: 109 was killed by signal: 11, core dumped: no"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The messages are those that field.md saw with Caddy 2.11.4.
func TestScanCaddyLog(t *testing.T) {
	t.Parallel()
	line := func(msg string) string {
		return `{"level":"error","ts":1795381113.25,"logger":"http.log.error","msg":"` + msg + `","request":{"remote_ip":"192.0.2.1","proto":"HTTP/2.0","method":"GET","host":"a.example","uri":"/x?y=1","headers":{}},"status":502}` + "\n"
	}
	got := collect(t, ScanCaddyLog, "not json\n"+`{"level":"info","ts":1,"logger":"http.log.access","msg":"handled request"}`+"\n"+
		line("dialing backend: dial unix /run/php/a.sock: connect: no such file or directory")+line("dialing backend: dial tcp 127.0.0.1:9000: connect: connection refused")+
		line("EOF")+line("read unix @->/run/php/a.sock: i/o timeout"))
	base := LogRecord{Time: time.Unix(1795381113, 250000000), Level: "error", Client: "192.0.2.1", Host: "a.example", Request: "GET /x?y=1 HTTP/2.0"}
	of := func(change func(*LogRecord)) LogRecord { r := base; change(&r); return r }
	want := []LogRecord{
		of(func(r *LogRecord) {
			r.Message, r.Action, r.Errno = "dialing backend: dial unix /run/php/a.sock: connect: no such file or directory", "connecting to upstream", int(syscall.ENOENT)
			r.Upstream, r.UpstreamAddr = "unix:/run/php/a.sock", fpm.Address{Network: "unix", Addr: "/run/php/a.sock"}
		}),
		of(func(r *LogRecord) {
			r.Message, r.Action, r.Errno = "dialing backend: dial tcp 127.0.0.1:9000: connect: connection refused", "connecting to upstream", int(syscall.ECONNREFUSED)
			r.Upstream, r.UpstreamAddr = "127.0.0.1:9000", fpm.Address{Network: "tcp", Addr: "127.0.0.1:9000"}
		}),
		of(func(r *LogRecord) { r.Message, r.Action = "EOF", "reading response header from upstream" }),
		of(func(r *LogRecord) {
			r.Message, r.Action, r.Errno = "read unix @->/run/php/a.sock: i/o timeout", "reading response header from upstream", int(syscall.ETIMEDOUT)
		}),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// FuzzOtherLogs: any bytes are taken, what is said of a record is part of it, and two logs of whole lines read one
// after the other give the records that they give apart.
func FuzzOtherLogs(f *testing.F) {
	f.Add("2014-08-10 02:33:50.460 [INFO] [1] [T0] [::1:4773:HTTP2-3#v] [uds://x] Connection refused\n", `{"level":"error","ts":1.5,"logger":"http.log.error","msg":"dial x"}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = strings.TrimRight(a, "\n")+"\n", strings.TrimRight(b, "\n")+"\n"
		for _, scan := range []func(io.Reader, func(LogRecord) bool) error{liteSpeed, ScanCaddyLog} {
			if d := cmp.Diff(append(collect(t, scan, a), collect(t, scan, b)...), collect(t, scan, a+b)); d != "" {
				t.Error(d)
			}
		}
		for _, r := range collect(t, liteSpeed, a) {
			for _, part := range []string{r.Message, r.Client, r.Server, r.Stderr} {
				if !strings.Contains(a, part) {
					t.Errorf("%q is not in %q", part, a)
				}
			}
		}
	})
}
