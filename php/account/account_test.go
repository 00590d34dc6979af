package account

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ownMounts tells that this binary runs in a mount namespace of its own.
const ownMounts = "WPMEND_TEST_OWN_MOUNTS"

// Users and groups that no file of the host names are found where its directory services know them, here
// nss-systemd(8) by a record of userdb.
func TestLookup(t *testing.T) {
	t.Parallel()
	const records = "/run/userdb"
	if os.Getenv(ownMounts) == "" {
		if err := os.MkdirAll(records, 0o755); err != nil { // a place to mount at
			t.Fatal(err)
		}
		again := exec.Command("unshare", "--mount", os.Args[0], "-test.run=^TestLookup$")
		again.Env = append(os.Environ(), ownMounts+"=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "none", records).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, text := range map[string]string{
		"ldapuser.user":   `{"userName":"ldapuser","uid":61234,"gid":61235,"disposition":"regular","homeDirectory":"/home/ldapuser"}`,
		"ldapgroup.group": `{"groupName":"ldapgroup","gid":61235,"disposition":"regular"}`,
	} {
		if err := os.WriteFile(filepath.Join(records, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("ldapuser.user", records+"/61234.user"); err != nil {
		t.Fatal(err)
	}
	if u, err := Lookup("ldapuser"); err != nil || u.Uid != "61234" || u.Gid != "61235" || u.HomeDir != "/home/ldapuser" {
		t.Errorf("%+v, %v", u, err)
	}
	if u, err := LookupID("61234"); err != nil || u.Username != "ldapuser" {
		t.Errorf("%+v, %v", u, err)
	}
	if g, err := LookupGroup("ldapgroup"); err != nil || g.Gid != "61235" {
		t.Errorf("%+v, %v", g, err)
	}
	if u, err := Lookup("root"); err != nil || u.Uid != "0" {
		t.Errorf("%+v, %v", u, err)
	}
	for _, name := range []string{"nobody-has-this-name", "61234", "", "-h", "--help", "a:b", "a\nb"} {
		if u, err := Lookup(name); err == nil {
			t.Errorf("%q is %+v", name, u)
		}
	}
	for _, id := range []string{"61236", "ldapuser", ""} {
		if u, err := LookupID(id); err == nil {
			t.Errorf("%q is %+v", id, u)
		}
	}
	// A test may be built with C, by which os/user finds them itself.
	for _, key := range []string{"ldapuser", "61234"} {
		if f, err := ask("passwd", key, func([]string) bool { return true }); err != nil || f[0] != "ldapuser" || f[2] != "61234" {
			t.Errorf("getent says %q of %s", f, key)
		}
	}
	for _, key := range []string{"", "-h", "ldapuser:x", "ldapuser\n", "ldapuser\x00", "nobody-has-this-name"} {
		if f, err := ask("passwd", key, func([]string) bool { return true }); !errors.Is(err, errNobody) {
			t.Errorf("getent says %q, %v of %q", f, err, key)
		}
	}
	badService(t)
}

// badService: a directory service that hangs, with a process of its own, or prints without end holds nobody up for long,
// and sees nothing of our environment.
func badService(t *testing.T) {
	t.Helper()
	script := filepath.Join(t.TempDir(), "getent")
	const text = `#!/bin/sh
case $3 in
hangs) sleep 300 & wait ;;
floods) exec yes ;;
*) [ -z "$` + ownMounts + `" ] && echo "$3:x:5:5:of $2::" ;;
esac
`
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "--bind", script, getent).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if f, err := ask("passwd", "alice", func(f []string) bool { return f[0] == "alice" }); err != nil || f[4] != "of passwd" {
		t.Errorf("%q, %v", f, err)
	}
	if f, err := ask("passwd", "floods", func([]string) bool { return true }); !errors.Is(err, errNobody) {
		t.Errorf("of one that prints without end: %q, %v", f, err)
	}
	if f, err := ask("passwd", "hangs", func([]string) bool { return true }); !errors.Is(err, ErrSlow) {
		t.Errorf("of one that hangs: %q, %v", f, err)
	}
}
