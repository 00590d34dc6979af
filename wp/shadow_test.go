package wp_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wpmend/packaging/lab"
	"wpmend/wp"
)

// nasty are plugins whose ordinary work would spoil a live site if they did it
// while others are masked.
var nasty = map[string]string{
	// Saves rewrite rules without the post types of masked neighbours.
	"plugins/flusher/flusher.php": `<?php
/* Plugin Name: Flusher */
add_action('init', function () {
	register_post_type('flushed', array('public' => true, 'rewrite' => true));
	update_option('permalink_structure', '/%postname%/');
	flush_rewrite_rules();
});`,
	// Deactivates itself when its base is missing.
	"plugins/dependent/dependent.php": `<?php
/* Plugin Name: Dependent */
add_action('plugins_loaded', function () {
	if (!class_exists('plugin_01')) {
		require_once ABSPATH . 'wp-admin/includes/plugin.php';
		deactivate_plugins('dependent/dependent.php');
	}
});
add_action('wp_footer', function () { echo '<!-- dependent -->'; });`,
	// Puts itself first in the list of active plugins, on every request.
	"plugins/order/order.php": `<?php
/* Plugin Name: Order */
add_action('plugins_loaded', function () {
	$active = array_diff(get_option('active_plugins'), array('order/order.php'));
	update_option('active_plugins', array_merge(array('order/order.php'), $active));
});`,
	// Writes in every other way there is.
	"plugins/writer/writer.php": `<?php
/* Plugin Name: Writer */
add_filter('cron_request', function ($request) {
	touch(getenv('WPTEST_OUT') . '/cron');
	return $request;
});
add_action('init', function () {
	global $wpdb;
	$said = array();
	$said['add'] = add_option('writer_added', 'x');
	$said['added'] = get_option('writer_added');
	$said['update'] = update_option('blogname', 'Spoilt');
	$said['delete'] = delete_option('blogdescription');
	set_transient('writer', 'kept', 60);
	$said['transient'] = get_transient('writer');
	$said['site'] = update_site_option('writer_site', 1);
	$said['insert'] = $wpdb->insert($wpdb->postmeta, array('post_id' => 1, 'meta_key' => 'writer', 'meta_value' => 1));
	$loops = 0;
	while ($loops < 5 && $wpdb->query("DELETE FROM $wpdb->postmeta WHERE meta_key = 'writer' LIMIT 1")) {
		$loops++;
	}
	$wpdb->query('START TRANSACTION READ WRITE');
	$said['replace'] = $wpdb->replace($wpdb->postmeta, array('meta_id' => 1, 'post_id' => 1, 'meta_key' => 'w', 'meta_value' => 2));
	$wpdb->query('COMMIT');
	$wpdb->query("CREATE TABLE {$wpdb->prefix}writer (a INT)");
	$wpdb->query("ALTER TABLE $wpdb->users ADD writer INT");
	$said['post'] = is_wp_error(wp_insert_post(array('post_title' => 'Spoilt', 'post_status' => 'publish'), true));
	mysqli_query($wpdb->dbh, "UPDATE $wpdb->posts SET post_title = 'Spoilt'");
	$said['round'] = mysqli_errno($wpdb->dbh);
	$said['temporary'] = $wpdb->query('CREATE TEMPORARY TABLE writer_tmp AS SELECT 1 AS a') !== false
		&& $wpdb->query('INSERT INTO writer_tmp VALUES (2)') === 1
		&& $wpdb->get_var('SELECT SUM(a) FROM writer_tmp') === '3'
		&& $wpdb->query('DROP TEMPORARY TABLE writer_tmp') !== false
		&& $wpdb->query('CREATE TEMPORARY TABLE writer_tmp (a INT)') !== false;
	mysqli_query($wpdb->dbh, "DELETE FROM $wpdb->comments");
	$said['again'] = mysqli_errno($wpdb->dbh);
	$said['locked'] = $wpdb->get_var("SELECT option_id FROM $wpdb->options WHERE option_name = 'home' FOR UPDATE") > 0;
	$said['error'] = $wpdb->last_error;
	$said['mail'] = wp_mail('owner@example.com', 'Subject', 'Text');
	$said['schedule'] = wp_schedule_single_event(time() - 60, 'writer_event');
	spawn_cron();
	$said['mask'] = isset($_SERVER['WPMEND_MASK']) || isset($_ENV['WPMEND_MASK']);
	$GLOBALS['said'] = $said;
}, 99);
add_action('wp_footer', function () { echo '<!-- writer ' . json_encode($GLOBALS['said']) . ' -->'; });
add_action('shutdown', function () { add_option('writer_late', 1); }, 99);`,
	"plugins/themer/themer.php": `<?php
/* Plugin Name: Themer */
add_action('wp_footer', function () { echo '<!-- theme ' . get_option('template') . ' ' . get_option('stylesheet') . ' -->'; });`,
}

