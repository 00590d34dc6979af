package wp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func plantCore(t testing.TB, base, dir string) {
	t.Helper()
	plant(t, base, dir+"/wp-load.php", "<?php", siteUID, 0o644)
	plant(t, base, dir+"/wp-includes/version.php", "<?php $wp_version = '6.1';", siteUID, 0o644)
	for ; dir != "."; dir = filepath.Dir(dir) {
		if err := os.Chown(filepath.Join(base, dir), siteUID, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindRoots(t *testing.T) {
	t.Parallel()
	const index = "<?php\n/** Loads WordPress */\ndefine( 'WP_USE_THEMES', true );\n"
	for _, tt := range []struct {
		name  string
		cores []string
		index string
		link  string
		want  []string
		core  string // of the first
	}{
		{"none", nil, "", "", nil, ""},
		{"the root itself", []string{"site"}, "", "", []string{""}, ""},
		{"the root and below", []string{"site", "site/blog", "site/en/shop", "site/a/b/c"}, "", "", []string{"", "/blog", "/en/shop"}, ""},
		{"core in a folder", []string{"site/wp"}, index + "require __DIR__ . '/wp/wp-blog-header.php';", "", []string{""}, "wp"},
		{"core deep down", []string{"site/a/b/core"}, index + "require( dirname( __FILE__ ) . '/a/b/core/wp-blog-header.php' );", "", []string{""}, "a/b/core"},
		{"core by ./", []string{"site/a/b/core"}, index + `require("./a/b/core/wp-blog-header.php");`, "", []string{""}, "a/b/core"},
		{"core by its whole path", []string{"site/a/b/core"}, index + "require_once 'BASE/site/a/b/core/wp-blog-header.php';", "", []string{""}, "a/b/core"},
		{"a comment is no require", []string{"site/a/b/core"}, index + "// require __DIR__ . '/a/b/core/wp-blog-header.php';", "", nil, ""},
		{"out of the tree", []string{"core"}, index + "require __DIR__ . '/../core/wp-blog-header.php';", "", nil, ""},
		{"plain index", []string{"site"}, index + "require __DIR__ . '/wp-blog-header.php';", "", []string{""}, ""},
		{"not looked into", []string{"site/wp-content/x", "site/uploads", "site/.git", "site/vendor/x", "site/Node_Modules"}, "", "", nil, ""},
		{"core in a subfolder's folder", []string{"site/blog/core"}, "", "site/en->blog", []string{"/blog"}, "core"},
		{"a link back", []string{"site"}, "", "site/en->.", []string{""}, ""},
		{"the index has the last word", []string{"site", "site/new"}, index + "require __DIR__ . '/new/wp-blog-header.php';", "", []string{""}, "new"},
		{"a link of the owner's", []string{"shared"}, "", "site/blog->../shared", []string{"/blog"}, ""},
		{"a link to root's private folder", []string{"root/closed"}, "", "site/blog->../root/closed", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			base := ground(t)
			for _, dir := range tt.cores {
				plantCore(t, base, dir)
			}
			if tt.index != "" {
				plant(t, base, "site/index.php", strings.ReplaceAll(tt.index, "BASE", base), siteUID, 0o644)
			}
			if strings.HasPrefix(tt.name, "core in a subfolder") {
				plant(t, base, "site/blog/index.php", index+"require __DIR__ . '/core/wp-blog-header.php';", siteUID, 0o644)
			}
			if tt.link != "" {
				plant(t, base, tt.link, "", siteUID, 0)
				if err := os.Chown(filepath.Join(base, "root"), 0, 0); err != nil {
					t.Fatal(err)
				}
				if err := os.Chown(filepath.Join(base, "root/closed"), 0, 0); err != nil {
					t.Fatal(err)
				}
			}
			got, err := FindRoots(filepath.Join(base, "site"), siteUID)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) > 0 {
				tree, err := OpenTree(got[0], siteUID)
				if err != nil {
					t.Fatal(err)
				}
				defer tree.Close()
				if core, err := FindCore(tree); err != nil || core != tt.core {
					t.Errorf("core in %q, %v; want %q", core, err, tt.core)
				}
			}
			for i := range got {
				got[i] = strings.TrimPrefix(got[i], filepath.Join(base, "site"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFindRootsIsBounded(t *testing.T) {
	t.Parallel()
	base := ground(t)
	for i := range maxFindEntries + 10 {
		if err := os.Mkdir(filepath.Join(base, "site", fmt.Sprintf("d%05d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	plantCore(t, base, "site/d00001")
	plantCore(t, base, "site/z")
	got, err := FindRoots(filepath.Join(base, "site"), siteUID)
	if diff := cmp.Diff([]string{filepath.Join(base, "site/d00001")}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := FindRoots(filepath.Join(base, "none"), siteUID); err == nil {
		t.Error("a document root that is not there has no roots")
	}
}

func BenchmarkFindRoots(b *testing.B) {
	base := ground(b)
	plantCore(b, base, "site")
	for i := range 50 {
		plant(b, base, fmt.Sprintf("site/d%d/x/", i), "", siteUID, 0o755)
	}
	for b.Loop() {
		if _, err := FindRoots(filepath.Join(base, "site"), siteUID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkComponents(b *testing.B) {
	base := ground(b)
	var active ActiveState
	for i := range 30 {
		file := fmt.Sprintf("p%02d/p%02d.php", i, i)
		plant(b, base, "site/wp-content/plugins/"+file, pluginHead("P"), siteUID, 0o644)
		active.Plugins = append(active.Plugins, file)
	}
	tree := openTree(b, filepath.Join(base, "site"))
	for b.Loop() {
		if found, err := Components(tree, DefaultPaths(), active); err != nil || len(found) != 30 {
			b.Fatal(len(found), err)
		}
	}
}
