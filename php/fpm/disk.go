package fpm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/php/transient"
)

// disk is the real source. What it reads decides what root starts, so it believes only files of root's.
type disk struct {
	binary string
	args   []string
	asked  string // the prefix, once it was asked for
}

func (d *disk) read(path string, max int) ([]byte, error) {
	// A FIFO in place of a file would make a plain open wait for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); !ok || sys.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s is not believed: it must belong to root and be writable by nobody else (chown root, chmod go-w)", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, int64(max)+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(text) > max {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, max)
	}
	return text, nil
}

// glob follows glob(3) as FPM calls it, where Go differs: a leading dot must be matched by a dot, and [!x] is [^x].
func (d *disk) glob(pattern string) ([]string, error) {
	paths, err := filepath.Glob(strings.ReplaceAll(pattern, "[!", "[^"))
	if err != nil {
		return nil, err
	}
	hidden := strings.HasPrefix(filepath.Base(pattern), ".")
	return slices.DeleteFunc(paths, func(path string) bool {
		if !hidden && strings.HasPrefix(filepath.Base(path), ".") {
			return true
		}
		info, err := os.Stat(path)
		return err == nil && info.IsDir()
	}), nil
}

// "-p, --prefix <dir>  Specify alternative prefix path to FastCGI process manager (default: /usr)."
var defaultPrefix = regexp.MustCompile(`--prefix <dir>[^(]*\(default: (/[^)\n]*)\)`)

func (d *disk) prefix() (string, error) {
	if d.asked != "" {
		return d.asked, nil
	}
	if given := optionValue(d.args, "-p", "--prefix"); filepath.IsAbs(given) {
		d.asked = filepath.Clean(given)
		return d.asked, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	help, err := run(ctx, d.binary, nil, "-h")
	if err != nil {
		return "", fmt.Errorf("ask %s for its prefix: %w", d.binary, err)
	}
	m := defaultPrefix.FindStringSubmatch(help)
	if m == nil {
		return "", errors.New("the prefix of " + d.binary + " is unknown")
	}
	d.asked = filepath.Clean(m[1])
	return d.asked, nil
}

func optionValue(args []string, short, long string) string {
	value := ""
	for i, a := range args {
		switch {
		case (a == short || a == long) && i+1 < len(args):
			value = args[i+1]
		case strings.HasPrefix(a, long+"="):
			value = strings.TrimPrefix(a, long+"=")
		}
	}
	return value
}

// Load reads the configuration of a master that need not run.
func Load(binary, config string) (Master, error) {
	return loadWith(Master{Binary: binary, Config: config})
}

// loadWith reads m.Config again; what else is known of m stays.
func loadWith(m Master) (Master, error) {
	d := &disk{binary: m.Binary, args: m.Args}
	return loadFrom(d, d, m)
}

// loadFrom reads m.Config from a source that stands before the disk.
func loadFrom(d *disk, from source, m Master) (Master, error) {
	if !filepath.IsAbs(m.Config) {
		return Master{}, fmt.Errorf("the configuration %q is not an absolute path", m.Config)
	}
	global, pools, err := load(from, m.Config)
	if err != nil {
		return Master{}, fmt.Errorf("read the configuration of PHP-FPM: %w", err)
	}
	m.Global, m.Pools, m.Prefix = global, pools, d.asked
	m.ErrorLog = errorLog(global)
	return m, nil
}

// run runs a root-owned binary and gives its output; what it wrote is in the error too when it fails.
func run(ctx context.Context, binary string, env []string, args ...string) (string, error) {
	path, err := trusted(binary)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = env, "/", time.Second
	var out bounded
	cmd.Stdout, cmd.Stderr = &out, &out
	if cmd.Env == nil {
		cmd.Env = cleanEnv(nil)
	}
	if err := transient.Run(ctx, cmd, transient.Options{Time: time.Minute, Memory: "1G"}); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return out.String(), fmt.Errorf("%s %s: %w%s", binary, strings.Join(args, " "), err, words(out.String()))
	}
	return out.String(), nil
}

// bounded keeps the first part of a program's output.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if room := 256<<10 - b.Len(); room > 0 {
		b.Builder.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
