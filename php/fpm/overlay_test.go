package fpm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tree describes everything below dir: names, kinds, modes, owners, times and content.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(content)
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %d:%d %o %d:%d %d %v %v %q\n", path, st.Dev, st.Ino, st.Mode, st.Uid, st.Gid, st.Nlink, st.Mtim, st.Ctim, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// ours are the mounts of this process that name what.
func ours(t testing.TB, what string) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, what) {
			found = append(found, line)
		}
	}
	return found
}

const lookAround = `<?php
$out = array();
foreach (glob('DIR/site/{,mu/,plug/}*', GLOB_BRACE) as $f) { $out[] = substr($f, strlen('DIR/site/')); }
sort($out);
$out = array('seen' => implode(' ', $out));
$out['mode'] = decoct(fileperms('DIR/site/mu')) . ' ' . fileowner('DIR/site/mu') . ' ' . filemtime('DIR/site/mu') . ' ' . decoct(fileperms('DIR/site'));
$out['write'] = @file_put_contents('DIR/site/mu/new', 'x') === 1 && @file_put_contents('DIR/site/kept', 'x') === 1 && !file_exists('DIR/site/loose') | @unlink('DIR/site/loose');
$out['written'] = @file_get_contents('DIR/site/kept');
$out['closed'] = @file_put_contents('DIR/site/closed/new', 'x');
$out['nested'] = @file_get_contents('DIR/site/up/there') . @file_get_contents('DIR/site/up/sub/there') . json_encode(@file_put_contents('DIR/site/up/new', 'x'));
$out['hidden nested'] = json_encode(is_file('DIR/site/gone/inner/x.php')) . json_encode(is_file('DIR/site/gone/inner/y.php'));
echo json_encode($out);`

