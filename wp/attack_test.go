package wp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A site's owner borrows root's eyes: by links on the way to his root folder, by files of
// others in his own.
func TestAttackTree(t *testing.T) {
	t.Parallel()
	base := ground(t)
	// Folders of the owner's with links in them, and others' things in his site.
	for _, f := range []struct {
		spec, content string
		uid           int
		mode          os.FileMode
	}{
		{"home/", "", siteUID, 0o755},
		{"other/", "", otherUID, 0o755},
		{"other/private.txt", "SECRET", otherUID, 0o600},
		{"site/foreign.txt", "SECRET", otherUID, 0o600},
		{"site/given.txt", "given", otherUID, 0o644},
		{"site/foreign/x.txt", "SECRET", otherUID, 0o644},
		{"site/foreign/", "", otherUID, 0o700},
		{"site/passable/x.txt", "SECRET", siteUID, 0o644},
		{"site/passable/", "", otherUID, 0o711},
		{"site/roots.txt", "root's", 0, 0o600},
	} {
		plant(t, base, f.spec, f.content, f.uid, f.mode)
	}
	plant(t, base, "home/toother->../other", "", siteUID, 0)
	plant(t, base, "home/twice->toother", "", siteUID, 0)
	plant(t, base, "home/toroot->../root/open", "", siteUID, 0)
	plant(t, base, "home/rootslink->../other", "", 0, 0)
	plant(t, base, "home/own->../site", "", siteUID, 0)
	attacks := []struct {
		name, dir, rel string
		want           string // what is read; "" refused
	}{
		{"his link to another's site", "home/toother", "file.txt", ""},
		{"by two links", "home/twice", "file.txt", ""},
		{"his link to root's, what all may read", "home/toroot", "readme.txt", "packaged"},
		{"his link to root's, what root may read", "home/toroot", "secret.txt", ""},
		{"his link to root's, what his group may read", "home/toroot", "group.txt", "group"},
		{"root's link in his folder, which he may have put there: another's private file", "home/rootslink", "private.txt", ""},
		{"root's link in his folder: what all may read", "home/rootslink", "file.txt", "SECRET"},
		{"another's private file in his folder", "site", "foreign.txt", ""},
		{"another's file that all may read", "site", "given.txt", "given"},
		{"another's private folder in his", "site", "foreign/x.txt", ""},
		{"another's folder that lets him through", "site", "passable/x.txt", "SECRET"},
		{"his own by his own link", "home/own", "own.txt", "own"},
	}
	escapes := 0
	for _, a := range attacks {
		tree, err := OpenTree(filepath.Join(base, a.dir), siteUID)
		var got []byte
		if err == nil {
			got, err = tree.ReadFile(a.rel, 100)
			tree.Close()
		}
		if string(got) != a.want || a.want == "" && !errors.Is(err, ErrRefused) {
			escapes++
			t.Errorf("%s: %q, %v; want %q", a.name, got, err, a.want)
		}
	}
	tree := openTree(t, filepath.Join(base, "site"))
	if _, err := tree.ReadDir("foreign"); !errors.Is(err, ErrRefused) {
		escapes++
		t.Errorf("another's private folder is listed: %v", err)
	}
	if _, err := tree.ReadDir("passable"); !errors.Is(err, ErrRefused) {
		escapes++
		t.Errorf("another's folder that he cannot list is listed: %v", err)
	}
	// What a process of his would get is only what he can read himself.
	if got, err := tree.ReadOwn("roots.txt", siteUID, 100); !errors.Is(err, ErrRefused) {
		escapes++
		t.Errorf("root's own file would be handed to his process: %q, %v", got, err)
	}
	if got, err := tree.ReadOwn("own.txt", siteUID, 100); string(got) != "own" {
		t.Errorf("his own: %q, %v", got, err)
	}
	const poolGroup = 4711 // which the host's list of groups does not know him in
	grouped := filepath.Join(base, "site/roots.txt")
	if err := errors.Join(os.Chown(grouped, 0, poolGroup), os.Chmod(grouped, 0o640)); err != nil {
		t.Fatal(err)
	}
	if got, err := tree.ReadOwn("roots.txt", poolGroup, 100); string(got) != "root's" {
		t.Errorf("his pool's group's: %q, %v", got, err)
	}
	if _, err := tree.ReadOwn("roots.txt", poolGroup+1, 100); !errors.Is(err, ErrRefused) {
		escapes++
		t.Errorf("another group's: %v", err)
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks)+4, escapes)
}

// counting is a site's files, and how much is read of them.
type counting struct {
	memory map[string]string
	bytes  int
}

func (c *counting) Dir() string                       { return "/srv" }
func (c *counting) Lstat(string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }

func (c *counting) ReadFile(rel string, limit int64) ([]byte, error) {
	text, ok := c.memory[rel]
	if !ok {
		return nil, fs.ErrNotExist
	}
	c.bytes += len(text)
	return []byte(text), nil
}

// Files that cost nothing to go over and much to split, and files that cannot be split
// and are included again and again: all files together are bounded.
func TestAttackIncludes(t *testing.T) {
	t.Parallel()
	padding := "/*" + strings.Repeat("x", 400_000) + "*/" // as many tokens would take the test too long
	escapes := 0
	attacks := map[string]string{
		"returns at once":     "<?php return; $x = 1" + padding + ";",
		"is never closed":     "<?php $x = (1" + padding,
		"is skipped":          "<?php if (0) { $x = 1" + padding + "; }",
		"declares a function": "<?php function a() { $x = 1" + padding + "; }",
	}
	for name, text := range attacks {
		c := &counting{memory: map[string]string{}}
		var main strings.Builder
		main.WriteString("<?php\n")
		for i := range 100 {
			c.memory[fmt.Sprintf("f%d.php", i)] = text
			fmt.Fprintf(&main, "include '/srv/f%d.php'; include '/srv/f%d.php';\n", i, i)
		}
		c.memory["wp-config.php"] = main.String() + "define( 'DB_NAME', 'shop' );\n"
		r := newReader(c, "/srv", "/srv", "/srv")
		if err := r.main("wp-config.php"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.bytes > maxLoaded+maxConfig {
			escapes++
			t.Errorf("%s: %d bytes were read", name, c.bytes)
		}
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks), escapes)
}
