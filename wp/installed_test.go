package wp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pluginHead is a plugin's main file.
func pluginHead(title string, more ...string) string {
	return "<?php\n/*\nPlugin Name: " + title + "\n" + strings.Join(more, "\n") + "\n*/\n"
}

// installed plants a site with one of each kind and all sorts of oddities.
func installed(t testing.TB) (base string, tree *Tree) {
	t.Helper()
	base = ground(t)
	site := filepath.Join(base, "site")
	const content = "wp-content/"
	for name, text := range map[string]string{
		"plugins/akismet/akismet.php":                      pluginHead("Akismet \x1b[31m", "Version: 5.3"),
		"plugins/akismet/class.akismet.php":                "<?php class Akismet {}",
		"plugins/hello.php":                                pluginHead("Hello Dolly", "Version: 1.7"),
		"plugins/index.php":                                "<?php // Silence is golden.",
		"plugins/shop/shop.php":                            pluginHead("Shop"),
		"plugins/shop/shop-extra.php":                      pluginHead("Shop Extra", "Requires Plugins: hello, akismet, akismet"),
		"plugins/shop/inc/deep.php":                        pluginHead("Not found this deep"),
		"plugins/bare/bare.php":                            "<?php // no header, and yet active",
		"plugins/data/readme.txt":                          "no plugin",
		"plugins/.hidden/hidden.php":                       pluginHead("Hidden"),
		"plugins/.off.off-by-wpmend/off.php":               pluginHead("Off", "Version: 9"),
		"plugins/new\nline/a.php":                          pluginHead("Hostile"),
		"themes/parent/style.css":                          "/*\nTheme Name: Parent\nVersion: 1\n*/",
		"themes/child/style.css":                           "/*\nTheme Name: Child\nTemplate: parent\n*/",
		"themes/broken/index.php":                          "<?php // no style.css",
		"themes/.t.off-by-wpmend/style.css":                "/*\nTheme Name: T\n*/",
		"mu-plugins/must.php":                              pluginHead("Must"),
		"mu-plugins/.dotted.php":                           "<?php // loads all the same",
		"mu-plugins/must/inc.php":                          "<?php",
		"mu-plugins/note.txt":                              "",
		"db.php":                                           "<?php // Query Monitor Database Class",
		"advanced-cache.php":                               "<?php",
		"plugins/.one.php.off-by-wpmend/one.php":           pluginHead("One"),
		".object-cache.php.off-by-wpmend/object-cache.php": "<?php",
		".not-a-dropin.php.off-by-wpmend/not-a-dropin.php": "<?php",
		"mu-plugins/.m.php.off-by-wpmend/m.php":            "<?php",
	} {
		plant(t, site, content+name, text, siteUID, 0o644)
	}
	plant(t, site, content+"plugins/linked->BASE/none", "", siteUID, 0)
	plant(t, site, content+"plugins/theirs->../../dir", "", otherUID, 0)
	plant(t, site, content+"sunrise.php->nowhere", "", siteUID, 0)
	newest := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for _, name := range []string{"plugins/akismet/akismet.php", "themes/parent/style.css", "db.php"} {
		if err := os.Chtimes(filepath.Join(site, content, name), newest, newest); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.Walk(filepath.Join(site, content), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.ModTime().Equal(newest) || info.Mode()&os.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, newest.AddDate(-1, 0, 0), newest.AddDate(-1, 0, 0))
	})
	if err != nil {
		t.Fatal(err)
	}
	return base, openTree(t, site)
}

var sampleActive = ActiveState{
	Plugins: []string{"akismet/akismet.php", "bare/bare.php", "missing/missing.php", "../evil.php", "hello.php",
		"theirs/theirs.php", "shop/inc/deep.php", "akismet/readme.txt"},
	Network:  []string{"new\nline/a.php"},
	Template: "parent", Stylesheet: "child",
}