func TestOverlayHidesAndKeepsWritesOut(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "")
	site := dir + "/site"
	for _, name := range []string{"db.php", "kept", "loose", "mu/a.php", "mu/b.php", "plug/real/p.php", "closed/x", "up/under", "gone/inner/under"} {
		writeFile(t, site+"/"+name, "live")
	}
	if err := os.Symlink(dir+"/elsewhere", site+"/plug/linked"); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/elsewhere/p.php", "linked")
	for _, name := range []string{"", "/mu", "/kept", "/loose"} {
		if err := os.Chown(site+name, 33, 33); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Chmod(site+"/mu", 0o2750); err != nil {
		t.Fatal(err)
	}
	// Two file systems below the site, one in the other, and one in which something is hidden.
	for _, at := range []string{"/up", "/gone/inner"} {
		mountTmpfs(t, site+at)
	}
	writeFile(t, site+"/up/there", "yes ")
	if err := os.Mkdir(site+"/up/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	mountTmpfs(t, site+"/up/sub")
	writeFile(t, site+"/up/sub/there", "too ")
	writeFile(t, site+"/gone/inner/x.php", "x")
	writeFile(t, site+"/gone/inner/y.php", "y")
	for _, name := range []string{"/up", "/up/there"} {
		if err := os.Chown(site+name, 33, 33); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, dir+"/look.php", strings.ReplaceAll(lookAround, "DIR", dir))
	info, err := os.Stat(site + "/mu")
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, site)
	base := tempDir(t)
	v := startCopy(t, m, PrivateOptions{Dir: base, Prepend: []byte("<?php\n"), Overlays: []Overlay{
		{Dir: site, Hide: []string{"db.php", "plug/linked", "not/there", "gone/inner/x.php"}}, {Dir: site + "/mu", Hide: []string{"a.php"}}}})
	for first := range 2 { // what was written stays as long as the copy lives
		var got map[string]any
		text := says(t, v.Socket(), dir+"/look.php")
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for key, want := range map[string]any{
			"write": true, "written": "x", "closed": false, "nested": "yes too false", "hidden nested": "falsetrue",
		} {
			if got[key] != want {
				t.Errorf("%s: %v, want %v", key, got[key], want)
			}
		}
		if seen := got["seen"]; strings.Contains(seen.(string), "a.php") || strings.Contains(seen.(string), "db.php") || strings.Contains(seen.(string), "linked") ||
			!strings.Contains(seen.(string), "mu/b.php") || !strings.Contains(seen.(string), "plug/real") {
			t.Errorf("it sees %s", seen)
		}
		if want := fmt.Sprintf("42750 33 %d 40755", info.ModTime().Unix()); first == 0 && got["mode"] != want {
			t.Errorf("its folders are %v, want %s", got["mode"], want)
		}
	}
	if after := tree(t, site); after != before {
		t.Errorf("the live files were\n%s and are\n%s", before, after)
	}
	if found := ours(t, base); len(found) > 0 {
		t.Errorf("mounts are seen outside: %v", found)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(base + "/c*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func mountTmpfs(t testing.TB, at string) {
	t.Helper()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestOverlayRefusals(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "")
	writeFile(t, dir+"/site/mu/a.php", "live")
	for name, target := range map[string]string{"/linked": dir + "/site", "/site/link": dir + "/site/mu"} {
		if err := os.Symlink(target, dir+name); err != nil {
			t.Fatal(err)
		}
	}
	base := tempDir(t)
	for want, o := range map[string]Overlay{
		"linked is a link":              {Dir: dir + "/linked"},
		"link is no folder":             {Dir: dir + "/site", Hide: []string{"link/a.php"}},
		"no such file or directory":     {Dir: dir + "/nothing"},
		"is no folder to lay something": {Dir: "/"},
		"is no name in " + dir:          {Dir: dir + "/site", Hide: []string{"../look.php"}},
		"not a directory":               {Dir: dir + "/fpm.conf"},
	} {
		v, err := StartPrivate(context.Background(), m, m.Pools[0], PrivateOptions{Dir: base, Prepend: []byte("<?php\n"), Overlays: []Overlay{o}})
		if err == nil {
			v.Close()
		}
		if !errors.Is(err, ErrNoOverlay) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
	}
	if left, _ := filepath.Glob(base + "/c*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestPlanLayers(t *testing.T) {
	t.Parallel()
	table := []mountPoint{{id: 1, point: "/", kind: "ext4"}, {id: 2, point: "/srv", kind: "ext4"}, {id: 3, point: "/srv/a/up", kind: "nfs4"},
		{id: 4, point: "/srv/a/up/x", kind: "tmpfs"}, {id: 5, point: "/srv/a/mu", kind: "ext4"}, {id: 6, point: "/srv/ab", kind: "ext4"},
		{id: 7, point: "/srv/a/mu", kind: "xfs"}, {id: 8, point: "/srv/a/plug/gone", kind: "ext4"}}
	layers, err := planLayers([]Overlay{{Dir: "/srv/a/mu", Hide: []string{"m.php"}}, {Dir: "/srv/a", Hide: []string{"plug/gone", "db.php"}}, {Dir: "/srv/a"}}, table)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range layers {
		got = append(got, fmt.Sprintf("%s %d %v %v", l.dir, l.mount.id, l.overlay, l.hide))
	}
	want := []string{"/srv/a 2 true [db.php plug/gone]", "/srv/a/mu 7 true [m.php]", "/srv/a/up 3 false []", "/srv/a/up/x 4 false []"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := planLayers([]Overlay{{Dir: "/srv/a/up"}}, table); err == nil || !strings.Contains(err.Error(), "/srv/a/up lies on nfs4") {
		t.Errorf("on a file server: %v", err)
	}
	for i := range maxLayers + 1 {
		table = append(table, mountPoint{id: 100 + i, point: fmt.Sprintf("/srv/a/%d", i), kind: "ext4"})
	}
	if _, err := planLayers([]Overlay{{Dir: "/srv/a"}}, table); err == nil {
		t.Error("any number of mounts is taken")
	}
}
