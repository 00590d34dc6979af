package wp_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"wpmend/packaging/lab"
	"wpmend/wp"
)

// marks leave a file behind when any code that is not asked for is loaded.
func marks() map[string]string {
	found := map[string]string{}
	for _, file := range []string{"plugins/mark/mark.php", "mu-plugins/mu.php", "advanced-cache.php", "object-cache.php", "themes/twentytwentythree/functions.php"} {
		found[file] = fmt.Sprintf("<?php\n/* Plugin Name: Mark */\ntouch(getenv('WPTEST_OUT') . '/%s');\n", filepath.Base(file))
	}
	return found
}

func TestShadowInspects(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 1})
	site := l.Site(0)
	root := site.Root
	activate(t, l, marks(), "plugin-01/plugin-01.php", "mark/mark.php", "gone/gone.php")
	config := filepath.Join(root, "wp-config.php")
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.Replace(string(b), "<?php\n", "<?php\ndefine('WP_CACHE', true);\n", 1)
	socket := filepath.Join(l.Dir, "db/mysql.sock")
	host := "'localhost:" + socket + "'"
	swap := func(oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(plain) }
	// $_ENV is empty with variables_order = GPCS, which is what php.ini-production says.
	p := startPool(t, l, wp.Prepend(""), "env[WPTEST_HOST] = localhost:"+socket+"\nenv[WPTEST_EXTRA] = \"define('WP_MEMORY_LIMIT','99M');\"\n")
	for name, tt := range map[string]struct {
		config  string
		prepare func(t *testing.T)
		want    map[string]string // constants beside the usual ones; "-" none
		problem string
		unknown bool // to who only reads
	}{
		"plain":                {config: plain},
		"noise before it":      {config: "\xef\xbb\xbf\n" + swap("<?php\n", "<?php\necho \"wpmend:x:{}\\n\"; ob_start(function ($page) { return strrev($page); }); echo $nothing; setcookie('a', 'b'); header('Location: /elsewhere');\n"), unknown: true},
		"from the environment": {config: swap(host, "isset($_SERVER['WPTEST_HOST']) ? $_SERVER['WPTEST_HOST'] : getenv('WPTEST_HOST')"), unknown: true},
		"evaluated":            {config: swap("$table_prefix", "eval(getenv('WPTEST_EXTRA'));\n$table_prefix"), want: map[string]string{"WP_MEMORY_LIMIT": "99M"}},
		"content elsewhere": {config: swap("$table_prefix", "define('WP_CONTENT_DIR', __DIR__ . '/wp-admin/..//./app/');\n$table_prefix"),
			prepare: func(t *testing.T) {
				move(t, root+"/wp-content", root+"/app")
			}, want: map[string]string{"WP_CONTENT_DIR": root + "/app"}},
		"one folder up": {prepare: func(t *testing.T) {
			above := filepath.Join(filepath.Dir(root), "wp-config.php")
			write(t, above, plain)
			t.Cleanup(func() { os.Remove(above) })
		}},
		"constants that may not exist yet": {config: swap("<?php\n", "<?php\nfunction must($n, $v) { if (defined($n)) { throw new Exception($n); } define($n, $v); }\n", "define(", "must(", "! must(", "! define("), unknown: true},
		"maintenance": {config: plain, prepare: func(t *testing.T) {
			write(t, root+"/.maintenance", "<?php $upgrading = time();")
			t.Cleanup(func() { os.Remove(root + "/.maintenance") })
		}},
		"a prepend that is missing": {config: plain, prepare: func(t *testing.T) {
			write(t, root+"/.user.ini", "auto_prepend_file = "+root+"/wordfence-waf.php\n")
			t.Cleanup(func() { os.Remove(root + "/.user.ini") })
		}},
		"a dead database": {config: swap(host, "'localhost:/nowhere'"), want: map[string]string{"DB_HOST": "localhost:/nowhere"}, problem: "before the database was asked"},
		"a broken configuration": {config: swap("$table_prefix", "no_such_function();\n$table_prefix"),
			want: map[string]string{"DISABLE_WP_CRON": "-", "WP_CONTENT_DIR": "-", "WP_DEBUG": "-", "WP_DEBUG_LOG": "-", "WP_MEMORY_LIMIT": "-"}, problem: "undefined function no_such_function"},
		"a missing table": {config: swap("'"+site.TablePrefix+"'", "'other_'"), problem: "other_options"},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, config, tt.config)
			if tt.config == "" {
				os.Remove(config)
			}
			if tt.prepare != nil {
				tt.prepare(t)
			}
			mask := wp.Mask{Inspect: true, Nonce: rand.Text()}
			body := p.ask(t, map[string]string{wp.MaskParam: mask.Encode()})
			_, body, _ = strings.Cut(body, "\r\n\r\n")
			got, err := mask.Inspection([]byte(body))
			if err != nil {
				t.Fatalf("%v in\n%.2000s", err, body)
			}
			constants := map[string]string{"ABSPATH": root + "/", "WP_CONTENT_DIR": root + "/wp-content", "DB_NAME": "wordpress", "DB_USER": "wordpress",
				"DB_HOST": strings.Trim(host, "'"), "DB_PASSWORD": got.Constants["DB_PASSWORD"], "DISABLE_WP_CRON": "1", "WP_CACHE": "1", "WP_DEBUG": "",
				"WP_DEBUG_LOG": "", "WP_MEMORY_LIMIT": "40M"}
			for name, text := range tt.want {
				constants[name] = text
				if text == "-" {
					delete(constants, name)
				}
			}
			want := wp.Inspection{Constants: constants, Prefix: site.TablePrefix, Version: "6.1.9", PHP: got.PHP, Config: config,
				Plugins:  []string{"plugin-01/plugin-01.php", "mark/mark.php", "gone/gone.php"},
				Template: "twentytwentythree", Stylesheet: "twentytwentythree", Problem: got.Problem}
			switch {
			case name == "one folder up":
				want.Config = filepath.Join(filepath.Dir(root), "wp-config.php")
			case name == "a missing table":
				want.Prefix = "other_"
			case name == "a broken configuration":
				want.Prefix, want.Version = "", ""
			}
			if tt.problem != "" {
				want.Plugins, want.Template, want.Stylesheet = nil, "", ""
			}
			if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(got.PHP, "8.2.") {
				t.Errorf("%s", diff)
			}
			if !strings.Contains(got.Problem, tt.problem) || (tt.problem == "") != (got.Problem == "") {
				t.Errorf("problem %q, want %q", got.Problem, tt.problem)
			}
			if again, err := wp.ParseInspection([]byte(body)); err != nil || cmp.Diff(again, got) != "" {
				t.Errorf("with any nonce: %v", err)
			}
			if left := p.left(t); left != "" && left != "error" {
				t.Errorf("it ran %s", left)
			}
			if tt.problem == "" {
				usesInspection(t, root, got, tt.unknown)
			}
		})
	}
	write(t, config, plain)
	p.get(t, wp.Mask{ObjectCache: true})
	for name := range marks() {
		if left := p.left(t); !strings.Contains(left, filepath.Base(name)) && !strings.HasPrefix(name, "plugins/") && !strings.HasPrefix(name, "themes/") {
			t.Errorf("an ordinary request did not run %s, only %s", name, left)
		}
	}
}

// usesInspection reads the site again, with what WordPress said of itself.
func usesInspection(t *testing.T, root string, i wp.Inspection, unknown bool) {
	t.Helper()
	tree, err := wp.OpenTree(root, wwwData)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	read, err := wp.ReadConfig(tree)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wp.OpenDatabase(t.Context(), read, "")
	if errors.Is(err, wp.ErrUnknown) != unknown {
		t.Errorf("reading alone: %v", err)
	}
	known := read.Inspected(i)
	paths, err := known.Paths()
	if err != nil || filepath.Join(root, paths.Content) != i.Constants["WP_CONTENT_DIR"] {
		t.Errorf("%+v, %v", paths, err)
	}
	if v, ok := known.Const("WP_PLUGIN_DIR"); ok {
		t.Errorf("a constant that is not there: %+v", v)
	}
	db, err := wp.OpenDatabase(t.Context(), known, "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	active, err := wp.ReadActive(t.Context(), db)
	if diff := cmp.Diff(i.Active(), active, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}

func write(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// move renames until the test ends.
func move(t testing.TB, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Rename(to, from); err != nil {
			t.Error(err)
		}
	})
}
