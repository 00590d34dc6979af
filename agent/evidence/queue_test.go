package evidence

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/php/process"
)

// listen opens a socket that nobody accepts at, with a backlog of its own.
func listen(t testing.TB, domain int, at unix.Sockaddr, backlog int) int {
	t.Helper()
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, at); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		t.Fatal(err)
	}
	return fd
}

func connect(t *testing.T, at fpm.Address) {
	t.Helper()
	conn, err := net.Dial(at.Network, at.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
}

func TestQueue(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.sock")
	at := fpm.Address{Network: "unix", Addr: path}
	if q, b := queue(at); q != -1 || b != -1 {
		t.Errorf("nobody: %d, %d", q, b)
	}
	listen(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, 7)
	for want := range 4 {
		if q, b := queue(at); q != want || b != 7 {
			t.Errorf("%d of %d wait, want %d of 7", q, b, want)
		}
		connect(t, at)
	}
	// Whoever had the name before is not who has it now.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if q, b := queue(at); q != -1 || b != -1 {
		t.Errorf("a deleted file: %d, %d", q, b)
	}
	listen(t, unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, 3)
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		if q, b := queue(fpm.Address{Network: "unix", Addr: name}); q != 0 || b != 3 {
			t.Errorf("%s: %d, %d", name, q, b)
		}
	}

	tcp := listen(t, unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 83, 1, 1}}, 5)
	all := listen(t, unix.AF_INET6, &unix.SockaddrInet6{}, 6)
	own := portOf(t, tcp)
	for what, tc := range map[string]struct {
		addr    string
		backlog int
	}{
		"its own address": {"127.83.1.1:" + own, 5}, "another address": {"127.83.1.2:" + own, -1},
		"all addresses": {"127.0.0.1:" + portOf(t, all), 6}, "of IPv6": {"[::1]:" + portOf(t, all), 6}, "no number": {"php:9000", -1}, "": {"", -1},
	} {
		if _, b := queue(fpm.Address{Network: "tcp", Addr: tc.addr}); b != tc.backlog {
			t.Errorf("%s: %d", what, b)
		}
	}
	at = fpm.Address{Network: "tcp", Addr: "127.83.1.1:" + own}
	connect(t, at)
	connect(t, at)
	if q, b := queue(at); q != 2 || b != 5 {
		t.Errorf("%d of %d", q, b)
	}
	if q, b := queue(fpm.Address{}); q != -1 || b != -1 {
		t.Errorf("%d of %d", q, b)
	}
	// A master with a network of its own has its queue there.
	m := fpm.Master{Process: process.Process{PID: apart(t)}}
	if nearby(m) || !nearby(fpm.Master{}) || !nearby(fpm.Master{Process: process.Process{PID: os.Getpid()}}) {
		t.Error("which network a master is in")
	}
	// A group's other peers, one alive and one not.
	dead := fpm.Address{Network: "tcp", Addr: "127.83.1.3:9"}
	s := site.Site{Handler: site.FPM, Asked: at, Location: gateway.PHPLocation{Peers: []fpm.Address{at, {Network: "unix", Addr: path}}, Backups: []fpm.Address{dead}}}
	found := socket(s)
	if len(found.Peers) != 2 || found.Peers[0].Dial != nil || found.Peers[1].Dial == nil || found.Peers[1].Address != dead.Addr {
		t.Errorf("%+v", found.Peers)
	}
	if found.Dial != nil || found.Queue != 2 || found.Backlog != 5 || found.Asked != at.Addr || found.Address != "" {
		t.Errorf("%+v", found)
	}
}

func portOf(t *testing.T, fd int) string {
	t.Helper()
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return strconv.Itoa(a.Port)
	case *unix.SockaddrInet6:
		return strconv.Itoa(a.Port)
	}
	return ""
}

// apart is the PID of a process in a network namespace of its own.
func apart(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	from := net.IPv4(127, 0, 0, 1)
	for clients, want := range map[string]bool{"": true, "any": true, "127.0.0.1": true, "192.0.2.1, 127.0.0.1": true, "192.0.2.1,::1": false, "::ffff:127.0.0.1": true, "x": false} {
		if allowed(clients, from) != want {
			t.Errorf("%q", clients)
		}
	}
}

func FuzzSockDiag(f *testing.F) {
	message := make([]byte, unixMsgLen+12)
	message[0], message[2] = unix.AF_UNIX, stateListen
	binary.NativeEndian.PutUint16(message[unixMsgLen:], 12)
	binary.NativeEndian.PutUint16(message[unixMsgLen+2:], unixQueueLen)
	f.Add(message)
	inet := make([]byte, inetMsgLen+4)
	inet[0] = unix.AF_INET6
	f.Add(inet)
	f.Fuzz(func(t *testing.T, msg []byte) {
		if _, ok := parseUnix(msg, "/run/a.sock", 5, 6); ok && len(msg) < unixMsgLen+12 {
			t.Error("a listener without a file")
		}
		if l, own, ok := parseInet(msg); ok && (!own.Addr().IsValid() || l.queue < 0 || l.backlog < 0) {
			t.Errorf("%+v, %v", l, own)
		}
		if _, ago, ok := parseReceived(msg); ok && (ago < 0 || ago > 50*24*time.Hour) {
			t.Errorf("%v", ago)
		}
	})
}

func BenchmarkPoolAndQueue(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.sock")
	listen(b, unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, 7)
	at := fpm.Address{Network: "unix", Addr: path}
	procs, err := process.List()
	if err != nil {
		b.Fatal(err)
	}
	masters, _ := fpm.Discover(procs)
	for b.Loop() {
		queue(at)
		for _, m := range masters {
			pool(context.Background(), site.Site{Master: m, Pool: m.Pools[0]}, sighting{})
		}
	}
	b.ReportMetric(float64(len(masters)), "masters")
}
