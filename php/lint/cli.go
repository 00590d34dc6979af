package lint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"wpmend/php/process"
)

// ErrNoCLI says that there is no command-line PHP of the version that runs the site,
// so that nothing can be said of its code.
var ErrNoCLI = errors.New("no command-line PHP of the same version is installed beside it")

// suffix is what distributions put behind the names of PHP's programs: "8.2", "82", "".
var suffix = regexp.MustCompile(`^php-?fpm-?([0-9.]*)$`)

// CLI finds the command-line PHP that belongs to an FPM binary: php8.2 for php-fpm8.2,
// in the same folder or in bin beside sbin. Where the name has no version, both are
// asked for theirs.
func CLI(ctx context.Context, fpm string) (string, error) {
	m := suffix.FindStringSubmatch(filepath.Base(fpm))
	if m == nil || !filepath.IsAbs(fpm) {
		return "", fmt.Errorf("%s: %w", fpm, ErrNoCLI)
	}
	dir := filepath.Dir(fpm)
	var problem error
	for _, folder := range []string{filepath.Join(filepath.Dir(dir), "bin"), dir} {
		binary, err := filepath.EvalSymlinks(filepath.Join(folder, "php"+m[1]))
		if err != nil {
			continue
		}
		// A program that others can write would be run by us, though not as root.
		if err := process.RootOnly(binary); err != nil {
			problem = err
			continue
		}
		if strings.Contains(m[1], ".") {
			return binary, nil
		}
		cli, fpmVersion := version(ctx, binary), version(ctx, fpm)
		if cli != "" && cli == fpmVersion {
			return binary, nil
		}
		problem = fmt.Errorf("%s is PHP %q, %s is %q", binary, cli, fpm, fpmVersion)
	}
	return "", errors.Join(fmt.Errorf("%s: %w", fpm, ErrNoCLI), problem)
}

// version is "8.2.29", "" unknown.
func version(ctx context.Context, binary string) string {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-n", "-v")
	cmd.Env, cmd.Dir = []string{"LC_ALL=C"}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	fields := bytes.Fields(out)
	if len(fields) < 2 || string(fields[0]) != "PHP" {
		return ""
	}
	return string(fields[1])
}
