package wp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests run as root, as wpmend does, and give files away.
const (
	siteUID  = 33 // www-data: its group is asked for by name
	otherUID = 54321
)

// plant makes one file under base: what ends in "/" is a folder, what holds
// "->" a link.
func plant(t testing.TB, base, spec, content string, uid int, mode fs.FileMode) {
	t.Helper()
	name, target, link := strings.Cut(spec, "->")
	path := filepath.Join(base, name)
	var err error
	switch {
	case link:
		err = os.Symlink(strings.ReplaceAll(target, "BASE", base), path)
	case strings.HasSuffix(name, "/"):
		err = os.MkdirAll(path, 0o755)
	default:
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
	}
	if err == nil {
		err = os.Lchown(path, uid, 0)
	}
	if err == nil && !link {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ground is a folder with a site in it and things around the site.
func ground(t testing.TB) (base string) {
	t.Helper()
	// Not t.TempDir: its parent is closed to the site's owner.
	base, err := os.MkdirTemp("", "wpmend-tree")
	if err == nil {
		err = os.Chmod(base, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	for _, f := range []struct {
		spec, content string
		uid           int
		mode          fs.FileMode
	}{
		{"site/", "", siteUID, 0o755},
		{"site/own.txt", "own", siteUID, 0o600},
		{"site/dir/in.txt", "in", siteUID, 0o644},
		{"site/dir/", "", siteUID, 0o755},
		{"site/loose/", "", siteUID, 0o775},
		{"site/strange/", "", otherUID, 0o755},
		{"site/locked/", "", siteUID, 0o700},
		{"site/locked/x.txt", "x", siteUID, 0o600},
		{"root/open/readme.txt", "packaged", 0, 0o644},
		{"root/open/secret.txt", "SECRET", 0, 0o600},
		{"root/closed/readme.txt", "SECRET", 0, 0o644},
		{"root/closed/", "", 0, 0o700},
		{"root/unlisted/readme.txt", "unlisted", 0, 0o644},
		{"root/unlisted/", "", 0, 0o711},
		{"root/anyone/own.txt", "anyone", siteUID, 0o644},
		{"root/anyone/", "", 0, 0o777},
		{"root/sticky/own/x.txt", "sticky", siteUID, 0o644},
		{"root/sticky/own/", "", siteUID, 0o755},
		{"root/sticky/theirs/x.txt", "SECRET", siteUID, 0o644},
		{"root/sticky/theirs/", "", otherUID, 0o755},
		{"root/sticky/", "", 0, 0o777 | fs.ModeSticky},
		{"other/file.txt", "SECRET", otherUID, 0o644},
	} {
		plant(t, base, f.spec, f.content, f.uid, f.mode)
	}
	group := filepath.Join(base, "root/open/group.txt")
	if err := errors.Join(os.WriteFile(group, []byte("group"), 0o640), os.Chown(group, 0, siteUID)); err != nil {
		t.Fatal(err)
	}
	return base
}

func openTree(t testing.TB, dir string) *Tree {
	t.Helper()
	tree, err := OpenTree(dir, siteUID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

func TestTreeFollowsOnlyTrustedLinks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		link string // planted in the site
		uid  int    // its maker
		read string
		want string // the content, or what the error ends in
	}{
		{"no link", "", 0, "dir/in.txt", "in"},
		{"the owner's, inside", "a->dir/in.txt", siteUID, "a", "in"},
		{"root's, inside", "a->dir", 0, "a/in.txt", "in"},
		{"absolute, inside", "a->BASE/site/dir", siteUID, "a/in.txt", "in"},
		{"up and back", "dir/a->../own.txt", siteUID, "dir/a", "own"},
		{"a stranger's", "a->dir/in.txt", otherUID, "a", `the link "a" belongs to uid 54321, not to root or the site's owner`},
		{"in a folder that others write", "loose/a->../own.txt", siteUID, "loose/a", `"loose" has mode 0775, so others can write there`},
		{"in a stranger's folder", "strange/a->../own.txt", siteUID, "strange/a", `"strange" belongs to uid 54321`},
		{"root's packaged folder", "plugins->BASE/root/open", siteUID, "plugins/readme.txt", "packaged"},
		{"root's private file", "plugins->BASE/root/open", siteUID, "plugins/secret.txt", `www-data could not read "secret.txt", so no link may lead there`},
		{"root's private file, by root's link", "a->BASE/root/open/secret.txt", 0, "a", `www-data could not read "secret.txt", so no link may lead there`},
		{"in root's private folder", "a->BASE/root/closed/readme.txt", siteUID, "a", `www-data could not read "closed", so no link may lead there`},
		{"readable by the owner's group", "a->BASE/root/open/group.txt", 0, "a", "group"},
		{"a stranger's file", "a->BASE/other/file.txt", siteUID, "a", `the link leads to "file.txt", which belongs to uid 54321, not to root or the site's owner`},
		{"through a folder of anyone's", "a->BASE/root/anyone/own.txt", siteUID, "a", `"anyone" has mode 0777, so others can write there`},
		{"through a sticky folder, own", "a->../root/sticky/own/x.txt", siteUID, "a", "sticky"},
		{"through a sticky folder, a stranger's", "a->../root/sticky/theirs/x.txt", siteUID, "a", `"theirs" belongs to uid 54321`},
		{"a loop", "a->a", siteUID, "a", "too many levels of symbolic links"},
		{"to nowhere", "a->nothing", siteUID, "a", "no such file or directory"},
		{"a file as a folder", "a->own.txt", siteUID, "a/x", "not a directory"},
		{"a proc link", "a->/proc/self/root/etc/shadow", siteUID, "a", `so no link may lead there`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			base := ground(t)
			if tt.link != "" {
				plant(t, filepath.Join(base, "site"), strings.ReplaceAll(tt.link, "BASE", base), "", tt.uid, 0)
			}
			b, err := openTree(t, filepath.Join(base, "site")).ReadFile(tt.read, 100)
			got := string(b)
			if err != nil {
				got = err.Error()
			}
			if strings.Contains(got, "SECRET") || !strings.HasSuffix(got, tt.want) {
				t.Errorf("ReadFile(%q) = %q, want %q", tt.read, got, tt.want)
			}
		})
	}
}

func TestTreeStaysInside(t *testing.T) {
	t.Parallel()
	base := ground(t)
	tree := openTree(t, filepath.Join(base, "site"))
	for _, rel := range []string{"..", "../other/file.txt", "/etc/passwd", "dir/../../other", "", "dir/../..", "own.txt\x00"} {
		_, err := tree.ReadFile(rel, 100)
		if rel == "" {
			if !errors.Is(err, unix.EISDIR) {
				t.Errorf("the tree itself read as a file: %v", err)
			}
			continue
		}
		if !errors.Is(err, ErrRefused) {
			t.Errorf("ReadFile(%q): %v, want it refused", rel, err)
		}
	}
	if _, err := tree.Stat("dir/../own.txt"); err != nil {
		t.Errorf("a path that comes back: %v", err)
	}
}

func TestTreeReadsOnlyBoundedRegularFiles(t *testing.T) {
	t.Parallel()
	base := ground(t)
	site := filepath.Join(base, "site")
	tree := openTree(t, site)
	if err := unix.Mkfifo(filepath.Join(site, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	plant(t, site, "sparse", "", siteUID, 0o644)
	if err := os.Truncate(filepath.Join(site, "sparse"), 1<<40); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(base, "root/open/secret.txt"), filepath.Join(site, "hard.txt")); err != nil {
		t.Fatal(err)
	}
	for rel, want := range map[string]string{
		"fifo":     "it is not a regular file",
		"dir":      "is a directory",
		"sparse":   "it has 1099511627776 bytes, more than the 100 that are read of such a file",
		"hard.txt": `www-data could not read "hard.txt", so no link may lead there`,
		"none":     "no such file or directory",
	} {
		b, err := tree.ReadFile(rel, 100)
		if b != nil || err == nil || !strings.HasSuffix(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(site, rel)) {
			t.Errorf("ReadFile(%q) = %q, %v; want %q", rel, b, err, want)
		}
	}
	if b, err := tree.ReadHead("sparse", 10); err != nil || string(b) != strings.Repeat("\x00", 10) {
		t.Errorf("head of the sparse file: %q, %v", b, err)
	}
	if b, err := tree.ReadFile("own.txt", 3); err != nil || string(b) != "own" {
		t.Errorf("a file of exactly the limit: %q, %v", b, err)
	}
}

func TestTreeLists(t *testing.T) {
	t.Parallel()
	base := ground(t)
	site := filepath.Join(base, "site")
	plant(t, site, "a->own.txt", "", siteUID, 0)
	plant(t, site, "un->"+base+"/root/unlisted", "", siteUID, 0)
	tree := openTree(t, site)
	entries, err := tree.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Type() != e.Type() || info.Name() != e.Name() {
			t.Errorf("%s: entry says %v, its info %s %v", e.Name(), e.Type(), info.Name(), info.Mode())
		}
		got = append(got, e.Name())
	}
	if s := strings.Join(got, " "); s != "a dir locked loose own.txt strange un" {
		t.Errorf("listed %q", s)
	}
	if info, err := tree.Lstat("a"); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("Lstat of a link: %v, %v", info, err)
	}
	if info, err := tree.Stat("a"); err != nil || info.Size() != 3 {
		t.Errorf("Stat of a link: %v, %v", info, err)
	}
	// Readable one by one, but not to be listed by the site's owner.
	if _, err := tree.ReadFile("un/readme.txt", 100); err != nil {
		t.Error(err)
	}
	if _, err := tree.ReadDir("un"); !errors.Is(err, ErrRefused) {
		t.Errorf("listing what the owner cannot list: %v", err)
	}
}

func TestTreeRefusesACrowdedFolder(t *testing.T) {
	t.Parallel()
	site := t.TempDir()
	for i := range maxEntries + 1 {
		if err := os.Link(filepath.Join(site, "0"), filepath.Join(site, fmt.Sprint(i))); err != nil && i > 0 {
			t.Fatal(err)
		}
		if i == 0 {
			plant(t, site, "0", "", siteUID, 0o644)
		}
	}
	_, err := openTree(t, site).ReadDir(".")
	if err == nil || err.Error() != "list "+site+": it holds more than 20000 entries" {
		t.Errorf("got %v", err)
	}
}

// A link that is exchanged all the time never shows what it must not.
func TestTreeUnderExchange(t *testing.T) {
	t.Parallel()
	base := ground(t)
	site := filepath.Join(base, "site")
	plant(t, site, "good->dir", "", siteUID, 0)
	plant(t, base, "site/bad->BASE/root/closed", "", siteUID, 0)
	plant(t, site, "dir/readme.txt", "fine", siteUID, 0o644)
	tree := openTree(t, site)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(site, "good"), unix.AT_FDCWD, filepath.Join(site, "bad"), unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	fine := 0
	for range 3000 {
		b, err := tree.ReadFile("good/readme.txt", 100)
		if err == nil && string(b) != "fine" {
			t.Fatalf("read %q", b)
		}
		if err == nil {
			fine++
		} else if !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if fine == 0 {
		t.Error("the link was never followed: the test tested nothing")
	}
}

func TestOpenTree(t *testing.T) {
	t.Parallel()
	base := ground(t)
	plant(t, base, "byroot->site", "", 0, 0)
	plant(t, base, "byowner->site", "", siteUID, 0)
	plant(t, base, "byother->site", "", otherUID, 0)
	plant(t, base, "toroot->root/open", "", otherUID, 0)
	plant(t, base, "toclosed->root/closed", "", siteUID, 0)
	plant(t, base, "toother->other", "", otherUID, 0)
	if err := os.Chown(filepath.Join(base, "other"), otherUID, 0); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		"site":         "",
		"byroot":       "",
		"byowner":      "",
		"byother":      "a link on the way belongs to uid 54321, not to root or the site's owner",
		"toroot":       "a link on the way belongs to uid 54321, not to root or the site's owner",
		"toclosed":     `www-data could not read "closed", so no link may lead there`,
		"toother":      "", // the folder's own owner made the link: it is that user's site
		"site/own.txt": "not a directory",
		"none":         "no such file or directory",
	} {
		tree, err := OpenTree(filepath.Join(base, dir), siteUID)
		if err == nil {
			if tree.Dir() != filepath.Join(base, dir) || tree.Owner() != siteUID {
				t.Errorf("%s: Dir %q, Owner %d", dir, tree.Dir(), tree.Owner())
			}
			tree.Close()
		}
		if (want == "") != (err == nil) || (err != nil && !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("OpenTree(%s): %v, want %q", dir, err, want)
		}
	}
}

// The tree's own folder may be root's, read as it is: only links are judged.
func TestTreeKeepsNoDescriptors(t *testing.T) {
	base := ground(t)
	tree := openTree(t, filepath.Join(base, "site"))
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	before := count()
	for range 50 {
		tree.ReadFile("own.txt", 10)
		tree.ReadFile("none/x", 10)
		tree.ReadFile("dir", 10)
		tree.ReadDir("own.txt")
		tree.ReadDir(".")
		tree.Lstat("own.txt")
		tree.Stat("../x")
		OpenTree(filepath.Join(base, "none"), siteUID)
	}
	if after := count(); after > before+20 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
