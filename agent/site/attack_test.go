package site

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wpmend/agent/gateway"
	"wpmend/php/fpm"
)

// A customer makes his root folder a link to another's site. It must not become his, nor
// what his pool answers be taken for the other's trouble.
func TestAttackLinkedSites(t *testing.T) {
	t.Parallel()
	const attacker, victim = 33, 65534 // www-data and nobody, whom every host knows
	base, err := os.MkdirTemp("", "wpmend-site")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	own := func(uid int, dir string) {
		t.Helper()
		err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error { return errors.Join(err, os.Lchown(name, uid, uid)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	theirs, link, shared := filepath.Join(base, "b/www"), filepath.Join(base, "a/www"), filepath.Join(base, "shared")
	wordpress(t, theirs)
	wordpress(t, shared)
	if err := errors.Join(os.Chmod(base, 0o755), os.Mkdir(filepath.Dir(link), 0o755), os.Symlink(theirs, link)); err != nil {
		t.Fatal(err)
	}
	own(attacker, filepath.Dir(link))
	own(victim, filepath.Dir(theirs))
	a, b := master("/etc/a.conf", 7, "a"), master("/etc/b.conf", 8, "b")
	b.Pools[0].Directives[1].Value = "nobody"
	mine, his := vhost(link, "/run/a.sock", "a.example"), vhost(theirs, "/run/b.sock", "b.example")
	for name, vhosts := range map[string][]gateway.Vhost{"first": {mine, his}, "last": {his, mine}} {
		h := Host{Masters: []fpm.Master{a, b}, Gateways: []gateway.Gateway{{Kind: "nginx", Vhosts: vhosts}}}
		h.join(everything)
		if len(h.Sites) != 1 || h.Sites[0].Root != theirs || h.Sites[0].Owner != victim || len(h.Sites[0].Vhosts) != 1 || h.Sites[0].Domain != "b.example" {
			t.Errorf("the attacker comes %s: %+v", name, h.Sites)
		}
		if !strings.Contains(strings.Join(h.Problems, "\n"), "a link on the way belongs to www-data, and the folder that it leads to to nobody") {
			t.Errorf("the attacker comes %s: nothing is said of it: %q", name, h.Problems)
		}
	}
	// One folder of root's that two users' pools serve: two sites, each with its own.
	h := Host{Masters: []fpm.Master{a, b}, Gateways: []gateway.Gateway{{Kind: "nginx", Vhosts: []gateway.Vhost{
		vhost(shared, "/run/a.sock", "a.example"), vhost(shared, "/run/b.sock", "b.example")}}}}
	h.join(everything)
	if len(h.Sites) != 2 || h.Sites[0].Owner != attacker || h.Sites[1].Owner != victim || len(h.Sites[0].Vhosts) != 1 || len(h.Sites[1].Vhosts) != 1 {
		t.Errorf("two users of one folder: %+v", h.Sites)
	}
	t.Logf("attacks: 3, any escaped: %v", t.Failed())
}

// Roots that do not say plainly where they are, in a vhost that a panel made of a customer's words: none makes another's
// site his, and none is guessed at.
func TestAttackRoots(t *testing.T) {
	t.Parallel()
	const attacker, victim = 33, 65534
	base, err := os.MkdirTemp("", "wpmend-site")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	theirs := filepath.Join(base, "b/www")
	wordpress(t, theirs)
	if err := errors.Join(os.Chmod(base, 0o755), os.MkdirAll(filepath.Join(base, "a/www"), 0o755), os.Lchown(filepath.Join(base, "a"), attacker, attacker), os.Lchown(filepath.Join(base, "a/www"), attacker, attacker)); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(base, "b"), func(name string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(name, victim, victim))
	})
	if err != nil {
		t.Fatal(err)
	}
	b := master("/etc/b.conf", 8, "b")
	b.Pools[0].Directives[1].Value = "nobody"
	roots := []string{base + "/a/../b/www", base + "/a/www/../../b/www", base + "/*/www", base + "/[ab]/www", base + "/{a,b}/www", base + "/$host/www",
		"$document_root", "a/www", "../b/www", "", "/", "/proc/self/root" + theirs, base + "/a/www/", base + "/b/www\n", base + "/b/www\x00", "~/www", theirs + "/.", "//" + theirs}
	escapes := 0
	for _, root := range roots {
		h := Host{Masters: []fpm.Master{master("/etc/a.conf", 7, "a"), b}, Gateways: []gateway.Gateway{{Kind: "nginx", Vhosts: []gateway.Vhost{
			vhost(root, "/run/a.sock", "a.example"), vhost(theirs, "/run/b.sock", "b.example")}}}}
		h.join(everything)
		for _, s := range h.Sites {
			real, _ := filepath.EvalSymlinks(s.Root)
			if s.Owner == attacker && (real == theirs || !filepath.IsAbs(s.Root)) {
				escapes++
				t.Errorf("%q: the attacker's site is %s (%s), owner %d, %v", root, s.Root, s.Domain, s.Owner, s.Unserved())
			}
		}
	}
	t.Logf("attacks: %d, escapes: %d", len(roots), escapes)
}
