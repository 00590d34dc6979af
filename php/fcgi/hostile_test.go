package fcgi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// timeoutForPartial is long enough for a local server to have sent what it will send.
const timeoutForPartial = 500 * time.Millisecond

// rec frames one record by hand, with whatever the case needs to be wrong.
func rec(version, typ uint8, id uint16, content string, pad int) string {
	head := []byte{version, typ, byte(id >> 8), byte(id), byte(len(content) >> 8), byte(len(content)), byte(pad), 0xff}
	return string(head) + content + strings.Repeat("P", pad)
}

func stdout(s string) string    { return rec(1, typeStdout, 1, s, 0) }
func stderrRec(s string) string { return rec(1, typeStderr, 1, s, 0) }
func end(status uint8) string {
	return rec(1, typeEndRequest, 1, string([]byte{0, 0, 0, 9, status, 0, 0, 0}), 0)
}

// serve answers every connection with reply, after having read the whole request, then closes it.
func serve(tb testing.TB, reply func(w io.Writer) error) (addr string) {
	tb.Helper()
	dir, err := os.MkdirTemp("/tmp", "wpfcgi")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's worker is not root
		tb.Fatal(err)
	}
	addr = filepath.Join(dir, "s")
	l, err := net.Listen("unix", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if readRequest(c) == nil {
					reply(c)
				}
			}()
		}
	}()
	return addr
}

