package wp

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A core in a folder of its own: which wp-config.php is read, and where things lie.
func TestConfigOfACoreBelow(t *testing.T) {
	t.Parallel()
	const access = "<?php\ndefine('DB_NAME', 'a'); define('DB_USER', 'b'); define('DB_PASSWORD', 'c'); define('DB_HOST', 'd');\n$table_prefix = 'x_';\n"
	for name, tt := range map[string]struct {
		files   map[string]string
		core    string
		config  string // relative to the site
		content string
		err     string
	}{
		"beside the core": {map[string]string{"wp-config.php": access + "define('WP_CONTENT_DIR', __DIR__ . '/app');"}, "wp", "wp-config.php", "app", ""},
		"in the core":     {map[string]string{"wp-config.php": "<?php die;", "wp/wp-config.php": access}, "wp", "wp/wp-config.php", "wp/wp-content", ""},
		"two deep": {map[string]string{"a/wp-config.php": access + "define('WP_CONTENT_DIR', dirname(__FILE__) . '/../content');"}, "a/wp",
			"a/wp-config.php", "content", ""},
		"another WordPress's": {map[string]string{"wp-config.php": access, "wp-settings.php": "<?php"}, "wp", "", "", "no wp-config.php in"},
		"an include of the docroot's": {map[string]string{"wp-config.php": "<?php require 'db.php';\n$table_prefix = 'x_';", "db.php": access}, "wp",
			"wp-config.php", "wp/wp-content", ""},
		"a link to the core": {map[string]string{"wp-config.php": "<?php", "wp->../shared/core": "", "../shared/wp-config.php": access}, "wp",
			"../shared/wp-config.php", "wp/wp-content", ""},
		"out of the tree": {nil, "../other", "", "", "is no folder of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := ground(t)
			for dir := range map[string]bool{"site/wp": true, "site/a/wp": true, "shared/core": true} {
				if strings.HasPrefix(name, "a link") && dir == "site/wp" {
					continue
				}
				plantCore(t, base, dir)
			}
			for file, text := range tt.files {
				plant(t, base, filepath.Join("site", file), text, siteUID, 0o644)
			}
			tree := openTree(t, filepath.Join(base, "site"))
			c, err := ReadConfigOf(tree, tt.core)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p, err := c.Paths()
			if want := filepath.Join(base, "site", tt.config); c.File != want || err != nil || p.Content != tt.content || !c.TellsDatabase() || c.Core != tt.core {
				t.Errorf("config %s, want %s; content %q, %v; %+v", c.File, want, p.Content, err, c.Gaps)
			}
		})
	}
}

