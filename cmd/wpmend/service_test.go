package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/history"
	"wpmend/agent/lock"
	"wpmend/packaging"
	"wpmend/packaging/lab"
)

// wedge is a file that, while it exists, keeps the loop of a service standing.
const wedge = "/run/wedge"

// wedging is a context that keeps the service's loop, and nothing else, standing while
// a file exists.
type wedging struct {
	context.Context
	file string
}

func (w wedging) Done() <-chan struct{} {
	var caller [1]uintptr
	runtime.Callers(2, caller[:])
	frame, _ := runtime.CallersFrames(caller[:]).Next()
	for frame.Function == "wpmend/agent.(*Agent).Run" {
		if _, err := os.Stat(w.file); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return w.Context.Done()
}

// byName runs the program as the unit does, by its path.
func (h *hardened) byName(args ...string) (string, int) {
	h.t.Helper()
	c := exec.Command("/usr/bin/wpmend", args...)
	c.Env = environment()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return out.String(), c.ProcessState.ExitCode()
}

func (h *hardened) wantSaid(code int, words string, args ...string) {
	h.t.Helper()
	if said, got := h.byName(args...); got != code || !strings.Contains(said, words) {
		h.t.Errorf("wpmend %s: exit %d, want %d with %q:\n%s", strings.Join(args, " "), got, code, words, said)
	}
}

func (h *hardened) untilStatus(words string) {
	h.t.Helper()
	h.until("the status "+words, 30*time.Second, func() bool { return strings.Contains(h.show(hardUnit, "StatusText"), words) })
}

// The service under a real systemd, from its installation to its end.
func TestService(t *testing.T) {
	t.Parallel()
	if !lab.InSystemd(t, lab.SystemdOptions{Files: map[string]string{
		"/etc/systemd/system/" + hardUnit + ".d/test.conf": "[Service]\nEnvironment=" + asWpmend + "=wpmend WPMEND_TEST_WEDGE=" + wedge + "\nWatchdogSec=3s\nRestartSec=100ms\nTimeoutStopSec=20s\n",
	}}) {
		return
	}
	h := &hardened{stage: newStage(t, lab.Options{Plugins: 8, TerminateTimeout: 5 * time.Second}, `mode = "observe"`, `watch.every = "1s"`), since: time.Now()}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("journal:\n%s", h.journalOf("*"))
		}
	})
	h.install()
	good, err := os.ReadFile(h.config)
	h.must(err)

	h.wantSaid(exitUnhealthy, "not installed", "service", "status")
	h.wantSaid(exitFailed, "wpmend service install --now", "service", "start")
	h.write(h.config, "mode = \"sleep\"\n")
	h.wantSaid(exitUsage, "wpmend.toml:1: mode", "service", "install", "--now")
	h.write(h.config, string(good))
	h.wantSaid(exitDone, "ExecStart=/usr/bin/wpmend run\n", "service", "install", "--dry-run")
	if _, err := os.Lstat(ownUnit); err == nil {
		t.Fatalf("%s was written", ownUnit)
	}
	h.must(os.WriteFile(ownUnit, []byte("[Service]\nExecStart=/bin/true\n"), 0o644))
	h.wantSaid(exitFailed, "was not written by", "service", "install")
	h.wantSaid(exitFailed, "was not written by", "service", "uninstall")
	h.must(os.Remove(ownUnit))
	h.must(os.Symlink("/dev/null", ownUnit))
	h.wantSaid(exitFailed, "systemctl unmask wpmend", "service", "install")
	h.must(os.Remove(ownUnit))
	h.nowhere()
	h.wantSaid(exitDone, "Start it with", "service", "install") // is replaced by the next
	odd := `"/srv/it's 100% ""$HOME"" {{odd}}, \x41 ü"`
	h.wantSaid(exitDone, "wpmend runs", "service", "install", "--now", "--only", h.Dir, "--only", odd)
	if state := h.show(hardUnit, "ActiveState"); state != "active" {
		t.Fatalf("after install --now it is %s", state)
	}
	h.untilStatus("watching 1 site,")
	if line, err := os.ReadFile("/proc/" + h.show(hardUnit, "MainPID") + "/cmdline"); err != nil || string(line) != strings.Join([]string{"/usr/bin/wpmend", "run", "--only", h.Dir, "--only", odd, ""}, "\x00") {
		t.Errorf("it runs as %q, %v", line, err)
	}
	h.wantSaid(exitDone, "starts at boot", "service", "status")
	var status serviceStatus
	if s := h.status(&status); !status.Running || !status.Enabled || status.Sites != 1 || status.Unit != ownUnit || status.Since.Before(h.since.Add(-time.Second)) {
		t.Errorf("status %s", s)
	}
	h.fields()

	// What a killed wpmend has left is put back by the restarted service.
	h.breakBy(lab.Fatal, lab.Slug(3))
	broken := h.snapshot()
	h.leaveHalfDone()
	pid := h.show(hardUnit, "MainPID")
	h.systemctl("kill", "--signal=KILL", hardUnit)
	h.until("a restart", 30*time.Second, func() bool { p := h.show(hardUnit, "MainPID"); return p != "0" && p != pid })
	h.untilStatus("watching 1 site,")
	h.wantSnapshot(broken)
	if !strings.Contains(h.journalOf(hardUnit), "recovered") {
		t.Error("nothing was recovered")
	}
	h.wantSaid(exitDone, "No change of wpmend's is in effect", "changes")

	// A loop that stands still is restarted.
	h.write(wedge, "")
	h.until("the watchdog", 30*time.Second, func() bool { return strings.Contains(h.journalOf(hardUnit), "Failed with result 'watchdog'") })
	h.must(os.Remove(wedge))
	h.until("a restart", 30*time.Second, func() bool { return h.show(hardUnit, "ActiveState") == "active" })
	h.untilStatus("watching 1 site,")
	if h.status(&status); status.Restarts != 2 {
		t.Errorf("%d restarts, want one after the kill and one by the watchdog", status.Restarts)
	}

	// A faulty configuration is refused as a whole; the service goes on with the earlier one.
	pid = h.show(hardUnit, "MainPID")
	h.write(h.config, "mode = \"heal\"\nbudgets.site = 3\n")
	h.systemctl("reload", hardUnit)
	h.untilStatus("wpmend.toml:2: unknown key")
	_, _ = h.page()
	h.until("a look", 30*time.Second, func() bool { return strings.Contains(h.journalOf(hardUnit), "only observes") })
	h.wantSnapshot(broken)
	if now := h.show(hardUnit, "MainPID"); now != pid {
		t.Errorf("the process was %s and is %s", pid, now)
	}

	// `systemctl reload` waits for a service that has no time at once.
	h.write(h.config, "another = 1\n")
	h.systemctl("kill", "--kill-who=main", "--signal=STOP", hardUnit)
	reloaded := make(chan error, 1)
	go func() { reloaded <- exec.Command("systemctl", "reload", hardUnit).Run() }()
	h.until("the signal", 10*time.Second, func() bool {
		status, err := os.ReadFile("/proc/" + h.show(hardUnit, "MainPID") + "/status")
		return err == nil && regexp.MustCompile(`(?m)^ShdPnd:\t[0-9a-f]*[13579bdf]$`).Match(status) // SIGHUP is 1
	})
	select {
	case err := <-reloaded:
		t.Errorf("the reload of a service that stands still returns: %v", err)
		reloaded <- err
	case <-time.After(500 * time.Millisecond): // as long as systemctl takes
	}
	h.systemctl("kill", "--kill-who=main", "--signal=CONT", hardUnit)
	if err := <-reloaded; err != nil {
		t.Errorf("reload: %v", err)
	}
	if status := h.show(hardUnit, "StatusText"); !strings.Contains(status, `unknown key "another"`) {
		t.Errorf("after the reload the status is %q", status)
	}

	// One that it is started with is not tried again and again.
	if said, err := exec.Command("systemctl", "restart", hardUnit).CombinedOutput(); err == nil {
		t.Errorf("it starts with a faulty configuration: %s", said)
	}
	if state := h.show(hardUnit, "ActiveState") + " " + h.show(hardUnit, "ExecMainStatus"); state != "failed 2" {
		t.Errorf("with a faulty configuration it is %s", state)
	}
	h.wantSaid(exitUnhealthy, "the configuration is refused", "service", "status")
	h.wantSaid(exitUnhealthy, "FAILED since", "service", "status")
	h.write(h.config, string(good))
	h.wantSaid(exitDone, "restarted", "service", "restart")

	// The stop of a search leaves everything as found. The plugin hangs, so the search takes a while.
	h.must(h.Mend(0))
	h.breakBy(lab.Hang, lab.Slug(5))
	hanging := h.snapshot()
	healing := strings.Replace(string(good), `"observe"`, `"heal"`, 1)
	h.write(h.config, healing+"probe.verify = 100\n")
	h.systemctl("reload", hardUnit)
	h.until("a search", 60*time.Second, func() bool { return len(shadowsRunning(t)) > 0 })
	h.stopped()
	if left := shadowsRunning(t); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
	h.wantSnapshot(hanging)
	h.wantInterrupted(1)

	// The stop of a cure that is not proven yet takes it back.
	h.must(h.Mend(0))
	h.breakBy(lab.Fatal, lab.Slug(5))
	failing := h.snapshot()
	h.wantSaid(exitDone, "started", "service", "start")
	h.until("the cure", 90*time.Second, func() bool { return len(h.away()) > 0 })
	h.stopped()
	h.wantSnapshot(failing)
	h.wantInterrupted(2)
	h.wantSaid(exitUnhealthy, "is stopped since", "service", "status")

	// It heals after the next start, and its end leaves the site healed, and says what is off.
	h.write(h.config, healing)
	h.wantSaid(exitDone, "started", "service", "start")
	h.until("the plugin's end", 90*time.Second, h.healed(1))
	h.wantSnapshot(without(failing, lab.Slug(5)))
	h.told()
	h.json("disable", h.domain(), "plugin:"+lab.Slug(2)).exits(exitDone)
	for _, words := range []string{"Undo with: wpmend incidents undo", "mv ", lab.Slug(5), "Undo with: wpmend enable " + h.id() + " plugin:" + lab.Slug(2)} {
		h.wantSaid(exitDone, words, "service", "status")
	}
	h.wantSaid(exitDone, "wpmend incidents undo", "service", "uninstall")
	if _, err := os.Lstat(ownUnit); err == nil {
		t.Errorf("%s is still there", ownUnit)
	}
	if state := h.show(hardUnit, "ActiveState"); state != "inactive" {
		t.Errorf("it is still %s", state)
	}
	h.wantSnapshot(without(without(failing, lab.Slug(5)), lab.Slug(2)))
	h.json("enable", h.id(), "plugin:"+lab.Slug(2)).exits(exitDone)
	h.wantSnapshot(without(failing, lab.Slug(5)))
	h.must(h.Mend(0))

	// A package's unit is enabled as it is, and stays.
	const packaged = "/lib/systemd/system/" + hardUnit // as systemd names it
	h.must(os.WriteFile(packaged, []byte(packaging.Unit), 0o644))
	h.systemctl("daemon-reload")
	h.wantSaid(exitDone, "a package has brought along, is enabled", "service", "install")
	if state := h.show(hardUnit, "UnitFileState") + h.show(hardUnit, "FragmentPath"); state != "enabled"+packaged {
		t.Errorf("the package's unit is %s", state)
	}
	h.wantSaid(exitDone, "belongs to a package", "service", "uninstall")
	if state := h.show(hardUnit, "UnitFileState") + h.show(hardUnit, "FragmentPath"); state != "disabled"+packaged {
		t.Errorf("the package's unit is %s", state)
	}
}

