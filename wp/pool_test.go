package wp_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/packaging/lab"
	"wpmend/wp"
)

const wwwData = 33

// pool is a PHP-FPM of the test's own beside a lab's, with or without the
// prepend, as a shadow is.
type pool struct {
	site   lab.Site
	socket string
	out    string // a folder that the site's code may write to
}

// startPool runs a pool for the lab's first site. With a nil prepend it is as the
// live one; directives are more lines of its configuration.
func startPool(t testing.TB, l *lab.Lab, prepend []byte, directives string) pool {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := pool{site: l.Site(0), socket: filepath.Join(dir, "s"), out: filepath.Join(dir, "out")}
	if prepend != nil {
		directives += "\nphp_admin_value[auto_prepend_file] = " + dir + "/prepend.php\n"
	}
	for _, err := range []error{
		os.Chmod(dir, 0o755), os.Mkdir(p.out, 0o755), os.Chown(p.out, wwwData, wwwData),
		os.WriteFile(dir+"/prepend.php", prepend, 0o644),
		// The mail program leaves a file behind instead of a mail.
		os.WriteFile(dir+"/mail", []byte("#!/bin/sh\ncat >>"+p.out+"/mail\n"), 0o755),
		os.WriteFile(dir+"/fpm.conf", []byte("[global]\nerror_log = "+dir+"/log\ndaemonize = no\n[t]\nuser = www-data\ngroup = www-data\nlisten = "+
			p.socket+"\npm = static\npm.max_children = 1\nphp_admin_value[sendmail_path] = "+dir+"/mail\nenv[WPTEST_OUT] = "+p.out+"\n"+
			"php_admin_value[error_log] = "+p.out+"/error\nphp_value[display_errors] = 0\nphp_value[opcache.revalidate_freq] = 0\n"+directives), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	startFPM(t, dir, p.socket)
	return p
}

// startFPM runs the FPM of dir/fpm.conf, which logs to dir/log, until the test
// ends; it returns when socket is there.
func startFPM(t testing.TB, dir, socket string, args ...string) {
	t.Helper()
	cmd := exec.Command("/usr/sbin/php-fpm8.2", append([]string{"-F", "-y", dir + "/fpm.conf"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, f := range []string{dir + "/log", dir + "/out/error"} {
				b, _ := os.ReadFile(f)
				t.Logf("%s:\n%s", f, b)
			}
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		cmd.Wait()
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			b, _ := os.ReadFile(dir + "/log")
			t.Fatalf("the pool does not listen: %s", b)
		}
	}
}

// get asks for the front page under a mask and gives headers and body.
func (p pool) get(t testing.TB, m wp.Mask) string {
	t.Helper()
	return p.ask(t, map[string]string{wp.MaskParam: m.Encode()})
}

func (p pool) ask(t testing.TB, more map[string]string) string {
	t.Helper()
	params := map[string]string{
		"SCRIPT_FILENAME": p.site.Root + "/index.php", "SCRIPT_NAME": "/index.php", "DOCUMENT_ROOT": p.site.DocRoot,
		"REQUEST_URI": "/", "REQUEST_METHOD": "GET", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1",
		"HTTP_HOST": p.site.Domain, "SERVER_NAME": p.site.Domain, "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1",
	}
	maps.Copy(params, more)
	return fastCGI(t, p.socket, params)
}

// fastCGI puts one request without a body to a responder and gives all that it
// says: wp must not know the php packages, not even in its tests.
func fastCGI(t testing.TB, socket string, params map[string]string) string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	var pairs bytes.Buffer
	for name, value := range params {
		for _, s := range []string{name, value} {
			binary.Write(&pairs, binary.BigEndian, uint32(len(s))|1<<31)
		}
		pairs.WriteString(name + value)
	}
	var request bytes.Buffer
	for _, r := range []struct {
		kind    byte
		content []byte
	}{{1, []byte{0, 1, 0, 0, 0, 0, 0, 0}}, {4, pairs.Bytes()}, {4, nil}, {5, nil}} {
		request.Write([]byte{1, r.kind, 0, 1, byte(len(r.content) >> 8), byte(len(r.content)), 0, 0})
		request.Write(r.content)
	}
	if _, err := c.Write(request.Bytes()); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for {
		var head [8]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			t.Fatalf("%v after %q", err, out.String())
		}
		content := make([]byte, binary.BigEndian.Uint16(head[4:])+uint16(head[6]))
		if _, err := io.ReadFull(c, content); err != nil {
			t.Fatal(err)
		}
		switch content = content[:len(content)-int(head[6])]; head[1] {
		case 6, 7:
			out.Write(content)
		case 3:
			return out.String()
		}
	}
}

// left lists what the site's code left in the out folder.
func (p pool) left(t testing.TB) string {
	t.Helper()
	entries, err := os.ReadDir(p.out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// activate writes plugins into the site and makes the list of active ones.
func activate(t testing.TB, l *lab.Lab, sources map[string]string, active ...string) {
	t.Helper()
	s := l.Site(0)
	for file, source := range sources {
		path := filepath.Join(s.Root, "wp-content", file)
		for _, err := range []error{os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(source), 0o644)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	option := fmt.Sprintf("a:%d:{", len(active))
	for i, file := range active {
		option += fmt.Sprintf("i:%d;s:%d:%q;", i, len(file), file)
	}
	if _, err := l.DB().Exec("UPDATE "+s.TablePrefix+"options SET option_value = ? WHERE option_name = 'active_plugins'", option+"}"); err != nil {
		t.Fatal(err)
	}
}
