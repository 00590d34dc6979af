package fpm

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const copyDir = "/run/wpmend/shadow/c1"

func pool(t testing.TB, text string) (Master, Pool) {
	t.Helper()
	global, pools, err := load(memory{"/0": text}, "/0")
	if err != nil {
		t.Fatal(err)
	}
	return Master{Binary: phpFPM, Config: "/0", Global: global}, pools[0]
}

func TestPrivateConfig(t *testing.T) {
	t.Parallel()
	m, p := pool(t, `[global]
pid = /run/live.pid
error_log = /var/log/live.log
process_control_timeout = 10s
emergency_restart_threshold = 3
rlimit_files = 4096
[shop.example]
prefix = /srv/$pool
user = shop
group = 'shop'
listen = /run/php/shop.sock
listen.owner = www-data
listen.mode = 0666
listen.allowed_clients = 127.0.0.1
pm = dynamic
pm.max_children = 50
pm.status_path = /status
pm.status_listen = 9001
pm.max_requests = 500
ping.path = /ping
access.log = /var/log/$pool.access
slowlog = /var/log/$pool.slow
request_slowlog_timeout = 5s
request_terminate_timeout = 300s
request_terminate_timeout_track_finished = yes
catch_workers_output = yes
chdir = /srv/shop
clear_env = no
security.limit_extensions = .php .phtml
rlimit_core = unlimited
process.priority = 5
env[SECRET] = 'p;w"d'
env[HOST] = $HOSTNAME
php_value[error_reporting] = E_ALL & ~E_NOTICE ; comment
php_flag[display_errors] = off
php_value[auto_prepend_file] = /srv/$pool/waf.php
php_admin_value[memory_limit] = 256M
php_admin_value[error_log] = /srv/$pool/debug.log
php_admin_flag[log_errors] = off
php_admin_value[Opcache.Revalidate_Freq] = 60
php_admin_value[open_basedir] = "/srv/$pool:/tmp:"
`)
	got, err := PrivateConfig(m, p, PrivateOptions{Dir: copyDir, SlowlogTimeout: 1200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	want := `; A private copy of one pool, started by wpmend for a minute. Safe to remove with its folder when no wpmend runs.
[global]
error_log = '/run/wpmend/shadow/c1/fpm.log'
log_level = 'notice'
log_limit = '8192'
daemonize = no
rlimit_files = 4096
[shop.example]
user = shop
group = 'shop'
chdir = /srv/shop
clear_env = no
security.limit_extensions = .php .phtml
rlimit_core = unlimited
process.priority = 5
env[SECRET] = 'p;w"d'
env[HOST] = $HOSTNAME
php_value[error_reporting] = E_ALL & ~E_NOTICE
php_flag[display_errors] = off
php_admin_value[memory_limit] = 256M
listen = '/run/wpmend/shadow/c1/s/fpm.sock'
listen.owner = 'root'
listen.group = 'root'
listen.mode = '0600'
pm = 'static'
pm.max_children = '2'
slowlog = '/run/wpmend/shadow/c1/slow.log'
request_slowlog_timeout = '2s'
request_slowlog_trace_depth = '40'
request_terminate_timeout = '60s'
catch_workers_output = no
php_admin_value[auto_prepend_file] = '/run/wpmend/shadow/c1/p/prepend.php'
php_admin_value[open_basedir] = '/srv/shop.example:/tmp:/run/wpmend/shadow/c1/p/'
php_admin_value[error_log] = '/dev/null/none'
php_admin_value[log_errors] = '1'
php_admin_value[fastcgi.logging] = '1'
php_admin_value[sendmail_path] = '/bin/true'
php_admin_value[opcache.validate_timestamps] = '1'
php_admin_value[opcache.revalidate_freq] = '0'
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestPrivateConfigOpenBasedirAndWorkers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pool, ini string
		workers   int
		want      []string
		not       string
	}{
		{pool: "", want: []string{"pm.max_children = '2'\n"}, not: "open_basedir"},
		{pool: "", ini: "/srv:/tmp", workers: 9, want: []string{"[open_basedir] = '/srv:/tmp:" + copyDir + "/p/'\n", "pm.max_children = '8'\n"}},
		{pool: "php_value[open_basedir] = /a\n", ini: "/srv", workers: 1, want: []string{"php_admin_value[open_basedir] = '/a:" + copyDir + "/p/'\n", "pm.max_children = '1'\n"}},
		{pool: "php_admin_value[open_basedir] = none\n", ini: "/srv", workers: -1, want: []string{"pm.max_children = '1'\n", "php_admin_value[open_basedir] = none\n"}, not: "/srv"},
		{pool: "php_value[open_basedir] = /a\nphp_admin_value[open_basedir] = /b:/c::\n", want: []string{"'/b:/c:" + copyDir + "/p/'\n"}, not: "/a"},
	} {
		m, p := pool(t, "[w]\nuser=33\n"+c.pool)
		got, err := PrivateConfig(m, p, PrivateOptions{Dir: copyDir, OpenBasedir: c.ini, Workers: c.workers})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(got), want) {
				t.Errorf("%q lacks %q:\n%s", c.pool, want, got)
			}
		}
		if c.not != "" && strings.Contains(string(got), c.not) {
			t.Errorf("%q has %q:\n%s", c.pool, c.not, got)
		}
	}
}

func TestPrivateConfigErrors(t *testing.T) {
	t.Parallel()
	one := func(key, value, raw string) Pool {
		return Pool{Name: "w", Directives: []Directive{{Key: key, Value: value, Raw: raw}}}
	}
	for _, c := range []struct {
		pool Pool
		o    PrivateOptions
		want string
	}{
		{pool: Pool{Name: "a]\n[b"}, want: "private copy of pool a]\n[b: its name cannot be written safely"},
		{pool: Pool{Name: "Global"}, want: "private copy of pool Global: its name cannot be written safely"},
		{pool: one("chroot", "/srv", ""), want: "private copy of pool w: it runs in a chroot, where our prepend cannot be seen"},
		{pool: one("chdir", "srv", ""), want: `private copy of pool w: chdir: "srv" is relative to what is not known here`},
		{pool: one("user", "a\nlisten = 9000", ""), want: "private copy of pool w: user: a value may not hold a line break or a NUL"},
		{pool: one("user", "a", "a\nlisten = 9000"), want: "private copy of pool w: user: a value may not hold a line break or a NUL"},
		{pool: one("user", "a", "'a' ; b"), want: "private copy of pool w: user: its value is more than one value"},
		{pool: one("user", "a", `"a`), want: "private copy of pool w: user: its value is more than one value"},
		{pool: one("env[a]=b\nx[y]", "a", ""), want: "private copy of pool w: env[a]=b\nx[y]: its name cannot be written safely"},
		{pool: one("php_admin_value[open_basedir]", `/a'"b`, ""), want: `private copy of pool w: php_admin_value[open_basedir]: a value with ' may not hold ", \ or ${`},
		{pool: Pool{Name: "w"}, o: PrivateOptions{Dir: "/run/a b"}, want: `private copy of pool w: its folder "/run/a b" is not a plain absolute path`},
		{pool: Pool{Name: "w"}, o: PrivateOptions{Dir: "/run/../x"}, want: `private copy of pool w: its folder "/run/../x" is not a plain absolute path`},
		{pool: Pool{Name: "w"}, o: PrivateOptions{Dir: copyDir, SlowlogTimeout: time.Minute},
			want: "private copy of pool w: a slow-log timeout of 1m0s is not below the 1m0s that any request may take"},
	} {
		if c.o.Dir == "" {
			c.o.Dir = copyDir
		}
		got, err := PrivateConfig(Master{}, c.pool, c.o)
		if err == nil || err.Error() != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.pool, got, err, c.want)
		}
	}
}

