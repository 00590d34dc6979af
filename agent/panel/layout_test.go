package panel

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wpmend/php/ini"
)

// layout is a panel's files below a folder, as the documentation of each describes them.
func layout(t *testing.T, files map[string]string) host {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		at := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o640)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(at, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return host{root: root}
}

func named(t *testing.T, name string) Panel {
	t.Helper()
	p, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var one = []ini.Setting{{Name: "request_terminate_timeout", Value: "120s"}, {Name: "php_admin_value[memory_limit]", Value: "256M"}, {Name: "pm.max_children", Value: "12"}}

const hestiaConf = "/usr/local/hestia/conf/hestia.conf"

var hestiaFiles = map[string]string{
	hestiaConf: "WEB_SYSTEM='nginx'\n",
	"/usr/local/hestia/data/users/alice/user.conf": "NAME='Alice Ltd'\nCONTACT='alice@example.com'\nSUSPENDED='no'\n",
	"/usr/local/hestia/data/users/alice/web.conf": "DOMAIN='shop.example' IP='10.0.0.1' ALIAS='www.shop.example,shop2.example' BACKEND='PHP-8_2' SUSPENDED='no'\n" +
		"DOMAIN='old.example' ALIAS='' BACKEND='default' CUSTOM_DOCROOT='/home/alice/web/shop.example/public_html/old/' SUSPENDED='yes'\n",
	"/usr/local/hestia/data/users/bob/user.conf":               "NAME='Bob'\nCONTACT='\"x\" <bob@example.com>, root@localhost'\nSUSPENDED='yes'\n",
	"/usr/local/hestia/data/users/bob/web.conf":                "DOMAIN='bob.example' SUSPENDED='no'\nDOMAIN='../../etc' SUSPENDED='no'\nDOMAIN=broken\n",
	"/usr/local/hestia/data/templates/web/php-fpm/PHP-8_2.tpl": "; DO NOT MODIFY THIS FILE\n[%backend%]\nlisten = /run/php/php%backend_version%-fpm-%domain%.sock\nuser = %user%\npm = ondemand\npm.max_children = 8\nphp_admin_value[open_basedir] = /home/%user%/web/%domain%/public_html:/tmp\n",
}

func TestHestia(t *testing.T) {
	t.Parallel()
	h := layout(t, hestiaFiles)
	p, ok := detect(h)
	if !ok || p.Name != "hestia" {
		t.Fatalf("detected %+v", p)
	}
	l, err := p.sites(t.Context(), h)
	if err != nil || len(l.Sites) != 3 || len(l.Notes) != 2 {
		t.Fatalf("%+v, %v", l, err)
	}
	shop := l.Sites[2]
	if shop.Domain != "shop.example" || shop.Account != "alice" || shop.Contact != "alice@example.com" || shop.Suspended || shop.Root != "/home/alice/web/shop.example/public_html" || len(shop.Aliases) != 2 {
		t.Errorf("%+v", shop)
	}
	if old := l.Sites[1]; !old.Suspended || old.Root != "/home/alice/web/shop.example/public_html/old" || len(old.Aliases) != 0 {
		t.Errorf("%+v", old)
	}
	if bob := l.Sites[0]; bob.Contact != "" || !bob.Suspended {
		t.Errorf("an account that is suspended, with two addresses: %+v", bob)
	}

	pool := Pool{"/etc/php/8.2/fpm/pool.d/shop.example.conf", "shop.example", "alice"}
	plan, err := p.plan(t.Context(), h, pool, one)
	if err != nil {
		t.Fatal(err)
	}
	// Hestia knows the PHP version by the end of the template's name.
	if !strings.HasPrefix(plan.Apply.To, "wpmend-") || !strings.HasSuffix(plan.Apply.To, "-PHP-8_2") || plan.Undo.To != "PHP-8_2" || !plan.New || !plan.Undo.Yields {
		t.Errorf("%+v", plan)
	}
	f, err := ini.Parse([]byte(plan.Text))
	for _, s := range one {
		if v, _ := f.GetIn("%backend%", s.Name); v != s.Value || err != nil {
			t.Errorf("%s = %q in\n%s", s.Name, v, plan.Text)
		}
	}
	if !strings.Contains(plan.Text, "%user%") {
		t.Errorf("the template lost its places:\n%s", plan.Text)
	}
	// A domain that is gone takes its pool along: nothing is left to be taken back.
	gone := plan.Undo
	gone.Domain = "gone.example"
	if err := do(t.Context(), h, gone); err != nil {
		t.Errorf("%v", err)
	}
	gone.Yields = false
	if err := do(t.Context(), h, gone); err == nil {
		t.Error("a template was chosen for a domain that is gone")
	}
	for _, a := range []Act{{Panel: "hestia", Do: "template", User: "alice; id", Domain: "shop.example", From: "a1", To: "b1"}, {Panel: "hestia", Do: "template", User: "alice", Domain: "shop.example", From: "PHP-8_2", To: "-x"},
		{Panel: "hestia", Do: "rm", User: "alice", Domain: "shop.example"}, {Panel: "none"}, {Panel: "cpanel", Do: "rebuild", Domain: "--all"}, {Panel: "cpanel", Do: "rebuild"}} {
		if err := do(t.Context(), h, a); err == nil {
			t.Errorf("%+v was done", a)
		}
	}
	for name, pool := range map[string]Pool{
		"another's":   {"/etc/php/8.2/fpm/pool.d/shop.example.conf", "shop.example", "bob"},
		"a user's":    {"/etc/php/8.2/fpm/pool.d/alice.conf", "alice", "alice"},
		"no panel's":  {"/etc/php/8.2/fpm/pool.d/www.conf", "www", "www-data"},
		"suspended":   {"/etc/php/8.2/fpm/pool.d/old.example.conf", "old.example", "alice"},
		"outside":     {"/etc/php/8.2/fpm/pool.d/../../x.conf", "x", "alice"},
		"root's":      {"/etc/php/8.2/fpm/pool.d/shop.example.conf", "shop.example", "../alice"},
		"unknown":     {"/etc/php/8.2/fpm/pool.d/none.example.conf", "none.example", "alice"},
		"other names": {"/etc/php/8.2/fpm/pool.d/shop.example.conf", "bob.example", "alice"},
	} {
		var e *Error
		if _, err := p.plan(t.Context(), h, pool, one); !errors.As(err, &e) || e.Reason == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range []ini.Setting{{Name: "pm.max_children", Value: "5\nuser = root"}, {Name: "a] = 1\n[b", Value: "1"}, {Name: "x", Value: ""}, {Name: "x", Value: "`id`"}} {
		if _, err := p.plan(t.Context(), h, pool, []ini.Setting{s}); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
}

// What a customer could have put there is neither believed nor run.
func TestTrust(t *testing.T) {
	t.Parallel()
	h := layout(t, hestiaFiles)
	if err := os.Chown(h.at("/usr/local/hestia/data/users/alice/web.conf"), 1001, 1001); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(h.at("/usr/local/hestia/data/users/bob"), 0o777); err != nil {
		t.Fatal(err)
	}
	l, err := named(t, "hestia").sites(t.Context(), h)
	if err != nil || len(l.Sites) != 0 || len(l.Notes) != 2 {
		t.Errorf("%+v, %v", l, err)
	}
	for _, change := range []func(conf string) error{
		func(conf string) error { return os.Chown(conf, 1001, 0) },
		func(conf string) error { return errors.Join(os.Chown(conf, 0, 0), os.Chmod(conf, 0o666)) },
		func(conf string) error { return errors.Join(os.Remove(conf), os.Symlink("/etc/passwd", conf)) },
	} {
		if err := change(h.at(hestiaConf)); err != nil {
			t.Fatal(err)
		}
		if p, ok := detect(h); ok {
			t.Errorf("detected %s", p.Name)
		}
	}
	// The real host: nothing in a world-writable folder is run.
	program := filepath.Join(t.TempDir(), "whmapi1")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho '{}'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := (host{}).run(t.Context(), program); !errors.As(err, &e) {
		t.Errorf("%v", err)
	}
	for _, path := range []string{"/usr/local/hestia/data/templates/web/php-fpm/PHP-8_2.tpl"} {
		big := layout(t, map[string]string{path: strings.Repeat("x", maxFile+1)})
		if _, err := big.read(path); err == nil {
			t.Error("a file of any size is read")
		}
	}
}

const whmAccounts = `{"data":{"acct":[{"user":"alice","email":"a@example.com,b@example.com","suspended":0,"domain":"shop.example"},{"user":"bob","email":"*unknown*","suspended":1}]},"metadata":{"result":1,"reason":"OK","version":1,"command":"listaccts"}}`

const whmDomains = `{"data":{"domains":[{"domain":"shop.example","user":"alice","docroot":"/home/alice/public_html","domain_type":"main"},{"domain":"park.example","user":"alice","domain_type":"parked","parent_domain":"shop.example"},{"domain":"bob.example","user":"bob","docroot":"/home/bob/public_html","domain_type":"main"},{"domain":"evil\nroot","user":"root"}]},"metadata":{"result":1,"reason":"OK"}}`

func TestCPanel(t *testing.T) {
	t.Parallel()
	answer := "#!/bin/sh\ncase \"$*\" in\n'--output=json listaccts') cat \"${0%/*}/accounts\";;\n'--output=json get_domain_info') cat \"${0%/*}/domains\";;\nesac\n"
	files := map[string]string{"/usr/local/cpanel/version": "11.136.0.22\n", whmapi: answer, "/usr/local/cpanel/bin/accounts": whmAccounts, "/usr/local/cpanel/bin/domains": whmDomains,
		"/var/cpanel/userdata/alice/shop.example.php-fpm.yaml": "---\n_is_present: 1\npm_max_children: 5\nphp_value_error_reporting:\n  name: php_value[error_reporting]\n  value: E_ALL\n"}
	h := layout(t, files)
	p, ok := detect(h)
	if !ok || p.Name != "cpanel" || p.Tried {
		t.Fatalf("detected %+v", p)
	}
	l, err := p.sites(t.Context(), h)
	if err != nil || len(l.Sites) != 2 || len(l.Notes) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	if s := l.Sites[1]; s.Account != "alice" || s.Contact != "a@example.com" || !slices.Equal(s.Aliases, []string{"park.example"}) || s.Suspended {
		t.Errorf("%+v", s)
	}
	if s := l.Sites[0]; s.Contact != "" || !s.Suspended {
		t.Errorf("%+v", s)
	}
	// It exits with 0 all the same.
	failed := strings.Replace(whmAccounts, `"result":1,"reason":"OK"`, `"result":0,"reason":"You do not have permission"`, 1)
	if _, err := cpanelList([]byte(failed), []byte(whmDomains)); err == nil || !strings.Contains(err.Error(), "You do not have permission") {
		t.Errorf("%v", err)
	}
	if _, err := cpanelList([]byte("Internal error\n"), []byte(whmDomains)); err == nil {
		t.Error("no JSON is taken for an answer")
	}

	plan, err := p.plan(t.Context(), h, Pool{"/opt/cpanel/ea-php82/root/etc/php-fpm.d/shop.example.conf", "shop_example", "alice"}, one)
	if err != nil {
		t.Fatal(err)
	}
	want := "---\n_is_present: 1\npm_max_children: 12\nphp_value_error_reporting:\n  name: php_value[error_reporting]\n  value: E_ALL\nrequest_terminate_timeout: 120s\nphp_admin_value_memory_limit: { name: 'php_admin_value[memory_limit]', value: '256M' }\n"
	if plan.Text != want || plan.Apply.Domain != "shop.example" {
		t.Errorf("%+v\n%s", plan.Apply, plan.Text)
	}
	if hand := ByHand(plan.Apply); len(hand) != 1 || hand[0] != "/usr/local/cpanel/scripts/php_fpm_config --rebuild --domain=shop.example" {
		t.Errorf("%q", hand)
	}
	for _, pool := range []Pool{{"/opt/cpanel/ea-php82/root/etc/php-fpm.d/bob.example.conf", "bob", "bob"}, {"/etc/php-fpm.d/www.conf", "www", "alice"}} {
		if _, err := p.plan(t.Context(), h, pool, one); err == nil {
			t.Errorf("%+v was planned", pool)
		}
	}
}

func TestYAML(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "a: 1\n", "---\n- a\n", "---\n\ta: 1\n", "---\na: 1\na: 2\n", "---\na b: 1\n", "---\n? a\n", "---\na: 1\n---\nb: 1\n", "---\n{a: 1}\n"} {
		if text, err := yamlSet([]byte(bad), "a", "9"); err == nil {
			t.Errorf("%q became %q", bad, text)
		}
	}
	text, err := yamlSet([]byte("# by hand\n---\n'a':\n  name: x\n  value: y\nb: 2"), "a", "9")
	if err != nil || string(text) != "# by hand\n---\na: 9\nb: 2" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestPlesk(t *testing.T) {
	t.Parallel()
	rows := "shop.example\t0\t0\tshop\t/var/www/vhosts/shop.example/httpdocs\ta@example.com\t0\n" +
		"off.example\t0\t16\toff\t/var/www/vhosts/off.example/httpdocs\tNULL\t0\n" +
		"tab\\tinside\t0\t0\tx\t/x\t\t0\nhalf a row\n"
	h := layout(t, map[string]string{"/usr/local/psa/version": "18.0.60\n", pleskTool: "#!/bin/sh\n[ \"$1 $2\" = 'db -Ne' ] && cat \"${0%/*}/rows\"\n", "/usr/sbin/rows": rows,
		"/var/www/vhosts/system/shop.example/conf/php.ini": "[opcache]\nopcache.revalidate_freq = 60\n\n[php-fpm-pool-settings]\npm = ondemand\npm.max_children = 5\n"})
	p, ok := detect(h)
	if !ok || p.Name != "plesk" {
		t.Fatalf("detected %+v", p)
	}
	l, err := p.sites(t.Context(), h)
	if err != nil || len(l.Sites) != 2 || len(l.Notes) != 2 || l.Sites[1].Account != "shop" || l.Sites[1].Contact != "a@example.com" || !l.Sites[0].Suspended || l.Sites[0].Contact != "" {
		t.Fatalf("%+v, %v", l, err)
	}
	plan, err := p.plan(t.Context(), h, Pool{"/opt/plesk/php/8.2/etc/php-fpm.d/shop.example.conf", "shop.example", "shop"}, one)
	if err != nil {
		t.Fatal(err)
	}
	want := "[opcache]\nopcache.revalidate_freq = 60\n\n[php-fpm-pool-settings]\npm = ondemand\npm.max_children = 12\nrequest_terminate_timeout = 120s\nphp_admin_value[memory_limit] = 256M\n"
	if plan.Text != want {
		t.Errorf("%s", plan.Text)
	}
	listing := "Id: 3\nPriority: 50\nUser: root\nCommand: /root/other.sh\n\nId   14\nCommand   /usr/bin/wpmend sites --refresh\nEvent  x\nId   15\nCommand   echo /usr/bin/wpmend sites --refresh && true\n"
	if found := pleskHandlers([]byte(listing)); len(found) != 1 || found[0][4] != "14" {
		t.Errorf("%v", found)
	}
}

func TestDirectAdmin(t *testing.T) {
	t.Parallel()
	const data = "/usr/local/directadmin/data/"
	h := layout(t, map[string]string{"/usr/local/directadmin/conf/directadmin.conf": "port=2222\n",
		data + "users/alice/user.conf":                 "username=alice\nemail=a@example.com\nsuspended=no\n",
		data + "users/alice/domains.list":              "shop.example\noff.example\n",
		data + "users/alice/domains/off.example.conf":  "suspended=yes\n",
		data + "users/alice/domains/shop.example.conf": "suspended=no\n",
		data + "templates/php-fpm.conf":                "[|USER|]\nuser = $pool\npm = ondemand\npm.max_children = |MAX_CHILDREN|\n"})
	p, ok := detect(h)
	if !ok || p.Name != "directadmin" {
		t.Fatalf("detected %+v", p)
	}
	l, err := p.sites(t.Context(), h)
	if err != nil || len(l.Sites) != 2 || !l.Sites[0].Suspended || l.Sites[1].Suspended || l.Sites[1].Root != "/home/alice/domains/shop.example/public_html" {
		t.Fatalf("%+v, %v", l, err)
	}
	pool := Pool{data + "users/alice/php/php-fpm82.conf", "alice", "alice"}
	plan, err := p.plan(t.Context(), h, pool, one[:1])
	if err != nil {
		t.Fatal(err)
	}
	const head = "[|USER|]\nuser = $pool\npm = ondemand\npm.max_children = |MAX_CHILDREN|\n"
	want := head + "|*if USER=\"alice\"|\n; wpmend: alice, see `wpmend changes`\nrequest_terminate_timeout = 120s\n|*endif|\n"
	if plan.Text != want || !plan.New {
		t.Fatalf("%s", plan.Text)
	}
	// A second setting joins the first, and another account's stays.
	text, err := daSet([]byte(plan.Text), "bob", one[2:])
	if err == nil {
		text, err = daSet(text, "alice", []ini.Setting{{Name: "request_terminate_timeout", Value: "60s"}, one[2]})
	}
	want = head + "|*if USER=\"bob\"|\n; wpmend: bob, see `wpmend changes`\npm.max_children = 12\n|*endif|\n" +
		"|*if USER=\"alice\"|\n; wpmend: alice, see `wpmend changes`\nrequest_terminate_timeout = 60s\npm.max_children = 12\n|*endif|\n"
	if err != nil || string(text) != want {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := daSet([]byte("|*if USER=\"alice\"|\n; wpmend: alice, x\nsomething\n|*endif|\n"), "alice", one); err == nil {
		t.Error("a part changed by hand is overwritten")
	}
	if _, err := p.plan(t.Context(), h, Pool{pool.File, "bob", "bob"}, one); err == nil {
		t.Error("another's pool is planned")
	}
}

func TestCyberPanel(t *testing.T) {
	t.Parallel()
	h := layout(t, map[string]string{"/usr/local/CyberCP/CyberCP/settings.py": "\n", cyberCode: "\n",
		cyberTool: "#!/bin/sh\necho 'DeprecationWarning: x'\necho '[{\"domain\":\"shop.example\",\"adminEmail\":\"a@example.com\",\"ipAddress\":\"10.0.0.1\",\"admin\":\"admin\",\"package\":\"Default\",\"state\":\"Suspended\"}]'\n"})
	p, ok := detect(h)
	if !ok || p.Name != "cyberpanel" {
		t.Fatalf("detected %+v", p)
	}
	l, err := p.sites(t.Context(), h)
	if err != nil || len(l.Sites) != 1 || !l.Sites[0].Suspended || l.Sites[0].Root != "/home/shop.example/public_html" {
		t.Fatalf("%+v, %v", l, err)
	}
	// What it says when it fails, with an exit status of 0.
	if _, err := cyberList([]byte("0\n")); err == nil {
		t.Error("0 is taken for a list")
	}
	var e *Error
	if _, err := p.plan(t.Context(), h, Pool{"/etc/php/8.2/fpm/pool.d/x.conf", "x", "x"}, one); !errors.As(err, &e) || !strings.Contains(e.Remedy, "phpIniOverride") {
		t.Errorf("%v", err)
	}
}
