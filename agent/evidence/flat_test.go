package evidence

import (
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/php/errlog"
)

// endless repeats a text until so many bytes were read.
type endless struct {
	text string
	at   int
	left int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), e.left)], e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	e.left -= int64(n)
	return n, nil
}

// A log of any size is read in the same memory: 16 MB here, 2 GB with WPMEND_LONG.
func TestMemoryIsFlat(t *testing.T) {
	size := int64(16 << 20)
	if os.Getenv("WPMEND_LONG") != "" {
		size = 2 << 30
	}
	gatewayLog := func(kind string) func(io.Reader, *int) error {
		return func(r io.Reader, n *int) error {
			return gateway.ScanLog(kind, r, time.UTC, func(gateway.LogRecord) bool { *n++; return true })
		}
	}
	php := func(r io.Reader, n *int) error {
		return errlog.ScanPHP(r, func(errlog.PHPError) bool { *n++; return true })
	}
	for _, c := range []struct {
		name, text string
		scan       func(io.Reader, *int) error
	}{
		{"fpm", "[22-Nov-2026 20:58:55] WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV) after 3.250000 seconds from start\n", func(r io.Reader, n *int) error {
			return errlog.ScanFPM(r, time.UTC, func(errlog.FPMRecord) bool { *n++; return true })
		}},
		{"slow", "\n[22-Nov-2026 20:58:58]  [pool www] pid 19443\nscript_filename = /path/sleep.php\n" +
			strings.Repeat("[0x00007fcb8c4151c0] call() /path/wp-content/plugins/foo/file.php:3\n", 20), func(r io.Reader, n *int) error {
			return errlog.ScanSlow(r, time.UTC, func(errlog.SlowTrace) bool { *n++; return true })
		}},
		{"php", "[22-Nov-2026 20:59:13 UTC] PHP Fatal error:  Uncaught Error: no in /a/b.php:2\nStack trace:\n#0 /a/c.php(3): f()\n#1 {main}\n  thrown in /a/b.php on line 2\n", php},
		{"nginx", "2026/11/22 20:59:13 [crit] 12#13: *7 connect() to unix:/a.sock failed (2: No such file or directory) while connecting to upstream, client: 192.0.2.1, server: a, request: \"GET / HTTP/1.1\"\n", gatewayLog(gateway.Nginx)},
		{"apache", "[Sun Nov 22 21:10:44.496355 2026] [proxy_fcgi:error] [pid 1:tid 2] (104)Connection reset by peer: [client 192.0.2.1:5] AH01075: Error dispatching request to :80: \n", gatewayLog(gateway.Apache)},
		{"litespeed", "2019-12-10 03:56:45.012477 [INFO] [2455] [:4773:HTTP2-3] ExtConn timed out while processing, timeout=10.\n", gatewayLog(gateway.LiteSpeed)},
		{"access", "192.0.2.1 - - [22/Nov/2026:20:59:13 +0100] \"GET / HTTP/1.1\" 502 150 \"-\" \"curl/8.1\"\n", func(r io.Reader, n *int) error {
			return gateway.ScanAccess(r, time.UTC, func(gateway.AccessRecord) bool { *n++; return true })
		}},
		{"one line", "x", func(r io.Reader, n *int) error { *n = 1; return php(r, n) }},
		{"one record", "[22-Nov-2026 20:59:13 UTC] PHP Notice:  x", func(r io.Reader, n *int) error { *n = 1; return php(r, n) }},
	} {
		n, highest := 0, uint64(0)
		watch := &watched{Reader: &endless{text: c.text, left: size}, every: size / 16, highest: &highest}
		if err := c.scan(watch, &n); err != nil || n == 0 {
			t.Fatalf("%s: %d records, %v", c.name, n, err)
		}
		if highest > 8<<20 {
			t.Errorf("%s: %d bytes in use while %d bytes were read", c.name, highest, size)
		}
	}
}

// watched measures what is in use while it is read.
type watched struct {
	io.Reader
	every, since int64
	highest      *uint64
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if w.since += int64(n); w.since > w.every {
		w.since = 0
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		*w.highest = max(*w.highest, m.HeapAlloc)
	}
	return n, err
}
