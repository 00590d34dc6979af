package wp_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"wpmend/packaging/lab"
	"wpmend/wp"
)

// resaver writes what a network has, where it has it, on each request.
var resaver = map[string]string{
	"plugins/resaver/resaver.php": `<?php
/* Plugin Name: Resaver */
add_action('init', function () {
	global $wpdb;
	$said = array();
	$said['sitewide'] = update_site_option('active_sitewide_plugins', get_site_option('active_sitewide_plugins'));
	update_site_option('resaver', time());
	update_option('active_plugins', get_option('active_plugins'));
	$said['blog'] = update_blog_option(2, 'blogname', 'Spoilt');
	switch_to_blog(get_current_blog_id() === 1 ? 2 : 1);
	$said['list'] = update_option('active_plugins', array_reverse(get_option('active_plugins')));
	add_option('resaver_added', 1);
	$said['post'] = is_wp_error(wp_insert_post(array('post_title' => 'Spoilt', 'post_status' => 'publish'), true));
	$said['meta'] = $wpdb->insert($wpdb->postmeta, array('post_id' => 1, 'meta_key' => 'resaver', 'meta_value' => 1));
	restore_current_blog();
	$said['site'] = is_wp_error(wp_insert_site(array('domain' => $_SERVER['HTTP_HOST'], 'path' => '/three/', 'network_id' => 1, 'user_id' => 1)));
	delete_blog_option(2, 'blogdescription');
	$said['error'] = $wpdb->last_error;
	$GLOBALS['said'] = $said;
}, 99);
add_action('wp_footer', function () { echo '<!-- resaver ' . json_encode($GLOBALS['said']) . ' -->'; });`,
	"plugins/net/net.php": `<?php
/* Plugin Name: Net */
add_action('wp_footer', function () { echo '<!-- net on ' . get_current_blog_id() . ' ' . get_option('stylesheet') . ', ' . get_option('blogname') . ' -->'; });`,
}

// network makes the lab's first site a network of two, in folders.
func network(t testing.TB, l *lab.Lab) {
	t.Helper()
	site := l.Site(0)
	config := filepath.Join(site.Root, "wp-config.php")
	script := filepath.Join(openTestDir(t), "make.php")
	run := func(code string) {
		t.Helper()
		write(t, script, fmt.Sprintf(`<?php
			foreach (array('HTTP_HOST', 'SERVER_NAME') as $n) { $_SERVER[$n] = '%s'; }
			$_SERVER['REQUEST_URI'] = '/'; $_SERVER['REMOTE_ADDR'] = '127.0.0.1'; $_SERVER['REQUEST_METHOD'] = 'GET';
			require '%s/wp-load.php'; require_once ABSPATH . 'wp-admin/includes/upgrade.php'; require_once ABSPATH . 'wp-admin/includes/network.php';
			%s; echo 'made';`, site.Domain, site.Root, code))
		cmd := exec.CommandContext(t.Context(), "php8.2", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: wwwData, Gid: wwwData}}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "made") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	run(`foreach ($wpdb->tables('ms_global') as $name => $table) { $wpdb->$name = $table; }
		install_network();
		$made = populate_network(1, '` + site.Domain + `', 'a@example.com', 'Network', '/', false);
		if (is_wp_error($made) && $made->get_error_code() !== 'no_wildcard_dns') { exit($made->get_error_message()); }`)
	rewrite(t, config, "define( 'WP_DEBUG'", `define('MULTISITE', true); define('SUBDOMAIN_INSTALL', false); define('DOMAIN_CURRENT_SITE', '`+site.Domain+`');
		define('PATH_CURRENT_SITE', '/'); define('SITE_ID_CURRENT_SITE', 1); define('BLOG_ID_CURRENT_SITE', 1);
		define( 'WP_DEBUG'`)
	run(`$made = wpmu_create_blog('` + site.Domain + `', '/two/', 'Second shop', 1, array('public' => 1));
		if (is_wp_error($made)) { exit($made->get_error_message()); }
		switch_to_blog(2);
		update_option('active_plugins', array('plugin-02/plugin-02.php'));
		switch_theme('twentytwentytwo');
		restore_current_blog();
		update_site_option('active_sitewide_plugins', array('net/net.php' => 1700000000, 'resaver/resaver.php' => 1700000001))`)
}

func openTestDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wp")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestShadowOfANetwork(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 2})
	root := l.Site(0).Root
	activate(t, l, resaver, "plugin-01/plugin-01.php", "plugin-02/plugin-02.php")
	network(t, l)
	p := startPool(t, l, wp.Prepend(""), "")
	sums, err := l.TableChecksums(0)
	if err != nil {
		t.Fatal(err)
	}
	const said = `{"sitewide":false,"blog":false,"list":false,"post":true,"meta":1,"site":true,"error":""}`
	ask := func(p pool, m wp.Mask, script, uri string) string {
		m.Nonce = "N"
		return p.ask(t, map[string]string{wp.MaskParam: m.Encode(), "SCRIPT_FILENAME": root + script, "SCRIPT_NAME": script, "REQUEST_URI": uri})
	}
	for name, tt := range map[string]struct {
		mask        wp.Mask
		script, uri string
		want, not   []string
	}{
		"the main blog":                {wp.Mask{}, "/index.php", "/", []string{"net on 1 twentytwentythree, Lab shop", "plugin-01 saw", "plugin-02 saw", said}, nil},
		"the second":                   {wp.Mask{}, "/index.php", "/two/", []string{"net on 2 twentytwentytwo, Second shop", "plugin-02 saw", said}, []string{"plugin-01 saw"}},
		"masked on the main blog":      {masks(plugin("plugin-02")), "/index.php", "/", []string{"net on 1", "plugin-01 saw", said}, []string{"plugin-02 saw"}},
		"masked on the second":         {masks(plugin("plugin-02")), "/index.php", "/two/", []string{"net on 2", said}, []string{"plugin-02 saw"}},
		"a network plugin on the main": {masks(plugin("net")), "/index.php", "/", []string{"plugin-01 saw", said}, []string{"net on"}},
		"a network plugin on both":     {masks(plugin("net"), plugin("resaver")), "/index.php", "/two/", []string{"plugin-02 saw"}, []string{"net on", "resaver"}},
		"the second's theme":           {wp.Mask{Components: []wp.Component{theme("twentytwentytwo")}, Fallback: "twentytwentythree"}, "/index.php", "/two/", []string{"net on 2 twentytwentythree,"}, nil},
		"the second's theme, main":     {wp.Mask{Components: []wp.Component{theme("twentytwentytwo")}, Fallback: "twentytwentythree"}, "/index.php", "/", []string{"net on 1 twentytwentythree,"}, nil},
		"signing up":                   {masks(plugin("net")), "/wp-signup.php", "/wp-signup.php", []string{"signup-content", "plugin-01 saw"}, []string{"net on"}},
		"signing up without a theme":   {masks(theme("twentytwentythree"), theme("twentytwentytwo")), "/wp-signup.php", "/wp-signup.php", []string{"signup-content", "net on 1 wpmend-no-theme"}, nil},
		"the network's dashboard":      {wp.Mask{AsUser: "admin"}, "/wp-admin/network/index.php", "/wp-admin/network/", []string{`id="adminmenu"`}, nil},
		"the second's dashboard":       {wp.Mask{AsUser: "admin"}, "/wp-admin/index.php", "/two/wp-admin/", []string{`id="adminmenu"`, "Second shop"}, nil},
	} {
		body := ask(p, tt.mask, tt.script, tt.uri)
		for _, want := range append(tt.want, "</html>") {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in\n%.600s…\n%s", name, want, body, tail(body))
			}
		}
		// WordPress itself answers a sign-up that is closed with 404.
		for _, not := range append(tt.not, "Status: 3", "Status: 5", "Spoilt") {
			if strings.Contains(body, not) {
				t.Errorf("%s: %q in\n%.600s…\n%s", name, not, body, tail(body))
			}
		}
		after, err := l.TableChecksums(0)
		if diff := cmp.Diff(sums, after); diff != "" || err != nil {
			t.Fatalf("%s: tables changed: %v %s", name, err, diff)
		}
	}

	if _, err := (wp.Mask{Inspect: true, Nonce: rand.Text()}).Inspection([]byte(ask(p, wp.Mask{Inspect: true}, "/index.php", "/two/"))); err == nil {
		t.Error("an answer to another request was taken")
	}
	i, err := wp.ParseInspection([]byte(ask(p, wp.Mask{Inspect: true}, "/index.php", "/two/")))
	want := wp.Inspection{Constants: i.Constants, Prefix: "wp_", Version: i.Version, PHP: i.PHP, Config: i.Config, Multisite: true,
		Plugins: []string{"plugin-01/plugin-01.php", "plugin-02/plugin-02.php"}, Network: []string{"net/net.php", "resaver/resaver.php"},
		Template: "twentytwentythree", Stylesheet: "twentytwentythree"}
	if diff := cmp.Diff(want, i, cmpopts.EquateEmpty()); diff != "" || err != nil || i.Constants["MULTISITE"] != "1" || i.Constants["SUBDOMAIN_INSTALL"] != "" {
		t.Errorf("%v %v: %s", err, i.Constants, diff)
	}
	if i.Constants["PATH_CURRENT_SITE"] != "/" || i.Constants["SITE_ID_CURRENT_SITE"] != "1" {
		t.Errorf("%v", i.Constants)
	}

	// The live site would do all of it, so the test would notice.
	live := ask(startPool(t, l, nil, ""), wp.Mask{}, "/index.php", "/")
	spoilt, err := l.TableChecksums(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"wp_blogs", "wp_sitemeta", "wp_2_options", "wp_2_posts", "wp_2_postmeta"} {
		if sums[table] == spoilt[table] {
			t.Errorf("%s is unchanged by the live pool, which says %s", table, tail(live))
		}
	}
}

