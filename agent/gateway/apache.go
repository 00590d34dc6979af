package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wpmend/php/process"
)

const (
	maxEnviron = 256 << 10 // bytes of a master's environment
	maxMaps    = 4 << 20   // bytes of the list of what it has mapped
)

// apache asks every running Apache master.
func (a *asking) apache(procs []process.Process) ([]Gateway, []error) {
	var found []Gateway
	var errs []error
	type key struct{ binary, config, root string }
	seen := map[key]int{}
	for _, p := range apacheMasters(procs) {
		if err := p.SpeaksForHost(); err != nil {
			errs = append(errs, fmt.Errorf("apache is not asked: %w", err))
			continue
		}
		g, err := a.of(p, func() (Gateway, []string, error) { return askApache(a.ctx, p) })
		if err != nil {
			errs = append(errs, fmt.Errorf("apache (process %d): %w", p.PID, err))
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
		for _, problem := range g.Problems {
			errs = append(errs, fmt.Errorf("apache configuration: %s", problem))
		}
	}
	return found, errs
}

// apacheMasters are the processes called like Apache that have children of the same program, and no parent of it. That
// leaves `apachectl configtest` out, which runs the same binary for a moment.
func apacheMasters(procs []process.Process) []process.Process {
	type child struct {
		parent  int
		program string
	}
	programs, children := map[int]string{}, map[child]bool{}
	for _, p := range procs {
		switch filepath.Base(p.Exe) {
		case "apache2", "httpd", "httpd.worker", "httpd.event":
			programs[p.PID] = p.Exe
			children[child{p.PPID, p.Exe}] = true
		}
	}
	var found []process.Process
	for _, p := range procs {
		exe, ok := programs[p.PID]
		if ok && children[child{p.PID, exe}] && programs[p.PPID] != exe {
			found = append(found, p)
		}
	}
	return found
}

// apacheArguments are those of a master's arguments that change its configuration (getopt, AP_SERVER_BASEARGS), with
// paths complete: the question is asked in another folder.
func apacheArguments(argv []string, cwd string) ([]string, error) {
	var args []string
	for i := 1; i < len(argv); i++ {
		word := argv[i]
		if len(word) < 2 || word[0] != '-' {
			return nil, fmt.Errorf("argument %q is not understood", word)
		}
		for j := 1; j < len(word); j++ {
			letter := word[j]
			if strings.IndexByte("dfCcDkEeR", letter) < 0 {
				continue // a flag without a value: -X, -T
			}
			value := word[j+1:]
			if value == "" {
				if i++; i == len(argv) {
					return nil, fmt.Errorf("-%c has no value", letter)
				}
				value = argv[i]
			}
			switch letter {
			case 'd':
				if !filepath.IsAbs(value) {
					value = filepath.Join(cwd, value)
				}
				args = append(args, "-d", value)
			case 'f', 'C', 'c', 'D': // -f is relative to ServerRoot
				args = append(args, "-"+string(letter), value)
			}
			break
		}
	}
	return args, nil
}

// apacheEnviron are the variables that Debian's envvars sets and the configuration names: ${APACHE_LOG_DIR}.
func apacheEnviron(pid int) ([]string, error) {
	text, err := readBounded(fmt.Sprintf("/proc/%d/environ", pid), maxEnviron)
	if err != nil {
		return nil, fmt.Errorf("read its environment: %w", err)
	}
	var env []string
	for v := range bytes.SplitSeq(text, []byte{0}) {
		if bytes.HasPrefix(v, []byte("APACHE_")) {
			env = append(env, string(v))
		}
	}
	return env, nil
}

func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	return text, err
}

// askApache runs the master's binary for its version and its configuration. `-t` with a DUMP reads the configuration
// and ends before anything is opened for writing: no log, socket, piped program or pid file (main.c; seen with strace).
func askApache(ctx context.Context, p process.Process) (g Gateway, files []string, err error) {
	args, err := apacheArguments(p.Argv, p.Cwd)
	if err != nil {
		return Gateway{}, nil, err
	}
	env, err := apacheEnviron(p.PID)
	if err != nil {
		return Gateway{}, nil, err
	}
	module := infoModule(p)
	g, says, err := apacheSays(ctx, p.Exe, args, env, func() string { return module })
	if err != nil {
		return Gateway{}, nil, err
	}
	g.Process = p
	if files, err = says.sources(); err != nil {
		return g, nil, nil // it is asked again the next time
	}
	if module != "" {
		files = append(files, module)
	}
	return g, files, nil
}

// apacheSays asks a binary with the arguments and environment of a master. info finds mod_info, which prints the
// configuration; without it the files are read.
func apacheSays(ctx context.Context, binary string, args, env []string, info func() string) (Gateway, apacheRun, error) {
	limits := bounds{maxRun, maxDump}
	text, _, err := runWith(ctx, limits, env, binary, "-v")
	if err != nil {
		return Gateway{}, apacheRun{}, err
	}
	software := serverVersion(string(text))
	text, _, err = runWith(ctx, limits, env, binary,
		slices.Concat(args, []string{"-t", "-D", "DUMP_RUN_CFG", "-D", "DUMP_MODULES", "-D", "DUMP_INCLUDES"})...)
	if err != nil {
		return Gateway{}, apacheRun{}, err
	}
	says := parseApacheRun(string(text))
	if says.main == "" || says.root == "" {
		return Gateway{}, apacheRun{}, errors.New("it does not say which files it reads (Apache 2.4.31 and later do)")
	}
	var top []*apacheDirective
	var left problems
	if load := info(); load != "" || says.has("info_module") {
		if !says.has("info_module") {
			args = append([]string{"-C", `LoadModule info_module "` + load + `"`}, args...)
		}
		if text, _, err = runWith(ctx, limits, env, binary, slices.Concat(args, []string{"-t", "-D", "DUMP_CONFIG"})...); err != nil {
			return Gateway{}, apacheRun{}, err
		}
		top, err = parseApacheDump(text)
	} else {
		top, left, err = readApacheFiles(says, args, env, parseVersion(software))
	}
	if err != nil {
		return Gateway{}, apacheRun{}, err
	}
	g := parseApache(top, says, software)
	g.Binary, g.Problems = binary, append(left, g.Problems...)
	return g, says, nil
}

// serverVersion reads `apache2 -v`: "Server version: Apache/2.4.71 (Debian)".
func serverVersion(text string) string {
	_, rest, _ := strings.Cut(text, "Server version: ")
	rest, _, _ = strings.Cut(rest, "\n")
	return strings.TrimSpace(rest)
}

// infoModule is mod_info beside the modules that the master has loaded, if it is there and only root can change it.
func infoModule(p process.Process) string {
	text, err := readBounded(fmt.Sprintf("/proc/%d/maps", p.PID), maxMaps)
	if err != nil {
		return ""
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		_, file, ok := strings.Cut(lines.Text(), "/")
		file = "/" + file
		if name := filepath.Base(file); !ok || !strings.HasPrefix(name, "mod_") || !strings.HasSuffix(name, ".so") {
			continue
		}
		module := filepath.Join(filepath.Dir(file), "mod_info.so")
		if process.RootOnly(module) == nil && !strings.ContainsAny(module, `"\`) {
			return module
		}
	}
	return ""
}

// apacheWarning knows what -t says on stderr even when all is well.
func apacheWarning(line string) bool {
	for _, code := range []string{"AH00557", "AH00558", "AH00548", "AH00112", "AH00111"} {
		if strings.Contains(line, code+": ") {
			return true
		}
	}
	return false
}
