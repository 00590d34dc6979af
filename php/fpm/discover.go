package fpm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"wpmend/php/process"
)

const (
	titleStart = "php-fpm: master process ("
	// privateMark opens the configuration of a private copy, so that it is never taken for a live master.
	privateMark = "; A private copy of one pool, started by wpmend for a minute. "
)

// Discover finds the running masters and reads their configuration. What carries a master's title but does not speak
// for the host, and what cannot be read, is an error that names it; the others are found all the same.
func Discover(procs []process.Process) ([]Master, []error) {
	masters, _, errs := new(Known).Discover(procs)
	return masters, errs
}

// configOf reads the configuration's path from a master's title.
func configOf(p process.Process) (string, bool) {
	if len(p.Argv) != 1 {
		return "", false
	}
	config, ok := strings.CutPrefix(p.Argv[0], titleStart)
	if !ok {
		return "", false
	}
	config = strings.TrimSuffix(config, ")")
	if !filepath.IsAbs(config) && filepath.IsAbs(p.Cwd) {
		config = filepath.Join(p.Cwd, config)
	}
	return config, true
}

func discover(p process.Process, config string) (m Master, files []string, private bool, err error) {
	if err := p.SpeaksForHost(); err != nil {
		return Master{}, nil, false, err
	}
	// The title is cut where the arguments and the environment had ended.
	if !strings.HasSuffix(p.Argv[0], ")") {
		return Master{}, nil, false, fmt.Errorf("its title %q is cut short, so its configuration is unknown", p.Argv[0])
	}
	if isPrivate(config) {
		return Master{}, nil, true, nil
	}
	m = Master{Process: p, Binary: p.Exe, Config: config}
	if strings.HasSuffix(p.Unit, ".service") {
		m.Unit = p.Unit
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		m.Args, m.Env = askUnit(ctx, p.Unit)
	}
	if m, files, err = loadNoting(m); err != nil {
		return Master{}, nil, false, err
	}
	if v, _ := get(m.Global, "error_log"); m.ErrorLog == "" && v != "syslog" {
		m.ErrorLog = stderrFile(p.PID)
	}
	return m, files, false, nil
}

func isPrivate(config string) bool {
	text, err := (&disk{}).read(config, maxFile)
	return err == nil && bytes.HasPrefix(text, []byte(privateMark))
}

// stderrFile is where a master's standard error goes: FPM puts its error log there (fpm_stdio_init_final), which
// answers where it is when its configuration leaves that to how the binary was built.
func stderrFile(pid int) string {
	path, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "fd/2"))
	if err != nil || !filepath.IsAbs(path) {
		return ""
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}