func TestComponents(t *testing.T) {
	t.Parallel()
	_, tree := installed(t)
	found, err := Components(tree, DefaultPaths(), sampleActive)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range found {
		line := fmt.Sprintf("%s %q %q %s", c.ID(), c.Path, c.Files, c.ModTime.UTC().Format("2006"))
		for _, s := range []string{c.Title, c.Version, c.Parent, strings.Join(c.Requires, "+"), c.Condition} {
			line += "|" + s
		}
		if c.Active {
			line += "|active"
		}
		got = append(got, line)
	}
	want := []string{
		`plugin:akismet "wp-content/plugins/akismet" ["akismet/akismet.php"] 2026|Akismet [31m|5.3||||active`,
		`plugin:bare "wp-content/plugins/bare" ["bare/bare.php"] 2025||||||active`,
		`plugin:hello.php "wp-content/plugins/hello.php" ["hello.php"] 2025|Hello Dolly|1.7||||active`,
		`plugin:new%0Aline "wp-content/plugins/new\nline" ["new\nline/a.php"] 2025|Hostile|||||active`,
		`plugin:shop "wp-content/plugins/shop" ["shop/shop-extra.php" "shop/shop.php" "shop/inc/deep.php"] 2025|Shop Extra|||hello.php+akismet||active`,
		`plugin:theirs "wp-content/plugins/theirs" ["theirs/theirs.php"] 0001||||||active`,
		`theme:child "wp-content/themes/child" [] 2025|Child||parent|||active`,
		`theme:parent "wp-content/themes/parent" [] 2026|Parent|1||||active`,
		`mu-plugin:.dotted.php "wp-content/mu-plugins/.dotted.php" [".dotted.php"] 2025||||||active`,
		`mu-plugin:must.php "wp-content/mu-plugins/must.php" ["must.php"] 2025|Must|||||active`,
		`drop-in:advanced-cache.php "wp-content/advanced-cache.php" ["advanced-cache.php"] 2025|||||WP_CACHE|active`,
		`drop-in:db.php "wp-content/db.php" ["db.php"] 2026||||||active`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestComponentsOfAnEmptySite(t *testing.T) {
	t.Parallel()
	found, err := Components(openTree(t, filepath.Join(ground(t), "site")), DefaultPaths(), sampleActive)
	if len(found) != 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

// A folder of plugins that is no folder, or that may not be followed, is told,
// not taken for an empty one.
func TestComponentsRefuses(t *testing.T) {
	t.Parallel()
	base, tree := installed(t)
	plugins := filepath.Join(base, "site/wp-content/plugins")
	if err := os.RemoveAll(plugins); err != nil {
		t.Fatal(err)
	}
	plant(t, base, "site/wp-content/plugins->BASE/root/closed", "", siteUID, 0)
	want := "list plugins: list " + plugins + `: refused: www-data could not read "closed", so no link may lead there`
	if _, err := Components(tree, DefaultPaths(), sampleActive); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	_, tree := installed(t)
	found, err := SwitchedOff(tree, DefaultPaths())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range found {
		from, to := Off(c)
		got = append(got, fmt.Sprintf("%s %s %q: %s -> %s", c.ID(), c.Title, c.Files, from, to))
	}
	want := []string{
		`plugin:off Off ["off/off.php"]: wp-content/plugins/off -> wp-content/plugins/.off.off-by-wpmend`,
		`plugin:one.php One ["one.php"]: wp-content/plugins/one.php -> wp-content/plugins/.one.php.off-by-wpmend/one.php`,
		`theme:t T []: wp-content/themes/t -> wp-content/themes/.t.off-by-wpmend`,
		`mu-plugin:m.php  ["m.php"]: wp-content/mu-plugins/m.php -> wp-content/mu-plugins/.m.php.off-by-wpmend/m.php`,
		`drop-in:object-cache.php  ["object-cache.php"]: wp-content/object-cache.php -> wp-content/.object-cache.php.off-by-wpmend/object-cache.php`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Off of every component, carried out, is what SwitchedOff finds, and the way
// back restores it.
func TestOffAndBack(t *testing.T) {
	t.Parallel()
	base, tree := installed(t)
	site := filepath.Join(base, "site")
	before, err := Components(tree, DefaultPaths(), sampleActive)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range before {
		from, to := Off(c)
		if _, err := os.Lstat(filepath.Join(site, to)); err == nil {
			t.Fatalf("%s is taken", to)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(site, to)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(site, from), filepath.Join(site, to)); err != nil {
			t.Fatal(err)
		}
		off, err := SwitchedOff(tree, DefaultPaths())
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, o := range off {
			if o.ID() == c.ID() {
				found = true
				if f, b := Off(o); f != from || b != to {
					t.Errorf("%s: the way back is %s -> %s, not %s -> %s", c.ID(), b, f, to, from)
				}
			}
		}
		if !found {
			t.Errorf("%s is not found while off", c.ID())
		}
		if on, err := Components(tree, DefaultPaths(), sampleActive); err != nil || len(on) != len(before)-1 {
			t.Errorf("%s off: %d components of %d, %v", c.ID(), len(on), len(before), err)
		}
		if err := os.Rename(filepath.Join(site, to), filepath.Join(site, from)); err != nil {
			t.Fatal(err)
		}
		if c.singleFile() {
			if err := os.Remove(filepath.Dir(filepath.Join(site, to))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if from, to := Off(Component{Kind: KindPrepend, Name: "wordfence-waf.php"}); from+to != "" {
		t.Errorf("a prepend would move from %q to %q", from, to)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	base := ground(t)
	tree := openTree(t, filepath.Join(base, "site"))
	file := filepath.Join(base, "site/wp-includes/version.php")
	for text, want := range map[string]string{
		"<?php\n/**\n * @global string $wp_version\n */\n$wp_version = '6.1.9';\n": "6.1.9",
		"<?php\n$wp_version = \"7.1-beta2-60000\";":                                "7.1-beta2-60000",
		"<?php\n$wp_version = $x;":                                                 file + " does not set $wp_version",
		"<?php\n$wp_version = '\x1b[31m';":                                         file + " does not set $wp_version",
	} {
		plant(t, base, "site/wp-includes/version.php", text, siteUID, 0o644)
		got, err := Version(tree, "")
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