func (h *hardened) status(into *serviceStatus) result {
	h.t.Helper()
	r := h.json("service", "status").exits(exitDone)
	r.into(into)
	return r
}

// id is the first site's.
func (h *hardened) id() string {
	h.t.Helper()
	var list struct{ Incidents []history.Incident }
	h.json("incidents").exits(exitDone).into(&list)
	return list.Incidents[0].Site.ID
}

// stopped has systemd stop the service, and wants it to end by itself.
func (h *hardened) stopped() {
	h.t.Helper()
	start := time.Now()
	h.systemctl("stop", hardUnit)
	h.t.Logf("ended %.2f s after it was told to", time.Since(start).Seconds())
	if result := h.show(hardUnit, "Result"); result != "success" {
		h.t.Errorf("it ended by %s", result)
	}
	if _, err := os.Stat(lock.Dir); err != nil {
		h.t.Errorf("the locks that the command line holds have gone: %v", err)
	}
}

// wantInterrupted: so many incidents have happened, and all ended with the service, which has left nothing behind.
func (h *hardened) wantInterrupted(n int) {
	h.t.Helper()
	var list struct{ Incidents []history.Incident }
	r := h.json("incidents").exits(exitDone)
	r.into(&list)
	if len(list.Incidents) != n {
		h.t.Errorf("%d incidents, want %d: %s", len(list.Incidents), n, r)
	}
	for _, i := range list.Incidents {
		if i.State != history.Escalated || i.Timeline[len(i.Timeline)-1].What != "interrupted" {
			h.t.Errorf("incident %s is %s: %v", i.ID, i.State, i.Timeline)
		}
	}
	var left recoverJSON
	h.json("recover").exits(exitDone).into(&left)
	if !left.Clean || len(left.Changes) != 0 {
		h.t.Errorf("recover found %+v, want nothing left", left.Changes)
	}
}

