package wp

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The drop-ins and loaders are cut down to the lines that tell, as the plugins of these
// names write them.
func TestOwner(t *testing.T) {
	t.Parallel()
	installed := []string{"redis-cache", "w3-total-cache", "wp-rocket", "litespeed-cache", "query-monitor", "firewall", "shop", "hello.php",
		"wp-hummingbird", "sqlite-database-integration"}
	var plugins []Component
	for _, name := range installed {
		plugins = append(plugins, Component{Kind: KindPlugin, Name: name, Path: "wp-content/plugins/" + name})
	}
	// A theme of a plugin's name is no plugin.
	plugins = append(plugins, Component{Kind: KindTheme, Name: "breeze"})
	drop := func(name string) Component { return Component{Kind: KindDropIn, Name: name, Path: name} }
	must := Component{Kind: KindMUPlugin, Name: "loader.php", Path: "loader.php", Files: []string{"loader.php"}}
	padding := "<?php\n" + strings.Repeat("// x\n", 1800)
	for _, tt := range []struct {
		name string
		c    Component
		code string
		want string
	}{
		{"Redis Object Cache", drop("object-cache.php"), "<?php\n/*\nPlugin Name: Redis Object Cache Drop-In\n*/\nrequire_once WP_PLUGIN_DIR . '/redis-cache/includes/x.php';", "plugin:redis-cache"},
		{"by its words alone", drop("object-cache.php"), "<?php\n/*\nPlugin Name: Redis Object Cache Drop-In\n*/\nclass WP_Object_Cache {}", "plugin:redis-cache"},
		{"by its folder alone", drop("db.php"), "<?php include WP_CONTENT_DIR . '/plugins/shop/db.php';", "plugin:shop"},
		{"W3 Total Cache", drop("advanced-cache.php"), "<?php\n/**\n * W3 Total Cache advanced cache module\n */\ndefine('W3TC_DIR', (defined('WP_PLUGIN_DIR') ? WP_PLUGIN_DIR : WP_CONTENT_DIR . '/plugins') . '/w3-total-cache');", "plugin:w3-total-cache"},
		{"WP Rocket, by an absolute path", drop("advanced-cache.php"), "<?php\ndefine( 'WP_ROCKET_ADVANCED_CACHE', true );\ninclude '/srv/x/wp-content/plugins/wp-rocket/inc/classes/autoload.php';", "plugin:wp-rocket"},
		{"a paid edition", drop("advanced-cache.php"), "<?php\n/** Hummingbird Advanced Tools */\ndefine('WPHB_ADVANCED_CACHE', true);", "plugin:wp-hummingbird"},
		{"SQLite", drop("db.php"), "<?php\ndefine( 'SQLITE_DB_DROPIN_VERSION', '1.8.0' );", "plugin:sqlite-database-integration"},
		{"one file", drop("maintenance.php"), "<?php include '/srv/wp-content/plugins/hello.php';", "plugin:hello.php"},
		{"both agree", drop("object-cache.php"), "<?php\n// Redis Object Cache\nif (file_exists('/x/plugins/shop/a.php')) {}\ninclude '/x/plugins/redis-cache/b.php';", "plugin:redis-cache"},
		{"two folders, and the author's word", drop("object-cache.php"), "<?php\n// LSCWP\n$a = '/x/plugins/shop/a.php'; $b = '/x/plugins/firewall/b.php';", ""},
		{"a list of exceptions", drop("advanced-cache.php"), "<?php\n$never = ['/plugins/shop/'];", ""},
		{"a word of another", drop("db.php"), "<?php\n/* Plugin Name: Query Monitor Database Class */\n// works with W3 Total Cache and LiteSpeed\n", "plugin:query-monitor"},
		{"a server's name", drop("advanced-cache.php"), "<?php\n// runs under nginx, Apache and LiteSpeed\n", ""},
		{"only a comment names a folder", drop("object-cache.php"), "<?php\n// unlike /plugins/shop/x.php\n", ""},
		{"not installed", drop("object-cache.php"), "<?php\n// Docket Cache\ninclude '/x/plugins/docket-cache/a.php';", ""},
		{"a theme of that name", drop("advanced-cache.php"), "<?php\n// Breeze\n", ""},
		{"past the first 8 KiB", drop("object-cache.php"), padding + "include '/x/plugins/shop/a.php';", ""},
		{"nobody's", drop("object-cache.php"), "<?php class WP_Object_Cache {}", ""},
		{"cut within a comment", drop("object-cache.php"), "<?php include '/x/plugins/shop/a.php'; /* never ends", "plugin:shop"},
		{"no PHP", drop("db.php"), "\x00\xff\xfe", ""},
		{"empty", drop("db.php"), "", ""},

		{"a bare loader", must, "<?php\n/* Plugin Name: Firewall Loader */\nrequire_once WP_PLUGIN_DIR . '/firewall/loader.php';", "plugin:firewall"},
		{"a bare include is a warning, then no firewall", must, "<?php include_once( WP_CONTENT_DIR . '/plugins/firewall/loader.php' );", "plugin:firewall"},
		{"by a variable", must, "<?php\n$file = WP_PLUGIN_DIR . '/firewall/loader.php';\nrequire $file;", "plugin:firewall"},
		{"guarded", must, "<?php\nif (file_exists(WP_PLUGIN_DIR . '/firewall/loader.php')) include_once WP_PLUGIN_DIR . '/firewall/loader.php';", ""},
		{"silent", must, "<?php @include WP_PLUGIN_DIR . '/firewall/loader.php';", ""},
		{"silent, but required", must, "<?php @require WP_PLUGIN_DIR . '/firewall/loader.php';", "plugin:firewall"},
		{"of several plugins", must, "<?php require WP_PLUGIN_DIR . '/firewall/a.php'; require WP_PLUGIN_DIR . '/shop/b.php';", ""},
		{"one plugin twice", must, "<?php require WP_PLUGIN_DIR . '/shop/a.php'; require WP_PLUGIN_DIR . '/shop/b.php';", "plugin:shop"},
		{"names a plugin, loads another file", must, "<?php add_action('x', fn() => is_plugin_active('/plugins/shop/shop.php'));\nrequire __DIR__ . '/mine.php';", ""},
		{"in a comment", must, "<?php # require WP_PLUGIN_DIR . '/shop/b.php';", ""},
		{"a folder", Component{Kind: KindMUPlugin, Name: "loader", Path: "loader", Files: []string{"loader/loader.php"}}, "", ""},
		{"a plugin", plugins[0], "<?php require WP_PLUGIN_DIR . '/shop/b.php';", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if isPHP(tt.c.Path) {
				if err := os.WriteFile(filepath.Join(dir, tt.c.Path), []byte(tt.code), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			tree, err := OpenTree(dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			if id, ok := Owner(tree, tt.c, plugins); id != tt.want || ok != (tt.want != "") {
				t.Errorf("%q, %v; want %q", id, ok, tt.want)
			}
		})
	}
}

// What a site's files say is read without harm, and blanking comments out keeps every
// other byte at its place.
func FuzzWithoutComments(f *testing.F) {
	for _, s := range []string{"<?php // a\n'/plugins/x/'", "<?php /* a", "x<?= 1 ?>y<?php #b\r\n$c", "<?php <<<X\n// no\nX;", "\x00"} {
		f.Add([]byte(s))
	}
	plugins := []Component{{Kind: KindPlugin, Name: "x"}}
	f.Fuzz(func(t *testing.T, src []byte) {
		code := withoutComments(src)
		if len(code) > len(src) {
			t.Fatalf("%d bytes of %d", len(code), len(src))
		}
		for i, c := range code {
			if c != src[i] && c != ' ' {
				t.Fatalf("byte %d is %q, was %q", i, c, src[i])
			}
		}
		if again := withoutComments(code); !bytes.Equal(again, code) {
			t.Errorf("%q is %q the second time", code, again)
		}
		for _, id := range []string{putBy(src, plugins), loads(src, plugins)} {
			if id != "" && id != "plugin:x" {
				t.Errorf("%q is not installed", id)
			}
		}
	})
}