var nastyActive = []string{"dependent/dependent.php", "flusher/flusher.php", "order/order.php",
	"plugin-01/plugin-01.php", "plugin-02/plugin-02.php", "plugin-03/plugin-03.php", "themer/themer.php", "writer/writer.php"}

func nastyLab(t testing.TB) *lab.Lab {
	t.Helper()
	l := lab.New(t, lab.Options{Plugins: 3})
	// The writer's cron must be held off by the prepend, not by the lab.
	config := filepath.Join(l.Site(0).Root, "wp-config.php")
	b, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, []byte(strings.Replace(string(b), "'DISABLE_WP_CRON', true", "'DISABLE_WP_CRON', false", 1)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	activate(t, l, nasty, nastyActive...)
	return l
}

func plugin(name string) wp.Component { return wp.Component{Kind: wp.KindPlugin, Name: name} }
func theme(name string) wp.Component  { return wp.Component{Kind: wp.KindTheme, Name: name} }

func masks(c ...wp.Component) wp.Mask { return wp.Mask{Components: c} }

func TestShadowMasksAndWritesNothing(t *testing.T) {
	t.Parallel()
	l := nastyLab(t)
	sums, err := l.TableChecksums(0)
	if err != nil {
		t.Fatal(err)
	}
	before, err := l.Snapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	p := startPool(t, l, wp.Prepend(""), "")
	const said = `{"add":true,"added":"x","update":false,"delete":false,"transient":"kept","site":true,"insert":1,"replace":1,` +
		`"post":true,"round":1792,"temporary":true,"again":1792,"locked":true,"error":"",` +
		`"mail":true,"schedule":false,"mask":false}`
	const current = "theme twentytwentythree twentytwentythree"
	footer := func(names ...string) []string {
		for i, n := range names {
			if strings.HasPrefix(n, "plugin-") {
				names[i] = "<!-- " + n + " saw "
			}
		}
		return append(names, "</html>", "Lab shop")
	}
	for name, tt := range map[string]struct {
		mask wp.Mask
		with []string
		not  []string
	}{
		"nothing": {masks(), footer("plugin-01", "plugin-02", "plugin-03", "<!-- dependent", "writer "+said, current), nil},
		"one":     {masks(plugin("plugin-02")), footer("plugin-01", "plugin-03", "<!-- dependent", "writer "+said), footer("plugin-02")[:1]},
		"a base":  {masks(plugin("plugin-01")), footer("plugin-02", "<!-- dependent", "writer "+said), footer("plugin-01")[:1]},
		"all": {masks(plugin("plugin-01"), plugin("plugin-02"), plugin("plugin-03"), plugin("dependent"), plugin("flusher"), plugin("order"), plugin("themer"), plugin("writer")),
			footer(), []string{"<!-- plugin-", "<!-- dependent", "<!-- writer", "<!-- theme"}},
		"a theme, with a fallback": {wp.Mask{Components: []wp.Component{theme("twentytwentythree")}, Fallback: "twentytwentytwo"},
			footer("plugin-01", "theme twentytwentytwo twentytwentytwo"), []string{"themes/twentytwentythree"}},
		"a theme, without any": {masks(theme("twentytwentythree"), theme("twentytwentytwo")),
			append(footer("plugin-01", "plugin-02")[:3], "theme wpmend-no-theme"), []string{"themes/twentytwenty"}},
	} {
		body := p.get(t, tt.mask)
		for _, want := range tt.with {
			if !strings.Contains(body, want) {
				t.Errorf("%s masked: no %q in the page:\n%s", name, want, tail(body))
			}
		}
		for _, not := range append(tt.not, "Status: ", "Spoilt") {
			if strings.Contains(body, not) {
				t.Errorf("%s masked: %q in the page:\n%s", name, not, tail(body))
			}
		}
		after, err := l.TableChecksums(0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sums, after); diff != "" {
			t.Fatalf("%s masked: tables changed: %s", name, diff)
		}
	}
	after, err := l.Snapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := before.Diff(after); diff != "" {
		t.Error(diff)
	}
	if left := p.left(t); strings.Contains(left, "mail") || strings.Contains(left, "cron") {
		t.Errorf("the shadow left %s", left)
	}

	// The same page without the prepend does all of it, so the test would notice.
	live := startPool(t, l, nil, "")
	live.get(t, masks())
	if left := live.left(t); !strings.Contains(left, "mail") || !strings.Contains(left, "cron") {
		t.Errorf("the live pool left only %q", left)
	}
	spoilt, err := l.TableChecksums(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"wp_options", "wp_postmeta", "wp_posts", "wp_comments", "wp_users", "wp_writer"} {
		if sums[table] == spoilt[table] {
			t.Errorf("%s is unchanged by the live pool", table)
		}
	}
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

// With nothing masked the page is the live pool's, byte for byte.
func TestShadowAnswersAsTheLivePool(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 3})
	live, shadow := startPool(t, l, nil, ""), startPool(t, l, wp.Prepend(""), "")
	for _, uri := range []string{"/", "/?p=1", "/?s=x", "/?p=999", "/?feed=rss2"} {
		params := map[string]string{"REQUEST_URI": uri, "QUERY_STRING": strings.TrimPrefix(uri, "/?")}
		live.ask(t, params) // what only the first request writes
		want := live.ask(t, params)
		params[wp.MaskParam] = ""
		if diff := cmp.Diff(want, shadow.ask(t, params)); diff != "" || !strings.Contains(want, "Content-Type:") {
			t.Errorf("%s: %s\n%.300s", uri, diff, want)
		}
	}
}

