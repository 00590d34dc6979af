package shadow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"wpmend/agent/probe"
	"wpmend/packaging/lab"
	"wpmend/php/fpm"
	"wpmend/wp"
)

// fingerprint is what a folder holds: names, owners, modes, times and content.
func fingerprint(t testing.TB, dir string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `find "$1" -printf '%p %y %m %u %g %s %T@ %l\n' | LC_ALL=C sort | grep -v '^$'; find "$1" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum`, "sh", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// put writes a file of the site's owner.
func (st *stage) put(t testing.TB, rel, text string) {
	t.Helper()
	path := filepath.Join(st.site.Root, rel)
	for at := filepath.Dir(path); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		}
		defer func() { _ = os.Chown(at, int(st.site.Owner), int(st.site.Group)) }()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, int(st.site.Owner), int(st.site.Group)); err != nil {
		t.Fatal(err)
	}
}

func (st *stage) read(t testing.TB) {
	t.Helper()
	var err error
	if st.wp, err = st.site.Read(context.Background()); err != nil || st.wp.Database != nil {
		t.Fatal(err, st.wp.Database)
	}
}

func (st *stage) component(t testing.TB, id string) wp.Component {
	t.Helper()
	c, _, ok := st.wp.Component(id)
	if !ok {
		t.Fatalf("%s is not among %v", id, st.wp.Components)
	}
	return c
}

// writer writes wherever a cache plugin would, and fails where it sees what it should not.
const writer = `
foreach (array(ABSPATH . 'rules.txt', WP_CONTENT_DIR . '/cache-' . rand() . '.txt', WPMU_PLUGIN_DIR . '/left.txt', WP_PLUGIN_DIR . '/linked/left.txt', WP_CONTENT_DIR . '/shared/left.txt') as $f) {
	file_put_contents($f, 'x') === 1 or exit;
}
@unlink(ABSPATH . 'readme.html');
file_put_contents(WP_PLUGIN_DIR . '/plugin-02/plugin-02.php', ' ', FILE_APPEND) or exit;
file_get_contents(WP_CONTENT_DIR . '/uploads/there') === 'yes' or exit;
@file_put_contents(WP_CONTENT_DIR . '/uploads/new', 'x') === false or exit;
file_exists(WP_PLUGIN_DIR . '/linked/linked.php') or exit;
`

