package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	unitName  = "wpmend.service"
	localUnit = "/etc/systemd/system/" + unitName
	// askBound is how long a program of the host's may take to answer.
	askBound = 10 * time.Second
)

// packagedUnits are where packages put a unit (systemd.unit(5)).
var packagedUnits = [...]string{"/usr/lib/systemd/system/" + unitName, "/lib/systemd/system/" + unitName}

// unit is what systemd says of the service, and what lies on the disk.
type unit struct {
	booted   bool
	err      error // systemd could not be asked
	known    map[string]string
	packaged string // its file, "" none
	older    bool   // the running program is not the one on the disk
	self     string // the program on the disk
}

var unitProperties = []string{"LoadState", "FragmentPath", "UnitFileState", "ActiveState", "SubState", "Result", "NRestarts", "WatchdogUSec", "MainPID",
	"NeedDaemonReload", "NoNewPrivileges", "ProtectSystem", "ExecMainStatus", "StatusText"}

func (h *host) service(ctx context.Context) []Finding {
	u := unit{booted: exists("/run/systemd/system")}
	if u.booted {
		u.known, u.err = properties(ctx, unitName, unitProperties)
	}
	for _, file := range packagedUnits {
		if exists(file) && u.packaged == "" {
			u.packaged = file
		}
	}
	h.running, _ = strconv.Atoi(u.known["MainPID"]) // systemd says 0, or nothing, for none
	u.self, _ = os.Executable()
	if h.running != 0 {
		u.older = older(h.running, u.self)
	}
	s := &sheet{area: "service"}
	judgeUnit(s, u)
	return s.findings
}

// properties asks systemd for some of a unit.
func properties(ctx context.Context, unit string, names []string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemctl", "show", "--property="+strings.Join(names, ","), "--", unit)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("systemctl show %s: %w", unit, err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		known[name] = value
	}
	return known, nil
}

// older says whether a process runs another program than lies on the disk by its name: an
// upgrade has replaced it since.
func older(pid int, self string) bool {
	exe := fmt.Sprintf("/proc/%d/exe", pid)
	path, err := os.Readlink(exe)
	if err != nil {
		return false
	}
	if strings.HasSuffix(path, " (deleted)") {
		return true
	}
	var runs, lies unix.Stat_t
	return filepath.Base(path) == filepath.Base(self) && unix.Stat(exe, &runs) == nil && unix.Stat(self, &lies) == nil &&
		(runs.Ino != lies.Ino || runs.Dev != lies.Dev) && runs.Size != lies.Size
}

// judgeUnit says whether systemd keeps the service running.
func judgeUnit(s *sheet, u unit) {
	switch {
	case !u.booted:
		s.warn("service", "have this host's own supervisor run `wpmend run`; it stays in the foreground and ends on SIGTERM", "systemd does not run here, so nothing of the service can be looked at")
		return
	case u.err != nil:
		s.unknown("service", "systemctl status", "systemd does not answer: %v", u.err)
		return
	}
	fragment := u.known["FragmentPath"]
	switch u.known["LoadState"] {
	case "not-found":
		s.bad("service, unit", "wpmend service install --now", "it is not installed: nobody watches the sites of this host")
		return
	case "masked":
		s.bad("service, unit", "systemctl unmask wpmend && wpmend service install --now", "it is masked, so it cannot be started: nobody watches the sites of this host")
		return
	case "loaded":
	default:
		s.bad("service, unit", "systemctl status wpmend; systemd-analyze verify "+fragment, "systemd cannot read its unit %s (%s)", fragment, u.known["LoadState"])
		return
	}
	switch hardened := u.known["NoNewPrivileges"] == "yes"; {
	case u.packaged != "" && fragment == localUnit && !hardened:
		s.bad("service, unit", "mv "+localUnit+" /root/ && systemctl daemon-reload && systemctl restart wpmend",
			"%s hides the packaged %s and bounds nothing: the service runs with all of root's rights, and upgrades of the unit never arrive", localUnit, u.packaged)
	case u.packaged != "" && fragment == localUnit:
		s.warn("service, unit", "mv "+localUnit+" /root/ && systemctl daemon-reload && systemctl restart wpmend; for settings of your own: systemctl edit wpmend",
			"%s hides the packaged %s: upgrades of the unit never arrive", localUnit, u.packaged)
	case !hardened:
		s.warn("service, unit", "systemd-delta --type=extended,overridden | grep wpmend shows who; wpmend's own unit has NoNewPrivileges=yes", "%s lets the service run with all of root's rights", fragment)
	default:
		s.ok("service, unit", "%s", fragment)
	}
	if u.known["NeedDaemonReload"] == "yes" {
		s.warn("service, unit on disk", "systemctl daemon-reload && systemctl restart wpmend", "its unit was changed on disk, and systemd goes by the old one")
	}
	switch u.known["UnitFileState"] {
	case "enabled", "enabled-runtime", "linked", "static", "alias":
		s.ok("service, boot", "it starts with the host")
	default:
		s.warn("service, boot", "systemctl enable wpmend", "it does not start with the host (%s): after the next reboot nobody watches", u.known["UnitFileState"])
	}
	if !judgeRun(s, u) {
		return
	}
	// Of a unit that does not run systemd says 0, whatever its file does.
	if w := u.known["WatchdogUSec"]; w == "0" || w == "infinity" || w == "" {
		s.warn("service, watchdog", "set WatchdogSec=30s, as wpmend's own unit does", "systemd does not notice if the service stands still")
	} else {
		s.ok("service, watchdog", "systemd restarts it if it stands still for %s", w)
	}
}

// judgeRun says whether it runs now.
func judgeRun(s *sheet, u unit) (runs bool) {
	switch state := u.known["ActiveState"]; state {
	case "active", "reloading":
		text := ""
		if u.known["StatusText"] != "" {
			text = ": " + u.known["StatusText"]
		}
		s.ok("service, running", "it runs (process %s)%s", u.known["MainPID"], text)
		if n, err := strconv.Atoi(u.known["NRestarts"]); err == nil && n > 0 {
			s.warn("service, restarts", "journalctl -u wpmend | grep -B20 'Main process exited'", "systemd has restarted it %s since it was started", times(n))
		}
		if u.older {
			s.warn("service, program", "systemctl restart wpmend", "it still runs the program from before an upgrade")
		}
		return true
	case "activating":
		s.warn("service, running", "wpmend doctor again in a minute; journalctl -u wpmend -n 50", "it is being started (%s)", u.known["SubState"])
	case "failed":
		s.bad("service, running", "journalctl -u wpmend -n 50 says why; then: systemctl restart wpmend", "it has FAILED (%s, exit status %s): nobody watches the sites of this host", u.known["Result"], u.known["ExecMainStatus"])
	default:
		s.bad("service, running", "systemctl start wpmend", "it is %s: nobody watches the sites of this host", state)
	}
	return false
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
