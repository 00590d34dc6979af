package wp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// world is what PHP has defined when it is done with a wp-config.php.
type world struct {
	Fatal     string             `json:"fatal"`
	Constants map[string]*string `json:"constants"`
	Prefix    *string            `json:"prefix"`
}

// runPHP runs the configurations in dirs with several environments.
func runPHP(t *testing.T, dirs []string) map[string][]world {
	t.Helper()
	in, err := json.Marshal(dirs)
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/runconfig.php")
	if err != nil {
		t.Fatal(err)
	}
	out := php(t, in, "-d", "extension=posix", "-r", string(script))
	// What the sites print comes first.
	out = out[bytes.LastIndexByte(out, '\n')+1:]
	var worlds map[string][]world
	if err := json.Unmarshal(out, &worlds); err != nil {
		t.Fatalf("%v: %.300s", err, out)
	}
	return worlds
}

// phpDir makes a folder that both root and nobody reach, with wp-settings.php.
func phpDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wpcfg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// sound checks that what we know of a configuration is true in every world,
// and that nothing that PHP defines is missing.
func sound(t *testing.T, dir string, worlds []world) (known int) {
	t.Helper()
	tree, err := OpenTree(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	c, err := ReadConfig(tree)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	for i, w := range worlds {
		if w.Fatal != "" {
			continue
		}
		if w.Constants == nil {
			t.Errorf("world %d: PHP told nothing", i)
			continue
		}
		for name, v := range c.Constants {
			if !v.Known {
				continue
			}
			if name != "ABSPATH" {
				known++
			}
			if got, ok := w.Constants[name]; !ok || got == nil || decode(t, *got) != v.Text {
				t.Errorf("world %d: we know %s = %q from line %d, PHP has %v", i, name, v.Text, v.Line, show(t, got))
			}
		}
		for name := range w.Constants {
			if _, ok := c.Const(name); !ok {
				t.Errorf("world %d: PHP defines %s, we say that it is not defined", i, name)
			}
		}
		if c.Prefix.Known && (w.Prefix == nil || decode(t, *w.Prefix) != c.Prefix.Text) {
			t.Errorf("world %d: we know $table_prefix = %q from line %d, PHP has %v", i, c.Prefix.Text, c.Prefix.Line, show(t, w.Prefix))
		}
	}
	return known
}

func decode(t *testing.T, s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func show(t *testing.T, s *string) string {
	if s == nil {
		return "nothing that we could know"
	}
	return fmt.Sprintf("%q", decode(t, *s))
}

// TestConfigNeverGuesses makes up configurations and compares what we know of
// them with what PHP does under several environments.
func TestConfigNeverGuesses(t *testing.T) {
	t.Parallel()
	const count = 200
	root := phpDir(t)
	var dirs []string
	programs := map[string]map[string]string{}
	for i := range count {
		dir := filepath.Join(root, fmt.Sprint(i))
		g := &generator{Rand: newRand(uint64(i)), tame: i%2 == 0}
		files := g.site()
		writeFiles(t, dir, files)
		programs[dir] = files
		dirs = append(dirs, dir)
	}
	worlds := runPHP(t, dirs)
	known, fatal := 0, 0
	for _, dir := range dirs {
		for _, w := range worlds[dir] {
			if w.Fatal != "" {
				fatal++
			}
		}
		known += sound(t, dir, worlds[dir])
		if t.Failed() {
			for name, text := range programs[dir] {
				t.Logf("%s:\n%s", name, text)
			}
			return
		}
	}
	// The test means nothing if the programs do not run, or if we know nothing.
	if known < 2*count || fatal > 2*count {
		t.Errorf("%d values known, %d runs ended in a fatal error", known, fatal)
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 99)) }

// generator writes random wp-config.php files.
type generator struct {
	*rand.Rand
	depth int
	tame  bool // only what can be followed
	file  int  // 0 wp-config.php, 1 and 2 included ones
}

func (g *generator) one(of ...string) string { return of[g.IntN(len(of))] }
func (g *generator) constant() string {
	return g.one("A", "B", "C", "DB_NAME", "DB_HOST", "WP_CONTENT_DIR")
}
func (g *generator) variable() string { return g.one("$x", "$y", "$table_prefix") }

func (g *generator) site() map[string]string {
	files := map[string]string{
		"wp-settings.php": "<?php _h_dump('');",
	}
	for _, f := range []string{"inc2.php", "inc1.php", "wp-config.php"} {
		g.file = map[string]int{"inc2.php": 2, "inc1.php": 1}[f]
		var b strings.Builder
		b.WriteString("<?php\n")
		if g.file == 0 {
			b.WriteString("function f0($a) { return $a; }\nfunction f1() { if (getenv('W')) define('A', 'f1'); return 'r'; }\n" +
				"function f2() { global $table_prefix; $table_prefix = 'g_'; }\nfunction f3(&$v) { $v = getenv('W') . 'v'; }\n")
		}
		for range 2 + g.IntN(5) {
			b.WriteString(g.statement() + "\n")
		}
		if g.file == 0 {
			b.WriteString(g.one("require_once ABSPATH . 'wp-settings.php';\n", "require_once(ABSPATH . 'wp-settings.php');\n", "exit;", ""))
		}
		files[f] = b.String()
	}
	return files
}

func (g *generator) block() string {
	g.depth++
	defer func() { g.depth-- }()
	var b strings.Builder
	for range 1 + g.IntN(2) {
		b.WriteString(g.statement() + "\n")
	}
	return b.String()
}

func (g *generator) statement() string {
	if g.depth > 3 {
		return fmt.Sprintf("define('%s', %s);", g.constant(), g.expr())
	}
	kinds := 34
	if g.tame {
		kinds = 15
	}
	switch g.IntN(kinds) {
	case 0, 1, 2, 3:
		return fmt.Sprintf("define( '%s', %s );", g.constant(), g.expr())
	case 4:
		return fmt.Sprintf("defined('%s') || define('%s', %s);", g.constant(), g.constant(), g.expr())
	case 5:
		return fmt.Sprintf("defined('%s') or define('%s', %s);", g.constant(), g.constant(), g.expr())
	case 6:
		return fmt.Sprintf("if ( ! defined( '%s' ) )\n\tdefine( '%s', %s );", g.constant(), g.constant(), g.expr())
	case 7, 8, 9:
		return fmt.Sprintf("%s = %s;", g.variable(), g.expr())
	case 10, 11:
		return fmt.Sprintf("if (%s) {\n%s} else {\n%s}", g.cond(), g.block(), g.block())
	case 12:
		return fmt.Sprintf("if (%s) {\n%s} elseif (%s) {\n%s} else if (%s) {\n%s}", g.cond(), g.block(), g.cond(), g.block(), g.cond(), g.block())
	case 13:
		return fmt.Sprintf("if (%s):\n%selseif (%s):\n%selse:\n%sendif;", g.cond(), g.block(), g.cond(), g.block(), g.block())
	case 14:
		return fmt.Sprintf("if (%s) %s else %s", g.cond(), g.simple(), g.simple())
	case 15:
		return fmt.Sprintf("foreach ([1, 2] as $y) {\n%s}", g.block())
	case 16:
		return fmt.Sprintf("for ($i = 0; $i < (int) getenv('W'); $i++):\n%sendfor;", g.block())
	case 17:
		return fmt.Sprintf("switch (%s) { case 'a': %s break; default: %s }", g.expr(), g.simple(), g.simple())
	case 18:
		return fmt.Sprintf("try {\n%sif (getenv('W')) throw new Exception('x');\n%s} catch (Exception $e) {\n%s}", g.block(), g.block(), g.block())
	case 19, 20:
		if g.file < 2 {
			next := g.file + 1
			return fmt.Sprintf("%s %s;", g.one("include", "include_once", "require_once", "@include"), g.one(
				fmt.Sprintf("__DIR__ . '/inc%d.php'", next), fmt.Sprintf("dirname(__FILE__) . '/inc%d.php'", next), fmt.Sprintf("'inc%d.php'", next), "__DIR__ . '/none.php'",
				fmt.Sprintf("ABSPATH . \"inc%d.php\"", next)))
		}
		return g.simple()
	case 21:
		return g.one("f2();", "f3($x);", "f3($table_prefix);", "f1();", "$x = f1();", "unset($x);", "extract(['x' => 'e', 'table_prefix' => 'q_']);", "parse_str('x=1', $y);")
	case 22:
		return g.one("$y = &$x;", "list($x, $y) = ['l', 'm'];", "[$x, $table_prefix] = ['l', getenv('W')];", "$n = 'x'; $$n = 'vv';", "$GLOBALS['table_prefix'] = 'gl_';", "$x .= 'k';", "$x ??= 'n';", "preg_match('/a(.)/', 'ab', $x);")
	case 23:
		return g.one("(function () { define('B', 'closure'); })();", "$f = function () use (&$x) { $x = 'c'; }; $f();", "array_map('define', ['C'], ['mapped']);", "call_user_func('define', 'C', 'called');", "$d = 'define'; $d('A', 'by name');", "eval(\"define('B', 'evil');\");", "$x = (fn() => 'arrow')();")
	case 24:
		if g.file > 0 {
			return g.one("return;", fmt.Sprintf("if (%s) return;", g.cond()), "return ['a' => 1];")
		}
		return fmt.Sprintf("if (%s) exit;", g.cond())
	case 25:
		return fmt.Sprintf("?>\ntext ' \" <b>\n<?php %s ?>\n<?php", g.simple())
	case 26:
		return fmt.Sprintf("%s ? define('A', %s) : define('B', %s);", g.cond(), g.expr(), g.expr())
	case 27:
		if g.depth > 0 {
			return g.simple()
		}
		return fmt.Sprintf("const %s = 'k';", g.one("K1", "K2", "K3"))
	case 28:
		return fmt.Sprintf("{ %s }", g.block())
	case 29:
		return "# comment ' \"\n/* define('A', 1); */ // define('B', 2);"
	case 30:
		return fmt.Sprintf("%s && %s;", g.cond(), strings.TrimSuffix(g.simple(), ";"))
	case 31:
		return fmt.Sprintf("do {\n%s} while (false);", g.block())
	case 32:
		return fmt.Sprintf("while (%s) {\n%sbreak; }", g.cond(), g.block())
	}
	return "define('" + g.one("A", "B") + "', <<<'X'\n  it's\n  X\n. 'y');"
}

func (g *generator) simple() string {
	return g.one(fmt.Sprintf("define('%s', %s);", g.constant(), g.expr()), fmt.Sprintf("%s = %s;", g.variable(), g.expr()))
}

func (g *generator) expr() string {
	if g.depth > 4 {
		return "'deep'"
	}
	g.depth++
	defer func() { g.depth-- }()
	switch g.IntN(26) {
	case 0, 1, 2, 3, 4:
		return g.one("'v'", "\"w\\n\"", "'it\\'s'", "''", "'0'", "'wp_'", "\"\\$x\"", "'a'")
	case 5:
		return g.one("1", "0", "0x1F", "-3", "1_000", "017", "1.5")
	case 6:
		return g.one("true", "FALSE", "null", "Null")
	case 7, 8:
		return g.expr() + " . " + g.expr()
	case 9:
		return g.one("__DIR__", "__FILE__", "dirname(__FILE__)", "dirname( __FILE__ , 2 )", "dirname(dirname(__FILE__))", "ABSPATH", "DIRECTORY_SEPARATOR")
	case 10, 11:
		return g.variable()
	case 12:
		return "(" + g.expr() + ")"
	case 13:
		return fmt.Sprintf("(%s ? %s : %s)", g.cond(), g.expr(), g.expr())
	case 14:
		return fmt.Sprintf("(%s ?: %s)", g.expr(), g.expr())
	case 15:
		return fmt.Sprintf("(%s ?? %s)", g.variable(), g.expr())
	case 16:
		return g.one("getenv('W')", "$_SERVER['W'] ?? 'd'", "f0('z')", "f1()", "rtrim(' a ')", "\"i $x\"", "\"{$y}\"", "`true`", "md5('x')", "1 + 2", "strlen('abc') * 2")
	case 17:
		c := g.constant()
		return fmt.Sprintf("(defined('%s') ? %s : 'none')", c, c)
	case 18:
		return fmt.Sprintf("(%s = %s)", g.variable(), g.expr())
	case 19:
		return "(string) " + g.expr()
	case 20:
		return g.one("(bool) ", "(int) ") + g.expr()
	case 21:
		return "<<<X\nh\nX\n"
	case 22:
		return "(defined('C') ? constant('C') : 'c')"
	case 23:
		return fmt.Sprintf("(%s)", g.cond())
	case 24:
		return g.one("[1, 'b']['1']", "['k' => 'v']['k']", "array('q')[0]", "(function() { return 'f'; })()")
	}
	return "'" + g.one("x", "y", "z") + "'"
}

func (g *generator) cond() string {
	if g.depth > 4 {
		return "true"
	}
	g.depth++
	defer func() { g.depth-- }()
	switch g.IntN(16) {
	case 0:
		return g.one("true", "false", "1", "'0'", "''")
	case 1, 2:
		return g.one("", "!", "! ") + "defined('" + g.constant() + "')"
	case 3:
		return "isset(" + g.variable() + ")"
	case 4, 5:
		return g.one("getenv('W')", "isset($_SERVER['W'])", "!empty($_SERVER['W'])", "getenv('W') === 'a'", "PHP_SAPI === 'cli'", "$_SERVER['W'] ?? false")
	case 6:
		return fmt.Sprintf("%s %s %s", g.expr(), g.one("==", "===", "!=", "!==", "<>"), g.expr())
	case 7:
		return fmt.Sprintf("(%s && %s)", g.cond(), g.cond())
	case 8:
		return fmt.Sprintf("(%s || %s)", g.cond(), g.cond())
	case 9:
		return "!(" + g.cond() + ")"
	case 10:
		return g.one("file_exists(__DIR__ . '/inc1.php')", "file_exists(__DIR__ . '/none.php')", "is_file(ABSPATH . 'inc2.php')", "file_exists(__DIR__)", "is_file(__DIR__)", "file_exists('/etc/passwd')")
	case 11:
		return fmt.Sprintf("(%s and %s)", g.cond(), g.cond())
	case 12:
		return fmt.Sprintf("(%s xor %s)", g.cond(), g.cond())
	case 13:
		return fmt.Sprintf("(%s = %s)", g.variable(), g.expr())
	case 14:
		return fmt.Sprintf("(%s or %s)", g.cond(), g.cond())
	}
	return "(bool) " + g.expr()
}
