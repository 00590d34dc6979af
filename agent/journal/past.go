package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sys/unix"
)

// planned tells from the name of a record when its change was written down.
func planned(name string) (time.Time, bool) {
	id, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return time.Time{}, false
	}
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}, false
	}
	return ulid.Time(u.Time()), true
}

// Since gives the changes that were planned at t or later, oldest first, and reads no
// other records; t counts in milliseconds. What cannot be read is in the error, as with
// [Journal.List]; files that are no records are that one's to name.
func (j *Journal) Since(t time.Time) ([]Change, error) {
	return j.listed(func(name string) bool {
		at, ok := planned(name)
		return ok && !at.Before(t.Truncate(time.Millisecond))
	})
}

// InForce gives the changes below one site's root that are in effect, or may be,
// oldest first: verified ones, those that a dead wpmend left half-done (see
// [Interrupted]) and those that a person must look at. Changes that cannot be undone are
// not among them.
func (j *Journal) InForce(siteRoot string) ([]Change, error) {
	all, err := j.List()
	found := make([]Change, 0, len(all))
	for _, c := range all {
		if c.SiteRoot == siteRoot && c.UndoNone == "" && c.State != Undone && !c.Untouched {
			found = append(found, c)
		}
	}
	return found, err
}

// Prune removes the records of changes that were planned and undone before a time, and
// tells how many. All others are needed: to take a change back, or to know of it. What
// cannot be read stays, and is in the error.
func (j *Journal) Prune(before time.Time) (int, error) {
	old, problem := j.listed(func(name string) bool {
		at, ok := planned(name)
		return ok && at.Before(before)
	})
	var names []string
	for _, c := range old {
		if c.State == Undone && len(c.Log) > 0 && c.Log[len(c.Log)-1].Time.Before(before) {
			names = append(names, c.ID+suffix)
		}
	}
	if len(names) == 0 {
		return 0, problem
	}
	n, err := j.disk.remove(j.dir, names)
	return n, errors.Join(problem, err)
}

// remove takes files of wpmend's own state away; one that is gone already is no error.
func (s seam) remove(dir string, names []string) (n int, err error) {
	folder, err := openOwn(dir)
	if err != nil {
		return 0, err
	}
	defer unix.Close(folder)
	for _, name := range names {
		err := s.call("unlink", func() error { return unix.Unlinkat(folder, name, 0) })
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return n, fmt.Errorf("remove %s: %w", filepath.Join(dir, name), err)
		}
		n++
	}
	return n, s.sync("folder", folder)
}

// Due gives the verified changes whose term has come at a time, oldest first. What
// cannot be read is in the error.
func (j *Journal) Due(now time.Time) ([]Change, error) {
	all, err := j.List()
	return slices.DeleteFunc(all, func(c Change) bool {
		return c.State != Verified || c.Until.IsZero() || c.Until.After(now)
	}), err
}
