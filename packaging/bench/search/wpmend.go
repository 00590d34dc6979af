package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func findByWpmend(ctx context.Context, s *stage, d *deeds) error { return s.bisect(ctx, d) }

func fixByWpmend(ctx context.Context, s *stage, d *deeds) error { return s.bisect(ctx, d, "--fix") }

// report is what is read of wpmend's own.
type report struct {
	Culprits []struct {
		Component string `json:"component"`
	} `json:"culprits"`
	Probes      int               `json:"probes"`
	Repeats     int               `json:"repeats"`
	LiveChanges int               `json:"live_changes"`
	Changes     []json.RawMessage `json:"changes"`
}

// bisect runs wpmend as a person would who has never run it here before.
func (s *stage) bisect(ctx context.Context, d *deeds, args ...string) error {
	state := filepath.Join(s.lab.Dir, fmt.Sprintf("state-%d", s.runs))
	config := state + ".toml"
	if err := os.WriteFile(config, fmt.Appendf(nil, "only = [%q]\n", s.lab.Site(0).Root), 0o600); err != nil {
		return fmt.Errorf("cannot configure wpmend: %w", err)
	}
	argv := append([]string{"--config", config, "--state", state, "--json", "bisect", s.lab.Site(0).Domain}, args...)
	cmd := exec.CommandContext(ctx, s.wpmend, argv...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	// Asked, not killed, when its time is up: it has a shadow to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 3 && exit.ExitCode() != 4) {
		return fmt.Errorf("wpmend: %w\n%s%s", err, out, stderr.String())
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		return fmt.Errorf("wpmend: cannot read its report: %w\n%s", err, out)
	}
	d.probes, d.changes = r.Probes+r.Repeats, r.LiveChanges+len(r.Changes)
	for _, c := range r.Culprits {
		d.found = append(d.found, strings.TrimPrefix(c.Component, "plugin:"))
	}
	if len(d.found) == 0 {
		return errLost
	}
	return nil
}

var poolEnv = regexp.MustCompile(`^env\[(\w+)\]\s*=\s*"?(.*?)"?$`)

// asOwner makes a command run as the site's owner with the pool's environment, in
// which the lab's wp-config.php finds its database.
func (s *stage) asOwner(cmd *exec.Cmd) error {
	info, err := os.Stat(s.plugins)
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stat.Uid, Gid: stat.Gid}}
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+os.TempDir())
	file, err := os.Open(filepath.Join(filepath.Dir(s.lab.FPMConfig(0)), "pool.d", s.lab.Site(0).Pool+".conf"))
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if m := poolEnv.FindStringSubmatch(lines.Text()); m != nil {
			cmd.Env = append(cmd.Env, m[1]+"="+m[2])
		}
	}
	return lines.Err()
}
