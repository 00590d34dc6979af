package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/agent"
	"wpmend/agent/panel"
	"wpmend/packaging/lab"
)

const (
	hestiaDir  = "/usr/local/hestia/"
	hestiaTpl  = hestiaDir + "data/templates/web/php-fpm/"
	hestiaTool = hestiaDir + "bin/v-change-web-domain-backend-tpl"
)

// changeTemplate does to a pool what HestiaCP's command of this name is documented to do, and no more: USER DOMAIN
// TEMPLATE RESTART. What it does with Hestia's own code was tried by hand (packaging/panels/README.md).
const changeTemplate = `#!/bin/sh
set -eu
echo "$@" >>/var/log/hestia-asked
[ ! -e /run/hestia-lies ] || exit 0
if mv /run/hestia-slow /run/hestia-slowing 2>/dev/null; then
	while [ -e /run/hestia-slowing ]; do sleep 0.1; done
fi
dir=/usr/local/hestia/data
grep -q "DOMAIN='$2'" "$dir/users/$1/web.conf" || exit 3
[ -f "$dir/templates/web/php-fpm/$3.tpl" ] || exit 3
rm -f "/etc/php/8.2/fpm/pool.d/$2.conf"
sed -e "s|%user%|$1|g" -e "s|%domain%|$2|g" -e "s|%backend%|$2|g" -e "s|%backend_version%|8.2|g" \
	"$dir/templates/web/php-fpm/$3.tpl" >"/etc/php/8.2/fpm/pool.d/$2.conf"
sed -i "/DOMAIN='$2'/s/BACKEND='[^']*'/BACKEND='$3'/" "$dir/users/$1/web.conf"
[ "$4" = no ] || kill -USR2 "$(cat /run/php-fpm-of-the-lab.pid)"
`

// hestiaStage is a lab whose pool is HestiaCP's.
type hestiaStage struct {
	*stage
	pool, web string
}

func newHestia(t *testing.T) *hestiaStage {
	s := newStage(t, lab.Options{TerminateTimeout: 20 * time.Second, Plugins: 4, Sites: 2}, "probe.verify = 1", `watch.discover = "1h"`)
	// The machine's root is an overlay, on which a file that was just made seems to lie on a device of its own.
	s.must(os.MkdirAll(hestiaDir, 0o755))
	s.must(unix.Mount("tmpfs", hestiaDir, "tmpfs", 0, "mode=0755"))
	h := &hestiaStage{stage: s, pool: "/etc/php/8.2/fpm/pool.d/" + s.domain() + ".conf", web: hestiaDir + "data/users/www-data/web.conf"}
	put := func(path, text string, mode os.FileMode) {
		s.must(os.MkdirAll(filepath.Dir(path), 0o755))
		s.must(os.WriteFile(path, []byte(text), mode))
	}
	text, err := os.ReadFile(s.PoolConfig(0))
	s.must(err)
	_, body, _ := strings.Cut(string(text), "\n")
	body = strings.ReplaceAll(body, "user = www-data", "user = %user%")
	put(hestiaTpl+"PHP-8_2.tpl", ";# DO NOT MODIFY THIS FILE! CHANGES WILL BE LOST WHEN REBUILDING DOMAINS\n[%backend%]\n"+body+"php_admin_value[memory_limit] = 48M\n", 0o644)
	put(hestiaDir+"conf/hestia.conf", "WEB_BACKEND='php-fpm'\n", 0o660)
	put(hestiaDir+"data/users/www-data/user.conf", "NAME='Ann'\nCONTACT='ann@example.com'\nSUSPENDED='no'\n", 0o660)
	put(h.web, "DOMAIN='"+s.domain()+"' IP='127.0.0.1' ALIAS='' BACKEND='PHP-8_2' SUSPENDED='no'\n", 0o660)
	put(hestiaTool, changeTemplate, 0o755)
	out, err := exec.Command(hestiaTool, "www-data", s.domain(), "PHP-8_2", "no").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	main, err := os.ReadFile(s.FPMConfig(0))
	s.must(err)
	put(s.FPMConfig(0), strings.ReplaceAll(string(main), filepath.Dir(s.PoolConfig(0))+"/*.conf", s.PoolConfig(1)+"\ninclude = "+h.pool), 0o644)
	s.must(s.RestartFPM())
	if !s.healthy() {
		t.Fatal("the site is not well with the panel's pool")
	}
	return h
}