// nowhere: without systemd nothing is installed.
func (h *hardened) nowhere() {
	h.t.Helper()
	c := exec.Command("unshare", "--mount", "sh", "-c", "mount -t tmpfs none /run/systemd && exec /usr/bin/wpmend service install")
	c.Env = environment()
	if said, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(said), "systemd does not run here") {
		h.t.Errorf("without systemd: %v\n%s", c.ProcessState, said)
	}
}

// away are the plugins that are renamed.
func (h *hardened) away() []string {
	h.t.Helper()
	away, err := filepath.Glob(filepath.Join(h.Site(0).Root, "wp-content/plugins/.*.off-by-wpmend"))
	h.must(err)
	return away
}

// fields: journald has what the log says as fields of its own, and as words.
func (h *hardened) fields() {
	h.t.Helper()
	out, err := exec.Command("journalctl", "--unit="+hardUnit, "--output=json", "--no-pager").Output()
	h.must(err)
	for line := range bytes.Lines(out) {
		var entry map[string]any
		h.must(json.Unmarshal(line, &entry))
		if message, _ := entry["MESSAGE"].(string); strings.HasPrefix(message, "watching") {
			if entry["SITES"] != "1" || entry["PRIORITY"] != "6" || entry["SYSLOG_IDENTIFIER"] != "wpmend" || !strings.Contains(message, "sites=1") {
				h.t.Errorf("fields of %q: %v", message, entry)
			}
			return
		}
	}
	h.t.Errorf("no entry says what is watched:\n%s", out)
}

// told: who asks journald for an incident gets what was done, and why.
func (h *hardened) told() {
	h.t.Helper()
	var list struct{ Incidents []history.Incident }
	h.json("incidents").exits(exitDone).into(&list)
	out, err := exec.Command("journalctl", "SITE="+h.domain(), "INCIDENT="+list.Incidents[0].ID, "--output=cat", "--output-fields=MESSAGE,CHANGE,WHY,STATE").CombinedOutput()
	h.must(err)
	for _, words := range []string{"changing the site", "switch off plugin:" + lab.Slug(5), "component-fault", "incident ended", "resolved"} {
		if !strings.Contains(string(out), words) {
			h.t.Errorf("journald says nothing of %q:\n%s", words, out)
		}
	}
}

// leaveHalfDone kills a search by renaming when a plugin is away.
func (h *hardened) leaveHalfDone() {
	h.t.Helper()
	c := h.command("bisect", h.domain(), "--method", "rename")
	h.must(c.Start())
	h.until("a rename", 60*time.Second, func() bool { return len(h.away()) > 0 })
	h.must(c.Process.Signal(syscall.SIGKILL))
	_ = c.Wait() // killed
}
