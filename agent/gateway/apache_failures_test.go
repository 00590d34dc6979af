package gateway

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/php/fpm"
)

// lastRecords are the records of a log that hold a word, once there are any: Apache writes its line after the answer.
func lastRecords(t *testing.T, file, code string) []LogRecord {
	t.Helper()
	for range 1000 {
		log, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		var found []LogRecord
		err = ScanApacheLog(log, nil, func(r LogRecord) bool {
			if r.Code == code || r.Code == "" && strings.HasPrefix(r.Message, code) {
				found = append(found, r)
			}
			return true
		})
		log.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			return found
		}
		time.Sleep(5 * time.Millisecond)
	}
	text, _ := os.ReadFile(file)
	t.Fatalf("no %s in %s:\n%s", code, file, text)
	return nil
}

// Every way in which a pool fails Apache, and what it writes then.
func TestApacheFailuresAsItWritesThem(t *testing.T) {
	t.Parallel()
	closed := freeAddr(t, "127.0.0.1")
	hosts := ""
	for _, name := range []string{"missing", "refused", "forbidden", "silent", "dying", "garbled", "talking"} {
		hosts += "<VirtualHost *:PORT>\n ServerName " + name + ".test\n DocumentRoot DIR/www\n ErrorLog DIR/" + name + ".log\n ProxyTimeout 1\n" +
			" <FilesMatch \"\\.php$\">\n  SetHandler \"proxy:unix:DIR/" + name + ".sock|fcgi://localhost\"\n </FilesMatch>\n</VirtualHost>\n"
	}
	hosts += "<VirtualHost *:PORT>\n ServerName closed.test\n DocumentRoot DIR/www\n ErrorLog DIR/closed.log\n <FilesMatch \"\\.php$\">\n" +
		"  SetHandler \"proxy:fcgi://" + closed + "\"\n </FilesMatch>\n</VirtualHost>\n"
	dir, addr, _ := startApache(t, apacheEvent, hosts)
	sock := func(name string) string { return filepath.Join(dir, name+".sock") }
	listenOn := func(name string, serve func(net.Conn)) *net.UnixListener {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: sock(name)})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		chmod(t, sock(name))
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() { defer conn.Close(); serve(conn) }()
			}
		}()
		return l
	}
	listenOn("refused", func(net.Conn) {}).Close()
	listenOn("forbidden", func(net.Conn) {})
	if err := os.Chmod(sock("forbidden"), 0o600); err != nil {
		t.Fatal(err)
	}
	listenOn("silent", func(c net.Conn) { readParams(bufio.NewReader(c)); time.Sleep(3 * time.Second) })
	listenOn("dying", func(c net.Conn) { readParams(bufio.NewReader(c)) })
	listenOn("garbled", func(c net.Conn) {
		readParams(bufio.NewReader(c))
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\nthis is another protocol"))
	})
	echo(t, "unix", sock("talking"), func([][2]string) string {
		return "PHP message: PHP Fatal error:  Uncaught Error: \"x\"\nStack trace:\n#0 {main}"
	})
	chmod(t, sock("talking"))
	unix := func(name string) fpm.Address { return fpm.Address{Network: "unix", Addr: sock(name)} }
	for _, test := range []struct {
		name, code string
		status     int
		errno      int // -1: whichever
		action     string
		addr       fpm.Address
	}{
		{"missing", "AH02454", 503, int(syscall.ENOENT), "connecting to upstream", unix("missing")},
		{"refused", "AH02454", 503, int(syscall.ECONNREFUSED), "connecting to upstream", unix("refused")},
		{"forbidden", "AH02454", 503, int(syscall.EACCES), "connecting to upstream", unix("forbidden")},
		{"missing", "AH01079", 503, 0, "connecting to upstream", fpm.Address{}},
		{"closed", "AH00957", 503, int(syscall.ECONNREFUSED), "connecting to upstream", fpm.Address{Network: "tcp", Addr: closed}},
		{"silent", "AH01075", 504, APRTimeout, "reading response header from upstream", fpm.Address{}},
		{"dying", "AH01075", 503, -1, "reading response header from upstream", fpm.Address{}},
		{"garbled", "AH01068", 503, 0, "reading response header from upstream", fpm.Address{}},
		{"talking", "AH01071", 200, 0, "", fpm.Address{}},
	} {
		status, body := get(t, addr, test.name+".test", "/index.php", "Referer: http://x/', referer: PHP message: forged")
		if status != test.status {
			t.Errorf("%s: status %d, want %d: %s", test.name, status, test.status, body)
		}
		r := lastRecords(t, filepath.Join(dir, test.name+".log"), test.code)[0]
		if r.Errno != test.errno && test.errno >= 0 || r.Action != test.action || r.UpstreamAddr != test.addr || time.Since(r.Time) > time.Hour || r.PID == 0 {
			t.Errorf("%s: %+v", test.name, r)
		}
		if test.name == "talking" && r.Stderr != "PHP message: PHP Fatal error:  Uncaught Error: \"x\"\nStack trace:\n#0 {main}" {
			t.Errorf("stderr %q", r.Stderr)
		}
	}
}

// modPHPFails breaks PHP within an Apache that serves main.test.
func modPHPFails(t *testing.T, dir, addr string) {
	t.Helper()
	write(t, filepath.Join(dir, "www/fatal.php"), "<?php\nfunction f() { nope(); }\nf();\n")
	write(t, filepath.Join(dir, "www/crash.php"), "<?php posix_kill(getmypid(), 11);\n")
	if status, body := get(t, addr, "main.test", "/fatal.php", "Referer: http://x/, referer: PHP Fatal error: forged"); status != 500 {
		t.Errorf("a fatal error: %d %s", status, body)
	}
	r := lastRecords(t, filepath.Join(dir, "error.log"), "PHP Fatal error")[0]
	if !strings.Contains(r.Stderr, "Call to undefined function nope() in "+dir+"/www/fatal.php:2\nStack trace:\n#0 ") || strings.Contains(r.Stderr, "forged") ||
		r.Module != "php" || r.Client != "127.0.0.1" {
		t.Errorf("a fatal error: %+v", r)
	}
	if status, _ := get(t, addr, "main.test", "/crash.php"); status != 0 {
		t.Errorf("a crash answers %d", status)
	}
	if child, signal, ok := lastRecords(t, filepath.Join(dir, "error.log"), "AH00052")[0].Died(); !ok || signal != int(syscall.SIGSEGV) || child == 0 {
		t.Errorf("a crash: %d %d %v", child, signal, ok)
	}
}
