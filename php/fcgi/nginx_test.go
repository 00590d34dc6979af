package fcgi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// nginx refuses a header for its size on the wire, so HeaderWire has to foretell its answer to the byte.
func TestHeaderWireForetellsNginx(t *testing.T) {
	t.Parallel()
	const bufferSize = 4096
	p := startPool(t, "unix")
	front := startNginx(t, p.scripts, p.addr, bufferSize)
	for _, code := range []string{
		`header("X: ".str_repeat("x", (int) $_GET["n"]));`,
		`error_log(str_repeat("e", 500)); header("X: ".str_repeat("x", (int) $_GET["n"]));`,
	} {
		req := p.request(t, code, nil)
		ask := func(n int) (wire int) {
			req.Params["QUERY_STRING"] = fmt.Sprintf("n=%d", n)
			r, err := Do(soon(t), p.network, p.addr, req, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			return r.HeaderWire
		}
		fits := 3000 + bufferSize - ask(3000)
		for n, want := range map[int]int{fits - 1: 200, fits: 200, fits + 1: 502} {
			equal(t, ask(n)-bufferSize, n-fits)
			equal(t, get(t, front+req.Params["SCRIPT_NAME"]+fmt.Sprintf("?n=%d", n)), want)
		}
	}
}

// What a header means is nginx's to say: here both judge the same bytes.
func TestHeaderAgreesWithNginx(t *testing.T) {
	t.Parallel()
	var header atomic.Value
	header.Store("")
	addr := serve(t, func(w io.Writer) error {
		_, err := io.WriteString(w, stdout(header.Load().(string))+stdout("")+end(0))
		return err
	})
	front := startNginx(t, filepath.Dir(addr), addr, 4096)
	for _, raw := range []string{
		"A: b\r\n\r\nbody", "A: b\n\nbody", "A: b\r\n\nbody", "A: b\n\r\nbody", "\r\n\r\n", "\n", "\r\n",
		"Status: 404 Not Found\r\n\r\n", "Status: 404\n\n", "status:503\n\n", "Status:   500   \n\n", "Status: 200OK\n\n", "Status: 4041\n\n",
		"Status: 20\n\n", "Status: abc\n\n", "Status:\n\n", "Status: \n\n", "Status: 999\n\n",
		"Status: 200\nStatus: 404\n\n", "Status: 404\nStatus: 200\n\n",
		"Location: /x\n\n", "Status: 200\nLocation: /x\n\n", "location: http://a/\n\n",
		"no colon\n\n", "nocolon\n\n", "nocolon\r\n\r\n", ": value\n\n", "A : b\n\n", " A: b\n\n", "A\tB: c\n\n", "A:b\n\n", "A:\n\n", "A_b: c\n\n",
		"A\x7f: b\n\n", "A\x80: b\n\n", "A\x00: b\n\n", "A: b\x00c\n\n", "A: b\rc\n\n", "A: b\r\r\n\n", "A: \x01\x7f\xff\n\n", "A(b): c\n\n", "A\"b: c\n\n",
		"A: b\n continued\n\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "<br />\nA: b\n\n", "A: b\n", "A", "",
	} {
		header.Store(raw)
		r, err := Do(soon(t), "unix", addr, Request{}, Limits{})
		var invalid *HeaderError
		want := r.Status
		if errors.As(err, &invalid) {
			want = 502
		} else if err != nil {
			t.Fatal(err)
		}
		if got := get(t, front+"/"); got != want {
			t.Errorf("%q: nginx answers %d, we say %d (%v)", raw, got, want, err)
		}
	}
}

// get asks once and follows nothing; the status is read by hand, since net/http refuses some that nginx passes on.
func get(t *testing.T, url string) (status int) {
	t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v after %q", url, err, line)
	}
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %3d", &status); err != nil {
		t.Fatalf("%s: %q", url, line)
	}
	return status
}

// startNginx serves what the responder at socket answers; dir takes its files.
func startNginx(t *testing.T, dir, socket string, bufferSize int) (url string) {
	t.Helper()
	addr := freePort(t)
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, strings.NewReplacer("DIR", dir, "ADDR", addr, "SIZE", fmt.Sprint(bufferSize), "FPM", socket).Replace(`
daemon off; pid DIR/nginx.pid; error_log DIR/nginx.log; events {}
http {
  access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/c;
  server { listen ADDR; location / {
    fastcgi_pass unix:FPM; fastcgi_buffer_size SIZE;
    fastcgi_param SCRIPT_FILENAME DIR$uri; fastcgi_param SCRIPT_NAME $uri; fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param QUERY_STRING $query_string;
  } }
}
`))
	if err := syscall.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-e", filepath.Join(dir, "nginx.log"), "-c", conf)
	// A test that panics runs no cleanup; its master must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	for range 1000 {
		if resp, err := http.Get("http://" + addr + "/"); err == nil {
			resp.Body.Close()
			return "http://" + addr
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("nginx does not answer")
	return ""
}
