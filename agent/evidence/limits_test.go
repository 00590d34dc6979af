package evidence

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
	"wpmend/php/fcgi"
	"wpmend/php/fpm"
	"wpmend/php/ini"
)

// limitCase is one way to set max_execution_time and its like, at several places.
type limitCase struct {
	name                      string
	ini, pool, user, sub      string // php.ini, the pool's lines, .user.ini of the document root and of the site's folder
	config                    string // in wp-config.php
	value, admin              string // PHP_VALUE, PHP_ADMIN_VALUE
	args                      []string
	execution, memory, locked string // what must win, where it is said here: else PHP alone says it
}

var limitCases = []limitCase{
	{name: "nothing", execution: "30", memory: "128M"},
	{name: "php.ini", ini: "max_execution_time = 31\nmemory_limit = 90M\nmemory_limit = 91M", execution: "31", memory: "91M"},
	{name: "-d", ini: "max_execution_time = 31", args: []string{"-d", "max_execution_time=32"}, execution: "32"},
	{name: "pool beats php.ini", ini: "max_execution_time = 31", pool: "php_value[max_execution_time] = 33", execution: "33"},
	{name: "the first php_value counts", pool: "php_value[max_execution_time] = 33\nphp_value[max_execution_time] = 34", execution: "33"},
	{name: "the first php_admin_value counts", pool: "php_admin_value[max_execution_time] = 33\nphp_admin_value[max_execution_time] = 34", execution: "33", locked: "yes"},
	{name: "php_admin_value beats php_value", pool: "php_admin_value[memory_limit] = 80M\nphp_value[memory_limit] = 81M", memory: "80M"},
	{name: ".user.ini beats php_value", pool: "php_value[max_execution_time] = 33", user: "max_execution_time = 35", execution: "35"},
	{name: "php_admin_value locks", pool: "php_admin_value[max_execution_time] = 2", user: "max_execution_time = 7", config: "set_time_limit(9);", execution: "2", locked: "yes"},
	{name: "the inner .user.ini", user: "max_execution_time = 35\nmemory_limit = 70M", sub: "max_execution_time = 36", execution: "36", memory: "70M"},
	{name: "set_time_limit", user: "max_execution_time = 35", config: "set_time_limit(37);", execution: "37"},
	{name: "ini_set", user: "memory_limit = 70M", config: "@ini_set('memory_limit', '150M');", memory: "150M"},
	{name: "PHP_VALUE and .user.ini", value: "max_execution_time = 21", user: "max_execution_time = 9", execution: "9"},
	{name: "PHP_VALUE", value: "max_execution_time = 21\n memory_limit = 66M", pool: "php_value[max_execution_time] = 33", execution: "21", memory: "66M"},
	{name: "PHP_VALUE gets past php_admin_value", value: "max_execution_time = 40", pool: "php_admin_value[max_execution_time] = 2", execution: "40", locked: "yes"},
	{name: "PHP_VALUE, php_admin_value and .user.ini", value: "max_execution_time = 40", pool: "php_admin_value[max_execution_time] = 2", user: "max_execution_time = 9", execution: "40", locked: "yes"},
	{name: "PHP_ADMIN_VALUE", admin: "max_execution_time = 31", user: "max_execution_time = 9", config: "set_time_limit(8);", execution: "31", locked: "yes"},
	{name: "both params", value: "max_execution_time = 40", admin: "max_execution_time = 41", execution: "41", locked: "yes"},
	{name: "PATH", ini: "max_execution_time = 31\n[PATH=@]\nmax_execution_time = 51\n[PATH=@/blog]\nmax_execution_time = 52\n[PATH=/nowhere]\nmax_execution_time = 53",
		pool: "php_admin_value[max_execution_time] = 2", user: "max_execution_time = 9", execution: "52", locked: "yes"},
	{name: "HOST", ini: "[HOST=shop.test]\nmax_execution_time = 61", user: "max_execution_time = 9", execution: "61", locked: "yes"},
	{name: "HOST and PATH", ini: "[HOST=shop.test]\nmax_execution_time = 61\n[PATH=@]\nmax_execution_time = 51", execution: "51", locked: "yes"},
	{name: "another HOST", ini: "[HOST=other.test]\nmax_execution_time = 61", execution: "30"},
	{name: "a broken .user.ini", user: "memory_limit = 77M\nx = \"\nmax_execution_time = 9", memory: "77M", execution: "30"},
	{name: "a broken php.ini", ini: "max_execution_time = 44\nmemory_limit = (\nmax_execution_time = 45"},
	{name: "php_flag", pool: "php_admin_value[post_max_size] = 20M\nphp_value[upload_max_filesize] = 3M", user: "post_max_size = 30M\nupload_max_filesize = 31M"},
	{name: "comments and quotes", user: "max_execution_time = \"38\" ; not 39\n;max_execution_time = 40", execution: "38"},
	{name: "user_ini.filename", pool: "php_admin_value[user_ini.filename] = \"none.ini\"", user: "max_execution_time = 9", execution: "30"},
}

