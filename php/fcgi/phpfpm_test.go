package fcgi

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const fpmBinary = "/usr/sbin/php-fpm8.2"

// pool is a real PHP-FPM of its own, with one pool that runs as www-data.
type pool struct {
	network, addr string
	scripts       string
}

func startPool(tb testing.TB, network string) pool {
	tb.Helper()
	// Not tb.TempDir(): its path is too long for a socket's, and closed to www-data.
	dir, err := os.MkdirTemp("/tmp", "wpfcgi")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	addr := filepath.Join(dir, "s")
	if network == "tcp" {
		addr = freePort(tb)
	}
	config := fmt.Sprintf(`[global]
error_log = %[1]s/fpm.log
daemonize = no
[p]
user = www-data
group = www-data
listen = %[2]s
pm = static
pm.max_children = 2
php_admin_flag[log_errors] = on
php_admin_flag[display_errors] = off
`, dir, addr)
	write(tb, filepath.Join(dir, "fpm.conf"), config)
	cmd := exec.Command(fpmBinary, "-n", "-d", "extension=posix", "-F", "-y", filepath.Join(dir, "fpm.conf"))
	// A test that panics runs no cleanup; its master must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	tb.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-exited
	})
	for {
		if c, err := net.Dial(network, addr); err == nil {
			c.Close()
			return pool{network, addr, dir}
		}
		select {
		case <-exited:
			tb.Fatalf("php-fpm ended: %s", out.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func freePort(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.83.67.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// request is a GET of a script with this code, or a POST if there is a body.
func (p pool) request(tb testing.TB, code string, body []byte) Request {
	tb.Helper()
	f, err := os.CreateTemp(p.scripts, "*.php")
	if err != nil {
		tb.Fatal(err)
	}
	f.Close()
	write(tb, f.Name(), "<?php "+code)
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		tb.Fatal(err)
	}
	method := "GET"
	if body != nil {
		method = "POST"
	}
	return Request{Body: body, Params: map[string]string{
		"SCRIPT_FILENAME": f.Name(), "SCRIPT_NAME": "/" + filepath.Base(f.Name()), "REQUEST_METHOD": method,
		"REQUEST_URI": "/", "CONTENT_TYPE": "application/octet-stream",
	}}
}

func soon(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

func TestPHPFPM(t *testing.T) {
	t.Parallel()
	big := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			p := startPool(t, network)
			for _, c := range []struct {
				name, code string
				body       []byte
				params     map[string]string
				limits     Limits
				check      func(t *testing.T, r *Response)
			}{
				{name: "hello", code: `echo "hello";`, check: func(t *testing.T, r *Response) {
					equal(t, r.Status, 200)
					equal(t, string(r.Body), "hello")
					equal(t, r.Header.Get("Content-Type"), "text/html; charset=UTF-8")
					equal(t, r.HeaderWire, r.HeaderBytes+headLen)
					equal(t, len(r.Stderr), 0)
				}},
				{name: "status and repeated headers", code: `http_response_code(503); header("Set-Cookie: a=1"); header("Set-Cookie: b=2", false);`,
					check: func(t *testing.T, r *Response) {
						equal(t, r.Status, 503)
						equal(t, strings.Join(r.Header["Set-Cookie"], "|"), "a=1|b=2")
					}},
				{name: "redirect", code: `header("Location: /there");`, check: func(t *testing.T, r *Response) {
					equal(t, r.Status, 302)
					equal(t, r.Header.Get("Location"), "/there")
				}},
				{name: "a header of 200 kB", code: `header("X-Big: ".str_repeat("x", 200000)); echo "body";`, limits: Limits{Header: 256 << 10},
					check: func(t *testing.T, r *Response) {
						equal(t, len(r.Header.Get("X-Big")), 200_000)
						equal(t, r.HeaderBytes > 200_000, true)
						equal(t, r.HeaderWire > r.HeaderBytes+3*headLen, true)
						equal(t, string(r.Body), "body")
					}},
				{name: "post of 3 MB", code: `echo md5(file_get_contents("php://input")), " ", $_SERVER["CONTENT_LENGTH"];`, body: big,
					check: func(t *testing.T, r *Response) {
						equal(t, string(r.Body), fmt.Sprintf("%x 3200000", md5.Sum(big)))
					}},
				{name: "answer without reading the post", code: `echo "early";`, body: big, check: func(t *testing.T, r *Response) {
					equal(t, string(r.Body), "early")
				}},
				{name: "params over many records", code: `echo strlen($_SERVER["A"]), strlen($_SERVER["B"]), strlen($_SERVER["C"]), $_SERVER["Z"];`,
					params: map[string]string{
						"A": strings.Repeat("a", 40_000), "B": strings.Repeat("b", 40_000), "C": strings.Repeat("c", 40_000), "Z": "end",
					},
					check: func(t *testing.T, r *Response) { equal(t, string(r.Body), "400004000040000end") }},
				{name: "stderr", code: `error_log("one"); error_log("two\nlines"); echo "out";`, check: func(t *testing.T, r *Response) {
					equal(t, string(r.Stderr), "PHP message: one; PHP message: two\nlines")
					equal(t, string(r.Body), "out")
				}},
				{name: "fatal", code: `nope();`, check: func(t *testing.T, r *Response) {
					equal(t, r.Status, 500)
					equal(t, strings.HasPrefix(string(r.Stderr), "PHP message: PHP Fatal error:  Uncaught Error: Call to undefined function nope() in /"), true)
				}},
				{name: "exit code is not told", code: `echo "x"; exit(7);`, check: func(t *testing.T, r *Response) {
					equal(t, r.AppStatus, 0)
				}},
				{name: "cut body", code: `for ($i = 0; $i < 100; $i++) { echo str_repeat("y", 65536); }`, limits: Limits{Body: 100_000}, check: func(t *testing.T, r *Response) {
					equal(t, len(r.Body), 100_000)
					equal(t, r.Truncated, true)
				}},
				{name: "no body", code: `header_remove();`, check: func(t *testing.T, r *Response) {
					equal(t, r.Status, 200)
					equal(t, len(r.Body), 0)
				}},
			} {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					r := p.request(t, c.code, c.body)
					for k, v := range c.params {
						r.Params[k] = v
					}
					got, err := Do(soon(t), p.network, p.addr, r, c.limits)
					if err != nil {
						t.Fatal(err)
					}
					c.check(t, got)
				})
			}
		})
	}
}