func TestFileSystemMasks(t *testing.T) {
	t.Parallel()
	st := newStage(t, lab.Options{Plugins: 3})
	root := st.site.Root
	elsewhere := filepath.Join(st.lab.Dir, "elsewhere")
	st.put(t, "../../elsewhere/linked/linked.php", "<?php /* Plugin Name: Linked */")
	st.put(t, "../../elsewhere/shared/x", "x")
	for name, target := range map[string]string{"plugins/linked": "linked", "shared": "shared"} {
		link := filepath.Join(root, "wp-content", name)
		if err := os.Symlink(filepath.Join(elsewhere, target), link); err != nil {
			t.Fatal(err)
		}
		if err := os.Lchown(link, int(st.site.Owner), int(st.site.Group)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(elsewhere, int(st.site.Owner), int(st.site.Group)); err != nil {
		t.Fatal(err)
	}
	uploads := filepath.Join(root, "wp-content/uploads")
	if err := os.MkdirAll(uploads, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", uploads, "tmpfs", 0, fmt.Sprintf("mode=755,uid=%d", st.site.Owner)); err != nil {
		t.Fatal(err)
	}
	defer unmount(t, uploads)
	st.put(t, "wp-content/uploads/there", "yes")
	st.put(t, "wp-content/plugins/plugin-01/plugin-01.php", "<?php\n/* Plugin Name: Writer */\n"+writer)
	st.put(t, "wp-content/mu-plugins/bad.php", "<?php exit;")
	st.put(t, "wp-content/mu-plugins/good.php", "<?php")
	st.put(t, "wp-content/db.php", "<?php exit;")
	st.put(t, "wp-content/object-cache.php", "<?php exit;")
	st.read(t)
	mu, db, cache := st.component(t, "mu-plugin:bad.php"), st.component(t, "drop-in:db.php"), st.component(t, "drop-in:object-cache.php")
	good, writes := st.component(t, "mu-plugin:good.php"), st.component(t, "plugin:plugin-01")
	before := fingerprint(t, root) + fingerprint(t, elsewhere)

	sh := st.start(t)
	defer sh.close(t)
	if ids, why := sh.Untestable(st.wp.Components); len(ids) > 0 {
		t.Fatalf("%v cannot be hidden: %s", ids, why)
	}
	for _, c := range []struct {
		mask wp.Mask
		well bool
	}{
		{wp.Mask{}, false},
		{wp.Mask{Components: []wp.Component{mu}}, false},
		{wp.Mask{Components: []wp.Component{db, cache}}, false},
		{wp.Mask{Components: []wp.Component{mu, db}}, true}, // the object cache is hidden unless it is asked for
		{wp.Mask{Components: []wp.Component{mu, db}, ObjectCache: true}, false},
		{wp.Mask{Components: []wp.Component{mu, db, writes, good}}, true},
		{wp.Mask{Components: []wp.Component{mu, db, writes}}, true},
		{wp.Mask{Components: []wp.Component{db, mu}}, true},
	} {
		a, err := sh.Put(context.Background(), Question{Target: probe.Home(st.site), Mask: c.mask})
		if err != nil || (a.Outcome == probe.Healthy && a.Closed) != c.well {
			t.Errorf("with %v and the object cache %v: %+v, %v", len(c.mask.Components), c.mask.ObjectCache, a, err)
		}
		if left, _ := filepath.Glob(st.dir + "/c*"); len(left) > maxCopies {
			t.Errorf("%d copies live", len(left))
		}
	}
	// More sets side by side than there may be copies, in questions of one round.
	var wg sync.WaitGroup
	for _, hide := range [][]wp.Component{{mu, db}, {mu, db, good}, {mu}, {db}, {good}, {}} {
		wg.Go(func() {
			a, err := sh.Ask(context.Background(), probe.Home(st.site), hide)
			if want := len(hide) > 1; err != nil || (a.Outcome == probe.Healthy) != want {
				t.Errorf("without %d side by side: %+v, %v", len(hide), a, err)
			}
		})
	}
	wg.Wait()
	if n := len(sh.copies.alive); n > maxCopies || !slices.ContainsFunc(sh.copies.alive, func(c *copied) bool { return c.key == "" }) {
		t.Errorf("%d copies live", n)
	}
	if after := fingerprint(t, root) + fingerprint(t, elsewhere); after != before {
		t.Errorf("the live files have changed:\n%s", difference(before, after))
	}
	sh.close(t)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), st.dir) || strings.Contains(string(mounts), "overlay") {
		t.Errorf("mounts are left:\n%s%v", mounts, err)
	}
}

// difference is the lines that only one of two texts has.
func difference(a, b string) string {
	var out strings.Builder
	for sign, pair := range map[string][2]string{"-": {a, b}, "+": {b, a}} {
		for line := range strings.Lines(pair[0]) {
			if !strings.Contains(pair[1], line) {
				out.WriteString(sign + line)
			}
		}
	}
	return out.String()
}

func TestWithoutOverlays(t *testing.T) {
	t.Parallel()
	st := newStage(t, lab.Options{Plugins: 2})
	st.put(t, "wp-content/mu-plugins/m.php", "<?php")
	st.read(t)
	mu, plugin := st.component(t, "mu-plugin:m.php"), st.component(t, "plugin:plugin-01")
	sh, err := Start(context.Background(), st.site, st.wp.Paths, Options{Dir: st.dir, NoOverlay: true})
	if err != nil {
		t.Fatal(err)
	}
	defer sh.close(t)
	if ids, why := sh.Untestable([]wp.Component{mu, plugin}); !slices.Equal(ids, []string{"mu-plugin:m.php"}) || why != "it was asked to do without" {
		t.Errorf("untestable are %v: %s", ids, why)
	}
	if a := ask(t, sh, plugin); a.Outcome != probe.Healthy {
		t.Errorf("a plugin masked: %+v", a)
	}
	if _, err := sh.Ask(context.Background(), probe.Home(st.site), []wp.Component{mu}); err == nil || !strings.Contains(err.Error(), "mu-plugin:m.php cannot be hidden on this host: it was asked") {
		t.Errorf("a must-use plugin masked: %v", err)
	}

	// So it is where the site lies on as many overlays as the kernel allows.
	for range 2 {
		layers := t.TempDir()
		if err := unix.Mount("tmpfs", layers, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		defer unmount(t, layers)
		if err := errors.Join(os.Mkdir(layers+"/u", 0o755), os.Mkdir(layers+"/w", 0o755)); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("overlay", st.site.Root, "overlay", 0, "lowerdir="+st.site.Root+",upperdir="+layers+"/u,workdir="+layers+"/w"); err != nil {
			t.Fatal(err)
		}
		defer unmount(t, st.site.Root)
	}
	deep := st.start(t)
	defer deep.close(t)
	if ids, why := deep.Untestable([]wp.Component{mu, plugin}); len(ids) != 1 || !strings.Contains(why, "no overlay can be laid over the site's files") {
		t.Errorf("untestable are %v: %s", ids, why)
	}
	if a := ask(t, deep, plugin); a.Outcome != probe.Healthy {
		t.Errorf("a plugin masked on overlays: %+v", a)
	}
}

func unmount(t testing.TB, at string) {
	t.Helper()
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
		t.Error(err)
	}
}

