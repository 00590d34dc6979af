package evidence

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/php/errlog"
	"wpmend/php/lint"
	"wpmend/wp"
)

const (
	lintTimeout = 2 * time.Second
	// changedWithin is how long before the first failure a change of code is looked at.
	changedWithin = 24 * time.Hour
	// newest is how many changed files are looked at, the last ones.
	newest = 50
	// maxWalked bounds the entries that are looked at for it.
	maxWalked = 30_000
	// lintersAtOnce: a host in trouble has no processors to spare.
	lintersAtOnce = 2
)

// linting is what a look at the site's code needs.
type linting struct {
	site    site.Site
	wp      site.WordPress
	errors  []diagnose.Line[errlog.PHPError]
	unread  error // why wp holds nothing
	first   time.Time
	short   bool // short_open_tag
	changed bool // look for files that were changed lately
}

// lints asks PHP whether the site's code parses: wp-config.php and what it includes,
// the files that PHP's own parse errors name, and what was changed lately. The error
// says why some of it is not known.
func lints(ctx context.Context, l linting) ([]diagnose.LintFault, error) {
	ctx, cancel := context.WithTimeout(ctx, lintTimeout)
	defer cancel()
	t, err := wp.OpenTree(l.site.Root, l.site.Owner)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	files := l.files(ctx, t)
	if len(files) == 0 {
		return nil, nil
	}
	binary, err := cli(ctx, l.site)
	if err != nil {
		return nil, fmt.Errorf("the site's code is not looked at for errors: %w", err)
	}
	php := lint.PHP{Binary: binary, UID: l.site.Owner, GID: l.site.Group, ShortTags: l.short}
	type result struct {
		fault *diagnose.LintFault
		err   error
	}
	results := make([]result, len(files))
	var group sync.WaitGroup
	var found atomic.Bool
	free := make(chan struct{}, lintersAtOnce)
	for i, f := range files {
		group.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			if found.Load() {
				return // the first fault is what ends the page
			}
			if results[i].fault, results[i].err = f.lint(ctx, t, php); results[i].fault != nil {
				found.Store(true)
			}
		})
	}
	group.Wait()
	var faults []diagnose.LintFault
	var problems []error
	for _, r := range results {
		if r.fault != nil {
			faults = append(faults, *r.fault)
		}
		if r.err != nil {
			problems = append(problems, r.err)
		}
	}
	if len(problems) > 0 && len(faults) == 0 {
		return nil, fmt.Errorf("%d of %d files of the site were not looked at for errors: %w", len(problems), len(files), problems[0])
	}
	return faults, nil
}

// codeFile is one file to look at: rel below the site's root, or above it dir.
type codeFile struct {
	rel     string
	above   string // absolute path of a wp-config.php above the root
	changed time.Time
}

func (f codeFile) lint(ctx context.Context, t *wp.Tree, php lint.PHP) (*diagnose.LintFault, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	name := f.rel
	if f.above != "" {
		parent, err := wp.OpenTree(filepath.Dir(f.above), t.Owner())
		if err != nil {
			return nil, err
		}
		defer parent.Close()
		t, f.rel, name = parent, filepath.Base(f.above), f.above
	}
	// A process of the site's user gets it, so it must be what he could read himself:
	// anybody can write another's file into a log.
	code, err := t.ReadOwn(f.rel, php.GID, lint.MaxCode)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, wp.ErrRefused) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fault, err := php.Lint(ctx, code)
	if fault == nil || err != nil {
		return nil, err
	}
	if info, err := t.Stat(f.rel); err == nil {
		f.changed = info.ModTime()
	}
	return &diagnose.LintFault{File: name, Line: fault.Line, Text: fault.Text, Changed: f.changed}, nil
}

