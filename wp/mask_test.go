package wp

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMaskEncode(t *testing.T) {
	t.Parallel()
	theme := Component{Kind: KindTheme, Name: "astra"}
	for _, tt := range []struct {
		mask Mask
		want string
	}{
		{Mask{}, ""},
		{Mask{Components: []Component{{Kind: KindPlugin, Name: "b"}, {Kind: KindPlugin, Name: "a,b:c%"}, {Kind: KindPlugin, Name: "b"}}}, "plugin:a%2Cb%3Ac%25,plugin:b"},
		{Mask{Components: []Component{theme}, Fallback: "twenty ten"}, "fallback:twenty%20ten,theme:astra"},
		{Mask{Components: []Component{{Kind: KindMUPlugin, Name: "a.php"}, {Kind: KindDropIn, Name: "db.php"}}}, ""},
		{Mask{Components: []Component{{Kind: KindDropIn, Name: "advanced-cache.php"}}, ObjectCache: true}, "allow:object-cache.php,drop-in:advanced-cache.php"},
		{Mask{AsUser: "Jane, Doe", HoldHTTP: true, Forget: []string{"b", "network:a"}, Nonce: "N1"}, "as-user:Jane%2C%20Doe,forget:b,forget:network%3Aa,hold:http,nonce:N1"},
		{Mask{Components: []Component{{Kind: KindPrepend, Name: "wordfence-waf.php"}}}, "prepend:wordfence-waf.php"},
	} {
		if got := tt.mask.Encode(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.mask, got, tt.want)
		}
	}
	if line := (Mask{Inspect: true}).Encode(); strings.Count(line, "ask:") != len(inspected) || !strings.Contains(line, "ask:DB_NAME,") {
		t.Errorf("to inspect is %q", line)
	}
	for _, name := range hostile {
		line := EncodeMask([]Component{{Kind: KindPlugin, Name: name}})
		if strings.ContainsFunc(line, func(r rune) bool { return r <= ' ' || r > '~' }) || strings.Contains(line, ",") {
			t.Errorf("%q is written as %q", name, line)
		}
	}
}

func TestPrependEmbedsThePoolsOwn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		source []byte
		want   string
	}{
		{Prepend(""), "$pool = array(/*POOL*/);"},
		{Prepend("none"), "$pool = array('value' => '');"},
		{Prepend(`/a'b\c.php`), `$pool = array('value' => '/a\'b\\c.php');`},
		{PrependAdmin(""), "$pool = array('admin' => '');"},
		{PrependAdmin("/waf.php"), "$pool = array('admin' => '/waf.php');"},
	} {
		if !strings.Contains(string(tt.source), tt.want) {
			t.Errorf("no %s in it", tt.want)
		}
	}
}

func TestTakeGatewayPrepend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want map[string]string }{
		{map[string]string{}, map[string]string{}},
		{map[string]string{"PHP_VALUE": "memory_limit=1G"}, map[string]string{"PHP_VALUE": "memory_limit=1G"}},
		{map[string]string{"PHP_VALUE": "a=1\nauto_prepend_file = \"/w.php\" \nb=2"},
			map[string]string{"PHP_VALUE": "a=1\nb=2", GatewayPrependParam: "value:/w.php"}},
		{map[string]string{"PHP_VALUE": "auto_prepend_file=/v.php", "PHP_ADMIN_VALUE": "auto_prepend_file=/a.php"},
			map[string]string{"PHP_VALUE": "", "PHP_ADMIN_VALUE": "", GatewayPrependParam: "admin:/a.php"}},
	} {
		TakeGatewayPrepend(tt.in)
		if diff := cmp.Diff(tt.want, tt.in); diff != "" {
			t.Error(diff)
		}
	}
}

// runPrepend runs the prepend and then code, as the site's user, with
// WordPress's real hooks: what code returns is decoded into result.
func runPrepend(t testing.TB, dir string, source []byte, env []string, ini []string, code string, result any) {
	t.Helper()
	file := filepath.Join(dir, "prepend.php")
	script := filepath.Join(dir, "script.php")
	code = `<?php
		$globals = array_keys($GLOBALS);
		function get_option($name) { return apply_filters('option_' . $name, $GLOBALS['options'][$name]); }
		define('ABSPATH', '/usr/share/wordpress/'); define('WPINC', 'wp-includes');
		require ABSPATH . WPINC . '/plugin.php';
		echo json_encode(call_user_func(function () use ($globals) {` + code + `}));`
	for name, content := range map[string][]byte{file: source, script: []byte(code)} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"-n", "-d", "display_errors=1", "-d", "error_reporting=-1", "-d", "auto_prepend_file=" + file}, ini...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "php8.2", append(args, script)...)
	cmd.Dir, cmd.Env = "/", env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: siteUID, Gid: siteUID}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal(out, result); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
}

func openDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wpmend-prepend")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestPrependFilters(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Plugins                    []string
		Network                    map[string]int
		Template, Stylesheet       string
		ObjectCache, AdvancedCache bool
	}
	all := outcome{
		Plugins:  []string{"a/a.php", "a/b.php", "hello.php", "new\nline/x.php"},
		Network:  map[string]int{"a/a.php": 1, "net/net.php": 2},
		Template: "parent", Stylesheet: "child", AdvancedCache: true,
	}
	with := func(change func(*outcome)) outcome { o := all; change(&o); return o }
	plugin := func(name string) Component { return Component{Kind: KindPlugin, Name: name} }
	theme := func(name string) Component { return Component{Kind: KindTheme, Name: name} }
	for name, tt := range map[string]struct {
		mask Mask
		want outcome
	}{
		"nothing": {Mask{}, all},
		"plugins": {Mask{Components: []Component{plugin("a"), plugin("new\nline"), plugin("absent")}}, with(func(o *outcome) {
			o.Plugins, o.Network = []string{"hello.php"}, map[string]int{"net/net.php": 2}
		})},
		"a single file": {Mask{Components: []Component{plugin("hello.php")}}, with(func(o *outcome) {
			o.Plugins = []string{"a/a.php", "a/b.php", "new\nline/x.php"}
		})},
		"a child theme":           {Mask{Components: []Component{theme("child")}}, with(func(o *outcome) { o.Stylesheet = "parent" })},
		"a parent":                {Mask{Components: []Component{theme("parent")}, Fallback: "twenty"}, with(func(o *outcome) { o.Template, o.Stylesheet = "twenty", "twenty" })},
		"no fallback":             {Mask{Components: []Component{theme("parent"), theme("child")}}, with(func(o *outcome) { o.Template, o.Stylesheet = "wpmend-no-theme", "wpmend-no-theme" })},
		"a masked fallback":       {Mask{Components: []Component{theme("parent"), theme("t")}, Fallback: "t"}, with(func(o *outcome) { o.Template, o.Stylesheet = "wpmend-no-theme", "wpmend-no-theme" })},
		"an object cache let in":  {Mask{ObjectCache: true}, with(func(o *outcome) { o.ObjectCache = true })},
		"one both let in and out": {Mask{ObjectCache: true, Components: []Component{{Kind: KindDropIn, Name: objectCache}}}, all},
		"an advanced cache":       {Mask{Components: []Component{{Kind: KindDropIn, Name: "advanced-cache.php"}}}, with(func(o *outcome) { o.AdvancedCache = false })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got outcome
			runPrepend(t, openDir(t), Prepend(""), []string{MaskParam + "=" + tt.mask.Encode()}, nil, `
				$GLOBALS['options'] = array('active_plugins' => array('a/a.php', 'a/b.php', 'hello.php', "new\nline/x.php"),
					'template' => 'parent', 'stylesheet' => 'child');
				return array(
					'Plugins' => get_option('active_plugins'),
					'Network' => apply_filters('site_option_active_sitewide_plugins', array('a/a.php' => 1, 'net/net.php' => 2)),
					'Template' => get_option('template'), 'Stylesheet' => get_option('stylesheet'),
					'ObjectCache' => apply_filters('enable_loading_object_cache_dropin', true),
					'AdvancedCache' => apply_filters('enable_loading_advanced_cache_dropin', true));`, &got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPrependLeavesNoTrace(t *testing.T) {
	t.Parallel()
	var got struct {
		Globals       []string
		Server, Env   bool
		Constants     int
		Option, Mail  any
		Cron          []string
		Protected     bool
		BrokenPlugins string
	}
	runPrepend(t, openDir(t), Prepend(""), []string{MaskParam + "=plugin:a", GatewayPrependParam + "=value:"}, []string{"-d", "variables_order=EGPCS"}, `
		return array(
			'Globals' => array_values(array_diff($globals, array('_GET', '_POST', '_COOKIE', '_FILES', '_SERVER', '_ENV', '_REQUEST', 'argv', 'argc', 'GLOBALS'))),
			'Server' => isset($_SERVER['WPMEND_MASK']) || isset($_SERVER['WPMEND_PREPEND']),
			'Env' => isset($_ENV['WPMEND_MASK']) || isset($_ENV['WPMEND_PREPEND']),
			'Constants' => count(array_diff(array_keys(get_defined_constants(true)['user']), array('ABSPATH', 'WPINC'))),
			'Option' => apply_filters('pre_update_option', 'new', 'blogname', 'old'),
			'Mail' => array(apply_filters('pre_wp_mail', null, array()), apply_filters('wp_mail', array('to' => 'a@b.c'))),
			'Cron' => apply_filters('pre_get_ready_cron_jobs', null),
			'Protected' => apply_filters('is_protected_endpoint', true),
			'BrokenPlugins' => apply_filters('option_active_plugins', 'no array'),
		);`, &got)
	if diff := cmp.Diff([]string{"wp_filter"}, got.Globals); diff != "" {
		t.Errorf("globals: %s", diff)
	}
	if got.Server || got.Env || got.Constants != 0 {
		t.Errorf("seen by the site: %+v", got)
	}
	if got.Option != "old" || got.Protected || got.BrokenPlugins != "no array" || got.Cron == nil || len(got.Cron) != 0 {
		t.Errorf("filters: %+v", got)
	}
	if diff := cmp.Diff([]any{true, map[string]any{"to": []any{}}}, got.Mail); diff != "" {
		t.Errorf("mail: %s", diff)
	}
}

func TestPrependTurnsWritesIntoNothing(t *testing.T) {
	t.Parallel()
	const none, one = "SELECT 1 LIMIT 0", "SELECT 1"
	same := func(s string) [2]string { return [2]string{s, s} }
	statements := [][2]string{
		same("SELECT option_value FROM wp_options"), same("  \n(SELECT 1) UNION (SELECT 2)"), same("/* why */ -- x\n# y\n select 1"),
		same("SHOW TABLES LIKE 'wp\\_x'"), same("DESCRIBE wp_posts"), same("desc wp_posts"), same("EXPLAIN SELECT 1"),
		same("SET NAMES utf8mb4"), same("SET SESSION sql_mode=''"), same("WITH x AS (SELECT 1) SELECT * FROM x"),
		same("CREATE TEMPORARY TABLE t (a INT)"), same("DROP TEMPORARY TABLE t"), same(""),
		same("create temporary table if not exists `tmp` (a INT)"), same("INSERT IGNORE INTO `tmp` VALUES (1)"), same("replace into tmp values (1)"),
		same("SELECT 'for update' FROM x"), {"SELECT a FROM x FOR UPDATE", "SELECT a FROM x"}, {"select a from x\nfor  update skip locked ;", "select a from x"},
		{"SELECT a FROM x LOCK IN SHARE MODE", "SELECT a FROM x"}, {"SELECT 'x' FROM y FOR SHARE OF `y`", "SELECT 'x' FROM y"},
		{"INSERT INTO wp_posts (a) VALUES (1)", ""}, {"insert into `wp_users` values (1)", ""}, {"INSERT INTO wp_postmeta VALUES (1)", one},
		{"INSERT INTO wp_options VALUES (1)", one}, {"\n\tinsert ignore into x values (1)", one}, {"REPLACE INTO x VALUES (1)", one},
		{"/* c */ INSERT INTO x VALUES (1)", one},
		{"UPDATE wp_options SET a = 1", none}, {"DELETE FROM wp_options", none}, {"TRUNCATE x", none}, {"truncate table x", none},
		{"CREATE TABLE x (a INT)", none}, {"DROP TABLE x", none}, {"ALTER TABLE x ADD y INT", none}, {"RENAME TABLE a TO b", none},
		{"LOCK TABLES wp_options WRITE", none}, {"UNLOCK TABLES", none}, {"START TRANSACTION", none}, {"START TRANSACTION READ WRITE", none},
		{"BEGIN", none}, {"COMMIT", none}, {"ROLLBACK", none}, {"SET autocommit = 0", none}, {"SET SESSION TRANSACTION READ WRITE", none},
		{"SET @@session.tx_read_only = 0", none}, {"SET GLOBAL x = 1", none}, {"CALL p()", none}, {"OPTIMIZE TABLE x", none}, {"ANALYZE UPDATE x SET a=1", none},
		{"LOAD DATA INFILE 'x' INTO TABLE y", none}, {"/*!50000 DELETE FROM x */", none}, {"/*M!100000 DELETE FROM x */", none},
		{"/**/DELETE FROM x", none}, {"-- \nDELETE FROM x", none}, {";DELETE FROM x", none}, {"\x00", none}, {"\u00a0SELECT 1", none},
	}
	in := make([]string, len(statements))
	for i, s := range statements {
		in[i] = s[0]
	}
	list, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(string(list))
	var got [2][]string
	runPrepend(t, openDir(t), Prepend(""), []string{MaskParam + "="}, nil, `
		$GLOBALS['wpdb'] = (object) array('posts' => 'wp_posts', 'users' => 'wp_users');
		$out = array();
		foreach (json_decode('`+quoted+`') as $sql) { $out[] = apply_filters('query', $sql); }
		return array($out, array(apply_filters('query', str_repeat("/* x */\n", 200000) . 'DELETE FROM x')));`, &got)
	for i, s := range statements {
		if got[0][i] != s[1] {
			t.Errorf("%q becomes %q, want %q", s[0], got[0][i], s[1])
		}
	}
	if got[1][0] != none {
		t.Errorf("a statement behind many comments becomes %.40q", got[1][0])
	}
}
