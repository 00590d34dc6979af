package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/packaging"
)

// mark begins a unit that install may replace.
const mark = "# Written by `wpmend service install`, which replaces it. For changes of your own: systemctl edit wpmend\n"

// packagedUnit is where a distribution's package has laid the unit (systemd.unit(5)),
// which one of ours would shadow; "" where none has.
func packagedUnit() string {
	for _, dir := range []string{"/usr/lib/systemd/system/", "/lib/systemd/system/"} {
		if _, err := os.Lstat(dir + unitName); err == nil {
			return dir + unitName
		}
	}
	return ""
}

// installation is what install does.
type installation struct {
	Unit     string `json:"unit"`
	Packaged bool   `json:"packaged"` // a package's, enabled as it is
	Text     string `json:"text"`     // what is written there, "" if nothing is
	Config   string `json:"config"`   // the configuration that is written since there is none, "" if none is
	Enabled  bool   `json:"enabled"`
	Started  bool   `json:"started"`
	DryRun   bool   `json:"dry_run"`
	Running  bool   `json:"running"` // it runs already, as it was before
}

func newServiceInstall(in *invocation) *cobra.Command {
	var now, dry bool
	c := &cobra.Command{
		Use:   "install",
		Short: "makes systemd start wpmend at boot",
		Long: `Checks the configuration, writes ` + ownUnit + ` for this very program with the
given --config, --state and --only, writes ` + config.DefaultFile + ` where there is none, and
enables the service. Where a package has brought the unit along, that one is enabled as it is.
Installing again replaces the unit that install wrote.`,
		Example: "  wpmend service install --now\n  wpmend service install --dry-run",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			v, err := in.planInstall(c.Context())
			if err != nil {
				return err
			}
			v.DryRun, v.Enabled, v.Started = dry, !dry, now && !dry
			if !dry {
				if err := v.install(c.Context()); err != nil {
					return err
				}
			}
			return in.show(v, func(p *page) { p.installation(v) })
		},
	}
	c.Flags().BoolVar(&now, "now", false, "start it too, or start it anew if it runs")
	c.Flags().BoolVar(&dry, "dry-run", false, "show what would be done, and do nothing")
	return c
}

// planInstall looks at everything that may stand in the way, and changes nothing.
func (in *invocation) planInstall(ctx context.Context) (installation, error) {
	v := installation{Unit: packagedUnit()}
	if os.Geteuid() != 0 {
		return v, &needsRoot{}
	}
	if err := booted(); err != nil {
		return v, err
	}
	if _, err := in.load(); err != nil {
		return v, err
	}
	known, err := shown(ctx, "ActiveState")
	if err != nil {
		return v, err
	}
	v.Running = known["ActiveState"] == "active" || known["ActiveState"] == "reloading"
	if v.Packaged = v.Unit != ""; v.Packaged {
		return v, enablable()
	}
	v.Unit = ownUnit
	self, err := trustedBinary()
	if err != nil {
		return v, err
	}
	arguments, err := in.arguments()
	if err != nil {
		return v, err
	}
	v.Text = unitFor(self, arguments)
	if _, err := os.Lstat(config.DefaultFile); errors.Is(err, fs.ErrNotExist) && in.configFile == config.DefaultFile {
		v.Config = config.DefaultFile
	}
	return v, enablable()
}

// enablable wants nothing in the place of our own unit but what install wrote.
func enablable() error {
	info, err := os.Lstat(ownUnit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at the unit: %w", err)
	}
	if to, err := os.Readlink(ownUnit); err == nil && to == os.DevNull {
		return &agent.Error{Kind: "masked", Err: fmt.Errorf("an administrator has masked %s", unitName), Remedy: "systemctl unmask wpmend, then try again"}
	}
	switch {
	case !info.Mode().IsRegular() || !ours():
		return &agent.Error{Kind: "foreign-unit", Err: fmt.Errorf("%s was not written by `wpmend service install`, so it is left as it is", ownUnit),
			Remedy: "move it away, then try again; for changes of your own there is `systemctl edit wpmend`"}
	case packagedUnit() != "":
		return &agent.Error{Kind: "shadowed", Err: fmt.Errorf("%s, of an earlier `wpmend service install`, hides the package's %s", ownUnit, packagedUnit()),
			Remedy: "wpmend service uninstall removes it; then try again"}
	}
	return nil
}

// ours says whether install wrote the unit that lies there.
func ours() bool {
	text, err := os.ReadFile(ownUnit)
	return err == nil && strings.HasPrefix(string(text), mark)
}

