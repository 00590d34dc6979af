package wp_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wpmend/packaging/lab"
	"wpmend/wp"
)

// who says as whom the request came, though it does its best that it be nobody.
const who = `<?php
/* Plugin Name: Who */
class Who_Tokens extends WP_Session_Tokens {
	protected function get_sessions() { return array(); }
	protected function get_session($verifier) { return null; }
	protected function update_session($verifier, $session = null) {}
	protected function destroy_other_sessions($verifier) {}
	protected function destroy_all_sessions() {}
	public static function drop_sessions() {}
}
add_filter('session_token_manager', function () { return getenv('WPTEST_WHO') ? 'WP_User_Meta_Session_Tokens' : 'Who_Tokens'; });
add_filter('determine_current_user', function ($id) { return getenv('WPTEST_WHO') ? $id : 0; }, 99);
add_action('wp_footer', function () {
	$cookie = isset($_COOKIE[LOGGED_IN_COOKIE]) ? $_COOKIE[LOGGED_IN_COOKIE] : '';
	echo '<!-- who ' . LOGGED_IN_COOKIE . '="' . $cookie . '" ' . wp_get_current_user()->user_login . ' ' . implode(',', array_keys($_COOKIE)) . ' -->';
	$answer = wp_remote_get('http://127.0.0.1:1/', array('timeout' => 1));
	echo '<!-- fetched ' . (is_wp_error($answer) ? $answer->get_error_message() : 'well') . ' -->';
});`

// advanced is a page cache: it serves all but those who are logged in.
const advanced = `<?php
if (!preg_grep('/^wordpress_logged_in_/', array_keys($_COOKIE))) {
	exit('a cached page');
}`

func TestShadowAsUser(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 1})
	activate(t, l, map[string]string{"plugins/who/who.php": who}, "plugin-01/plugin-01.php", "who/who.php")
	root := l.Site(0).Root
	sums, err := l.TableChecksums(0)
	if err != nil {
		t.Fatal(err)
	}
	p := startPool(t, l, wp.Prepend(""), "")
	mask := wp.Mask{AsUser: "admin", HoldHTTP: true, Nonce: rand.Text()}
	request := func(m wp.Mask, script, uri string) map[string]string {
		_, query, _ := strings.Cut(uri, "?")
		return map[string]string{wp.MaskParam: m.Encode(), "SCRIPT_FILENAME": root + script, "SCRIPT_NAME": script, "REQUEST_URI": uri, "QUERY_STRING": query}
	}
	front := request(mask, "/index.php", "/")
	secure := request(mask, "/wp-admin/index.php", "/wp-admin/")
	secure["HTTPS"] = "on"
	for name, tt := range map[string]struct {
		params map[string]string
		want   []string
	}{
		"the front page":         {front, []string{`" admin wordpress_`, "held back by wpmend", "</html>"}},
		"the dashboard":          {request(mask, "/wp-admin/index.php", "/wp-admin/"), []string{`id="adminmenu"`, "</html>"}},
		"the dashboard by https": {secure, []string{`id="adminmenu"`, "</html>"}},
		"REST":                   {request(mask, "/index.php", "/?rest_route=/wp/v2/users/me"), []string{`"slug":"admin"`}},
		"nobody's front page":    {request(wp.Mask{}, "/index.php", "/"), []string{`=""   -->`, "<!-- fetched User has blocked", "</html>"}},
		"nobody's dashboard":     {request(wp.Mask{}, "/wp-admin/index.php", "/wp-admin/"), []string{"302 Found", "wp-login.php"}},
		"nobody's REST":          {request(wp.Mask{}, "/index.php", "/?rest_route=/wp/v2/users/me"), []string{"rest_not_logged_in"}},
	} {
		body := p.ask(t, tt.params)
		for _, want := range tt.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in\n%.1000s\n…\n%s", name, want, body, tail(body))
			}
		}
		if strings.Contains(body, "Set-Cookie: wordpress") || mask.NoSuchUser([]byte(body)) {
			t.Errorf("%s: %.1000s", name, body)
		}
	}
	after, err := l.TableChecksums(0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sums, after); diff != "" {
		t.Errorf("tables changed: %s", diff)
	}

	// What was minted is worth nothing to the live site.
	live := startPool(t, l, nil, "env[WPTEST_WHO] = honest\n")
	_, cookie, _ := strings.Cut(p.ask(t, front), "<!-- who ")
	name, value, _ := strings.Cut(cookie, `="`)
	value, _, _ = strings.Cut(value, `"`)
	if !strings.HasPrefix(value, "admin|") {
		t.Fatalf("no cookie in %.200q", cookie)
	}
	if body := live.ask(t, map[string]string{"HTTP_COOKIE": name + "=" + strings.ReplaceAll(value, "|", "%7C")}); !strings.Contains(body, "=\""+value+"\"  ") {
		t.Errorf("the live site takes the cookie: %s", tail(body))
	}

	stranger := mask
	stranger.AsUser = "nobody' OR 1=1"
	if body := p.get(t, stranger); !stranger.NoSuchUser([]byte(body)) || strings.Contains(body, "Status: ") || mask.NoSuchUser([]byte("wpmend:x:no such user")) {
		t.Errorf("a stranger is answered %q", body)
	}

	activate(t, l, map[string]string{"advanced-cache.php": advanced}, "who/who.php")
	rewrite(t, filepath.Join(root, "wp-config.php"), "<?php\n", "<?php\ndefine('WP_CACHE', true);\n")
	if body := p.ask(t, front); !strings.Contains(body, `" admin wordpress_`) || strings.Contains(body, "in_wpmend") {
		t.Errorf("behind a page cache: %s", tail(body))
	}
	if body := p.get(t, wp.Mask{}); !strings.Contains(body, "a cached page") {
		t.Errorf("the page cache serves nobody: %s", tail(body))
	}
}

// rewrite exchanges the first old in a file.
func rewrite(t testing.TB, file, old, with string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(b), old) {
		t.Fatalf("no %q in %s", old, file)
	}
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(b), old, with, 1)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
