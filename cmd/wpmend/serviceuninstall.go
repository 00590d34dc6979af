package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/config"
)

// uninstallation is what uninstall did, and what stays.
type uninstallation struct {
	Stopped   bool              `json:"stopped"`
	Removed   string            `json:"removed"`  // the unit's file, "" if none is ours
	Disabled  string            `json:"disabled"` // a package's unit, which stays for the package to remove
	Recovered []agent.Recovered `json:"recovered"`
	stillSo
}

func newServiceUninstall(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "uninstall",
		Short: "stops the service and takes it out of systemd",
		Long: `Stops the service, disables it and removes the unit that install wrote. The sites stay as
they are: what wpmend has switched off stays off, and is listed with the way back, with wpmend
and without. What a killed wpmend has left half-done is put back first. The configuration, the
journal and the history stay.`,
		Example: "  wpmend service uninstall",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return &needsRoot{}
			}
			if err := booted(); err != nil {
				return err
			}
			v := uninstallation{Recovered: []agent.Recovered{}, stillSo: stillSo{Changes: []agent.InForce{}, Notes: []string{}}}
			if err := v.remove(c.Context()); err != nil {
				return err
			}
			a, notes, err := in.remembering()
			if err != nil {
				return err
			}
			if a != nil {
				// Nobody will, once wpmend has gone.
				r, err := a.Recover(c.Context())
				if err != nil {
					return err
				}
				v.Recovered, notes = r.Changes, append(notes, r.Notes...)
				if !r.Clean {
					in.code = exitFailed
				}
				v.stillSo = standing(a)
			}
			v.Notes = append(notes, v.Notes...)
			return in.show(v, func(p *page) { p.uninstallation(v) })
		},
	}
}

func (v *uninstallation) remove(ctx context.Context) error {
	_, err := os.Lstat(ownUnit)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at the unit: %w", err)
	}
	there := err == nil
	if there && !ours() {
		return enablable()
	}
	known, err := shown(ctx, "LoadState", "ActiveState")
	if err != nil {
		return err
	}
	if known["LoadState"] != "not-found" && known["ActiveState"] != "inactive" {
		// A failed one may be about to be started again.
		if err := systemctl(ctx, "stop", "--", unitName); err != nil {
			return err
		}
		v.Stopped = true
	}
	if there {
		s, err := manager("")
		if err == nil {
			err = s.Uninstall()
		}
		if err != nil {
			return fmt.Errorf("uninstall the service: %w", err)
		}
		v.Removed = ownUnit
	}
	if v.Disabled = packagedUnit(); v.Disabled != "" {
		return systemctl(ctx, "disable", "--", unitName)
	}
	if known["ActiveState"] == "failed" {
		return systemctl(ctx, "reset-failed", "--", unitName)
	}
	return nil
}

// remembering opens what wpmend has written down, whatever the configuration says; nil:
// there is nothing.
func (in *invocation) remembering() (a *agent.Agent, notes []string, err error) {
	if _, err := os.Lstat(in.state); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	conf, err := in.load()
	if fault := (*config.Error)(nil); errors.As(err, &fault) {
		notes = append(notes, "the configuration is refused: "+err.Error())
		conf = config.Default()
	} else if err != nil {
		return nil, nil, err
	}
	a, err = agent.Open(agent.Options{Config: conf, State: in.state, Log: in.logger()})
	return a, notes, err
}

func (p *page) uninstallation(v uninstallation) {
	switch {
	case v.Removed != "":
		p.line("wpmend is stopped, and %s is removed.", v.Removed)
	case v.Disabled != "":
		p.line("wpmend is stopped and does not start at boot. Its unit belongs to a package: %s", v.Disabled)
	default:
		p.line("The service was not installed.")
	}
	for _, c := range v.Recovered {
		p.line("Put back: %s (%s) %s", c.What, c.State, c.Note)
	}
	p.standing(v.stillSo)
}
