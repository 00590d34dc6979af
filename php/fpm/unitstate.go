package fpm

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// UnitState is what systemd and the kernel say of a unit.
type UnitState struct {
	Active   string // ActiveState: active, inactive, failed, …
	Sub      string // SubState
	Result   string // success, oom-kill, start-limit-hit, exit-code, signal, …
	Restarts int    // NRestarts
	// GaveUp: systemd has restarted it by itself as often as it may (StartLimitBurst) and does so no more. Result is
	// then how it ended last (seen with systemd 252); start-limit-hit is for what was started too often by others.
	GaveUp bool
	// OOMKills counts processes of the unit that the kernel killed for want of memory since the unit was started. It goes
	// with the unit's control group when that stops; Result tells then.
	OOMKills int
}

// unitDeadline bounds one question to systemd.
const unitDeadline = time.Second

// StateOf asks systemd for the state of a unit; zero where systemd does not run or no unit is given.
func StateOf(ctx context.Context, unit string) (UnitState, error) {
	if unit == "" || !systemdRuns() {
		return UnitState{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, unitDeadline)
	defer cancel()
	out, err := systemctl(ctx, "show", "--property=LoadState,ActiveState,SubState,Result,NRestarts,StartLimitBurst,ControlGroup", "--", unit)
	if err != nil {
		return UnitState{}, err
	}
	s, group := parseUnitState(out)
	if group != "" {
		s.OOMKills = oomKills(group)
	}
	return s, nil
}

// parseUnitState reads `systemctl show`. A unit that there is not is zero.
func parseUnitState(text string) (s UnitState, group string) {
	burst := 0
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		switch key {
		case "LoadState":
			if value == "not-found" {
				return UnitState{}, ""
			}
		case "ActiveState":
			s.Active = value
		case "SubState":
			s.Sub = value
		case "Result":
			s.Result = value
		case "NRestarts":
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				s.Restarts = n
			}
		case "StartLimitBurst":
			burst, _ = strconv.Atoi(value)
		case "ControlGroup":
			if strings.HasPrefix(value, "/") && filepath.IsLocal(value[1:]) {
				group = value
			}
		}
	}
	s.GaveUp = s.Active == "failed" && burst > 0 && s.Restarts >= burst
	return s, group
}

// oomKills reads the counter of a control group, of either version of the hierarchy.
func oomKills(group string) int {
	for _, file := range []string{"/sys/fs/cgroup" + group + "/memory.events", "/sys/fs/cgroup/memory" + group + "/memory.oom_control"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "oom_kill "); ok {
				if n, err := strconv.Atoi(strings.TrimSpace(rest)); err == nil && n > 0 {
					return n
				}
			}
		}
	}
	return 0
}
