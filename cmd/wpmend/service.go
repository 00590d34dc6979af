package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	kardianos "github.com/kardianos/service"
	"github.com/spf13/cobra"

	"wpmend/agent"
)

const (
	unitName = "wpmend.service"
	ownUnit  = "/etc/systemd/system/" + unitName
)

func newService(in *invocation) *cobra.Command {
	c := &cobra.Command{
		Use:   "service",
		Short: "installs, starts, stops and shows the system service",
		Long:  "Has systemd run `wpmend run`: from boot on, restarted when it ends by mistake or stands still, with as few rights as it needs.",
		Example: `  wpmend service install --now
  wpmend service status
  wpmend service uninstall`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return &usageError{c, errors.New("say what to do with the service: install, uninstall, start, stop, restart or status")}
		},
	}
	c.AddCommand(newServiceInstall(in), newServiceUninstall(in),
		in.serviceVerb("start", "starts the service and waits until it is ready", "started", kardianos.Service.Start),
		in.serviceVerb("stop", "stops the service; sites stay as they are", "stopped", kardianos.Service.Stop),
		in.serviceVerb("restart", "restarts the service and waits until it is ready", "restarted", kardianos.Service.Restart),
		newServiceStatus(in))
	return c
}

// booted wants systemd to run here (sd_booted(3)).
func booted() error {
	if info, err := os.Lstat("/run/systemd/system"); err == nil && info.IsDir() {
		return nil
	}
	return &agent.Error{Kind: "no-systemd", Err: errors.New("systemd does not run here"),
		Remedy: "have this host's own supervisor run `wpmend run`: it stays in the foreground, ends on SIGTERM and reads its configuration again on SIGHUP"}
}

// manager is the way to systemd; unit is what it writes where it installs.
func manager(unit string) (kardianos.Service, error) {
	s, err := kardianos.New(nil, &kardianos.Config{Name: strings.TrimSuffix(unitName, ".service"), Option: kardianos.KeyValue{"SystemdScript": unit}})
	if err != nil {
		return nil, fmt.Errorf("reach systemd: %w", err)
	}
	return s, nil
}

func (in *invocation) serviceVerb(verb, short, done string, do func(kardianos.Service) error) *cobra.Command {
	return &cobra.Command{
		Use:     verb,
		Short:   short,
		Long:    strings.ToUpper(short[:1]) + short[1:] + ".",
		Example: "  wpmend service " + verb,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := booted(); err != nil {
				return err
			}
			if os.Geteuid() != 0 {
				return &needsRoot{}
			}
			known, err := shown(c.Context(), "LoadState")
			if err != nil {
				return err
			}
			if known["LoadState"] == "not-found" {
				return &agent.Error{Kind: "not-installed", Err: errors.New("the service is not installed"), Remedy: "wpmend service install --now"}
			}
			s, err := manager("")
			if err != nil {
				return err
			}
			if err := do(s); err != nil {
				return notStarted(fmt.Errorf("%s the service: %w", verb, err))
			}
			v := struct {
				Done string `json:"done"`
			}{done}
			return in.show(v, func(p *page) { p.line("wpmend is %s.", v.Done) })
		},
	}
}

// notStarted adds where the reason stands.
func notStarted(err error) error {
	return &agent.Error{Kind: "failed", Err: err, Remedy: "journalctl -u wpmend -n 50 says why; `wpmend config check` finds a faulty configuration"}
}

func systemctl(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// shown are properties of the unit, as `systemctl show` gives them.
func shown(ctx context.Context, names ...string) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "systemctl", "show", "--property="+strings.Join(names, ","), "--", unitName)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C") // times are read again
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask systemd for the service: %w", err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		known[name] = value
	}
	return known, nil
}