func (h *hestiaStage) read(path string) string {
	h.t.Helper()
	text, err := os.ReadFile(path)
	h.must(err)
	return string(text)
}

// TestPanel: the limits of a pool that a panel writes are set by the panel's own override, proven, kept when the panel
// writes it anew, and taken back; what the panel does not do, or what others could have put in its place, changes
// nothing.
func TestPanel(t *testing.T) {
	t.Parallel()
	if !lab.InSystemd(t, lab.SystemdOptions{}) {
		return
	}
	h := newHestia(t)
	was, web := h.read(h.pool), h.read(h.web)
	templates := func() int {
		all, err := filepath.Glob(hestiaTpl + "*")
		h.must(err)
		return len(all)
	}
	asFound := func(when string) {
		t.Helper()
		if h.read(h.pool) != was || h.read(h.web) != web || templates() != 1 {
			t.Errorf("%s: not as it was found:\n%s%s", when, h.read(h.pool), h.read(h.web))
		}
	}

	if r := h.json("panel", "detect").exits(exitDone); !strings.Contains(r.stdout, `"panel": "hestia"`) {
		t.Errorf("%s", r)
	}
	var list panel.List
	h.json("panel", "sites").exits(exitDone).into(&list)
	if len(list.Sites) != 1 || list.Sites[0].Contact != "ann@example.com" || list.Sites[0].Domain != h.domain() {
		t.Errorf("%+v", list)
	}
	var plan panel.Plan
	h.json("panel", "plan", h.domain(), "--set", "pm.max_children=9").exits(exitDone).into(&plan)
	if !strings.HasPrefix(plan.File, hestiaTpl+"wpmend-") || !strings.Contains(plan.Text, "pm.max_children = 9") || plan.Apply.Domain != h.domain() {
		t.Errorf("%+v", plan)
	}
	limit := func(args ...string) result {
		return h.json(append([]string{"php", "limits", h.domain()}, args...)...)
	}
	var set agent.LimitsSet
	limit("--set", "request_terminate_timeout=40", "--dry-run").exits(exitDone).into(&set)
	if len(set.Changes) != 1 || !strings.Contains(set.Changes[0].What, "backend template wpmend-") || !strings.Contains(set.Changes[0].What, "let hestia write the pool anew") {
		t.Errorf("%+v", set.Changes)
	}
	asFound("after a dry run")

	limit("--set", "request_terminate_timeout=40").exits(exitDone).into(&set)
	if now := h.read(h.pool); !strings.Contains(now, "request_terminate_timeout = 40s") || !strings.Contains(h.read(h.web), "BACKEND='wpmend-") || templates() != 2 || len(set.Changes) != 1 {
		t.Errorf("%+v\n%s", set.Changes, now)
	}
	// The panel writes the pool anew, as it does after each of the customer's changes.
	backend := strings.Split(strings.SplitAfter(h.read(h.web), "BACKEND='")[1], "'")[0]
	if out, err := exec.Command(hestiaTool, "www-data", h.domain(), backend, "no").CombinedOutput(); err != nil || !strings.Contains(h.read(h.pool), "request_terminate_timeout = 40s") {
		t.Errorf("after a rebuild: %v %s\n%s", err, out, h.read(h.pool))
	}
	// A second one, on top of the first, in the same template.
	limit("--set", "memory_limit=64M").exits(exitDone)
	if now := h.read(h.pool); !strings.Contains(now, "request_terminate_timeout = 40s") || !strings.Contains(now, "php_admin_value[memory_limit] = 64M") || templates() != 2 {
		t.Errorf("%s", now)
	}
	limit("--undo").exits(exitDone)
	asFound("after an undo")

	// The panel says that it is done, and it is not.
	h.write("/run/hestia-lies", "")
	if r := limit("--set", "request_terminate_timeout=40").exits(exitFailed); !strings.Contains(r.stdout, "but the backend template") {
		t.Errorf("%s", r)
	}
	h.must(os.Remove("/run/hestia-lies"))
	asFound("after a lie")

	// Somebody else could have exchanged the panel's program.
	h.must(os.Chmod(hestiaTool, 0o777))
	if r := limit("--set", "request_terminate_timeout=40").exits(exitFailed); !strings.Contains(r.stdout, "is not run as root") {
		t.Errorf("%s", r)
	}
	h.must(os.Chmod(hestiaTool, 0o755))
	asFound("after a refusal")

	// It is killed while the panel works on: what puts things right waits for the panel.
	h.write("/run/hestia-slow", "")
	asked := h.read("/var/log/hestia-asked")
	cmd := h.command("php", "limits", h.domain(), "--set", "request_terminate_timeout=40")
	h.must(cmd.Start())
	for deadline := time.Now().Add(20 * time.Second); h.read("/var/log/hestia-asked") == asked; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the panel was not asked")
		}
	}
	h.must(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	asked = h.read("/var/log/hestia-asked")
	recovered := make(chan result, 1)
	go func() { recovered <- h.run("recover") }()
	select {
	case r := <-recovered:
		t.Fatalf("it did not wait for the panel: %s", r)
	case <-time.After(2 * time.Second):
	}
	if now := h.read("/var/log/hestia-asked"); now != asked {
		t.Errorf("the panel was asked for a second thing beside the first: %s", now)
	}
	h.must(os.Remove("/run/hestia-slowing"))
	(<-recovered).exits(exitDone)
	asFound("after a death")

	// What the customer chose meanwhile is the customer's.
	limit("--set", "request_terminate_timeout=40").exits(exitDone)
	h.must(os.WriteFile(hestiaTpl+"mine-PHP-8_2.tpl", []byte(h.read(hestiaTpl+"PHP-8_2.tpl")), 0o644))
	if out, err := exec.Command(hestiaTool, "www-data", h.domain(), "mine-PHP-8_2", "no").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	limit("--undo").exits(exitDone)
	if h.read(h.pool) != was || !strings.Contains(h.read(h.web), "BACKEND='mine-PHP-8_2'") {
		t.Errorf("%s", h.read(h.web))
	}
	h.must(os.Remove(hestiaTpl + "mine-PHP-8_2.tpl"))
	if out, err := exec.Command(hestiaTool, "www-data", h.domain(), "PHP-8_2", "no").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	asFound("after all that")

	// Nobody asks: an incident of which the cure is a limit.
	h.breakBy(lab.Greedy, lab.Slug(3))
	var healed struct {
		State   string
		Changes []agent.ChangeRef
	}
	h.json("heal", h.domain()).exits(exitDone).into(&healed)
	if healed.State != "resolved" || len(healed.Changes) != 1 || !strings.Contains(healed.Changes[0].What, "php_admin_value[memory_limit] = 96M in the backend template") {
		t.Errorf("%+v", healed)
	}
	if now := h.read(h.pool); !strings.Contains(now, "php_admin_value[memory_limit] = 96M") || !h.healthy() {
		t.Errorf("%s", now)
	}
	h.json("incidents", "undo", incidentOf(t, h.json("incidents").exits(exitDone).stdout)).exits(exitDone)
	asFound("after the undo of an incident")
}