// What an inspection says comes from the site: it opens no folder that the site's
// files do not.
func TestReadInspectedTrustsNoPath(t *testing.T) {
	t.Parallel()
	base := ground(t)
	plantCore(t, base, "site/wp")
	plant(t, base, "site/wp-config.php", "<?php require 'vendor/autoload.php';", siteUID, 0o644)
	plant(t, base, "site/app/plugins/a/a.php", "<?php", siteUID, 0o644)
	plant(t, base, "site/closed->../root/closed", "", siteUID, 0)
	site := filepath.Join(base, "site")
	tree := openTree(t, site)
	for name, tt := range map[string]struct {
		said   map[string]string
		chroot string
		want   string
		err    error
	}{
		"the truth":              {map[string]string{"ABSPATH": "BASE/wp/", "WP_CONTENT_DIR": "BASE/app"}, "", "app", nil},
		"by the core":            {map[string]string{"ABSPATH": "BASE/wp/", "WP_CONTENT_DIR": "BASE/wp/../app/"}, "", "app", nil},
		"in a chroot":            {map[string]string{"ABSPATH": "/wp/", "WP_CONTENT_DIR": "/app"}, "BASE", "app", nil},
		"outside":                {map[string]string{"ABSPATH": "BASE/wp/", "WP_CONTENT_DIR": "/etc"}, "", "", ErrOutside},
		"plugins outside":        {map[string]string{"ABSPATH": "BASE/wp/", "WP_CONTENT_DIR": "BASE/app", "WP_PLUGIN_DIR": "BASE/../root"}, "", "", ErrOutside},
		"root's private folder":  {map[string]string{"ABSPATH": "BASE/wp/", "WP_CONTENT_DIR": "BASE/closed"}, "", "", ErrRefused},
		"no path":                {map[string]string{"ABSPATH": "BASE/wp/", "WP_CONTENT_DIR": "app\x00"}, "", "", errors.New("no absolute path")},
		"another core":           {map[string]string{"ABSPATH": "/usr/share/wordpress/", "WP_CONTENT_DIR": "BASE/app"}, "", "", errors.New("try again")},
		"nothing":                {nil, "", "", errors.New("try again")},
		"a chroot that is gone":  {map[string]string{"ABSPATH": "/wp/"}, "BASE/none", "", os.ErrNotExist},
		"a folder with no files": {map[string]string{"ABSPATH": "BASE/wp/", "WP_CONTENT_DIR": "BASE/new"}, "", "new", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := Inspection{Constants: map[string]string{}, Prefix: "wp_"}
			for k, v := range tt.said {
				i.Constants[k] = strings.ReplaceAll(v, "BASE", site)
			}
			c, err := ReadInspected(tree, "wp", i, strings.ReplaceAll(tt.chroot, "BASE", site))
			if tt.err != nil {
				if err == nil || !errors.Is(err, tt.err) && !strings.Contains(err.Error(), tt.err.Error()) {
					t.Fatalf("error %v, want %v", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p, err := c.Paths(); err != nil || p.Content != tt.want {
				t.Errorf("content %q, %v", p.Content, err)
			}
		})
	}
	if _, err := ReadConfigOf(tree, "wp"); err != nil {
		t.Error(err)
	}
}

func TestHeeds(t *testing.T) {
	t.Parallel()
	known := func(text string) Value { return Value{Known: true, Text: text} }
	network := map[string]Value{"MULTISITE": known("1")}
	for name, tt := range map[string]struct {
		constants map[string]Value
		gaps      []Gap
		want      string
	}{
		"plain":           {nil, nil, "db.php"},
		"cache":           {map[string]Value{"WP_CACHE": known("1")}, nil, "advanced-cache.php db.php"},
		"cache off":       {map[string]Value{"WP_CACHE": known("")}, nil, "db.php"},
		"network":         {network, nil, "blog-deleted.php db.php"},
		"sunrise":         {map[string]Value{"MULTISITE": known("1"), "SUNRISE": known("")}, nil, "blog-deleted.php db.php sunrise.php"},
		"sunrise at home": {map[string]Value{"MULTISITE": known(""), "SUNRISE": known("on")}, nil, "blog-deleted.php db.php sunrise.php"},
		"unknown":         {nil, []Gap{{File: "x", Line: 1, Why: "eval"}}, "advanced-cache.php blog-deleted.php db.php sunrise.php"},
	} {
		c := Config{Constants: tt.constants, Gaps: tt.gaps}
		var heeded []string
		for _, d := range []string{"advanced-cache.php", "blog-deleted.php", "db.php", "sunrise.php"} {
			if c.Heeds(Component{Kind: KindDropIn, Name: d, Condition: dropIns[d]}) {
				heeded = append(heeded, d)
			}
		}
		if got := strings.Join(heeded, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// Folders below mu-plugins are components where something loads them by itself.
func TestMustUseFolders(t *testing.T) {
	t.Parallel()
	const header = "<?php\n/* Plugin Name: Packed */"
	for name, tt := range map[string]struct {
		loader string
		want   []string
	}{
		"none":              {"<?php // nothing", []string{"mu-plugin:a-loader.php"}},
		"by name":           {"<?php require WPMU_PLUGIN_DIR . '/packed/packed.php';", []string{"mu-plugin:a-loader.php"}},
		"by glob":           {"<?php foreach (glob(__DIR__ . '/*/*.php') as $f) { require_once $f; }", []string{"mu-plugin:a-loader.php", "mu-plugin:linked", "mu-plugin:packed"}},
		"Bedrock's":         {"<?php $p = get_plugins('/../mu-plugins'); include_once WPMU_PLUGIN_DIR . '/' . key($p);", []string{"mu-plugin:a-loader.php", "mu-plugin:linked", "mu-plugin:packed"}},
		"lists and no more": {"<?php echo count(glob(WPMU_PLUGIN_DIR . '/*'));", []string{"mu-plugin:a-loader.php"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := ground(t)
			at := "site/wp-content/mu-plugins/"
			plant(t, base, at, "", siteUID, 0o755)
			for file, text := range map[string]string{"a-loader.php": tt.loader, "packed/packed.php": header, "packed/other.php": "<?php", "bare/bare.php": "<?php",
				".hidden/hidden.php": header, "empty/": "", "../../../shared/linked/linked.php": header, "linked->../../../shared/linked": "", "gone->nowhere": "",
				"closed->BASE/root/closed": ""} {
				plant(t, base, at+file, text, siteUID, 0o644)
			}
			tree := openTree(t, filepath.Join(base, "site"))
			found, err := Components(tree, DefaultPaths(), ActiveState{})
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, c := range found {
				ids = append(ids, c.ID())
				if !c.Active || c.ID() == "mu-plugin:packed" && cmp.Diff([]string{"packed/packed.php"}, c.Files) != "" {
					t.Errorf("%+v", c)
				}
			}
			if diff := cmp.Diff(tt.want, ids); diff != "" {
				t.Error(diff)
			}
			links := FindLinks(tree, DefaultPaths(), found)
			for file, want := range map[string]string{
				filepath.Join(base, "shared/linked/inc/x.php"): filepath.Join(base, "site/wp-content/mu-plugins/linked/inc/x.php"),
				filepath.Join(base, "shared/linked2/x.php"):    filepath.Join(base, "shared/linked2/x.php"),
				"relative": "relative",
			} {
				if got := links.Follow(tree.Dir(), file); got != want && len(ids) > 1 {
					t.Errorf("%s is %s, want %s", file, got, want)
				}
			}
		})
	}
}