// readRequest reads records until the standard input ends.
func readRequest(c net.Conn) error {
	rr := newRecordReader(bufio.NewReader(c))
	for {
		rec, err := rr.next()
		if err != nil {
			return err
		}
		if rec.typ == typeStdin && len(rec.content) == 0 {
			return nil
		}
	}
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func endless(s string) func(io.Writer) error {
	s = strings.Repeat(s, 1+4096/len(s))
	return func(w io.Writer) error {
		for {
			if _, err := io.WriteString(w, s); err != nil {
				return err
			}
		}
	}
}

func TestHostileServers(t *testing.T) {
	t.Parallel()
	const good = "Status: 200 OK\r\n\r\n"
	for _, c := range []struct {
		name  string
		reply func(io.Writer) error
		err   string
		body  string
	}{
		{"http server", text("HTTP/1.1 400 Bad Request\r\n\r\n"), `not a fastcgi responder: record starts with "HTTP/1.1" instead of version 1, as if an http server were listening there`, ""},
		{"wrong version", text(rec(2, typeStdout, 1, good, 0)), `not a fastcgi responder: record starts with "\x02\x06\x00\x01\x00\x12\x00\xff" instead of version 1`, ""},
		{"wrong id", text(rec(1, typeStdout, 257, good, 0)), `not a fastcgi responder: record of type 6 for request 257, only 1 was asked`, ""},
		{"management record", text(rec(1, 11, 0, "x", 0)), `not a fastcgi responder: record of type 11 for request 0, only 1 was asked`, ""},
		{"unknown type", text(rec(1, 99, 1, "x", 0)), `not a fastcgi responder: unexpected record of type 99`, ""},
		{"padding everywhere", text(rec(1, typeStdout, 1, "Status: 200\n\nbo", 255) + rec(1, typeStderr, 1, "", 200) + rec(1, typeStdout, 1, "dy", 1) + end(0)), "", "body"},
		{"no end of stdout", text(stdout(good+"body") + end(0)), "", "body"},
		{"output after its end", text(stdout(good) + stdout("") + stdout("more") + end(0)), `not a fastcgi responder: output after the end of the output stream`, ""},
		{"empty records for ever", endless(stdout("") + stderrRec("")), `not a fastcgi responder: 1001 records in a row without output`, ""},
		{"stderr for ever", endless(stderrRec(strings.Repeat("e", 60_000))), `not a fastcgi responder: more than 64 MiB of standard error`, ""},
		{"header for ever", endless(stdout("X-Header: value\r\n")), `invalid cgi header: longer than 1000 bytes: "X-Header: value\r\nX-Header: value\r\nX-Header: value\r\nX-Header: value\r\nX-Header: value\r\nX-Header: value\r\nX-Header: value\r\nX"…`, ""},
		{"header ends past the limit", text(stdout("X: " + strings.Repeat("x", 2000) + "\n\n")), `invalid cgi header: longer than 1000 bytes: "X: ` + strings.Repeat("x", 117) + `"…`, ""},
		{"junk for header", text(stdout("<br />\n<b>Warning</b>\x00\n\n") + end(0)), `invalid cgi header: a name with a blank or control character: "<br />"`, ""},
		{"no name", text(stdout(": x\n\n") + end(0)), `invalid cgi header: a line without a name: ": x"`, ""},
		{"nul in a value", text(stdout("A: b\x00c\n\n") + end(0)), `invalid cgi header: a value with a control character: "A: b\x00c"`, ""},
		{"status in words", text(stdout("Status: abc\n\n") + end(0)), `invalid cgi header: a status that is not a number from 100 to 999: "Status: abc"`, ""},
		{"status too small", text(stdout("Status: 099\n\n") + end(0)), `invalid cgi header: a status that is not a number from 100 to 999: "Status: 099"`, ""},
		{"nothing but the end", text(end(0)), `invalid cgi header: the request ended before the header did`, ""},
		{"half a header", text(stdout("Status: 200\r\nA: b\r\n") + end(0)), `invalid cgi header: the request ended before the header did: "Status: 200\r\nA: b\r\n"`, ""},
		{"cannot multiplex", text(end(1)), "request refused: the responder cannot multiplex connections", ""},
		{"overloaded", text(end(2)), "request refused: the responder is overloaded", ""},
		{"unknown role", text(end(3)), "request refused: the server has no responder role", ""},
		{"unknown status", text(end(77)), "request refused with unknown protocol status 77", ""},
		{"refused after output", text(stdout(good+"x") + end(2)), "request refused: the responder is overloaded", "x"},
		{"short end", text(rec(1, typeEndRequest, 1, "\x00", 0)), "not a fastcgi responder: end of request of 1 bytes instead of 8", ""},
		{"closes at once", text(""), "no answer until the end of the request: unexpected EOF", ""},
		{"cut in a head", text(stdout(good + "x")[:5]), "no answer until the end of the request: unexpected EOF", ""},
		{"cut in a body", text(stdout(good + "partial body")[:8+len(good)+7]), "no answer until the end of the request: unexpected EOF", "partial"},
		{"cut in padding", text(rec(1, typeStdout, 1, good+"x", 9)[:8+len(good)+3]), "no answer until the end of the request: unexpected EOF", "x"},
		{"cut in the end", text(stdout(good+"x") + end(0)[:11]), "no answer until the end of the request: unexpected EOF", "x"},
		{"no end of request", text(stdout(good+"x") + stdout("")), "no answer until the end of the request: unexpected EOF", "x"},
		{"body for ever", func(w io.Writer) error { text(stdout(good))(w); return endless(stdout("bbb"))(w) }, "", strings.Repeat("b", 3000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr := serve(t, c.reply)
			r, err := Do(soon(t), "unix", addr, Request{}, Limits{Header: 1000, Body: 3000, Stderr: 500})
			want := c.err
			if want != "" {
				want = "fastcgi " + addr + ": " + want
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			equal(t, got, want)
			equal(t, string(r.Body), c.body)
			if len(r.Stderr) > 500 || cap(r.Body) > 2*65536 {
				t.Errorf("kept %d bytes of standard error, %d of body", len(r.Stderr), cap(r.Body))
			}
		})
	}
}

func TestErrorsAreTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reply string
		check func(error) bool
	}{
		{end(2), func(err error) bool { var e *RefusedError; return errors.As(err, &e) && e.Status == 2 }},
		{"HTTP/1.1", func(err error) bool { var e *ProtocolError; return errors.As(err, &e) }},
		{stdout("\x00\n\n"), func(err error) bool { var e *HeaderError; return errors.As(err, &e) && string(e.Bytes) == "\x00" }},
		{"", func(err error) bool { var e *ConnError; return errors.As(err, &e) && e.Op == "read" }},
		{"", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
	} {
		_, err := Do(soon(t), "unix", serve(t, text(c.reply)), Request{}, Limits{})
		if !c.check(err) {
			t.Errorf("after %q: %T %v", c.reply, err, err)
		}
	}
}

func TestDialErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: full}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("unix", full); err != nil { // takes the one place in the queue
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "file"), "")
	for _, c := range []struct {
		addr, err string
		is        error
	}{
		{filepath.Join(dir, "absent"), "connect: no such file or directory", os.ErrNotExist},
		{filepath.Join(dir, "file"), "connect: connection refused", syscall.ECONNREFUSED},
		{full, "connect: resource temporarily unavailable", syscall.EAGAIN},
		{"/" + strings.Repeat("x", 200), "connect: invalid argument", syscall.EINVAL},
	} {
		r, err := Do(soon(t), "unix", c.addr, Request{}, Limits{})
		equal(t, fmt.Sprint(err), "cannot connect to fastcgi "+c.addr+": "+c.err)
		equal(t, errors.Is(err, c.is), true)
		equal(t, r, nil)
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	silent := func(io.Writer) error { select {} }
	drip := func(w io.Writer) error {
		io.WriteString(w, stderrRec("late words")+stdout("Status: 200\n\nhalf"))
		select {}
	}
	for _, c := range []struct {
		name   string
		reply  func(io.Writer) error
		body   string
		stderr string
	}{{"silent", silent, "", ""}, {"half an answer", drip, "half", "late words"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr := serve(t, c.reply)
			gone, cancel := context.WithCancel(context.Background())
			cancel()
			_, err := Do(gone, "unix", addr, Request{}, Limits{})
			equal(t, fmt.Sprint(err), "cannot connect to fastcgi "+addr+": context canceled")
			slow, stop := context.WithTimeout(context.Background(), timeoutForPartial)
			defer stop()
			r, err := Do(slow, "unix", addr, Request{}, Limits{})
			var conn *ConnError
			if !errors.As(err, &conn) || conn.Op != "read" || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
			equal(t, string(r.Body), c.body)
			equal(t, string(r.Stderr), c.stderr)
		})
	}
}

// A server that takes the connection but never reads: a large request cannot get out.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	addr := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeoutForPartial)
	defer cancel()
	_, err = Do(ctx, "unix", addr, Request{Body: make([]byte, 16<<20)}, Limits{})
	equal(t, fmt.Sprint(err), "cannot send the request to fastcgi "+addr+": context deadline exceeded")
	var conn *ConnError
	equal(t, errors.As(err, &conn) && conn.Op == "write", true)
}
