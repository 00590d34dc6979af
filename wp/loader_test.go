package wp_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wpmend/wp"
)

// PHP itself says which auto_prepend_file applies: every pool is there twice,
// plain and with our prepend in its place, and both must answer alike.
func TestPrependLoadsWhatWouldHaveApplied(t *testing.T) {
	t.Parallel()
	type own struct{ name, directive string }
	pools := []own{
		{"none", ""},
		{"value", "php_value[auto_prepend_file] = DIR/value.php"},
		{"admin", "php_admin_value[auto_prepend_file] = DIR/admin.php"},
		{"empty-admin", "php_admin_value[auto_prepend_file] ="},
		{"off", "php_value[auto_prepend_file] = none"},
		{"missing", "php_admin_value[auto_prepend_file] = DIR/missing.php"},
		{"no-user-ini", "php_admin_value[user_ini.filename] ="},
		{"other-user-ini", "php_admin_value[user_ini.filename] = other.ini"},
	}
	gateways := map[string]map[string]string{
		"no gateway":      {},
		"gateway's value": {"PHP_VALUE": "memory_limit=64M\nauto_prepend_file=DIR/gateway-value.php"},
		"gateway's admin": {"PHP_ADMIN_VALUE": "auto_prepend_file=DIR/gateway-admin.php"},
	}
	scripts := map[string]string{
		"no .user.ini":              "root/plain/index.php",
		"one above":                 "root/with/below/index.php",
		"two":                       "root/with/own/index.php",
		"one that turns it off":     "root/with/off/index.php",
		"outside the document root": "outside/index.php",
	}
	loaded := map[string]bool{}
	for _, ini := range []string{"", "auto_prepend_file = DIR/php-ini.php\n"} {
		dir := openDir(t)
		in := func(s string) string { return strings.ReplaceAll(s, "DIR", dir) }
		files := map[string]string{
			"php.ini": ini, "root/with/.user.ini": "auto_prepend_file = DIR/user-top.php", "root/with/own/.user.ini": "; last wins\nauto_prepend_file = \"DIR/user-own.php\"\n",
			"root/with/off/.user.ini": "auto_prepend_file = none", "root/with/other.ini": "auto_prepend_file = DIR/user-other.php", "outside/.user.ini": "auto_prepend_file=DIR/user-outside.php",
		}
		for _, name := range []string{"value", "admin", "gateway-value", "gateway-admin", "php-ini", "user-top", "user-own", "user-other", "user-outside"} {
			files[name+".php"] = "<?php echo 'loaded " + name + "'; $global_of_the_loader = 1;"
		}
		for _, script := range scripts {
			files[script] = "<?php echo ' script ', memory_get_usage() > 0, isset($global_of_the_loader) ? ' sees it' : ''; echo ini_get('memory_limit');"
		}
		conf := "[global]\nerror_log = DIR/log\ndaemonize = no\n"
		for _, p := range pools {
			// One request a worker: PHP_VALUE sticks to a worker (PHP bug 53611).
			const common = "user = www-data\ngroup = www-data\npm = ondemand\npm.max_children = 1\npm.max_requests = 1\nphp_value[display_errors] = 0\nphp_value[log_errors] = 0\n"
			conf += "[" + p.name + "]\nlisten = DIR/" + p.name + "\n" + common + p.directive + "\n"
			source := wp.Prepend("")
			if key, value, _ := strings.Cut(in(p.directive), " ="); strings.HasSuffix(key, "_value[auto_prepend_file]") {
				value = strings.TrimSpace(value)
				if source = wp.Prepend(value); strings.HasPrefix(key, "php_admin") {
					source = wp.PrependAdmin(value)
				}
			}
			files[p.name+"-prepend.php"] = string(source)
			if strings.HasPrefix(p.directive, "php_admin_value[auto_prepend_file]") {
				p.directive = "" // of two, FPM takes the first: a copy of a pool leaves its own out
			}
			conf += "[" + p.name + "-ours]\nlisten = DIR/" + p.name + "-ours\n" + common + p.directive + "\nphp_admin_value[auto_prepend_file] = DIR/" + p.name + "-prepend.php\n"
		}
		files["fpm.conf"] = conf
		for name, content := range files {
			path := filepath.Join(dir, name)
			for _, err := range []error{os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(in(content)), 0o644)} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		startFPM(t, dir, dir+"/none", "-c", dir+"/php.ini")
		for _, p := range pools {
			for gateway, sent := range gateways {
				// The rest of the pools have nothing to say about gateways.
				if len(sent) > 0 && !strings.Contains("none value admin empty-admin", p.name) {
					continue
				}
				for where, script := range scripts {
					request := func() map[string]string {
						params := map[string]string{"SCRIPT_FILENAME": dir + "/" + script, "DOCUMENT_ROOT": dir + "/root", "REQUEST_METHOD": "GET", "REQUEST_URI": "/"}
						for name, value := range sent {
							params[name] = in(value)
						}
						return params
					}
					want := fastCGI(t, dir+"/"+p.name, request())
					params := request()
					wp.TakeGatewayPrepend(params)
					params[wp.MaskParam] = wp.EncodeMask([]wp.Component{plugin("some")})
					got := fastCGI(t, dir+"/"+p.name+"-ours", params)
					name := fmt.Sprintf("php.ini %q, pool %s, %s, %s", ini, p.name, gateway, where)
					if got != want {
						t.Errorf("%s:\nPHP  %q\nours %q", name, want, got)
					}
					_, what, _ := strings.Cut(want, "loaded ")
					what, _, _ = strings.Cut(what, " ")
					loaded[what] = true
					// Masked by its name, it is left out, missing or not.
					if what != "" || strings.Contains(want, "Status: 500") {
						if what == "" {
							what = "missing"
						}
						params[wp.MaskParam] = wp.EncodeMask([]wp.Component{{Kind: wp.KindPrepend, Name: what + ".php"}})
						if got := fastCGI(t, dir+"/"+p.name+"-ours", params); strings.Contains(got, "loaded") || !strings.Contains(got, " script 1") {
							t.Errorf("%s, masked: %q", name, got)
						}
					}
				}
			}
		}
	}
	for _, name := range []string{"value", "admin", "gateway-value", "gateway-admin", "php-ini", "user-top", "user-own", "user-other", "user-outside", ""} {
		if !loaded[name] {
			t.Errorf("nowhere did PHP load %q: the test does not cover it", name)
		}
	}
}

func openDir(t testing.TB) string {
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