func TestShadowForgetsOfANetwork(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 2})
	cache, err := os.ReadFile("testdata/object-cache.php")
	if err != nil {
		t.Fatal(err)
	}
	activate(t, l, map[string]string{"plugins/net/net.php": resaver["plugins/net/net.php"]}, "plugin-01/plugin-01.php", "plugin-02/plugin-02.php")
	network(t, l)
	write(t, filepath.Join(l.Site(0).Root, "wp-content/object-cache.php"), string(cache))
	live := startPool(t, l, nil, "")
	shadow := startPool(t, l, wp.Prepend(""), "")
	for _, err := range []error{os.Remove(shadow.out), os.Symlink(live.out, shadow.out)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	says := func(uri string) string {
		_, said, _ := strings.Cut(live.ask(t, map[string]string{"REQUEST_URI": uri}), "<!-- net on ")
		said, _, _ = strings.Cut(said, " -->")
		return said
	}
	says("/")
	says("/two/")
	for _, q := range []string{"UPDATE wp_2_options SET option_value = 'Renamed' WHERE option_name = 'blogname'", "UPDATE wp_options SET option_value = 'Renamed too' WHERE option_name = 'blogname'",
		"UPDATE wp_sitemeta SET meta_value = 'a:0:{}' WHERE meta_key = 'active_sitewide_plugins'"} {
		if _, err := l.DB().Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	const main, second = "1 twentytwentythree, Lab shop", "2 twentytwentytwo, Second shop"
	for _, step := range []struct{ forget, main, second string }{
		{"", main, second},
		{"blog-2:blogname", main, "2 twentytwentytwo, Renamed"},
		{"blogname", "1 twentytwentythree, Renamed too", "2 twentytwentytwo, Renamed"},
		{"network:active_sitewide_plugins", "", ""},
	} {
		if step.forget != "" {
			mask := wp.Mask{Forget: []string{step.forget}, Nonce: rand.Text()}
			_, body, _ := strings.Cut(shadow.ask(t, map[string]string{wp.MaskParam: mask.Encode()}), "\r\n\r\n")
			if err := mask.Forgotten([]byte(body)); err != nil {
				t.Errorf("%s: %v", step.forget, err)
			}
		}
		if diff := cmp.Diff([]string{step.main, step.second}, []string{says("/"), says("/two/")}); diff != "" {
			t.Errorf("%q forgotten: %s", step.forget, diff)
		}
	}
}