func TestPHPFPMScriptUnknown(t *testing.T) {
	t.Parallel()
	p := startPool(t, "unix")
	r, err := Do(soon(t), p.network, p.addr, Request{Params: map[string]string{
		"SCRIPT_FILENAME": p.scripts + "/absent.php", "REQUEST_METHOD": "GET",
	}}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, r.Status, 404)
	equal(t, string(r.Body), "File not found.\n")
	equal(t, string(r.Stderr), "Primary script unknown")
}

func TestPHPFPMWorkerDies(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			p := startPool(t, network)
			req := p.request(t, `echo "partial"; flush(); posix_kill(getmypid(), 9);`, nil)
			r, err := Do(soon(t), p.network, p.addr, req, Limits{})
			var conn *ConnError
			if !errors.As(err, &conn) || conn.Op != "read" {
				t.Fatalf("got %v, want a read ConnError", err)
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want an unexpected end or a reset", err)
			}
			equal(t, r.Status, 200)
			equal(t, string(r.Body), "partial")
		})
	}
}

func TestPHPFPMHangs(t *testing.T) {
	t.Parallel()
	p := startPool(t, "unix")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := Do(ctx, p.network, p.addr, p.request(t, `sleep(20);`, nil), Limits{})
	equal(t, fmt.Sprint(err), "fastcgi "+p.addr+": no answer until the end of the request: context deadline exceeded")
	equal(t, errors.Is(err, context.DeadlineExceeded), true)
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %s, want %s", short(got), short(want))
	}
}

func short(v any) string {
	s := fmt.Sprintf("%#v", v)
	return s[:min(len(s), 400)]
}

func BenchmarkPHPFPM(b *testing.B) {
	for _, network := range []string{"unix", "tcp"} {
		b.Run(network, func(b *testing.B) {
			p := startPool(b, network)
			req := p.request(b, `echo str_repeat("x", 10000);`, nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Do(b.Context(), p.network, p.addr, req, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
