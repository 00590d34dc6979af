package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/packaging/lab"
)

// hardened is a wpmend that systemd runs by the unit that we ship.
type hardened struct {
	*stage
	since time.Time
}

const (
	shippedUnit = "../../packaging/wpmend.service"
	hardUnit    = "wpmend.service"
	fpmUnit     = "lab-fpm.service"
	mostExposed = 4.0
)

// underShippedUnit runs the test in a machine whose systemd has the unit that we ship; true
// says that this is that machine.
func underShippedUnit(t *testing.T) bool {
	t.Helper()
	unit, err := os.ReadFile(shippedUnit)
	if _, inside := os.LookupEnv("WPMEND_LAB_SYSTEMD"); err != nil && !inside {
		t.Fatal(err)
	}
	return lab.InSystemd(t, lab.SystemdOptions{Files: map[string]string{
		"/usr/lib/systemd/system/" + hardUnit: string(unit),
		// The unit's own program is a copy of this one, which is wpmend by this variable.
		"/etc/systemd/system/" + hardUnit + ".d/test.conf": "[Service]\nEnvironment=" + asWpmend + "=wpmend\n",
	}})
}

// It heals within exactly the unit that we ship, and within that it has few rights.
func TestHardened(t *testing.T) {
	t.Parallel()
	if !underShippedUnit(t) {
		return
	}
	h := &hardened{stage: newStage(t, lab.Options{Plugins: 12, TerminateTimeout: 3 * time.Second}, `watch.every = "30s"`), since: time.Now()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("journal:\n%s", h.journalOf("*"))
		}
	})
	h.install()
	h.exposure()
	h.fpmByUnit()
	h.systemctl("start", hardUnit)
	h.until("watching", 30*time.Second, func() bool { return strings.Contains(h.journalOf(hardUnit), "watching") })

	h.sees()
	h.reaches()

	// Noticed in a log, searched in a shadow, and switched off by a rename in the site.
	// A rename keeps the bit that the unit lets nobody set.
	h.must(os.Chmod(filepath.Join(h.Site(0).Root, "wp-content/plugins", lab.Slug(7)), 0o775|os.ModeSetgid))
	h.breakBy(lab.Fatal, lab.Slug(7))
	before := h.snapshot()
	h.until("the plugin's end", 30*time.Second, h.healed(1))
	h.wantSnapshot(without(before, lab.Slug(7)))
	h.wantIncident("plugin:" + lab.Slug(7))
	h.must(h.Mend(0))
	h.serves()

	// Only an overlay hides a must-use plugin.
	h.must(h.BreakComponent(0, lab.Fatal, lab.KindMUPlugin, "bad.php"))
	h.until("the must-use plugin's end", 30*time.Second, h.healed(2))
	h.wantIncident("mu-plugin:bad.php")
	h.must(h.Mend(0))

	// FPM is started by its unit, though systemd has given it up.
	h.systemctl("kill", "--signal=KILL", fpmUnit)
	h.until("the failure of the unit", 10*time.Second, func() bool { return h.show(fpmUnit, "ActiveState") == "failed" })
	_, _ = h.page() // somebody comes by
	h.until("a start of the unit", 30*time.Second, h.healed(3))
	if state := h.show(fpmUnit, "ActiveState"); state != "active" {
		t.Errorf("%s is %s", fpmUnit, state)
	}

	// Killed in the middle of a search it leaves nothing behind, and the site as it was.
	h.until("a healthy site", 30*time.Second, h.healthy)
	h.breakBy(lab.Fatal, lab.Slug(5))
	before = h.snapshot()
	h.until("a search", 60*time.Second, func() bool {
		_, _, _ = h.Get("/")
		return len(shadowsRunning(t)) > 0
	})
	h.systemctl("kill", "--signal=KILL", hardUnit)
	h.systemctl("stop", hardUnit)
	h.until("the end of all that it ran", 10*time.Second, func() bool {
		return len(shadowsRunning(t)) == 0 && h.units("wpmend-run-*") == ""
	})
	h.wantSnapshot(before)
	h.noMounts()
	h.systemctl("start", hardUnit)
	h.until("the end of the plugin after all", 90*time.Second, h.healed(4))
	h.wantIncident("plugin:" + lab.Slug(5))
	h.must(h.Mend(0))

	// A master that no unit owns is started outside of our own.
	h.systemctl("stop", fpmUnit)
	h.must(os.Remove("/etc/systemd/system/" + fpmUnit))
	h.systemctl("daemon-reload")
	h.must(h.StartFPM())
	h.systemctl("restart", hardUnit)
	h.until("watching again", 30*time.Second, func() bool { return strings.Count(h.journalOf(hardUnit), "watching") > 2 })
	h.must(h.StopFPM())
	_, _, _ = h.Get("/")
	h.until("a start without a unit", 30*time.Second, h.healed(5))
	started := h.units("wpmend-php-fpm-*")
	if started == "" {
		t.Error("FPM runs in no unit of its own")
	}

	// The database is asked as the site's owner, through the server's socket.
	h.must(h.Break(0, lab.TableMissing, ""))
	h.until("the database's words", 60*time.Second, func() bool {
		_, _, _ = h.Get("/")
		return strings.Contains(h.journalOf(hardUnit), "state=escalated")
	})
	if r := h.json("incidents").exits(0); !strings.Contains(r.stdout, `"source": "database"`) || !strings.Contains(r.stdout, "Error 1146") {
		t.Errorf("the database was not read: %s", r.stdout)
	}
	h.must(h.Mend(0))
	h.systemctl("stop", hardUnit)
	if !h.healthy() {
		t.Error("FPM has ended with us")
	}
	h.must(h.StopFPM())
	apache := &hardened{stage: newStage(t, lab.Options{Gateway: lab.Apache, MaxChildren: 2}, `watch.every = "5s"`, `probe.timeout = "6s"`), since: h.since}
	apache.endsStuck()
	apache.nothingDenied()
}

