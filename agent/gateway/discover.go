package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"wpmend/php/process"
	"wpmend/php/transient"
)

const (
	maxRun    = 15 * time.Second // of one `nginx -T`; it resolves host names while it runs
	maxStderr = 16 << 10
	titleHead = "nginx: master process "
)

// bounds are those of one question to a binary.
type bounds struct {
	time   time.Duration
	output int // bytes
}

// Discover asks every running nginx and Apache master for the configuration that its own command line names: `nginx -T`
// of the same binary with the same -c, -p, -g and -e, `apache2 -t -D DUMP_…` with the same -d, -f, -C, -c and -D. The
// errors say which masters were not believed or could not answer; where the configuration on disk is broken they carry
// the server's own words. A master that is being replaced counts once.
func Discover(ctx context.Context, procs []process.Process) ([]Gateway, []error) {
	found, _, errs := new(Known).Discover(ctx, procs)
	return found, errs
}

func (a *asking) nginx(procs []process.Process) ([]Gateway, []error) {
	var found []Gateway
	var errs []error
	type key struct{ binary, config, prefix string }
	seen := map[key]int{}
	for _, p := range masters(procs) {
		title, _ := masterTitle(p)
		if err := p.SpeaksForHost(); err != nil {
			errs = append(errs, fmt.Errorf("nginx is not asked: %w", err))
			continue
		}
		g, err := a.of(p, func() (Gateway, []string, error) { return ask(a.ctx, p, parseTitle(title), a.hostname) })
		if err != nil {
			errs = append(errs, fmt.Errorf("nginx (process %d): %w", p.PID, err))
			continue
		}
		k := key{g.Binary, g.Config, g.Prefix}
		if n, twice := seen[k]; twice {
			if p.Start > found[n].Process.Start {
				found[n] = g
			}
			continue
		}
		seen[k] = len(found)
		found = append(found, g)
	}
	for _, g := range found {
		for _, problem := range g.Problems {
			errs = append(errs, fmt.Errorf("nginx configuration: %s", problem))
		}
	}
	return found, errs
}

// masters are the processes with a master's title. A worker has it too for the moment between its fork and its own
// title; unlike a master that replaces its parent it has no children.
func masters(procs []process.Process) []process.Process {
	titled, parents := map[int]bool{}, map[int]bool{}
	for _, p := range procs {
		_, ok := masterTitle(p)
		titled[p.PID] = ok
		parents[p.PPID] = true
	}
	var found []process.Process
	for _, p := range procs {
		if titled[p.PID] && (!titled[p.PPID] || parents[p.PID]) {
			found = append(found, p)
		}
	}
	return found
}

func masterTitle(p process.Process) (string, bool) {
	if len(p.Argv) != 1 {
		return "", false
	}
	return strings.CutPrefix(p.Argv[0], titleHead)
}

// ask runs the master's binary for its version and its configuration; files are those that it depends on, nil where
// that is not known.
func ask(ctx context.Context, p process.Process, o options, hostname string) (g Gateway, files []string, err error) {
	limits := bounds{maxRun, maxDump}
	_, version, err := run(ctx, limits, p.Exe, "-V")
	if err != nil {
		return Gateway{}, nil, err
	}
	b := parseBuild(string(version))
	args, prefix := o.arguments(b, p.Cwd)
	text, _, err := run(ctx, limits, p.Exe, append([]string{"-T"}, args...)...)
	if err != nil {
		return Gateway{}, nil, err
	}
	h := host{prefix: prefix, version: b.version, globals: o.globals, hostname: hostname}
	errorLog := b.errorLog
	if o.errorLog != "" {
		errorLog = o.errorLog
	}
	h.errorLogs, h.accessLogs = defaultLog(errorLog, prefix), defaultLog(b.accessLog, prefix)
	g, d, err := readNginx(text, h)
	if err != nil {
		return Gateway{}, nil, err
	}
	g.Process, g.Binary = p, p.Exe
	return g, d.sources(o.globals), nil
}

func defaultLog(name, prefix string) []string {
	c := reader{host: host{prefix: prefix}}
	return c.appendLog(nil, name)
}

// run asks the binary one question, with nothing of our environment: NGINX would hand it sockets, others would
// steer its modules.
func run(parent context.Context, b bounds, binary string, args ...string) (stdout, stderr []byte, err error) {
	return runWith(parent, b, nil, binary, args...)
}

// runWith is run with variables of the server's own environment.
func runWith(parent context.Context, b bounds, env []string, binary string, args ...string) (stdout, stderr []byte, err error) {
	ctx, cancel := context.WithTimeout(parent, b.time)
	defer cancel()
	out, words := &limited{max: b.output, full: cancel}, &limited{max: maxStderr}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, env...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	// Their tests open the logs, which our own unit may not write; LuaJIT wants memory that it may not have.
	err = transient.Run(ctx, cmd, transient.Options{Time: b.time, Memory: "1G"})
	what := filepath.Base(binary) + " " + strings.Join(args, " ")
	switch {
	case out.over:
		return nil, nil, fmt.Errorf("%s prints more than %d bytes", what, b.output)
	case parent.Err() != nil:
		return nil, nil, fmt.Errorf("%s: %w", what, parent.Err())
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, nil, fmt.Errorf("%s does not end within %s: does a host name in it not resolve?", what, b.time)
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w: %s", what, err, ownWords(words.kept.Bytes()))
	}
	return out.kept.Bytes(), words.kept.Bytes(), nil
}

// limited keeps the first max bytes. The buffer is no embedded one: io.Copy would find its ReadFrom and pass Write by.
type limited struct {
	kept bytes.Buffer
	max  int
	over bool
	full func()
}

func (l *limited) Write(b []byte) (int, error) {
	room := l.max - l.kept.Len()
	if len(b) <= room {
		return l.kept.Write(b)
	}
	l.over = true
	l.kept.Write(b[:room])
	if l.full != nil {
		l.full()
	}
	return len(b), nil
}

// ownWords are what the server says about a fault; its warnings are left out where there is a fault.
func ownWords(stderr []byte) string {
	var faults, all []string
	for line := range strings.Lines(strings.ToValidUTF8(string(stderr), "?")) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "nginx: ")
		if line == "" || apacheWarning(line) {
			continue
		}
		all = append(all, line)
		if strings.HasPrefix(line, "[emerg]") || strings.HasPrefix(line, "[crit]") {
			faults = append(faults, line)
		}
	}
	if faults == nil {
		faults = all
	}
	if faults == nil {
		return "it says nothing"
	}
	return strings.Join(faults, "; ")
}
