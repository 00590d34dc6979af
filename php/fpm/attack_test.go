package fpm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A panel's configuration includes a folder that a customer may write: what he puts there is not believed, not told, and
// keeps nobody. FPM itself reads it as root when it starts, which is for the panel to answer.
func TestAttackInclude(t *testing.T) {
	t.Parallel()
	const customer = 54321
	base := tempDir(t)
	home, secret, main := filepath.Join(base, "home"), filepath.Join(base, "shadow"), filepath.Join(base, "php-fpm.conf")
	if err := errors.Join(os.Mkdir(home, 0o755), os.Chown(home, customer, customer), os.WriteFile(secret, []byte("root:SECRET:1::\n= SECRET\n[SECRET"), 0o600)); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(home, "pool.conf")
	own := func(text string) func() error {
		return func() error {
			return errors.Join(os.WriteFile(at, []byte(text), 0o644), os.Chown(at, customer, customer))
		}
	}
	const pool = "[evil]\nuser = root\nlisten = /run/docker.sock\npm = static\npm.max_children = 1\n"
	attacks := []struct {
		name string
		make func() error
	}{
		{"a pool of root's", own(pool)},
		{"a pool for all to write", func() error { return errors.Join(os.WriteFile(at, []byte(pool), 0o666), os.Chmod(at, 0o666)) }},
		{"a link to a file of root's", func() error { return errors.Join(os.Symlink(secret, at), os.Lchown(at, customer, customer)) }},
		{"another name of a file of root's", func() error { return os.Link(secret, at) }},
		{"a pipe", func() error { return unix.Mkfifo(at, 0o666) }},
		{"a device", func() error { return os.Symlink("/dev/zero", at) }},
		{"a terminal", func() error { return os.Symlink("/dev/tty", at) }},
		{"an include of itself", own("include = " + at + "\n")},
		{"an include of all there is", own("include = /*/*/*/*\n")},
		{"a gigabyte of nothing", func() error { return errors.Join(own("")(), os.Truncate(at, 1<<30)) }},
		{"lines of brackets", own(strings.Repeat("[", 1<<20))},
	}
	escapes := 0
	for _, a := range attacks {
		if err := errors.Join(os.WriteFile(main, []byte("[global]\nerror_log = syslog\n[good]\nuser = nobody\nlisten = /run/good.sock\npm = static\npm.max_children = 1\ninclude = "+home+"/*.conf\n"), 0o644), a.make()); err != nil {
			t.Fatal(err)
		}
		m, err := Load(phpFPM, main)
		_, evil := m.Pool("evil")
		if err == nil || evil || strings.Contains(err.Error(), "SECRET") || len(err.Error()) > 2000 {
			escapes++
			t.Errorf("%s: %v, pools %+v", a.name, err, m.Pools)
		}
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks), escapes)
}
