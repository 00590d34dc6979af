package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	kardianos "github.com/kardianos/service"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/packaging"
)

const unitName = "wpmend.service"

// packagedUnits is where a distribution's package lays the unit (systemd.unit(5)); it
// must not be shadowed by one of ours.
var packagedUnits = [...]string{"/usr/lib/systemd/system/" + unitName, "/lib/systemd/system/" + unitName}

const ownUnit = "/etc/systemd/system/" + unitName

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

// supervised opens the way to systemd, which must run.
func (in *invocation) supervised() (kardianos.Service, error) {
	if os.Geteuid() != 0 {
		return nil, &needsRoot{}
	}
	// sd_booted(3)
	if info, err := os.Lstat("/run/systemd/system"); err != nil || !info.IsDir() {
		return nil, &agent.Error{Kind: "no-systemd", Err: errors.New("systemd does not run here"),
			Remedy: "have this host's own supervisor run `wpmend run`: it stays in the foreground, ends on SIGTERM and reads its configuration again on SIGHUP"}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program to run: %w", err)
	}
	arguments := []string{"run"}
	for _, flag := range []struct{ name, value, usual string }{{"--config", in.configFile, config.DefaultFile}, {"--state", in.state, agent.DefaultState}} {
		if flag.value != flag.usual {
			path, err := filepath.Abs(flag.value)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", flag.name, flag.value, err)
			}
			arguments = append(arguments, flag.name, path)
		}
	}
	for _, dir := range in.only {
		arguments = append(arguments, "--only", dir)
	}
	s, err := kardianos.New(nil, &kardianos.Config{Name: strings.TrimSuffix(unitName, ".service"), Executable: self, Arguments: arguments,
		Option: kardianos.KeyValue{"SystemdScript": unitTemplate()}})
	if err != nil {
		return nil, fmt.Errorf("reach systemd: %w", err)
	}
	return s, nil
}

// unitTemplate is the packaged unit with the command line left open, as kardianos fills
// it in.
func unitTemplate() string {
	lines := strings.Split(packaging.Unit, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "ExecStart=") {
			lines[i] = "ExecStart={{Path | cmdEscape}}{{range Arguments}} {{. | cmd}}{{end}}"
		}
	}
	return strings.Join(lines, "\n")
}

func packagedUnit() string {
	for _, file := range packagedUnits {
		if _, err := os.Lstat(file); err == nil {
			return file
		}
	}
	return ""
}

func newServiceInstall(in *invocation) *cobra.Command {
	var now, dry bool
	c := &cobra.Command{
		Use:   "install",
		Short: "makes systemd start wpmend at boot",
		Long: `Checks the configuration, writes ` + ownUnit + ` for this very binary with the
given --config, --state and --only, and enables it. Where a package has brought the unit
along, that one is enabled as it is. Installing anew replaces a unit of our own.`,
		Example: "  wpmend service install --now\n  wpmend service install --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := in.load(); err != nil {
				return err
			}
			s, err := in.supervised()
			if err != nil {
				return err
			}
			v := struct {
				Unit     string `json:"unit"`
				Packaged bool   `json:"packaged"`
				Enabled  bool   `json:"enabled"`
				Started  bool   `json:"started"`
				DryRun   bool   `json:"dry_run"`
			}{cmp.Or(packagedUnit(), ownUnit), packagedUnit() != "", !dry, now && !dry, dry}
			if !v.Packaged {
				if err := trustedBinary(); err != nil {
					return err
				}
			}
			if !dry {
				if err := install(c.Context(), s, v.Packaged); err != nil {
					return err
				}
				if now {
					if err := s.Start(); err != nil {
						return notStarted(fmt.Errorf("start the service: %w", err))
					}
				}
			}
			return in.show(v, func(p *page) {
				switch {
				case dry && v.Packaged:
					p.line("%s would be enabled; nothing was done.", v.Unit)
				case dry:
					p.line("%s would be written and enabled; nothing was done.", v.Unit)
				case now:
					p.line("%s is enabled, and wpmend runs: wpmend service status", v.Unit)
				default:
					p.line("%s is enabled. Start it with: wpmend service start", v.Unit)
				}
			})
		},
	}
	c.Flags().BoolVar(&now, "now", false, "start it too")
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return c
}

func install(ctx context.Context, s kardianos.Service, packaged bool) error {
	if packaged {
		return systemctl(ctx, "enable", "--", unitName)
	}
	// kardianos refuses to write over an earlier one.
	if err := os.Remove(ownUnit); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace the earlier unit: %w", err)
	}
	if err := s.Install(); err != nil {
		return fmt.Errorf("install the service: %w", err)
	}
	return nil
}

