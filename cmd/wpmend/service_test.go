package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// wedge is a file that, while it exists, keeps the loop of a service standing.
const wedge = "/run/wedge"

// stuck stands still while the file exists that the environment names.
func stuck(file string) func() {
	if file == "" {
		return nil
	}
	return func() {
		for {
			if _, err := os.Stat(file); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// byName runs the program as the unit does, by its path.
func (h *hardened) byName(args ...string) (string, int) {
	h.t.Helper()
	c := exec.Command("/usr/bin/wpmend", args...)
	c.Env = append(os.Environ(), asWpmend+"=wpmend")
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
		"/etc/systemd/system/" + hardUnit + ".d/test.conf": "[Service]\nEnvironment=" + asWpmend + "=wpmend WPMEND_TEST_WEDGE=" + wedge + "\nWatchdogSec=3s\n",
	}}) {
		return
	}
	h := &hardened{stage: newStage(t, lab.Options{Plugins: 8, TerminateTimeout: 5 * time.Second}, `mode = "observe"`), since: time.Now()}
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
	h.wantSaid(exitDone, "nothing was done", "service", "install", "--dry-run")
	if _, err := os.Lstat(ownUnit); err == nil {
		t.Fatalf("%s was written", ownUnit)
	}
	h.wantSaid(exitDone, "wpmend runs", "service", "install", "--now")
	if state := h.show(hardUnit, "ActiveState"); state != "active" {
		t.Fatalf("after install --now it is %s", state)
	}
	h.untilStatus("watching 1 sites")
	h.wantSaid(exitDone, "starts at boot", "service", "status")
	h.fields()

	// What a killed wpmend has left is put back by the restarted service.
	h.breakBy(lab.Fatal, lab.Slug(3))
	broken := h.snapshot()
	h.leaveHalfDone()
	pid := h.show(hardUnit, "MainPID")
	h.systemctl("kill", "--signal=KILL", hardUnit)
	h.until("a restart", 30*time.Second, func() bool { p := h.show(hardUnit, "MainPID"); return p != "0" && p != pid })
	h.untilStatus("watching 1 sites")
	h.wantSnapshot(broken)
	if !strings.Contains(h.journalOf(hardUnit), "recovered") {
		t.Error("nothing was recovered")
	}
	h.wantSaid(exitDone, "No change of wpmend's is in effect", "changes")

	// A loop that stands still is restarted.
	h.write(wedge, "")
	h.until("the watchdog", 30*time.Second, func() bool { return strings.Contains(h.journalOf(hardUnit), "Watchdog timeout") })
	h.must(os.Remove(wedge))
	h.until("a restart", 30*time.Second, func() bool { return h.show(hardUnit, "ActiveState") == "active" })
	h.untilStatus("watching 1 sites")

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

	// The stop of a search leaves everything as found. The plugin hangs, so the search takes a while.
	h.must(h.Mend(0))
	h.breakBy(lab.Hang, lab.Slug(5))
	hanging := h.snapshot()
	h.write(h.config, strings.Replace(string(good), `"observe"`, `"heal"`, 1))
	h.systemctl("reload", hardUnit)
	h.until("a search", 60*time.Second, func() bool { return len(shadowsRunning(t)) > 0 })
	h.systemctl("stop", hardUnit)
	if result := h.show(hardUnit, "Result"); result != "success" {
		t.Errorf("it ended by %s", result)
	}
	if left := shadowsRunning(t); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
	h.wantSnapshot(hanging)

	// It heals after the next start, and its end leaves the site healed, and says what is off.
	h.wantSaid(exitDone, "started", "service", "start")
	h.until("the plugin's end", 90*time.Second, h.healed(1))
	h.wantSnapshot(without(hanging, lab.Slug(5)))
	for _, words := range []string{"Undo with: wpmend incidents undo", "mv ", lab.Slug(5)} {
		h.wantSaid(exitDone, words, "changes")
	}
	h.wantSaid(exitDone, "wpmend incidents undo", "service", "uninstall")
	if _, err := os.Lstat(ownUnit); err == nil {
		t.Errorf("%s is still there", ownUnit)
	}
	if state := h.show(hardUnit, "ActiveState"); state == "active" {
		t.Error("it still runs")
	}
	h.wantSnapshot(without(hanging, lab.Slug(5)))
	h.must(h.Mend(0))
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
			if entry["WPMEND_SITES"] != "1" || !strings.Contains(message, "sites=1") {
				h.t.Errorf("fields of %q: %v", message, entry)
			}
			return
		}
	}
	h.t.Errorf("no entry says what is watched:\n%s", out)
}

// leaveHalfDone kills a search by renaming when a plugin is away.
func (h *hardened) leaveHalfDone() {
	h.t.Helper()
	c := h.command("bisect", h.domain(), "--method", "rename")
	h.must(c.Start())
	off := filepath.Join(h.Site(0).Root, "wp-content/plugins/.*.off-by-wpmend")
	h.until("a rename", 60*time.Second, func() bool {
		away, err := filepath.Glob(off)
		h.must(err)
		return len(away) > 0
	})
	h.must(c.Process.Signal(syscall.SIGKILL))
	_ = c.Wait() // killed
}
