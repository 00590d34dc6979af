package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"wpmend/php/process"
	"wpmend/php/stamp"
)

// trust is how long an answer is used at the longest, in case that something decides about a configuration of which
// nobody thought.
const trust = time.Hour

// Known are the answers of servers, so that only a server whose configuration has changed is asked again: asking takes
// seconds where there are thousands of vhosts. The zero Known knows nothing. It is for one user at a time, and what it
// gives must not be changed.
type Known struct {
	answers map[worker]answered // by master
}

// answered is what a master said, and the files by which it did.
type answered struct {
	gateway Gateway
	argv    []string
	host    string // the name of this machine, which nginx knows as $hostname
	files   stamp.Set
	until   time.Time
}

// Discover is the function of this name, with what is known. same says that every answer is the one given before, and
// that none was dropped.
func (k *Known) Discover(ctx context.Context, procs []process.Process) (found []Gateway, same bool, errs []error) {
	before := k.answers
	a := asking{ctx: ctx, known: before, next: map[worker]answered{}, same: true}
	a.hostname, _ = os.Hostname() // "" unknown
	nginx, errs := a.nginx(procs)
	apaches, more := a.apache(procs)
	k.answers = a.next
	return append(nginx, apaches...), a.same && len(a.next) == len(before), append(errs, more...)
}

// asking is one round of questions.
type asking struct {
	ctx         context.Context
	hostname    string
	known, next map[worker]answered
	same        bool
}

// of gives the known answer of a master, or asks it. ask names all files that it depends on; none: that is not known.
func (a *asking) of(p process.Process, ask func() (g Gateway, files []string, err error)) (Gateway, error) {
	now := time.Now()
	if known, ok := a.known[worker{p.PID, p.Start}]; ok && now.Before(known.until) && known.host == a.hostname && slices.Equal(known.argv, p.Argv) && known.files.Same() {
		known.gateway.Process = p
		a.next[worker{p.PID, p.Start}] = known
		return known.gateway, nil
	}
	g, files, err := ask()
	if err != nil { // if it was known before, there is one less now
		return g, err
	}
	if known, ok := a.known[worker{p.PID, p.Start}]; ok && alike(g, known.gateway) {
		g = known.gateway
		g.Process = p
	} else {
		a.same = false
	}
	var stamped stamp.Set // of nothing: it is asked again
	if len(files) > 0 {
		stamped = stamp.Take(append(files, p.Exe), now)
	}
	a.next[worker{p.PID, p.Start}] = answered{g, p.Argv, a.hostname, stamped, now.Add(trust)}
	return g, nil
}

// alike compares what two answers say.
func alike(a, b Gateway) bool {
	a.Process, b.Process = process.Process{}, process.Process{}
	return reflect.DeepEqual(a, b)
}

// sources are the files of a dump and all on which it depends which files these are; nil where that is not known.
func (d *dump) sources(globals string) []string {
	if strings.Contains(globals, "include") {
		return nil
	}
	var all []string
	for path, s := range d.files {
		all = append(all, path)
		for _, b := range includes(nil, s.body) {
			if len(b.args) == 1 && isPattern(b.args[0]) {
				all = append(all, stamp.Of(d.absolute(b.args[0]))...)
			}
		}
	}
	return all
}

// sources are the same of Apache's configuration. What an Include stands for is Apache's own word; on which folders that
// depends is read from the files. Where a variable or a program has a part in it, that is not known.
func (r apacheRun) sources() ([]string, error) {
	files := map[string]bool{r.main: true}
	for _, included := range r.includes {
		for _, f := range included {
			files[f] = true
		}
	}
	var all []string
	left := maxDump
	for f := range files {
		text, err := readConfigFile(f, left)
		if err != nil {
			return nil, err
		}
		left -= len(text)
		all = append(all, f)
		for line := range strings.Lines(text) {
			more, err := r.depends(strings.TrimSpace(line))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
			all = append(all, more...)
		}
	}
	return all, nil
}

// depends are the paths that one line makes the configuration depend on.
func (r apacheRun) depends(line string) ([]string, error) {
	word, rest := cutBlank(line)
	switch strings.ToLower(word) {
	case "include", "includeoptional", "<iffile":
	case "<perl>", "perlconfigrequire", "perlrequire", "perlmodule":
		return nil, errors.New("a program makes the configuration")
	default:
		return nil, nil
	}
	args := apacheWords(strings.TrimSuffix(rest, ">"))
	if len(args) != 1 || strings.HasSuffix(rest, `\`) || strings.ContainsAny(args[0], "$@%") || strings.HasPrefix(args[0], "!") {
		return nil, fmt.Errorf("%q depends on more than its files", line)
	}
	path := args[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.root, path)
	}
	paths := stamp.Of(path)
	matches, err := filepath.Glob(path)
	if err != nil {
		return nil, err
	}
	// A folder stands for all files in it and below (ap_process_resource_config).
	for _, m := range matches {
		if info, err := os.Stat(m); err != nil || !info.IsDir() {
			continue
		}
		err := filepath.WalkDir(m, func(dir string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				return nil
			}
			if paths = append(paths, dir); len(paths) > maxApacheFiles {
				return fmt.Errorf("%s holds too many folders", m)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return paths, nil
}