// TestPanelHooks: the panel's hook lets the running service look at once; a panel's page shows each his own sites, and
// the hooks leave nothing behind.
func TestPanelHooks(t *testing.T) {
	t.Parallel()
	if !lab.InSystemd(t, lab.SystemdOptions{}) {
		return
	}
	h := newHestia(t)
	self, err := os.ReadFile("/proc/self/exe")
	h.must(err)
	h.must(os.WriteFile("/usr/bin/wpmend", self, 0o755))
	h.must(os.MkdirAll("/etc/wpmend", 0o755))
	h.write("/etc/wpmend/wpmend.toml", h.read(h.config))
	for _, dir := range []string{"/etc/nginx/conf.d/domains", "/etc/apache2/conf.d/domains"} {
		h.must(os.MkdirAll(dir, 0o755))
	}
	if out, err := exec.Command("systemctl", "set-environment", asWpmend+"=wpmend", "GORACE=atexit_sleep_ms=0").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	h.run("panel", "hooks", "install").exits(exitDone)
	h.run("panel", "hooks", "install").exits(exitDone)

	// A second site comes after the service's only look of the hour.
	second := h.Site(1).Root
	h.must(os.Rename(second, second+".not-yet"))
	v := h.serve()
	h.must(os.Rename(second+".not-yet", second))
	sites := func(n string) func() bool {
		return func() bool { return strings.Contains(v.said(), "msg=watching sites="+n) }
	}
	v.until("a first look", 10*time.Second, sites("1"))
	h.must(os.Symlink("/nowhere", "/etc/nginx/conf.d/domains/new.example.conf"))
	v.until("the second site", 20*time.Second, sites("2"))

	socket := filepath.Join(h.Dir, "api.sock")
	glance := func(uid uint32) string {
		cmd := wpmend("panel", "glance", "--socket", socket)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
		out, _ := cmd.Output() // what it says tells
		return string(out)
	}
	h.must(os.Chmod(h.Dir, 0o755))
	for uid, want := range map[uint32]string{0: h.Site(1).Domain, 33: h.domain(), 65534: "403"} {
		if got := glance(uid); !strings.Contains(got, want) {
			t.Errorf("user %d sees %s", uid, got)
		}
	}
	cgi := func(env ...string) string {
		cmd := wpmend("panel", "cgi", "--socket", socket)
		cmd.Env = append(cmd.Env, append([]string{"GATEWAY_INTERFACE=CGI/1.1", "SERVER_PROTOCOL=HTTP/1.1", "REQUEST_METHOD=GET", "HTTP_HOST=panel.example:2087", "SCRIPT_NAME=/cgi/wpmend/index.cgi"}, env...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("cgi: %v", err)
		}
		return string(out)
	}
	if got := cgi("PATH_INFO=/v1/service", "HTTP_COOKIE=session=secret"); !strings.Contains(got, "Status: 200") || !strings.Contains(got, `"role":"admin"`) {
		t.Errorf("%s", got)
	}
	if got := cgi("PATH_INFO=/v1/sites", "QUERY_STRING=q=shop2"); !strings.Contains(got, h.Site(1).Domain) || strings.Contains(got, `"`+h.domain()+`"`) {
		t.Errorf("%s", got)
	}
	// Another site's page has an administrator's browser ask.
	for _, env := range [][]string{{"HTTP_ORIGIN=https://evil.example"}, {"HTTP_SEC_FETCH_SITE=cross-site", "HTTP_ORIGIN=https://evil.example"}} {
		if got := cgi(append(env, "REQUEST_METHOD=POST", "PATH_INFO=/v1/refresh")...); !strings.Contains(got, "Status: 403") {
			t.Errorf("%v: %s", env, got)
		}
	}
	if got := cgi("REQUEST_METHOD=POST", "PATH_INFO=/v1/refresh", "HTTP_ORIGIN=https://panel.example:2087", "HTTP_SEC_FETCH_SITE=same-origin"); !strings.Contains(got, "Status: 202") {
		t.Errorf("%s", got)
	}

	// The service is locked in by systemd, and what it asks of the panel is not.
	out, err := exec.Command("systemd-run", "--wait", "--pipe", "--quiet", "--property=NoNewPrivileges=yes", "--property=ProtectSystem=yes", "--property=ReadWritePaths=/usr/local",
		"/usr/bin/wpmend", "--config", h.config, "--state", h.state, "php", "limits", h.domain(), "--set", "request_terminate_timeout=40").CombinedOutput()
	if err != nil || !strings.Contains(h.read(h.pool), "request_terminate_timeout = 40s") {
		t.Errorf("confined: %v\n%s", err, out)
	}

	h.run("panel", "hooks", "remove").exits(exitDone)
	if left, err := filepath.Glob("/etc/systemd/system/*wpmend*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if out, _ := exec.Command("systemctl", "is-active", "wpmend-hestia.path").Output(); strings.TrimSpace(string(out)) == "active" {
		t.Error("systemd watches on")
	}
}

func incidentOf(t *testing.T, list string) string {
	t.Helper()
	var l struct{ Incidents []struct{ ID string } }
	if err := json.Unmarshal([]byte(list), &l); err != nil || len(l.Incidents) == 0 {
		t.Fatalf("%v: %s", err, list)
	}
	return l.Incidents[0].ID
}
