package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/packaging/lab"
)

// faultNames are the faults that are measured: one plugin crashes its worker; one
// hangs; two crash and fail for themselves; two crash only together.
var faultNames = []string{"segfault", "hang", "two", "conflict"}

// stage is one lab with what it takes to break it again and again.
type stage struct {
	lab       *lab.Lab
	n         int
	terminate time.Duration
	wpmend    string
	plugins   string    // the site's plugins folder
	pristine  string    // a copy of it as it was
	active    string    // the option active_plugins as it was
	update    bool      // spoiled plugins look freshly changed
	stamp     time.Time // newest mtime given to a spoiled file
	runs      int
	suffer    time.Duration // how long visitors meet the fault before anybody does something about it
}

func newStage(ctx context.Context, n int, terminate time.Duration, wpmend string, update bool) (*stage, error) {
	l, err := lab.Up(ctx, lab.Options{Plugins: n, TerminateTimeout: terminate})
	if err != nil {
		return nil, err
	}
	s := &stage{lab: l, n: n, terminate: terminate, wpmend: wpmend, update: update, suffer: time.Second, stamp: time.Now().Add(-age),
		plugins: filepath.Join(l.Site(0).Root, "wp-content/plugins"), pristine: filepath.Join(l.Dir, "pristine")}
	if err := s.makeOld(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := copyTree(s.plugins, s.pristine); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if s.active, err = s.option(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return s, nil
}

// age is how old the site's plugins are.
const age = 90 * 24 * time.Hour

// makeOld dates all plugins alike.
func (s *stage) makeOld() error {
	return filepath.WalkDir(s.plugins, func(path string, _ os.DirEntry, err error) error {
		then := time.Now().Add(-age)
		return errors.Join(err, os.Chtimes(path, then, then))
	})
}

func (s *stage) close() error { return s.lab.Close() }

func (s *stage) option(ctx context.Context) (value string, err error) {
	query := "SELECT option_value FROM " + s.lab.Site(0).TablePrefix + "options WHERE option_name = 'active_plugins'"
	if err := s.lab.DB().QueryRowContext(ctx, query).Scan(&value); err != nil {
		return "", fmt.Errorf("cannot read active_plugins: %w", err)
	}
	return value, nil
}

func (s *stage) setOption(ctx context.Context, value string) error {
	query := "UPDATE " + s.lab.Site(0).TablePrefix + "options SET option_value = ? WHERE option_name = 'active_plugins'"
	if _, err := s.lab.DB().ExecContext(ctx, query, value); err != nil {
		return fmt.Errorf("cannot write active_plugins: %w", err)
	}
	return nil
}

// slugs lists the site's plugins.
func (s *stage) slugs() []string {
	list := make([]string, s.n)
	for i := range list {
		list[i] = lab.Slug(i + 1)
	}
	return list
}

// guilty are the plugins that a fault lies in: a bit beyond the middle, as the 17th of
// 30, and the second early on.
func (s *stage) guilty(fault string) []string {
	late, early := lab.Slug(max(2, s.n*17/30)), lab.Slug(max(1, s.n/5))
	if fault == "two" || fault == "conflict" {
		return []string{early, late}
	}
	return []string{late}
}

// symptoms are the statuses that visitors get from a fault; 0 is none in time.
func symptoms(fault string) []int {
	switch fault {
	case "hang":
		return []int{http.StatusBadGateway, http.StatusGatewayTimeout, 0}
	case "two":
		return []int{http.StatusBadGateway, http.StatusInternalServerError}
	}
	return []int{http.StatusBadGateway}
}

func (s *stage) spoil(fault string) error {
	guilty := s.guilty(fault)
	if err := s.insert(fault, guilty); err != nil {
		return err
	}
	for _, slug := range guilty {
		// A date that this file has never had: OPcache knows files by their dates.
		s.stamp = s.stamp.Add(time.Second).Truncate(time.Second)
		when := s.stamp
		if s.update {
			when = time.Now()
		}
		for _, name := range []string{filepath.Join(s.plugins, slug, slug+".php"), filepath.Join(s.plugins, slug)} {
			if err := os.Chtimes(name, when, when); err != nil {
				return fmt.Errorf("cannot date %s: %w", slug, err)
			}
		}
	}
	return nil
}

func (s *stage) insert(fault string, guilty []string) error {
	switch fault {
	case "segfault":
		return s.lab.Break(0, lab.Segfault, guilty[0])
	case "hang":
		return s.lab.Break(0, lab.Hang, guilty[0])
	case "two":
		return errors.Join(s.lab.Break(0, lab.Segfault, guilty[0]), s.lab.Break(0, lab.Fatal, guilty[1]))
	}
	return errors.Join(
		s.write(guilty[0], "\n$GLOBALS['lab_conflict'] = true;\n"),
		s.write(guilty[1], "\nadd_action( 'init', function () {\n\tif ( ! empty( $GLOBALS['lab_conflict'] ) ) {\n\t\tposix_kill( getmypid(), 11 );\n\t}\n} );\n"))
}

// write appends code to a plugin.
func (s *stage) write(slug, code string) error {
	name := filepath.Join(s.plugins, slug, slug+".php")
	before, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("cannot spoil %s: %w", slug, err)
	}
	next := name + ".next"
	if err := errors.Join(os.WriteFile(next, append(before, code...), 0o644), like(name, next), os.Rename(next, name)); err != nil {
		return fmt.Errorf("cannot spoil %s: %w", slug, err)
	}
	return nil
}

// like gives a file the owner of another.
func like(model, name string) error {
	info, err := os.Lstat(model)
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t)
	return os.Lchown(name, int(stat.Uid), int(stat.Gid))
}

