package gateway

import (
	"context"
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

const apacheBinary = "/usr/sbin/apache2"

// apacheHead loads what a configuration of a test may use. DIR is the test's folder, PORT a free port of ADDR.
const apacheHead = `ServerRoot "DIR"
ServerName main.test
DefaultRuntimeDir "DIR"
PidFile "DIR/pid"
MPM
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule mime_module /usr/lib/apache2/modules/mod_mime.so
LoadModule env_module /usr/lib/apache2/modules/mod_env.so
LoadModule setenvif_module /usr/lib/apache2/modules/mod_setenvif.so
LoadModule rewrite_module /usr/lib/apache2/modules/mod_rewrite.so
LoadModule macro_module /usr/lib/apache2/modules/mod_macro.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule proxy_fcgi_module /usr/lib/apache2/modules/mod_proxy_fcgi.so
TypesConfig /etc/mime.types
ErrorLog "DIR/error.log"
Timeout 77
Listen ADDR:PORT
User www-data
Group www-data
DirectoryIndex index.php index.html
<Directory />
  Require all denied
  AllowOverride None
</Directory>
<Directory DIR/www>
  Require all granted
  AllowOverride All
  Options FollowSymLinks
</Directory>
`

const (
	apacheEvent = `LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
ServerLimit 1
ThreadsPerChild 8
ThreadLimit 8
MinSpareThreads 1
MaxSpareThreads 8
MaxRequestWorkers 8`
	apachePrefork = `LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule php_module /usr/lib/apache2/modules/libphp8.2.so
StartServers 1
MinSpareServers 1
MaxSpareServers 1
ServerLimit 4
MaxRequestWorkers 4`
)

// apacheConfig writes a configuration into a folder of its own.
func apacheConfig(t testing.TB, mpm, conf string) (dir, addr string) {
	t.Helper()
	dir = tempDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	addr = freeAddr(t, "127.0.0.1")
	write(t, filepath.Join(dir, "www/index.php"), "<?php echo 'x';\n")
	fill := strings.NewReplacer("DIR", dir, "ADDR", "127.0.0.1", "PORT", fmt.Sprint(port(addr)), "MPM", mpm)
	write(t, filepath.Join(dir, "apache2.conf"), fill.Replace(strings.Replace(apacheHead, "MPM", mpm, 1)+conf))
	return dir, addr
}

// startApache runs Apache with such a configuration until the test ends.
func startApache(t *testing.T, mpm, conf string) (dir, addr string, cmd *exec.Cmd) {
	t.Helper()
	dir, addr = apacheConfig(t, mpm, conf)
	cmd = exec.Command(apacheBinary, "-f", filepath.Join(dir, "apache2.conf"), "-D", "FOREGROUND", "-DSPECIAL")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "APACHE_TEST_ROOT=" + dir, "SECRET=no"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
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
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			get(t, addr, "main.test", "/") // answered by a child: all is up
			return dir, addr, cmd
		}
		time.Sleep(5 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
	t.Fatalf("apache does not answer on %s: %s\n%s", addr, said.String(), log)
	return "", "", nil
}

// apacheAsked asks for a configuration that nobody runs; files makes the answer come from the files alone.
func apacheAsked(t testing.TB, dir string, files bool) Gateway {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	info := func() string { return "/usr/lib/apache2/modules/mod_info.so" }
	if files {
		info = func() string { return "" }
	}
	g, _, err := apacheSays(ctx, apacheBinary, []string{"-f", filepath.Join(dir, "apache2.conf"), "-D", "SPECIAL"}, []string{"APACHE_TEST_ROOT=" + dir}, info)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// get asks for a path of a name and returns status and body.
func get(t testing.TB, addr, host, path string, header ...string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", path, host)
	for _, h := range header {
		head += h + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	var minor, status int // mod_php answers HTTP/1.0 where a script died
	_, _ = fmt.Sscanf(string(answer), "HTTP/1.%d %d", &minor, &status)
	headers, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	if strings.Contains(strings.ToLower(headers), "transfer-encoding: chunked") {
		body = unchunk(body)
	}
	return status, body
}

func unchunk(s string) string {
	var b strings.Builder
	for {
		size, rest, ok := strings.Cut(s, "\r\n")
		var n int
		if _, err := fmt.Sscanf(size, "%x", &n); !ok || err != nil || n == 0 || n > len(rest) {
			return b.String()
		}
		b.WriteString(rest[:n])
		s = strings.TrimPrefix(rest[n:], "\r\n")
	}
}

func mkfifo(t *testing.T, name string) {
	t.Helper()
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
}