// TestLimitChain holds the chain against what PHP says in the real pool, for every place and their mixtures.
func TestLimitChain(t *testing.T) {
	t.Parallel()
	for _, tc := range limitCases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := limitSite(t, tc)
			chain := LimitChain(context.Background(), s)
			// Twice, since the second request goes to a worker that has seen the first one's parameters.
			for range 2 {
				for line := range strings.Lines(askLimits(t, s, tc)) {
					name, want, _ := strings.Cut(strings.TrimSpace(line), "=")
					if l := ini.Find(chain.Links, name); l.Set.Value != want {
						t.Errorf("%s is %q to PHP and %q (%s) in the chain %+v\n%s", name, want, l.Set.Value, Place(l.Set), l, chain.Notes)
					}
				}
			}
			m := ini.Find(chain.Links, ini.MaxExecution)
			if tc.execution != "" && m.Set.Value != tc.execution || m.Locked != (tc.locked != "") {
				t.Errorf("max_execution_time is %+v", m)
			}
			if l := ini.Find(chain.Links, ini.Memory); tc.memory != "" && l.Set.Value != tc.memory {
				t.Errorf("memory_limit is %+v", l)
			}
			f := chain.Facts()
			if f.Terminate != 50*time.Second || f.Gateway != time.Minute || f.SetAt[ini.Terminate] != s.Pool.Directives[0].File+":9" {
				t.Errorf("the facts are %+v", f)
			}
		})
	}
}

// limitSite starts a pool for a site in the folder blog of a document root.
func limitSite(t *testing.T, tc limitCase) site.Site {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wpmend-limits-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	www := dir + "/www"
	for name, text := range map[string]string{
		"php.ini": strings.ReplaceAll(tc.ini, "@", www) + "\n",
		"fpm.conf": fmt.Sprintf("[global]\nerror_log = %[1]s/fpm.log\npid = %[1]s/fpm.pid\nprocess_control_timeout = 3s\n[www]\nuser = www-data\nlisten = %[1]s/fpm.sock\n"+
			"pm = static\nrequest_terminate_timeout = 50s\npm.max_children = 1\n%[2]s\n", dir, tc.pool),
		"www/blog/wp-config.php":   "<?php\n" + tc.config + "\n$table_prefix = 'wp_';\nrequire_once ABSPATH . 'wp-settings.php';\n",
		"www/blog/wp-settings.php": "<?php\n", "www/blog/wp-load.php": "<?php\n", "www/blog/wp-includes/version.php": "<?php\n$wp_version = '6.9';\n",
		"www/blog/index.php": "<?php define('ABSPATH', __DIR__ . '/'); require 'wp-config.php';\n" +
			"foreach (['max_execution_time', 'max_input_time', 'memory_limit', 'post_max_size', 'upload_max_filesize'] as $k) echo $k, '=', ini_get($k), \"\\n\";",
		"www/.user.ini": tc.user, "www/blog/.user.ini": tc.sub,
	} {
		if text == "" {
			continue
		}
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := fpm.Load("/usr/sbin/php-fpm8.2", dir+"/fpm.conf")
	if err != nil {
		t.Fatal(err)
	}
	m.Args = append([]string{"-c", dir + "/php.ini"}, tc.args...)
	if m, err = fpm.Start(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p, err := os.FindProcess(m.Process.PID)
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			t.Error(err)
		}
	})
	l := gateway.PHPLocation{ReadTimeout: time.Minute, File: "/etc/nginx/nginx.conf", Line: 7, Params: []gateway.Param{{Name: "DOCUMENT_ROOT", Value: "$document_root"}}}
	if tc.value != "" {
		l.Params = append(l.Params, gateway.Param{Name: "PHP_VALUE", Value: tc.value})
	}
	if tc.admin != "" {
		l.Params = append(l.Params, gateway.Param{Name: "PHP_ADMIN_VALUE", Value: tc.admin})
	}
	return site.Site{Domain: "shop.test", Root: www + "/blog", DocRoot: www, Base: "/blog", Owner: 33, Handler: site.FPM, Master: m, Pool: m.Pools[0],
		Location: l, Vhosts: []gateway.Vhost{{Names: []string{"shop.test"}}}}
}

func askLimits(t *testing.T, s site.Site, tc limitCase) string {
	t.Helper()
	params := map[string]string{"SCRIPT_FILENAME": s.Root + "/index.php", "DOCUMENT_ROOT": s.DocRoot, "REQUEST_METHOD": "GET", "SERVER_NAME": "shop.test"}
	if tc.value != "" {
		params["PHP_VALUE"] = tc.value
	}
	if tc.admin != "" {
		params["PHP_ADMIN_VALUE"] = tc.admin
	}
	a := s.Pool.Listen()
	r, err := fcgi.Do(context.Background(), a.Network, a.Addr, fcgi.Request{Params: params}, fcgi.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(r.Body), "max_execution_time=") {
		t.Fatalf("PHP says %s", r.Body)
	}
	return string(r.Body)
}