// Whatever a pool says, its copy has one pool, our socket, our prepend, and none of the live pool's logs.
func FuzzPrivateConfig(f *testing.F) {
	f.Add("user", "33", "", "/srv")
	f.Add("php_value[x]", "a", `"a" 'b'`, "")
	f.Add("php_admin_value[auto_prepend_file]", "/x", "", "")
	f.Add("listen", "/live.sock", "", "/a'b")
	f.Add("env[A]", "a\nlisten=9000", "", "")
	f.Add("env[A]", `x\`, `"x\"`, "")
	f.Fuzz(func(t *testing.T, key, value, raw, basedir string) {
		p := Pool{Name: "w", Directives: []Directive{{Key: key, Value: value, Raw: raw}}}
		text, err := PrivateConfig(Master{Global: p.Directives}, p, PrivateOptions{Dir: copyDir, OpenBasedir: basedir})
		if err != nil {
			return
		}
		global, pools, err := load(memory{"/0": string(text)}, "/0")
		if err != nil || len(pools) != 1 || pools[0].Name != "w" {
			t.Fatalf("%v\n%s", err, text)
		}
		for k, want := range map[string]string{"listen": copyDir + "/s/fpm.sock", "listen.mode": "0600", "pm": "static", "slowlog": copyDir + "/slow.log",
			"php_admin_value[auto_prepend_file]": copyDir + "/p/prepend.php", "php_admin_value[error_log]": unopenable, "catch_workers_output": ""} {
			if got, _ := pools[0].Get(k); got != want {
				t.Errorf("%s = %q\n%s", k, got, text)
			}
			n := 0
			for _, d := range pools[0].Directives {
				if d.Key == k {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s is set %d times\n%s", k, n, text)
			}
		}
		if v, _ := get(global, "error_log"); v != copyDir+"/fpm.log" {
			t.Errorf("error_log = %q\n%s", v, text)
		}
	})
}