// reset makes the site what it was, with a PHP-FPM that has just started and is warm.
func (s *stage) reset(ctx context.Context) error {
	s.runs++
	if err := errors.Join(s.lab.StopFPM(), s.lab.Mend(0)); err != nil {
		return err
	}
	aside := filepath.Join(s.lab.Dir, "spent-"+fmt.Sprint(s.runs))
	if err := os.Rename(s.plugins, aside); err != nil {
		return fmt.Errorf("cannot put the plugins away: %w", err)
	}
	extra, err := filepath.Glob(s.plugins + ".*")
	if err != nil {
		return err
	}
	for _, name := range append(extra, aside) {
		if err := os.RemoveAll(name); err != nil {
			return fmt.Errorf("cannot put the plugins away: %w", err)
		}
	}
	// What earlier runs left in the logs is no evidence in the next.
	for _, name := range []string{s.lab.NginxAccessLog(0), s.lab.NginxErrorLog(0), s.lab.FPMLog(0)} {
		if err := os.Truncate(name, 0); err != nil {
			return fmt.Errorf("cannot empty a log: %w", err)
		}
	}
	if err := errors.Join(copyTree(s.pristine, s.plugins), s.setOption(ctx, s.active), s.lab.StartFPM()); err != nil {
		return fmt.Errorf("cannot put the site back: %w", err)
	}
	for try := 1; ; try++ {
		p := s.visit(ctx, 30*time.Second)
		if p.well() && len(p.lacks(s.slugs())) == 0 && try > 4 {
			return nil
		}
		if try == 20 {
			return fmt.Errorf("the site does not come back: it answers %d and lacks %v", p.status, p.lacks(s.slugs()))
		}
	}
}

// healed reports whether the site works now, and which innocent plugins it lacks.
func (s *stage) healed(ctx context.Context, fault string) (bool, []string) {
	for range 3 {
		p := s.visit(ctx, 30*time.Second)
		if !p.well() {
			return false, nil
		}
		if lacking := p.lacks(s.innocent(fault)); len(lacking) > 0 {
			return true, lacking
		}
	}
	return true, nil
}

// innocent are the plugins of which no visitor should miss any.
func (s *stage) innocent(fault string) []string {
	guilty := s.guilty(fault)
	return slices.DeleteFunc(s.slugs(), func(slug string) bool { return slices.Contains(guilty, slug) })
}

// page is one answer of the site.
type page struct {
	status int // 0: no answer
	body   string
}

func (s *stage) visit(ctx context.Context, patience time.Duration) page {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	status, body, err := s.lab.GetFrom(ctx, 0, "/")
	if err != nil {
		status = 0
	}
	return page{status, body}
}

func (p page) well() bool { return p.status == http.StatusOK && lab.Complete(p.body) }

// lacks are the plugins that have not left their mark in the page.
func (p page) lacks(slugs []string) []string {
	var list []string
	for _, slug := range slugs {
		if !strings.Contains(p.body, "<!-- "+slug+" saw ") {
			list = append(list, slug)
		}
	}
	return list
}

// copyTree copies a folder with owners and dates.
func copyTree(from, to string) error {
	var dated []func() error // folders, whose dates change with what is put into them
	err := filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			dated = append(dated, func() error { return os.Chtimes(target, info.ModTime(), info.ModTime()) })
			return errors.Join(os.Mkdir(target, info.Mode().Perm()), like(path, target))
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(target, data, info.Mode().Perm()), like(path, target), os.Chtimes(target, info.ModTime(), info.ModTime()))
	})
	for _, date := range dated {
		err = errors.Join(err, date())
	}
	return err
}