// endsStuck: Apache's dump is read, and a worker that stands still is ended. Both need rights that nothing else here does.
func (h *hardened) endsStuck() {
	h.t.Helper()
	h.install()
	h.sees()
	before := strings.Count(h.journalOf(hardUnit), "state=resolved")
	h.must(h.Break(0, lab.WorkersStuck, ""))
	h.systemctl("start", hardUnit)
	h.until("the end of the stuck workers", 90*time.Second, func() bool { return strings.Count(h.journalOf(hardUnit), "state=resolved") > before })
	h.until("a healthy site", 10*time.Second, h.healthy)
	var list incidentsJSON
	h.json("incidents").exits(0).into(&list)
	if i := list.Incidents[0]; i.State != "resolved" || len(i.Causes) == 0 || i.Causes[0].Cause != diagnose.WorkersStuck {
		h.t.Errorf("incident %+v, want one of %s", i, diagnose.WorkersStuck)
	}
	h.systemctl("stop", hardUnit)
	h.must(h.Mend(0))
}

func (h *hardened) systemctl(args ...string) {
	h.t.Helper()
	if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
		h.t.Fatalf("systemctl %s: %v\n%s%s", strings.Join(args, " "), err, out, h.journalOf("*"))
	}
}

func (h *hardened) show(unit, property string) string {
	h.t.Helper()
	out, err := exec.Command("systemctl", "show", "--property="+property, "--value", unit).Output()
	h.must(err)
	return strings.TrimSpace(string(out))
}

// units lists those that there are.
func (h *hardened) units(pattern string) string {
	h.t.Helper()
	out, err := exec.Command("systemctl", "list-units", "--all", "--plain", "--no-legend", pattern).Output()
	h.must(err)
	return string(out)
}

func (h *hardened) journalOf(unit string) string {
	args := []string{"--no-pager", "--output=short-precise"}
	if unit != "*" {
		args = append(args, "--unit="+unit)
	}
	out, err := exec.Command("journalctl", args...).CombinedOutput()
	if err != nil {
		h.t.Errorf("journalctl: %v", err)
	}
	return string(out)
}

