package fpm

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wpmend/packaging/lab"
	"wpmend/php/process"
)

const (
	unitPool = "/etc/php/8.2/fpm/pool.d/www.conf"
	unitConf = "/etc/php/8.2/fpm/php-fpm.conf"
	unitName = "php8.2-fpm.service"
)

// machine is a host whose PHP-FPM and nginx are units of systemd's: pages /x.php?MS answer after that time, /grow.php
// takes memory until it is killed.
func machine() lab.SystemdOptions {
	return lab.SystemdOptions{Units: []string{unitName, "nginx.service"}, Files: map[string]string{
		unitPool: `[www]
user = www-data
group = www-data
listen = /run/php/php8.2-fpm.sock
listen.owner = www-data
listen.group = www-data
pm = static
pm.max_children = 8
php_admin_value[memory_limit] = -1
`,
		unitConf: "[global]\npid = /run/php/php8.2-fpm.pid\nerror_log = /var/log/php8.2-fpm.log\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n",
		"/etc/systemd/system/" + unitName + ".d/memory.conf": "[Service]\nMemoryMax=250M\nMemorySwapMax=0\n",
		"/etc/nginx/nginx.conf": `user www-data;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events {}
http {
	access_log off;
	server {
		listen 127.0.0.1:80;
		root /srv/www;
		location / { fastcgi_pass unix:/run/php/php8.2-fpm.sock; include fastcgi_params; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; }
	}
}
`,
		"/srv/www/x.php":    "<?php $until = microtime(true) + (int) $_SERVER['QUERY_STRING'] / 1000;\nwhile (($left = $until - microtime(true)) > 0) usleep((int) ($left * 1e6));\necho getmypid();",
		"/srv/www/grow.php": "<?php for ($all = []; ; ) $all[] = str_repeat('x', 1 << 20);",
	}}
}

func fetch(t *testing.T, path string) int {
	t.Helper()
	r, err := http.Get("http://127.0.0.1" + path)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	return r.StatusCode
}

// visitors come at a steady rate until the returned function ends it.
func visitors(t *testing.T) (end func() (asked, failed int)) {
	t.Helper()
	var asked, failed atomic.Int64
	var all sync.WaitGroup
	done := make(chan struct{})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	all.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			asked.Add(1)
			all.Go(func() {
				r, err := client.Get("http://127.0.0.1/x.php?300")
				if err != nil {
					failed.Add(1)
					return
				}
				r.Body.Close()
				if r.StatusCode != http.StatusOK {
					failed.Add(1)
				}
			})
		}
	})
	return func() (int, int) {
		close(done)
		all.Wait()
		return int(asked.Load()), int(failed.Load())
	}
}

// rounds is how often an action is done under load: for 3 s, or a minute where there is time.
func rounds() int {
	if os.Getenv("WPMEND_LONG") != "" {
		return 40
	}
	return 2
}