func TestRefusedLinkIsNotHidden(t *testing.T) {
	t.Parallel()
	st := newStage(t, lab.Options{})
	st.put(t, "wp-content/mu-plugins/m.php", "<?php")
	st.read(t)
	mu := st.component(t, "mu-plugin:m.php")
	// A link that is not the owner's is not followed, so what it leads to cannot be hidden.
	over := st.start(t)
	defer over.close(t)
	must := filepath.Join(st.site.Root, "wp-content/mu-plugins")
	if err := os.Rename(must, must+"-moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", must); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(must, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if ids, why := over.Untestable([]wp.Component{mu}); len(ids) != 1 || !strings.Contains(why, wp.ErrRefused.Error()) {
		t.Errorf("untestable are %v: %s", ids, why)
	}
	if _, err := over.Ask(context.Background(), probe.Home(st.site), []wp.Component{mu}); err == nil {
		t.Error("what lies behind a refused link was hidden")
	}
}

func TestDeadCopyIsNoAnswer(t *testing.T) {
	t.Parallel()
	st := newStage(t, lab.Options{Plugins: 1})
	sh := st.start(t)
	defer sh.close(t)
	broken := func(how string, f func(c *copied)) {
		t.Helper()
		c := sh.copies.alive[0]
		f(c)
		if a := ask(t, sh); a.Outcome != probe.Healthy {
			t.Errorf("%s: %+v", how, a)
		}
		if sh.copies.alive[0] == c {
			t.Errorf("%s: it still serves", how)
		}
	}
	noSocket := func(c *copied) {
		if err := os.Remove(c.private.Socket()); err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.discard(0) // requests that have begun would still be answered
	}
	broken("its socket gone", noSocket)
	broken("its master gone", func(c *copied) {
		if err := c.private.Close(); err != nil {
			t.Fatal(err)
		}
	})
	// Twice in a row is an error, and nothing is said of the site.
	start := sh.copies.start
	sh.copies.start = func(ctx context.Context, hide []wp.Component) (*fpm.Private, error) {
		v, err := start(ctx, hide)
		if err == nil {
			err = os.Remove(v.Socket())
		}
		return v, err
	}
	noSocket(sh.copies.alive[0])
	if a, err := sh.Ask(context.Background(), probe.Home(st.site), nil); err == nil || !strings.Contains(err.Error(), errDead.Error()) || a.Outcome != "" {
		t.Errorf("%+v, %v", a, err)
	}
	if left, err := filepath.Glob(st.dir + "/c*"); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestInspectForgetAndUsers(t *testing.T) {
	t.Parallel()
	st := newStage(t, lab.Options{Plugins: 2})
	// Neither may load what is broken.
	if err := st.lab.Break(0, lab.Fatal, lab.Slug(1)); err != nil {
		t.Fatal(err)
	}
	sh, err := Start(context.Background(), st.site, wp.Paths{}, Options{Dir: st.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer sh.close(t)
	i, err := sh.Inspect(context.Background())
	if err != nil || i.Prefix != st.lab.Site(0).TablePrefix || len(i.Plugins) != 2 || i.Constants["ABSPATH"] != st.site.Root+"/" {
		t.Errorf("%+v, %v", i, err)
	}
	if err := sh.Forget(context.Background(), []string{"active_plugins"}); err != nil {
		t.Error(err)
	}
	if err := st.lab.Mend(0); err != nil {
		t.Fatal(err)
	}
	if a, err := sh.Put(context.Background(), Question{Target: probe.Home(st.site), Mask: wp.Mask{AsUser: "nobody-there"}}); err == nil || !strings.Contains(err.Error(), `"nobody-there" is no user of`) {
		t.Errorf("as nobody: %+v, %v", a, err)
	}
	admin := *probe.Home(st.site)
	admin.Path += "wp-admin/"
	if a, err := sh.Put(context.Background(), Question{Target: &admin, Mask: wp.Mask{AsUser: "admin"}}); err != nil || a.Outcome != probe.Healthy {
		t.Errorf("as admin: %+v, %v", a, err)
	}
}
