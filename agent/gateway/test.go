package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"wpmend/php/transient"
)

// ConfigError is what a server's own test says of its configuration.
type ConfigError struct {
	Words string // the server's own, on one line
	File  string // the place that they name, "" if none
	Line  int
}

func (e *ConfigError) Error() string { return "its own test refuses the configuration: " + e.Words }

// Test lets the server's own binary test the configuration that a start or a reload would read: nginx -t, apache2 -t,
// with the master's own -c, -p, -g and -e, or -d, -f, -C, -c and -D and its APACHE_ variables. Of a server that does not
// run, its remembered configuration is tested. A fault of the configuration is a *ConfigError; other errors mean that
// it could not be tested.
func Test(ctx context.Context, g Gateway) error {
	binary, args, env, err := g.command(ctx)
	if err != nil {
		return fmt.Errorf("test the configuration of %s: %w", g.Kind, err)
	}
	_, _, err = runWith(ctx, bounds{maxRun, maxStderr}, env, binary, append(args, "-t")...)
	var exit transient.Exit
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.Exited() && ctx.Err() == nil:
		_, words, _ := strings.Cut(err.Error(), exit.Error()+": ")
		return configError(words)
	}
	return fmt.Errorf("test the configuration of %s: %w", g.Kind, err)
}

// command is how the server's binary is asked about the configuration of its master.
func (g Gateway) command(ctx context.Context) (binary string, args, env []string, err error) {
	runs := g.Process.PID != 0
	switch {
	case g.Kind == "nginx" && runs:
		title, _ := masterTitle(g.Process)
		_, version, err := run(ctx, bounds{maxRun, maxDump}, g.Binary, "-V")
		if err != nil {
			return "", nil, nil, err
		}
		args, _ = parseTitle(title).arguments(parseBuild(string(version)), g.Process.Cwd)
		return g.Binary, args, nil, nil
	case g.Kind == "nginx":
		// The prefix is a folder of relative paths only; the main file says where it lies.
		return g.Binary, []string{"-p", g.Prefix, "-c", g.Config}, nil, nil
	case g.Kind == "apache" && runs:
		if args, err = apacheArguments(g.Process.Argv, g.Process.Cwd); err == nil && g.Process.Alive() {
			env, err = apacheEnviron(g.Process.PID)
		}
		return g.Binary, args, env, err
	case g.Kind == "apache":
		// Debian's control script sets the variables that the configuration names.
		for _, name := range []string{"apache2ctl", "apachectl"} {
			control := filepath.Join(filepath.Dir(g.Binary), name)
			if _, err := os.Stat(control); err == nil {
				return control, []string{"-f", g.Config}, nil, nil
			}
		}
		return g.Binary, []string{"-f", g.Config}, nil, nil
	}
	return "", nil, nil, fmt.Errorf("%q is no server that can be asked", g.Kind)
}

// configError reads a server's own words: "[emerg] … in FILE:LINE" of nginx (ngx_conf_log_error), "AH00526: Syntax
// error on line N of FILE:" of Apache (ap_process_config_tree).
func configError(words string) *ConfigError {
	e := &ConfigError{Words: words}
	if len(e.Words) > 2000 {
		e.Words = strings.ToValidUTF8(e.Words[:2000], "") + "…"
	}
	e.File, e.Line = whereOf(e.Words)
	return e
}

func whereOf(words string) (file string, line int) {
	if _, rest, ok := strings.Cut(words, "on line "); ok {
		if number, rest, ok := strings.Cut(rest, " of "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				file, _, _ = strings.Cut(rest, ":")
				return file, n
			}
		}
	}
	for _, word := range slices.Backward(strings.Fields(words)) {
		name, number, ok := strings.Cut(strings.TrimRight(word, ";,"), ":")
		if n, err := strconv.Atoi(number); ok && err == nil && filepath.IsAbs(name) {
			return name, n
		}
	}
	return "", 0
}