func TestShadowMasksDropIns(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 1})
	activate(t, l, map[string]string{
		"object-cache.php": `<?php
			require_once ABSPATH . WPINC . '/cache.php';
			header('X-Object-Cache: loaded');`,
		"advanced-cache.php": `<?php header('X-Advanced-Cache: loaded');`,
	}, "plugin-01/plugin-01.php")
	config := filepath.Join(l.Site(0).Root, "wp-config.php")
	b, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, []byte(strings.Replace(string(b), "<?php\n", "<?php\ndefine('WP_CACHE', true);\n", 1)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := startPool(t, l, wp.Prepend(""), "")
	advanced := wp.Component{Kind: wp.KindDropIn, Name: "advanced-cache.php"}
	object := wp.Component{Kind: wp.KindDropIn, Name: "object-cache.php"}
	for name, tt := range map[string]struct {
		mask wp.Mask
		want map[string]bool
	}{
		"nothing":                  {wp.Mask{}, map[string]bool{"X-Advanced-Cache": true, "X-Object-Cache": false}},
		"the object cache let in":  {wp.Mask{ObjectCache: true}, map[string]bool{"X-Advanced-Cache": true, "X-Object-Cache": true}},
		"the advanced cache":       {masks(advanced), map[string]bool{"X-Advanced-Cache": false, "X-Object-Cache": false}},
		"both, the one let in too": {wp.Mask{Components: []wp.Component{advanced, object}, ObjectCache: true}, map[string]bool{"X-Advanced-Cache": false, "X-Object-Cache": false}},
	} {
		body := p.get(t, tt.mask)
		got := map[string]bool{}
		for header := range tt.want {
			got[header] = strings.Contains(body, header+": loaded")
		}
		if !maps.Equal(got, tt.want) || !strings.Contains(body, "</html>") {
			t.Errorf("%s masked: %v, want %v\n%.500s", name, got, tt.want, body)
		}
	}
}
