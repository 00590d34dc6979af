package gateway

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
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

// startNginx runs nginx with a configuration in which DIR is its own folder, and waits until addr answers.
func startNginx(t *testing.T, dir, addr, conf string, args ...string) *exec.Cmd {
	t.Helper()
	write(t, filepath.Join(dir, "nginx.conf"), strings.ReplaceAll(`
daemon off; user root; worker_processes 1; pid DIR/nginx.pid; error_log DIR/error.log; events {}
http {
  access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
`+conf+"\n}\n", "DIR", dir))
	if args == nil {
		args = []string{"-e", dir + "/error.log", "-c", dir + "/nginx.conf"}
	}
	return start(t, addr, exec.Command("/usr/sbin/nginx", args...))
}

// start runs a server in the foreground until the test ends.
func start(t *testing.T, addr string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for range 2000 {
		// The socket is there before the master has written its title.
		title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			if strings.HasPrefix(string(title), titleHead) {
				return cmd
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	t.Fatalf("nginx does not answer on %s: %s", addr, said.String())
	return nil
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tempDir is a short folder, since sockets lie in it.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wpgw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func freeAddr(t testing.TB, ip string) string {
	t.Helper()
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fetch asks once over HTTP/1.1, byte for byte as given, and returns the body.
func fetch(t testing.TB, addr, head string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	return body
}

// echo is a FastCGI responder that answers with the parameters that it got, as JSON pairs in their order. What it
// says to stderr first is stderr(params).
func echo(t *testing.T, network, addr string, stderr func(params [][2]string) string) {
	t.Helper()
	l, err := net.Listen(network, addr)
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
				params := readParams(bufio.NewReader(conn))
				body, err := json.Marshal(params)
				if err != nil {
					return
				}
				if stderr != nil {
					_ = writeRecord(conn, 7, stderr(params))
				}
				_ = writeRecord(conn, 6, fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
				_ = writeRecord(conn, 6, "")
				_ = writeRecord(conn, 3, "\x00\x00\x00\x00\x00\x00\x00\x00")
			}()
		}
	}()
}

func writeRecord(w io.Writer, kind byte, content string) error {
	head := []byte{1, kind, 0, 1, byte(len(content) >> 8), byte(len(content)), 0, 0}
	_, err := w.Write(append(head, content...))
	return err
}

func readParams(r io.Reader) [][2]string {
	var stream []byte
	for {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil
		}
		content := make([]byte, int(binary.BigEndian.Uint16(head[4:]))+int(head[6]))
		if _, err := io.ReadFull(r, content); err != nil {
			return nil
		}
		content = content[:len(content)-int(head[6])]
		if head[1] == 4 {
			stream = append(stream, content...)
		}
		if head[1] == 5 && len(content) == 0 {
			break
		}
	}
	size := func() int {
		n := int(stream[0])
		if n < 128 {
			stream = stream[1:]
			return n
		}
		n = int(binary.BigEndian.Uint32(stream) & 0x7fffffff)
		stream = stream[4:]
		return n
	}
	pairs := [][2]string{}
	for len(stream) > 0 {
		n, v := size(), 0
		v = size()
		pairs = append(pairs, [2]string{string(stream[:n]), string(stream[n : n+v])})
		stream = stream[n+v:]
	}
	return pairs
}

// asked decodes what echo answered: later parameters win, as in PHP. nil when nothing came from echo.
func asked(body string) map[string]string {
	var pairs [][2]string
	if json.Unmarshal([]byte(body), &pairs) != nil {
		return nil
	}
	params := map[string]string{}
	for _, p := range pairs {
		params[p[0]] = p[1]
	}
	return params
}

func port(addr string) int {
	_, text, _ := net.SplitHostPort(addr)
	var n int
	_, _ = fmt.Sscan(text, &n)
	return n
}