// install puts the program and its configuration where the packages do.
func (h *hardened) install() {
	h.t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	h.must(err)
	h.must(os.WriteFile("/usr/bin/wpmend", self, 0o755))
	conf, err := os.ReadFile(h.config)
	h.must(err)
	// The API's socket lies where it lies by default.
	conf = regexp.MustCompile(`(?m)^api\.socket = .*$`).ReplaceAll(conf, nil)
	h.must(os.MkdirAll("/etc/wpmend", 0o755))
	h.must(os.WriteFile("/etc/wpmend/wpmend.toml", conf, 0o644))
	h.systemctl("daemon-reload")
	// What carries the race detector would take a second to end.
	h.systemctl("set-environment", "GORACE=atexit_sleep_ms=0")
	h.state, h.config = "/var/lib/wpmend", "/etc/wpmend/wpmend.toml"
}

var overall = regexp.MustCompile(`Overall exposure level for wpmend\.service: ([0-9.]+)`)

func (h *hardened) exposure() {
	h.t.Helper()
	out, err := exec.Command("systemd-analyze", "--no-pager", "security", hardUnit).CombinedOutput()
	m := overall.FindSubmatch(out)
	if err != nil || m == nil {
		h.t.Fatalf("systemd-analyze: %v\n%s", err, out)
	}
	figure, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil || figure > mostExposed {
		h.t.Errorf("exposed at %s, want at most %.1f:\n%s", m[1], mostExposed, out)
	}
	h.t.Logf("exposure %.1f", figure)
}

// serves asks at the API's socket: everybody may connect, and nobody else may see the locks.
func (h *hardened) serves() {
	h.t.Helper()
	ask := func(user string) string {
		out, err := exec.Command("setpriv", "--reuid="+user, "--clear-groups", "curl", "--silent", "--show-error", "--unix-socket", "/run/wpmend/api.sock", "http://localhost/v1/service").CombinedOutput()
		h.must(err)
		return string(out)
	}
	for user, want := range map[string]string{"root": `"role":"admin"`, "www-data": `"role":"owner"`, "nobody": `urn:wpmend:not-permitted`} {
		if got := ask(user); !strings.Contains(got, want) {
			h.t.Errorf("%s gets %s, want %s", user, got, want)
		}
	}
	for path, want := range map[string]os.FileMode{"/run/wpmend": 0o711, "/run/wpmend/api.sock": 0o666, "/run/wpmend/lock": 0o700, "/var/lib/wpmend": 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			h.t.Errorf("%s: %v %v, want %o", path, info, err, want)
		}
	}
}

// fpmByUnit puts the lab's FPM under systemd.
func (h *hardened) fpmByUnit() {
	h.t.Helper()
	h.must(h.StopFPM())
	h.write("/etc/systemd/system/"+fpmUnit, fmt.Sprintf("[Service]\nType=notify\nExecStart=/usr/sbin/php-fpm8.2 --nodaemonize --fpm-config %s\n"+
		"ExecReload=/bin/kill -USR2 $MAINPID\n", h.FPMConfig(0)))
	h.systemctl("daemon-reload")
	h.systemctl("start", fpmUnit)
}

// numbers that differ from one look to the next.
var numbers = regexp.MustCompile(`-?[1-9][0-9.e+]*`)

