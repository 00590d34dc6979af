package fpm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// systemdRuns follows sd_booted(3).
func systemdRuns() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// askUnit asks systemd for what a unit passes to its FPM; nothing where systemd cannot be asked.
func askUnit(ctx context.Context, unit string) (args, env []string) {
	if !systemdRuns() {
		return nil, nil
	}
	out, err := systemctl(ctx, "show", "--property=ExecStart", "--property=Environment", "--", unit)
	if err != nil {
		return nil, nil
	}
	return parseUnit(out)
}

// systemctl runs it and gives its output; what it complained of is in the error.
func systemctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "systemctl", args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = cleanEnv(nil), "/", time.Second
	var out, complaint bounded
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.ToValidUTF8(strings.TrimSpace(complaint.String()), "?"))
	}
	return out.String(), nil
}

// byUnit says whether systemd runs the master as the main process of a unit of its own, so that the unit is how it is
// reloaded and restarted. A master that somebody started by hand, or that another service's script started, only lives
// in the control group of that.
func (m Master) byUnit(ctx context.Context) bool {
	if !m.unitCanStart() || m.Process.PID == 0 || !systemdRuns() {
		return false
	}
	pid, err := mainPID(ctx, m.Unit)
	return err == nil && pid == m.Process.PID
}

// unitCanStart: a unit is known that outlives its master.
func (m Master) unitCanStart() bool {
	return strings.HasSuffix(m.Unit, ".service") && !strings.HasPrefix(m.Unit, madeUnit)
}

// mainPID is the main process of a unit, 0 for none.
func mainPID(ctx context.Context, unit string) (int, error) {
	out, err := systemctl(ctx, "show", "--property=MainPID", "--value", "--", unit)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		return 0, fmt.Errorf("the main process of %s: %w", unit, err)
	}
	return pid, nil
}

// resetFailed lets a unit be started again that systemd gave up on: after a start limit was hit, start is refused
// until then (systemd.unit(5), StartLimitIntervalSec=).
func resetFailed(ctx context.Context, unit string) error {
	out, err := systemctl(ctx, "show", "--property=LoadState", "--value", "--", unit)
	if err != nil {
		return err
	}
	if state := strings.TrimSpace(out); state != "loaded" {
		return fmt.Errorf("the unit %s cannot be started: it is %s", unit, state)
	}
	// It fails for a unit that systemd does not keep in mind, and then there is nothing to reset.
	_, _ = systemctl(ctx, "reset-failed", "--", unit)
	return ctx.Err()
}

// parseUnit reads `systemctl show -p ExecStart -p Environment`.
func parseUnit(text string) (args, env []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if rest, ok := strings.CutPrefix(line, "ExecStart="); ok {
			_, rest, _ = strings.Cut(rest, "argv[]=")
			rest, _, _ = strings.Cut(rest, " ; ")
			if words := strings.Fields(rest); len(words) > 1 {
				args = extraArgs(words[1:])
			}
		}
		if rest, ok := strings.CutPrefix(line, "Environment="); ok {
			for _, word := range splitQuoted(rest) {
				if name, _, ok := strings.Cut(word, "="); ok && name != "" {
					env = append(env, word)
				}
			}
		}
	}
	return args, env
}

// extraArgs keeps the arguments that change what PHP does and leaves out those that we set ourselves.
func extraArgs(args []string) []string {
	var kept []string
	for i := 0; i < len(args); i++ {
		name, _, joined := strings.Cut(args[i], "=")
		switch name {
		case "-n", "--no-php-ini", "-e":
			kept = append(kept, args[i])
		case "-c", "--php-ini", "-d", "--define", "-p", "--prefix":
			kept = append(kept, args[i])
			if !joined && i+1 < len(args) {
				i++
				kept = append(kept, args[i])
			}
		}
	}
	return kept
}

// splitQuoted splits words that systemd has quoted where it had to: A=b "C=d e".
func splitQuoted(s string) []string {
	var words []string
	var b strings.Builder
	var quote byte
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && quote != '\'':
			i++
			b.WriteByte(s[i])
			in = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if in {
				words = append(words, b.String())
				b.Reset()
			}
			in = false
		default:
			b.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, b.String())
	}
	return words
}
