package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const customer = 54321

// listen binds a socket, and says whether anybody who connected was told something.
func listen(t *testing.T, path string) (heard func() bool) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	words := make(chan bool, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(c)
			c.Close()
			words <- len(b) > 0
		}
	}()
	return func() bool {
		select {
		case w := <-words:
			return w
		case <-time.After(10 * time.Second):
			t.Error("nobody connected")
			return false
		}
	}
}

// A customer owns the folder where his pool listens, and puts there what leads elsewhere.
func TestAttackSocket(t *testing.T) {
	t.Parallel()
	base, err := os.MkdirTemp("/tmp", "wpsock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	run, home := filepath.Join(base, "run"), filepath.Join(base, "home")
	if err := errors.Join(os.Chmod(base, 0o755), os.Mkdir(run, 0o755), os.Mkdir(home, 0o755), os.Chown(home, customer, customer)); err != nil {
		t.Fatal(err)
	}
	roots, other, his := run+"/docker.sock", run+"/php.sock", home+"/mine.sock"
	heard := map[string]func() bool{roots: listen(t, roots), other: listen(t, other), his: listen(t, his)}
	at := home + "/php.sock"
	link := func(to, from string, uid int) error {
		return errors.Join(os.Symlink(to, from), os.Lchown(from, uid, uid))
	}
	attacks := []struct {
		name  string
		make  func() error
		addr  string
		leads string // to whom a plain connect comes
		taken bool
	}{
		{"a link to a socket of root's", func() error { return link(roots, at, customer) }, at, roots, false},
		{"a link to a link", func() error { return errors.Join(link(roots, home+"/two", customer), link("two", at, customer)) }, at, roots, false},
		{"a folder that is a link to that of another's pool", func() error { return link(run, home+"/run", customer) }, home + "/run/php.sock", other, false},
		{"a link to itself by ..", func() error { return link("../run/php.sock", at, customer) }, at, other, false},
		{"another name of root's socket", func() error { return os.Link(roots, at) }, at, roots, false},
		{"root's socket moved here", func() error { return os.Rename(other, at) }, at, other, false},
		{"root's link into his folder, where a link lies", func() error {
			return errors.Join(link(at, run+"/site.sock", 0), link(roots, at, customer))
		}, run + "/site.sock", roots, false},
		{"his own by his own link", func() error { return link(his, at, customer) }, at, his, false},
		{"root's link to his own", func() error { return link(his, run+"/site.sock", 0) }, run + "/site.sock", his, true},
		{"root's link of a folder", func() error { return link(run, base+"/var", 0) }, base + "/var/docker.sock", roots, true},
		{"the plain name", func() error { return nil }, his, his, true},
	}
	escapes := 0
	for _, a := range attacks {
		if err := a.make(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		conn, err := Dial(ctx, "unix", a.addr)
		cancel()
		if err == nil {
			fmt.Fprint(conn, "orders of root's")
			conn.Close()
		}
		told := heard[a.leads]()
		if told != a.taken || errors.Is(err, ErrElsewhere) == a.taken {
			escapes++
			t.Errorf("%s: it heard root: %v, want %v; %v", a.name, told, a.taken, err)
		}
		if a.name == "root's socket moved here" {
			if err := os.Rename(at, other); err != nil {
				t.Fatal(err)
			}
		}
		for _, left := range []string{at, home + "/two", home + "/run", run + "/site.sock", base + "/var"} {
			if rerr := os.Remove(left); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
				t.Fatal(rerr)
			}
		}
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks), escapes)
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	if _, err := Dial(context.Background(), "unix", t.TempDir()+"/absent"); !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrElsewhere) {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := Dial(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
