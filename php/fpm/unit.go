package fpm

import (
	"context"
	"os"
	"os/exec"
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
	cmd := exec.CommandContext(ctx, "systemctl", "show", "--property=ExecStart", "--property=Environment", "--", unit)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, nil
	}
	return parseUnit(string(out))
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