// arguments are those that the service runs with.
func (in *invocation) arguments() ([]string, error) {
	words := []string{"run"}
	for _, flag := range []struct{ name, value, usual string }{{"--config", in.configFile, config.DefaultFile}, {"--state", in.state, agent.DefaultState}} {
		if flag.value != flag.usual {
			path, err := filepath.Abs(flag.value)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", flag.name, flag.value, err)
			}
			words = append(words, flag.name, path)
		}
	}
	for _, dir := range in.only {
		if strings.ContainsAny(dir, "\",\n") { // pflag reads the flag as a line of CSV
			dir = `"` + strings.ReplaceAll(dir, `"`, `""`) + `"`
		}
		words = append(words, "--only", dir)
	}
	if in.verbose {
		words = append(words, "--verbose")
	}
	return words, nil
}

// unitFor is the packaged unit for a program that lies elsewhere.
func unitFor(program string, arguments []string) string {
	var text strings.Builder
	text.WriteString(mark)
	for line := range strings.Lines(packaging.Unit) {
		if strings.HasPrefix(line, "ExecStart=") {
			line = "ExecStart=" + unitWord(program)
			for _, a := range arguments {
				line += " " + unitWord(a)
			}
			line += "\n"
		}
		text.WriteString(line)
	}
	return text.String()
}

// unitWord writes one word of a command line as systemd.service(5) and systemd.syntax(7)
// read it. A brace, which begins an action of kardianos' templates, is escaped too.
func unitWord(word string) string {
	plain := true
	var quoted strings.Builder
	for _, b := range []byte(word) {
		switch {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', strings.IndexByte("/._-:,=+@", b) >= 0:
			quoted.WriteByte(b)
			continue
		case b == '%' || b == '$':
			quoted.WriteByte(b)
			quoted.WriteByte(b)
		default:
			fmt.Fprintf(&quoted, `\x%02x`, b)
		}
		plain = false
	}
	if plain && word != "" {
		return word
	}
	return `"` + quoted.String() + `"`
}

// install carries the plan out.
func (v installation) install(ctx context.Context) error {
	if v.Packaged {
		if err := systemctl(ctx, "enable", "--", unitName); err != nil {
			return err
		}
	} else if err := v.write(); err != nil {
		return err
	}
	if !v.Started {
		return nil
	}
	s, err := manager("")
	if err == nil && v.Running {
		err = s.Restart()
	} else if err == nil {
		err = s.Start()
	}
	if err != nil {
		return notStarted(fmt.Errorf("start the service: %w", err))
	}
	return nil
}

// write lays the unit and the configuration down, and enables the unit.
func (v installation) write() error {
	if v.Config != "" {
		if err := os.MkdirAll(filepath.Join(filepath.Dir(v.Config), config.ConfD), 0o755); err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
		f, err := os.OpenFile(v.Config, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			_, err = f.WriteString(packaging.Config)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
	}
	s, err := manager(v.Text)
	if err != nil {
		return err
	}
	// kardianos refuses to write over an earlier one, of which enablable knows that it was ours.
	was, err := os.ReadFile(v.Unit)
	if err == nil {
		err = os.Remove(v.Unit)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace the earlier unit: %w", err)
	}
	if err := s.Install(); err != nil {
		if was != nil {
			err = errors.Join(err, os.WriteFile(v.Unit, was, 0o644))
		}
		return fmt.Errorf("install the service: %w", err)
	}
	return nil
}

func (p *page) installation(v installation) {
	would := map[bool]string{true: "would be ", false: "is "}[v.DryRun]
	if v.Config != "" {
		p.line("%s %swritten: the defaults, each explained.", v.Config, would)
	}
	if v.Packaged {
		p.line("%s, which a package has brought along, %senabled.", v.Unit, would)
	} else {
		p.line("%s %swritten and enabled.", v.Unit, would)
	}
	switch {
	case v.DryRun:
		if v.Text != "" {
			p.block("  ", strings.TrimSuffix(v.Text, "\n"))
		}
		p.line("Nothing was done.")
		return
	case v.Started:
		p.line("wpmend runs, and watches this host's sites.")
	case v.Running:
		p.line("wpmend runs still as it was. Start it anew with: wpmend service restart")
	default:
		p.line("Start it with: wpmend service start")
	}
	p.line("What it does: wpmend service status, journalctl -u wpmend")
	p.line("What it may do: mode = \"observe\" in the configuration, then systemctl reload wpmend, lets it only watch.")
}

// trustedBinary refuses to have root run at every boot what somebody else can exchange.
func trustedBinary() (string, error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", fmt.Errorf("find the program to run: %w", err)
	}
	for path := self; ; path = filepath.Dir(path) {
		var info unix.Stat_t
		if err := unix.Stat(path, &info); err != nil {
			return "", fmt.Errorf("look at %s: %w", path, err)
		}
		if info.Uid != 0 || info.Mode&0o022 != 0 {
			return "", &agent.Error{Kind: "untrusted", Err: fmt.Errorf("%s can be changed by others than root, and systemd would run %s as root", path, self),
				Remedy: "install it where root alone writes: install -m 0755 " + quote(self) + " /usr/local/sbin/wpmend, then /usr/local/sbin/wpmend service install"}
		}
		if path == "/" {
			return self, nil
		}
	}
}