// sees: a look at the pools within the unit shows what one without it does, down to the memory of workers and the
// queues of sockets.
func (h *hardened) sees() {
	h.t.Helper()
	unit, err := os.ReadFile("/usr/lib/systemd/system/" + hardUnit)
	h.must(err)
	look := regexp.MustCompile(`(?m)^ExecStart=.*`).ReplaceAllString(string(unit), "ExecStart=/usr/bin/wpmend --json php pools\nStandardOutput=truncate:/run/look")
	look = regexp.MustCompile(`(?m)^(Type|Restart|WatchdogSec|ExecReload|NotifyAccess)=.*\n`).ReplaceAllString(look, "")
	h.write("/etc/systemd/system/look.service", strings.Replace(look, "[Service]", "[Service]\nType=oneshot\nEnvironment="+asWpmend+"=wpmend", 1))
	h.systemctl("daemon-reload")
	for look := 1; ; look++ {
		h.systemctl("start", "look.service")
		within, err := os.ReadFile("/run/look")
		h.must(err)
		without := h.json("php", "pools").exits(0).stdout
		a, b := numbers.ReplaceAllString(string(within), "N"), numbers.ReplaceAllString(without, "N")
		if a == b && len(a) > 100 {
			return
		}
		if look == 5 { // workers come and go between two looks
			h.t.Errorf("within the unit:\n%s\nwithout it:\n%s", within, without)
			return
		}
	}
}

// reaches: what the service may write is what it should.
func (h *hardened) reaches() {
	h.t.Helper()
	for dir, may := range map[string]bool{h.Dir: true, "/home": true, "/srv": true, "/var/www": true, "/opt": true, "/tmp": true, "/usr/local/etc": true,
		"/etc/php/8.2/fpm/pool.d": true, "/etc/nginx": true, "/usr/lib": false, "/usr/local/bin": false, "/boot": false, "/etc/cron.d": false,
		"/etc/systemd/system": false, "/etc/pam.d": false, "/etc/ssh": false} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		out, err := exec.Command("nsenter", "-t", h.show(hardUnit, "MainPID"), "-m", "--", "mktemp", "-p", dir).CombinedOutput()
		if (err == nil) != may {
			h.t.Errorf("%s can be written: %v, want %v: %s", dir, err == nil, may, out)
		}
		if err == nil {
			h.must(os.Remove(strings.TrimSpace(string(out))))
		}
	}
}

func (h *hardened) until(what string, limit time.Duration, cond func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(limit); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("%s did not come within %s", what, limit)
		}
	}
}

// healed says whether so many incidents have ended well, and the site answers.
func (h *hardened) healed(n int) func() bool {
	return func() bool {
		if strings.Count(h.journalOf(hardUnit), "state=resolved") < n && strings.Count(h.journalOf(hardUnit), `STATE=resolved`) < n {
			_, _, _ = h.Get("/") // visitors go on coming
			return false
		}
		return h.healthy()
	}
}

// wantIncident looks at the newest incident: no more was changed than had to be, so all was asked in a shadow.
func (h *hardened) wantIncident(culprit string) {
	h.t.Helper()
	var list incidentsJSON
	r := h.json("incidents").exits(0)
	r.into(&list)
	if len(list.Incidents) == 0 {
		h.t.Fatalf("no incidents: %s", r)
	}
	newest := list.Incidents[0]
	if newest.State != "resolved" || len(newest.Culprits) != 1 || newest.Culprits[0].Component != culprit || len(newest.Changes) != 1 {
		h.t.Errorf("incident %+v, want %s by one change", newest, culprit)
	}
}

// shadowsRunning are processes of private copies.
func shadowsRunning(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), "/run/wpmend/shadow/") {
			found = append(found, string(text))
		}
	}
	return found
}

// noMounts: no process sees one of ours.
func (h *hardened) noMounts() {
	h.t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	h.must(err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], h.Dir) || strings.Contains(line, " - tmpfs wpmend ") {
				h.t.Errorf("%s has %s", name, line)
			}
		}
	}
}

var denied = regexp.MustCompile(`(?i)operation not permitted|permission denied|read-only file system|seccomp|SIGSYS|cannot allocate memory`)

// nothingDenied looks for what the unit refused.
func (h *hardened) nothingDenied() {
	h.t.Helper()
	for line := range strings.Lines(h.journalOf("*")) {
		if denied.MatchString(line) && (strings.Contains(line, "wpmend") || strings.Contains(line, "systemd-run")) {
			h.t.Errorf("denied: %s", line)
		}
	}
}
