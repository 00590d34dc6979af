package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/history"
)

// lastIncidents is how many status shows.
const lastIncidents = 5

// serviceStatus is what systemd knows of the service, and what wpmend has written down.
type serviceStatus struct {
	Installed bool               `json:"installed"`
	Unit      string             `json:"unit"` // its file, "" where there is none
	Enabled   bool               `json:"enabled"`
	Running   bool               `json:"running"`
	State     string             `json:"state"` // active, activating, reloading, deactivating, failed, inactive
	Since     time.Time          `json:"since,omitzero"`
	PID       int                `json:"pid"`
	Restarts  int                `json:"restarts"` // by systemd, since it was started
	Result    string             `json:"result"`   // "success", or how it ended last: "watchdog", "signal", …
	Sites     int                `json:"sites"`    // watched
	Doing     string             `json:"doing"`
	Incidents []history.Incident `json:"incidents"` // the last ones, the newest first
	stillSo
}

func newServiceStatus(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "says whether the service runs, what it does, and what is changed",
		Long: `Says whether the service runs and starts at boot, what it watches, what happened last, and
what wpmend has changed on this host and not taken back. Exit status 3: it does not run.`,
		Example: "  wpmend service status\n  wpmend --json service status",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return &needsRoot{}
			}
			if err := booted(); err != nil {
				return err
			}
			known, err := shown(c.Context(), "LoadState", "FragmentPath", "UnitFileState", "ActiveState", "StateChangeTimestamp", "MainPID", "NRestarts", "StatusText", "Result")
			if err != nil {
				return err
			}
			v := statusOf(known)
			if !v.Running {
				in.code = exitUnhealthy
			}
			a, notes, err := in.remembering()
			if err != nil {
				return err
			}
			if a != nil {
				list, problems, err := a.Incidents(lastIncidents)
				if err != nil {
					return err
				}
				v.Incidents = append(v.Incidents, list...)
				v.stillSo = standing(a)
				notes = append(notes, problems...)
			}
			v.Notes = append(append([]string{}, notes...), v.Notes...)
			return in.show(v, func(p *page) { p.status(v) })
		},
	}
}

// statusOf reads the properties of systemd's that [shown] asks for.
func statusOf(known map[string]string) serviceStatus {
	v := serviceStatus{Installed: known["LoadState"] != "not-found", Unit: known["FragmentPath"], Enabled: known["UnitFileState"] == "enabled", State: known["ActiveState"],
		Running: known["ActiveState"] == "active" || known["ActiveState"] == "reloading",
		Doing:   known["StatusText"], Result: known["Result"], Incidents: []history.Incident{}, stillSo: stillSo{Changes: []agent.InForce{}, Notes: []string{}}}
	// Of what systemd does not know it says nothing.
	v.Since, _ = time.Parse("Mon 2006-01-02 15:04:05 MST", known["StateChangeTimestamp"])
	v.PID, _ = strconv.Atoi(known["MainPID"])
	v.Restarts, _ = strconv.Atoi(known["NRestarts"])
	if v.Running {
		_, _ = fmt.Sscanf(v.Doing, "watching %d", &v.Sites) // as agent.RunOptions.Status says it
	}
	return v
}

func (p *page) status(v serviceStatus) {
	boot := map[bool]string{true: "starts at boot", false: "does not start at boot"}[v.Enabled]
	since := ""
	if !v.Since.IsZero() {
		since = " since " + v.Since.Local().Format("2006-01-02 15:04:05")
	}
	switch {
	case !v.Installed:
		p.line("The service is not installed: wpmend service install --now")
	case v.Running:
		p.line("wpmend runs%s, process %d, and %s (%s).", since, v.PID, boot, v.Unit)
		if v.Doing != "" {
			p.line("It is %s.", v.Doing)
		}
	case v.State == "failed":
		p.line("wpmend has FAILED%s (%s) and %s (%s): journalctl -u wpmend -n 50 says why", since, v.Result, boot, v.Unit)
	case v.State == "inactive":
		p.line("wpmend is stopped%s and %s (%s). Start it with: wpmend service start", since, boot, v.Unit)
	default:
		p.line("wpmend is %s%s and %s (%s).", v.State, since, boot, v.Unit)
		if v.Doing != "" {
			p.line("It said last: %s.", v.Doing)
		}
	}
	if v.Restarts > 0 {
		p.line("systemd has restarted it %d times: journalctl -u wpmend says why", v.Restarts)
	}
	if len(v.Incidents) > 0 {
		p.line("The last incidents:")
		p.incidents(v.Incidents)
	}
	p.standing(v.stillSo)
}