// files are what is looked at, the surest first.
func (l linting) files(ctx context.Context, t *wp.Tree) []codeFile {
	var found []codeFile
	add := func(file string) {
		for _, root := range l.site.Roots() {
			if rel, err := filepath.Rel(root, file); err == nil && filepath.IsLocal(rel) {
				if f := (codeFile{rel: filepath.ToSlash(rel)}); !slices.Contains(found, f) {
					found = append(found, f)
				}
				return
			}
		}
		// The one above that wp-load.php would take, and no other's.
		own := func(root string) bool { return filepath.Dir(filepath.Clean(root)) == filepath.Dir(file) }
		if f := (codeFile{above: file}); filepath.Base(file) == "wp-config.php" && slices.ContainsFunc(append(l.site.Roots(), filepath.Join(l.site.Root, l.site.Core)), own) && !slices.Contains(found, f) {
			found = append(found, f)
		}
	}
	const named = 10 // files that errors name: text in a log is anybody's
	for _, e := range l.errors {
		if e.Record.Kind == "Parse error" && len(found) < named && filepath.IsAbs(e.Record.File) {
			add(filepath.Clean(e.Record.File))
		}
	}
	var wrong *wp.SyntaxError
	switch {
	case errors.As(l.unread, &wrong):
		add(wrong.File)
	case l.wp.Config.File != "":
		add(l.wp.Config.File)
		for _, file := range l.wp.Config.Includes {
			add(file)
		}
	default:
		add(filepath.Join(l.site.Root, l.site.Core, "wp-config.php"))
	}
	if l.changed {
		for _, f := range changedCode(ctx, t, l.site, l.wp, l.first.Add(-changedWithin)) {
			if !slices.ContainsFunc(found, func(o codeFile) bool { return o.rel == f.rel }) {
				found = append(found, f)
			}
		}
	}
	return found
}

// changedCode finds the PHP files of the site that were changed since, the newest
// first. Uploads and archives keep the dates that the author's files had, so the time
// when the kernel last changed the entry counts too.
func changedCode(ctx context.Context, t *wp.Tree, s site.Site, w site.WordPress, since time.Time) []codeFile {
	paths := w.Paths
	if paths.Content == "" {
		paths = wp.DefaultPaths()
	}
	var found []codeFile
	left := maxWalked
	var walk func(dir string, depth int)
	walk = func(dir string, depth int) {
		entries, err := t.ReadDir(dir)
		if err != nil {
			return // what cannot be read cannot be looked at
		}
		for _, e := range entries {
			if left--; left < 0 || ctx.Err() != nil {
				return
			}
			at := path.Join(dir, e.Name())
			switch {
			case e.IsDir() && depth > 0 && !skipped(at, e.Name(), paths.Content):
				walk(at, depth-1)
			case e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".php"):
				if info, err := e.Info(); err == nil && changedAt(info).After(since) {
					found = append(found, codeFile{rel: at, changed: changedAt(info)})
				}
			}
		}
	}
	const deep = 12
	folders := []string{paths.Content, paths.Plugins, paths.MUPlugins, paths.Themes, path.Join(s.Core, "wp-includes"), path.Join(s.Core, "wp-admin")}
	for i, dir := range folders {
		below := func(other string) bool { return dir == other || strings.HasPrefix(dir, other+"/") }
		if !slices.ContainsFunc(folders[:i], below) {
			walk(dir, deep)
		}
	}
	for _, dir := range []string{".", path.Clean(s.Core + "/.")} {
		walk(dir, 0)
	}
	slices.SortFunc(found, func(a, b codeFile) int {
		return cmp.Or(b.changed.Compare(a.changed), cmp.Compare(a.rel, b.rel))
	})
	found = slices.CompactFunc(found, func(a, b codeFile) bool { return a.rel == b.rel })
	return found[:min(len(found), newest)]
}

// skipped are folders without code that WordPress loads, and without end.
func skipped(at, name, content string) bool {
	switch name {
	case "node_modules", ".git", ".svn":
		return true
	}
	for _, dir := range []string{"uploads", "cache", "upgrade", "upgrade-temp-backup", "backups"} {
		if at == path.Join(content, dir) {
			return true
		}
	}
	return false
}

func changedAt(info fs.FileInfo) time.Time {
	at := info.ModTime()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink == 1 {
		if entry := time.Unix(stat.Ctim.Unix()); entry.After(at) {
			at = entry
		}
	}
	return at
}

// module is PHP within Apache, as the process maps it.
var module = regexp.MustCompile(`/libphp-?([0-9.]*)\.so\b`)

// cli is the command-line PHP of the version that runs the site.
func cli(ctx context.Context, s site.Site) (string, error) {
	if s.Handler != site.ModPHP {
		return lint.CLI(ctx, s.Master.Binary)
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", s.Gateway.Process.PID))
	if err != nil {
		return "", fmt.Errorf("which PHP runs within Apache is not known: %w", err)
	}
	m := module.FindSubmatch(bytes.TrimSpace(maps))
	if m == nil || len(m[1]) == 0 {
		return "", fmt.Errorf("which PHP runs within Apache is not known: %w", lint.ErrNoCLI)
	}
	return lint.CLI(ctx, "/usr/sbin/php-fpm"+string(m[1])) // beside which its command line lies on Debian
}
