package errlog

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What a customer can put in the place of a log in his own folder: nothing of another's is
// read, nothing is waited for.
func TestAttackLog(t *testing.T) {
	t.Parallel()
	const customer = 54321
	base := t.TempDir()
	logs, secret := filepath.Join(base, "logs"), filepath.Join(base, "secret")
	at := filepath.Join(logs, "error.log")
	if err := errors.Join(os.Mkdir(logs, 0o755), os.Chown(logs, customer, customer), os.WriteFile(secret, []byte("SECRET"), 0o600)); err != nil {
		t.Fatal(err)
	}
	const none = "nothing, without an error" // no line within the bound
	attacks := []struct {
		name string
		make func() error
		want string // "" refused
	}{
		{"a hard link to root's file", func() error { return os.Link(secret, at) }, ""},
		{"a link to root's file", func() error { return os.Symlink(secret, at) }, ""},
		{"a pipe", func() error { return unix.Mkfifo(at, 0o666) }, ""},
		{"a folder", func() error { return os.Mkdir(at, 0o755) }, ""},
		{"a socket", func() error { return unix.Mknod(at, unix.S_IFSOCK|0o666, 0) }, ""},
		{"a device", func() error { return unix.Mknod(at, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) }, ""},
		{"a terabyte of nothing", func() error {
			return errors.Join(os.WriteFile(at, nil, 0o644), os.Truncate(at, 1<<40))
		}, none},
		{"his own with two names", func() error {
			return errors.Join(os.WriteFile(at, []byte("mine"), 0o600), os.Chown(at, customer, customer), os.Link(at, at+".1"))
		}, "mine"},
	}
	escapes := 0
	for _, a := range attacks {
		if err := a.make(); err != nil {
			t.Fatal(err)
		}
		text, err := ReadTail(at, 4)
		if len(text) == 0 && err == nil {
			text = []byte(none)
		}
		if string(text) != a.want || a.want == "" && (err == nil || errors.Is(err, syscall.ENOENT)) {
			escapes++
			t.Errorf("%s: %q, %v; want %q", a.name, text, err, a.want)
		}
		if err := errors.Join(os.RemoveAll(at), os.RemoveAll(at+".1")); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks), escapes)
}