// trustedBinary refuses to have root run at every boot what somebody else can exchange.
func trustedBinary() error {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return fmt.Errorf("find the program to run: %w", err)
	}
	for path := self; ; path = filepath.Dir(path) {
		var info unix.Stat_t
		if err := unix.Stat(path, &info); err != nil {
			return fmt.Errorf("look at %s: %w", path, err)
		}
		if info.Uid != 0 || info.Mode&0o022 != 0 {
			return &agent.Error{Kind: "untrusted", Err: fmt.Errorf("%s can be changed by others than root, and systemd would run %s as root", path, self),
				Remedy: "install it where root alone writes: install -m 0755 " + self + " /usr/local/sbin/wpmend, then /usr/local/sbin/wpmend service install"}
		}
		if path == "/" {
			return nil
		}
	}
}

func newServiceUninstall(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "uninstall",
		Short: "stops the service and takes it out of systemd",
		Long: `Stops the service, disables it and removes the unit that install wrote. The sites stay as
they are: what wpmend has switched off is listed with the way back, and stays off.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := in.supervised()
			if err != nil {
				return err
			}
			// A unit that is not loaded cannot be stopped, and need not be.
			if _, err := s.Status(); !errors.Is(err, kardianos.ErrNotInstalled) {
				if err := s.Stop(); err != nil {
					return fmt.Errorf("stop the service: %w", err)
				}
			}
			unit := ""
			switch _, err := os.Lstat(ownUnit); {
			case err == nil:
				unit = ownUnit
				if err := s.Uninstall(); err != nil {
					return fmt.Errorf("uninstall the service: %w", err)
				}
			case packagedUnit() != "":
				if err := systemctl(c.Context(), "disable", "--", unitName); err != nil {
					return err
				}
			}
			a, err := in.open()
			if err != nil {
				return err
			}
			v := struct {
				Removed string `json:"removed"`
				stillSo
			}{unit, standing(a)}
			return in.show(v, func(p *page) {
				p.line("wpmend is stopped and does not start at boot.")
				p.standing(v.stillSo)
			})
		},
	}
}

func (in *invocation) serviceVerb(verb, short, done string, do func(kardianos.Service) error) *cobra.Command {
	return &cobra.Command{
		Use:   verb,
		Short: short,
		Long:  strings.ToUpper(short[:1]) + short[1:] + ".",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := in.supervised()
			if err != nil {
				return err
			}
			if _, err := s.Status(); errors.Is(err, kardianos.ErrNotInstalled) {
				return &agent.Error{Kind: "not-installed", Err: errors.New("the service is not installed"), Remedy: "wpmend service install --now"}
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

// serviceStatus is what systemd knows of the service.
type serviceStatus struct {
	Unit     string `json:"unit"` // its file, "" where there is none
	Enabled  bool   `json:"enabled"`
	State    string `json:"state"` // active, activating, reloading, deactivating, failed, inactive
	Since    string `json:"since"`
	PID      int    `json:"pid"`
	Restarts int    `json:"restarts"` // by systemd, since it was started
	Doing    string `json:"doing"`
	Result   string `json:"result"` // "success", or how it ended last: "watchdog", "signal", …
	stillSo
}

func newServiceStatus(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "says whether the service runs, what it does, and what is changed",
		Long:  "Says whether the service runs and starts at boot, what it does, and what wpmend has changed on this host. Exit status 3: it does not run.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := in.supervised(); err != nil {
				return err
			}
			known, err := shown(c.Context(), "FragmentPath", "UnitFileState", "ActiveState", "StateChangeTimestamp", "MainPID", "NRestarts", "StatusText", "Result")
			if err != nil {
				return err
			}
			a, err := in.open()
			if err != nil {
				return err
			}
			v := serviceStatus{Unit: known["FragmentPath"], Enabled: known["UnitFileState"] == "enabled", State: known["ActiveState"],
				Since: known["StateChangeTimestamp"], Doing: known["StatusText"], Result: known["Result"], stillSo: standing(a)}
			// systemd writes numbers; none is 0.
			v.PID, _ = strconv.Atoi(known["MainPID"])
			v.Restarts, _ = strconv.Atoi(known["NRestarts"])
			if v.State != "active" && v.State != "reloading" {
				in.code = exitUnhealthy
			}
			return in.show(v, func(p *page) {
				if v.Unit == "" {
					p.line("The service is not installed: wpmend service install --now")
				} else {
					p.line("wpmend is %s since %s, process %d, and %s at boot (%s)", v.State, v.Since, v.PID, map[bool]string{true: "starts", false: "does not start"}[v.Enabled], v.Unit)
					if v.Doing != "" {
						p.line("It is %s", v.Doing)
					}
					if v.Result != "success" || v.Restarts > 0 {
						p.line("systemd has restarted it %d times; the last end: %s; journalctl -u wpmend says more", v.Restarts, v.Result)
					}
				}
				p.standing(v.stillSo)
			})
		},
	}
}

func systemctl(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// shown are properties of the unit, as `systemctl show` gives them.
func shown(ctx context.Context, names ...string) (map[string]string, error) {
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property="+strings.Join(names, ","), "--", unitName).Output()
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
