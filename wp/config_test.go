package wp

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// site makes a site's folder and reads its configuration.
func readSite(t testing.TB, files map[string]string) (Config, string, error) {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, files)
	tree, err := OpenTree(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	c, err := ReadConfig(tree)
	return c, dir, err
}

// told writes a configuration as a few lines: name = value, or ? and why not.
func told(c Config, dir string) string {
	say := func(name string, v Value) string {
		file := strings.TrimPrefix(v.File, dir+"/")
		if v.Known {
			return fmt.Sprintf("%s = %q %s:%d", name, v.Text, file, v.Line)
		}
		return fmt.Sprintf("%s ? %s:%d %s", name, file, v.Line, v.Why)
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.Constants)) {
		if name != "ABSPATH" {
			out = append(out, say(name, c.Constants[name]))
		}
	}
	if c.Prefix.Why != "$table_prefix is never set" {
		out = append(out, say("$table_prefix", c.Prefix))
	}
	for _, g := range c.Gaps {
		out = append(out, fmt.Sprintf("gap %s:%d %s", strings.TrimPrefix(g.File, dir+"/"), g.Line, g.Why))
	}
	return strings.ReplaceAll(strings.Join(out, "\n"), dir, "DIR")
}

func TestReadConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config string
		files  map[string]string
		want   string
	}{
		"plain": {
			config: "define( 'DB_NAME', 'shop' );\ndefine(\"DB_PASSWORD\", 'a\\'b$c');\n$table_prefix = 'wp_';\ndefine('WP_DEBUG', false);\n" +
				"if ( ! defined( 'ABSPATH' ) ) {\n\tdefine( 'ABSPATH', __DIR__ . '/' );\n}\nrequire_once ABSPATH . 'wp-settings.php';\ndefine('LATE', 1);",
			want: "DB_NAME = \"shop\" wp-config.php:2\nDB_PASSWORD = \"a'b$c\" wp-config.php:3\nWP_DEBUG = \"\" wp-config.php:5\n$table_prefix = \"wp_\" wp-config.php:4",
		},
		"first wins": {
			config: "define('A', 1); define('A', 2); defined('A') || define('A', 3); const A = 4;",
			want:   `A = "1" wp-config.php:2`,
		},
		"computed": {
			config: "define('DB_HOST', getenv('DB') ?: 'localhost');\ndefine('DB_USER', $_ENV['U']);\ndefine('DB_NAME', \"x_$y\");\n$table_prefix = getenv('P');",
			want:   "DB_HOST ? wp-config.php:2 getenv()\nDB_NAME ? wp-config.php:4 a string that PHP puts together\nDB_USER ? wp-config.php:3 $_ENV\n$table_prefix ? wp-config.php:5 getenv()",
		},
		"undecided": {
			config: "if ($_SERVER['HTTP_HOST'] === 'a') {\n\tdefine('DB_NAME', 'a');\n\t$table_prefix = 'a_';\n} else {\n\tdefine('DB_NAME', 'b');\n}\ndefine('DB_NAME', 'c');\ndefine('DB_USER', 'u');",
			want: "DB_NAME ? wp-config.php:3 whether that line runs depends on the request\nDB_USER = \"u\" wp-config.php:9\n" +
				"$table_prefix ? wp-config.php:4 the code there may change it",
		},
		"decided": {
			config: "define('ENV', 'live');\nif (ENV === 'dev') { define('DB_NAME', 'a'); } elseif (ENV == 'live') { define('DB_NAME', 'b'); }\n" +
				"if (defined('X')) define('Y', 1);\n$dir = __DIR__ . '/c';\ndefine('WP_CONTENT_DIR', $dir . DIRECTORY_SEPARATOR . 'd');",
			want: "DB_NAME = \"b\" wp-config.php:3\nENV = \"live\" wp-config.php:2\nWP_CONTENT_DIR = \"DIR/c/d\" wp-config.php:6",
		},
		"local file": {
			config: "if (file_exists(__DIR__ . '/local.php')) {\n\tinclude __DIR__ . '/local.php';\n}\nif (is_file(dirname(__FILE__) . '/none.php')) { include 'none.php'; }\ndefine('A', 'main');\ndefine('B', 'main');",
			files:  map[string]string{"local.php": "<?php\ndefine('A', basename(__FILE__) ? 'l' : '');\ndefine('A', 'x');return;\ndefine('B', 'never');"},
			want:   "A ? local.php:2 a condition that the request decides\nB = \"main\" wp-config.php:7",
		},
		"includes": {
			config: "require dirname( dirname( __FILE__ ) ) . '/outside.php';\ndefine('A', 1);",
			want:   "A ? wp-config.php:3 it may have been defined before, in DIR/wp-config.php, line 2: require of \"PARENT/outside.php\": it lies outside of the site's folder\n$table_prefix ? wp-config.php:2 require of \"PARENT/outside.php\": it lies outside of the site's folder\ngap wp-config.php:2 require of \"PARENT/outside.php\": it lies outside of the site's folder",
		},
		"included once": {
			config: "require_once 'a.php';\nrequire_once ABSPATH . 'a.php';\ninclude './a.php';\n$table_prefix = X . '_';",
			files:  map[string]string{"a.php": "<?php defined('X') ? define('Y', 2) : define('X', 1);"},
			want:   "X = \"1\" a.php:1\nY = \"2\" a.php:1\n$table_prefix = \"1_\" wp-config.php:5",
		},
		"circle": {
			config: "define('A', 1);\ninclude 'a.php';\ndefine('B', 1);",
			files:  map[string]string{"a.php": "<?php include __DIR__ . '/a.php';"},
			want:   "A = \"1\" wp-config.php:2\nB ? wp-config.php:4 it may have been defined before, in DIR/a.php, line 1: include of \"DIR/a.php\": more than 8 files include each other\n$table_prefix ? a.php:1 include of \"DIR/a.php\": more than 8 files include each other\ngap a.php:1 include of \"DIR/a.php\": more than 8 files include each other",
		},
		"broken include": {
			config: "require 'a.php';",
			files:  map[string]string{"a.php": "<?php\ndefine('A', 'x);"},
			want:   "$table_prefix ? wp-config.php:2 require of \"a.php\": DIR/a.php: line 2: a string starts here and never ends; PHP cannot read it either: correct it there\ngap wp-config.php:2 require of \"a.php\": DIR/a.php: line 2: a string starts here and never ends; PHP cannot read it either: correct it there",
		},
		"missing include": {
			config: "include 'none.php';\n@include_once __DIR__ . '/none.php';\ndefine('A', 1);",
			want:   `A = "1" wp-config.php:4`,
		},
		"exit": {
			config: "define('A', 1);\nif ($_GET['x']) die('no');\ndefine('B', 2);\nexit;\ndefine('C', 3);",
			want:   "A = \"1\" wp-config.php:2\nB = \"2\" wp-config.php:4",
		},
		"halt": {
			config: "define('A', 1);\n__halt_compiler();\ndefine('B', 2);",
			want:   `A = "1" wp-config.php:2`,
		},
		"conditional exit of the guard": {
			config: "defined('ABSPATH') || exit;\ndefine('A', 1);",
			want:   `A = "1" wp-config.php:3`,
		},
		"functions": {
			config: "if (!function_exists('getenv_docker')) {\n\tfunction getenv_docker($env, $default) {\n\t\tif ($v = getenv($env)) { return $v; }\n\t\treturn $default;\n\t}\n}\n" +
				"define('DB_NAME', getenv_docker('N', 'wordpress'));\ndefine('WP_DEBUG', !!getenv_docker('D', ''));\n$table_prefix = 'wp_';",
			want: "DB_NAME ? wp-config.php:8 getenv_docker()\nWP_DEBUG ? wp-config.php:9 a condition that the request decides\n$table_prefix = \"wp_\" wp-config.php:10",
		},
		"a function that defines": {
			config: "function f() { define('A', 1); global $table_prefix; $table_prefix = 'x'; }\n$table_prefix = 'a';\nf();\ndefine('A', 2);",
			want:   "A ? wp-config.php:2 whether that line runs depends on the request\n$table_prefix ? wp-config.php:2 the code there may change it",
		},
		"eval": {
			config: "define('A', 1);\neval($x);\ndefine('B', 1);",
			want:   "A = \"1\" wp-config.php:2\nB ? wp-config.php:4 it may have been defined before, in DIR/wp-config.php, line 3: eval()\n$table_prefix ? wp-config.php:3 eval()\ngap wp-config.php:3 eval()",
		},
		"short tag": {
			config: "define('A', 1); ?>\n<? define('B', 2);",
			want:   "A = \"1\" wp-config.php:2\nB ? wp-config.php:3 it may have been defined before, in DIR/wp-config.php, line 3: whether PHP reads what follows \"<?\" depends on short_open_tag: write \"<?php\"\n$table_prefix ? wp-config.php:3 whether PHP reads what follows \"<?\" depends on short_open_tag: write \"<?php\"\ngap wp-config.php:3 whether PHP reads what follows \"<?\" depends on short_open_tag: write \"<?php\"",
		},
		"namespace": {
			config: "namespace My;\nconst A = 1;\n\\define('B', 2);\nDEFINE('C', 3);",
			want:   "B = \"2\" wp-config.php:4\nC = \"3\" wp-config.php:5\nMy\\A = \"1\" wp-config.php:3",
		},
		"values": {
			config: "define('A', true); define('B', NULL); define('C', -0x10); define('D', 1.5); define('E', array(1)); define('F', <<<X\n  a\n  b\n  X);",
			want:   "A = \"1\" wp-config.php:2\nB = \"\" wp-config.php:2\nC = \"-16\" wp-config.php:2\nD ? wp-config.php:2 a number that is not a whole one\nE ? wp-config.php:2 array\nF = \"a\\nb\" wp-config.php:2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"wp-config.php": "<?php\n" + c.config}
			maps.Copy(files, c.files)
			got, dir, err := readSite(t, files)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(c.want, "PARENT", filepath.Dir(dir))
			if text := told(got, dir); text != want {
				t.Errorf("got\n%s\nwant\n%s", text, want)
			}
		})
	}
}

func TestReadConfigErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ config, want string }{
		"unclosed": {"<?php\ndefine('A', 'x);\n", "DIR/wp-config.php: line 2: a string starts here and never ends; PHP cannot read it either: correct it there"},
		"bracket":  {"<?php\nif (1) {\n", "DIR/wp-config.php: line 2: \"{\" is never closed; PHP cannot read it either: correct it there"},
		"wrong":    {"<?php\n\nf(1];\n", "DIR/wp-config.php: line 3: ']' closes nothing; PHP cannot read it either: correct it there"},
		"no php":   {"define('A', 1);", "DIR/wp-config.php: line 1: it holds no PHP code (no <?php): put the file back from a backup"},
		"empty":    {"", "DIR/wp-config.php: line 1: it holds no PHP code (no <?php): put the file back from a backup"},
		"binary":   {"\x7fELF\x00\x01\x02", "DIR/wp-config.php: line 1: it holds no PHP code (no <?php): put the file back from a backup"},
		"utf-16":   {"\xff\xfe<\x00?\x00p\x00h\x00p\x00", "DIR/wp-config.php: line 1: it is UTF-16, which PHP cannot read: save it as UTF-8"},
		"large":    {"<?php " + strings.Repeat(" ", maxConfig), "read configuration: read DIR/wp-config.php: it has 1048582 bytes, more than the 1048576 that are read of such a file"},
		"no file":  {"-", "no wp-config.php in \"DIR\", nor one above that WordPress would take: finish the installation or put the file back: file does not exist"},
		"FIFO":     {"FIFO", "read configuration: read DIR/wp-config.php: it is not a regular file"},
		"folder":   {"FOLDER", "read configuration: read DIR/wp-config.php: is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "wp-config.php")
			var err error
			switch c.config {
			case "-":
			case "FIFO":
				err = syscall.Mkfifo(file, 0o644)
			case "FOLDER":
				err = os.Mkdir(file, 0o755)
			default:
				err = os.WriteFile(file, []byte(c.config), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			tree, err := OpenTree(dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			_, err = ReadConfig(tree)
			if want := strings.ReplaceAll(c.want, "DIR", dir); err == nil || err.Error() != want {
				t.Errorf("%v\nwant %s", err, want)
			}
		})
	}
}

// TestConfigPlace checks where WordPress looks for wp-config.php.
func TestConfigPlace(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	writeFiles(t, top, map[string]string{
		"a/wp-config.php":         "<?php define('A', 'above'); $table_prefix = 'a_'; include 'inc.php';",
		"a/site/wp-load.php":      "<?php",
		"a/inc.php":               "<?php define('B', dirname(__FILE__));",
		"b/wp-config.php":         "<?php define('A', 'above');",
		"b/wp-settings.php":       "<?php",
		"b/site/wp-load.php":      "<?php",
		"c/site/wp-config.php":    "<?php define('A', 'own');",
		"c/wp-config.php":         "<?php define('A', 'above');",
		"real/site/wp-config.php": "<?php define('A', __DIR__); define('WP_CONTENT_DIR', '" + top + "/link/wp-content');",
		"shared/wp-config.php":    "<?php define('A', 1); define('B', __DIR__);",
		"linked/site/wp-load.php": "<?php",
	})
	for link, to := range map[string]string{"link": "real/site", "linked/site/wp-config.php": "../../shared/wp-config.php", "linked/site/cfg": "../../shared"} {
		if err := os.Symlink(to, filepath.Join(top, link)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(rel string) (Config, error) {
		tree, err := OpenTree(filepath.Join(top, rel), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		return ReadConfig(tree)
	}
	c, err := read("a/site")
	if err != nil || c.Constants["A"].Text != "above" || c.File != top+"/a/wp-config.php" || c.Real != top+"/a/site" {
		t.Errorf("above: %+v %v", c, err)
	}
	// PHP's working folder is the site's, and inc.php is not there.
	if got := c.Constants["B"].Text; got != top+"/a" {
		t.Errorf("above: included file says %q", got)
	}
	if got := c.Constants["ABSPATH"].Text; got != top+"/a/site/" {
		t.Errorf("above: ABSPATH is %q", got)
	}
	if c, err := read("b/site"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("above is another WordPress: %+v %v", c, err)
	}
	if c, err := read("c/site"); err != nil || c.Constants["A"].Text != "own" {
		t.Errorf("own and above: %+v %v", c, err)
	}
	c, err = read("link")
	if err != nil || c.Constants["A"].Text != top+"/real/site" {
		t.Errorf("through a link: %+v %v", c, err)
	}
	if p, err := c.Paths(); err != nil || p.Content != "wp-content" {
		t.Errorf("through a link: %+v %v", p, err)
	}
	c, err = read("linked/site")
	if err != nil || !c.Constants["A"].Known || c.Constants["B"].Known || c.Constants["B"].Why != "__DIR__ of a file behind a link" {
		t.Errorf("wp-config.php is a link: %+v %v", c, err)
	}
}

// TestDebianConfig reads the wp-config.php that Debian ships: everything in it
// depends on the host name that is asked for.
func TestDebianConfig(t *testing.T) {
	t.Parallel()
	tree, err := OpenTree("/usr/share/wordpress", 33)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	c, err := ReadConfig(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "WP_CONTENT_DIR"} {
		v, ok := c.Const(name)
		if !ok || v.Known || v.Line == 0 || v.File == "" {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if c.Prefix.Known {
		t.Errorf("$table_prefix: %+v", c.Prefix)
	}
	if got := c.Constants["ABSPATH"].Text; got != "/usr/share/wordpress/" {
		t.Errorf("ABSPATH: %q", got)
	}
	_, err = c.Paths()
	want := "the value is computed by PHP: WP_CONTENT_DIR in /usr/share/wordpress/wp-config.php, line 60 (whether that line runs depends on the request)"
	if !errors.Is(err, ErrUnknown) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestConfigPaths(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		"": "{wp-content wp-content/plugins wp-content/mu-plugins wp-content/themes}",
		"define('WP_CONTENT_DIR', __DIR__ . '/app/');":                                             "{app app/plugins app/mu-plugins app/themes}",
		"define('WP_PLUGIN_DIR', ABSPATH . '/x//y'); define('WPMU_PLUGIN_DIR', ABSPATH . 'must');": "{wp-content x/y must wp-content/themes}",
		"define('WP_CONTENT_DIR', '/srv/c');":                                                      "the folder lies outside of the site's tree: WP_CONTENT_DIR in DIR/wp-config.php, line 1 is \"/srv/c\", the site is \"DIR\": name a folder above both as the site's root",
		"define('WP_PLUGIN_DIR', __DIR__ . '/../p');":                                              "the folder lies outside of the site's tree: WP_PLUGIN_DIR in DIR/wp-config.php, line 1 is \"DIR/../p\", the site is \"DIR\": name a folder above both as the site's root",
		"define('WP_PLUGIN_DIR', getenv('P'));":                                                    "the value is computed by PHP: WP_PLUGIN_DIR in DIR/wp-config.php, line 1 (getenv()); only WordPress itself can tell it",
		"define('WPMU_PLUGIN_DIR', 'mu');":                                                         "WPMU_PLUGIN_DIR in DIR/wp-config.php, line 1: \"mu\" is no absolute path: give the whole path",
	} {
		c, dir, err := readSite(t, map[string]string{"wp-config.php": "<?php " + config})
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Paths()
		got := fmt.Sprint(p)
		if err != nil {
			got = err.Error()
		}
		if want := strings.ReplaceAll(want, "DIR", dir); strings.ReplaceAll(got, "DIR", dir) != want {
			t.Errorf("%s: %s\nwant %s", config, got, want)
		}
	}
	if p := DefaultPaths(); p.Themes != "wp-content/themes" {
		t.Errorf("defaults: %v", p)
	}
}