func TestUnderSystemd(t *testing.T) {
	t.Parallel()
	if !lab.InSystemd(t, machine()) {
		return
	}
	ctx := context.Background()
	found := func() Master {
		t.Helper()
		procs, err := process.List()
		if err != nil {
			t.Fatal(err)
		}
		masters, errs := Discover(procs)
		if len(masters) != 1 || masters[0].Unit != unitName || !masters[0].byUnit(ctx) {
			t.Fatalf("%+v, %v", masters, errs)
		}
		return masters[0]
	}
	state := func(property, want string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			out, err := systemctl(ctx, "show", "--property="+property, "--value", "--", unitName)
			if err == nil && strings.TrimSpace(out) == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s is %q, %v; want %s", property, out, err, want)
			}
		}
	}
	m := found()

	// Debian 12's unit leaves OOMPolicy at stop: one worker that the kernel kills takes the service down for good.
	if status := fetch(t, "/grow.php"); status != http.StatusBadGateway {
		t.Errorf("a request that takes all memory gives %d", status)
	}
	if _, err := os.Stat("/sys/fs/cgroup/system.slice/" + unitName + "/memory.events"); err == nil {
		state("Result", "oom-kill")
	} else {
		// systemd hears of the OOM killer from control groups of version 2 only, which do not have the memory here
		// (unit_check_oom reads memory.events). What it would do is done instead.
		t.Log("memory is with version 1 of control groups: the worker is killed for real, the unit is stopped by hand")
		if status := fetch(t, "/x.php?0"); status != http.StatusOK {
			t.Errorf("after the end of one worker: %d", status)
		}
		if _, err := systemctl(ctx, "kill", "--signal=KILL", "--", unitName); err != nil {
			t.Fatal(err)
		}
		state("Result", "signal")
	}
	state("ActiveState", "failed")
	if status := fetch(t, "/x.php?0"); status != http.StatusBadGateway {
		t.Errorf("after the OOM kill: %d", status)
	}
	m, err := Start(ctx, m)
	if err != nil || fetch(t, "/x.php?0") != http.StatusOK {
		t.Fatalf("after the OOM kill: %v", err)
	}

	// As somebody does who restarts it again and again.
	for i := 0; ; i++ {
		if _, err := systemctl(ctx, "restart", "--", unitName); err != nil {
			break
		}
		if i == 20 {
			t.Fatal("systemd starts it for ever")
		}
	}
	state("Result", "start-limit-hit")
	if _, err := systemctl(ctx, "start", "--", unitName); err == nil || fetch(t, "/x.php?0") != http.StatusBadGateway {
		t.Error("a plain start does it")
	}
	if m, err = Start(ctx, m); err != nil || fetch(t, "/x.php?0") != http.StatusOK {
		t.Fatalf("after the start limit: %v", err)
	}

	// A configuration that fails its own test is never loaded.
	const broken = "/etc/php/8.2/fpm/pool.d/broken.conf"
	writeFile(t, broken, "[broken]\nuser = www-data\nlisten = /run/php/broken.sock\npm = sometimes\n")
	for what, do := range map[string]func(context.Context, Allow) (Effect, error){"reload": m.Reload, "restart": m.Restart} {
		if _, err := do(ctx, Allow{Requests: Any}); err == nil || !strings.Contains(err.Error(), "["+broken+":4]") {
			t.Errorf("%s: %v", what, err)
		}
		if !m.Process.Alive() || fetch(t, "/x.php?0") != http.StatusOK {
			t.Fatalf("the %s has ended FPM", what)
		}
	}
	if _, err := systemctl(ctx, "stop", "--", unitName); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(ctx, m); err == nil || !strings.Contains(err.Error(), "["+broken+":4]") {
		t.Errorf("a start with it: %v", err)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	if m, err = Start(ctx, m); err != nil {
		t.Fatal(err)
	}

	// With the default process_control_timeout of 0.
	lost, announced := 0, 0
	end := visitors(t)
	for range rounds() {
		time.Sleep(700 * time.Millisecond)
		c, err := m.ReloadCost()
		if err != nil || c.Kept {
			t.Fatalf("%+v, %v", c, err)
		}
		e, err := m.Reload(ctx, Allow{Requests: c.Lost, Patience: 10 * time.Second})
		if err != nil || e.Ended > c.Lost || e.Master.Process.PID != m.Process.PID {
			t.Fatalf("%+v, %v", e, err)
		}
		announced, lost = announced+c.Lost, lost+e.Ended
	}
	asked, failed := end()
	t.Logf("process_control_timeout = 0: announced %d, said %d, failed %d of %d", announced, lost, failed, asked)
	if failed > announced || lost > announced {
		t.Errorf("%d of %d requests failed, %d announced, %d said to have been ended", failed, asked, announced, lost)
	}

	conf, err := os.ReadFile(unitConf)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, unitConf, strings.Replace(string(conf), "[global]", "[global]\nprocess_control_timeout = 10s", 1))
	if c, err := m.ReloadCost(); err != nil || c.Kept {
		t.Errorf("a timeout that the master has not read: %+v, %v", c, err)
	}
	e, err := m.Restart(ctx, Allow{})
	if err != nil || e.Master.Process.PID == m.Process.PID {
		t.Fatalf("%+v, %v", e, err)
	}
	m = found()
	if m.Process.PID != e.Master.Process.PID {
		t.Errorf("the restart says that %d runs, and %d does", e.Master.Process.PID, m.Process.PID)
	}
	end = visitors(t)
	for range rounds() {
		time.Sleep(700 * time.Millisecond)
		e, err := m.Reload(ctx, Allow{})
		if err != nil || e.Ended != 0 || !e.Cost.Kept {
			t.Fatalf("%+v, %v", e, err)
		}
	}
	if asked, failed = end(); failed != 0 {
		t.Errorf("with process_control_timeout = 10s %d of %d requests failed", failed, asked)
	}

	// What comes while nobody listens is lost to a restart, whatever runs.
	end = visitors(t)
	time.Sleep(700 * time.Millisecond)
	c, err := m.RestartCost()
	if err != nil || !c.Kept {
		t.Fatalf("%+v, %v", c, err)
	}
	if e, err = m.Restart(ctx, Allow{}); err != nil || e.Ended != 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	asked, failed = end()
	came := int(e.Pause/(100*time.Millisecond)) + 1
	t.Logf("restart: pause %s, failed %d of %d", e.Pause, failed, asked)
	if failed > c.Lost+came {
		t.Errorf("%d of %d requests failed, %d announced, %d came in the %s without FPM", failed, asked, c.Lost, came, e.Pause)
	}

	// The unit is another's where it only holds a master that somebody started by hand.
	other := m
	other.Unit = "nginx.service"
	if other.byUnit(ctx) {
		t.Error("nginx's unit is taken for FPM's own")
	}
	other.Unit = "none.service"
	other.Process = process.Process{}
	if err := resetFailed(ctx, other.Unit); err == nil || err.Error() != "the unit none.service cannot be started: it is not-found" {
		t.Errorf("%v", err)
	}
}
