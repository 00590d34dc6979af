package wp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wpmend/packaging/lab"
	"wpmend/wp"
)

// classic is the smallest theme of its kind, and a child that only adds to it.
var classic = map[string]string{
	"themes/plain/style.css":           "/*\nTheme Name: Plain\n*/",
	"themes/plain/functions.php":       "<?php add_action('wp_footer', function () { echo '<!-- ran plain -->'; });",
	"themes/plain/index.php":           "<?php get_header(); ?><h1>plain</h1><?php get_footer();",
	"themes/plain/header.php":          "<!DOCTYPE html><html><head><?php wp_head(); ?></head><body>",
	"themes/plain/footer.php":          "<?php wp_footer(); ?></body></html>",
	"themes/plain-child/style.css":     "/*\nTheme Name: Plain child\nTemplate: plain\n*/",
	"themes/plain-child/functions.php": "<?php add_action('wp_footer', function () { echo '<!-- ran plain-child -->'; });",
	"themes/block-child/style.css":     "/*\nTheme Name: Block child\nTemplate: twentytwentythree\n*/",
	"themes/block-child/functions.php": "<?php add_action('wp_footer', function () { echo '<!-- ran block-child -->'; });",
	// A second folder of themes, as Bedrock registers core's own.
	"mu-plugins/more-themes.php":       "<?php register_theme_directory(dirname(__DIR__) . '/more-themes');",
	"more-themes/elsewhere/style.css":  "/*\nTheme Name: Elsewhere\n*/",
	"more-themes/elsewhere/index.php":  "<?php get_header(); ?><h1>elsewhere</h1><?php get_footer();",
	"more-themes/elsewhere/header.php": "<!DOCTYPE html><html><head><?php wp_head(); ?></head><body>",
	"more-themes/elsewhere/footer.php": "<?php wp_footer(); ?></body></html>",
	"plugins/themer/themer.php":        nasty["plugins/themer/themer.php"],
	// A plugin that will have its theme, on every request.
	"plugins/switcher/switcher.php": `<?php
/* Plugin Name: Switcher */
add_action('init', function () {
	update_option('template', get_option('template'));
	update_option('stylesheet', get_option('stylesheet'));
	update_option('current_theme', wp_get_theme()->get('Name'));
	set_theme_mod('colour', get_option('template'));
	switch_theme(get_option('stylesheet'));
});`,
}

func TestShadowMasksThemes(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 1})
	activate(t, l, classic, "plugin-01/plugin-01.php", "switcher/switcher.php", "themer/themer.php")
	p := startPool(t, l, wp.Prepend(""), "")
	const block = "twentytwentythree"
	for name, tt := range map[string]struct {
		template, stylesheet, root string // as stored
		mask                       wp.Mask
		want, not                  []string
	}{
		"a child":                              {"plain", "plain-child", "/themes", wp.Mask{}, []string{"theme plain plain-child ", "ran plain ", "ran plain-child"}, nil},
		"the child alone":                      {"plain", "plain-child", "/themes", masks(theme("plain-child")), []string{"theme plain plain ", "<h1>plain", "ran plain "}, []string{"ran plain-child"}},
		"its parent":                           {"plain", "plain-child", "/themes", wp.Mask{Components: []wp.Component{theme("plain")}, Fallback: block}, []string{"theme twentytwentythree twentytwentythree ", "wp-site-blocks"}, []string{"ran plain"}},
		"both":                                 {"plain", "plain-child", "/themes", wp.Mask{Components: []wp.Component{theme("plain"), theme("plain-child")}, Fallback: block}, []string{"wp-site-blocks"}, []string{"ran plain"}},
		"its parent, no fallback":              {"plain", "plain-child", "/themes", masks(theme("plain")), []string{"theme wpmend-no-theme wpmend-no-theme "}, []string{"ran plain"}},
		"a block child alone":                  {block, "block-child", "/themes", masks(theme("block-child")), []string{"theme twentytwentythree twentytwentythree ", "wp-site-blocks"}, []string{"ran block-child"}},
		"a block parent":                       {block, "block-child", "/themes", wp.Mask{Components: []wp.Component{theme(block)}, Fallback: "plain"}, []string{"theme plain plain ", "<h1>plain", "ran plain "}, []string{"ran block-child", "wp-site-blocks"}},
		"another theme":                        {"plain", "plain-child", "/themes", masks(theme(block)), []string{"theme plain plain-child ", "ran plain-child"}, nil},
		"a theme of another folder":            {"elsewhere", "elsewhere", "/more-themes", wp.Mask{}, []string{"<h1>elsewhere"}, nil},
		"a theme of another folder, hidden":    {"elsewhere", "elsewhere", "/more-themes", wp.Mask{Components: []wp.Component{theme("elsewhere")}, Fallback: "plain"}, []string{"<h1>plain", "theme plain plain "}, []string{"elsewhere"}},
		"a fallback that is in another folder": {"plain", "plain-child", "/themes", wp.Mask{Components: []wp.Component{theme("plain")}, Fallback: "elsewhere"}, []string{"<h1>elsewhere", "theme elsewhere elsewhere "}, []string{"ran plain"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := tt.root
			if root != "/themes" {
				root = filepath.Join(l.Site(0).Root, "wp-content", root)
			}
			for option, value := range map[string]string{"template": tt.template, "stylesheet": tt.stylesheet, "template_root": root, "stylesheet_root": root} {
				if _, err := l.DB().Exec("INSERT INTO wp_options (option_name, option_value) VALUES (?, ?) ON DUPLICATE KEY UPDATE option_value = VALUES(option_value)", option, value); err != nil {
					t.Fatal(err)
				}
			}
			sums, err := l.TableChecksums(0)
			if err != nil {
				t.Fatal(err)
			}
			body := p.get(t, tt.mask)
			for _, want := range append(tt.want, "</html>", "<!-- plugin-01 saw") {
				if !strings.Contains(body, want) {
					t.Errorf("no %q in the page:\n%s", want, tail(body))
				}
			}
			for _, not := range append(tt.not, "Status: ") {
				if strings.Contains(body, not) {
					t.Errorf("%q in the page:\n%s", not, tail(body))
				}
			}
			after, err := l.TableChecksums(0)
			if diff := cmp.Diff(sums, after); diff != "" || err != nil {
				t.Errorf("tables changed: %v %s", err, diff)
			}
		})
	}
	if _, err := os.Stat(p.out + "/error"); err == nil {
		t.Error("there were errors of PHP")
	}
}
