package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"wpmend/packaging/lab"
)

// way is one way to find, or to find and switch off, the plugins at fault.
type way struct {
	name string
	does string
	find bool // it names the culprits and leaves the site as it is
	run  func(ctx context.Context, s *stage, d *deeds) error
}

// deeds are what a way did.
type deeds struct {
	probes  int      // requests that it judged
	changes int      // to the live site: renames, writes of the list of active plugins
	found   []string // whom it accuses
}

// errNotInstalled says that a way cannot be tried on this machine.
var errNotInstalled = errors.New("not installed")

// errLost says that a way came to its end without a healthy site.
var errLost = errors.New("lost")

var ways = []way{
	{"bisect", "wpmend bisect: finds", true, findByWpmend},
	{"fix", "wpmend bisect --fix: finds and heals", false, fixByWpmend},
	{"each", "rename each away in turn, and back", false, eachAway},
	{"folder", "plugins folder away, then one by one back", false, folderAway},
	{"re-add", "deactivate all, activate one by one", false, readdAll},
	{"halves", "rename half away, then half of the half", false, halves},
	{"wp-cli", "wp plugin deactivate, one by one", false, byWPCLI},
}

func wayNames() []string {
	var names []string
	for _, w := range ways {
		names = append(names, w.name)
	}
	return names
}

// asks loads the front page as somebody who tries would.
func (s *stage) asks(ctx context.Context, d *deeds) (bool, error) {
	d.probes++
	p := s.visit(ctx, s.limit())
	return p.well(), ctx.Err()
}

// away renames plugins so that WordPress does not see them; back undoes it.
func (s *stage) away(d *deeds, slugs ...string) error { return s.rename(d, slugs, "", ".off") }
func (s *stage) back(d *deeds, slugs ...string) error { return s.rename(d, slugs, ".off", "") }

func (s *stage) rename(d *deeds, slugs []string, from, to string) error {
	for _, slug := range slugs {
		d.changes++
		if err := os.Rename(filepath.Join(s.plugins, slug+from), filepath.Join(s.plugins, slug+to)); err != nil {
			return err
		}
	}
	return nil
}

// eachAway renames one plugin away, looks, and renames it back if that was not it.
func eachAway(ctx context.Context, s *stage, d *deeds) error {
	for _, slug := range s.slugs() {
		if err := s.away(d, slug); err != nil {
			return err
		}
		if well, err := s.asks(ctx, d); well || err != nil {
			d.found = []string{slug}
			return err
		}
		if err := s.back(d, slug); err != nil {
			return err
		}
	}
	return errLost
}

// folderAway is what the guides teach: the folder is renamed, which must heal the site;
// then the plugins come back one by one, and whoever breaks the site goes off again.
// After each of these all others come back at once, to see whether that was all.
func folderAway(ctx context.Context, s *stage, d *deeds) error {
	off := s.plugins + ".off"
	info, err := os.Stat(s.plugins)
	if err != nil {
		return err
	}
	d.changes++
	if err := errors.Join(os.Rename(s.plugins, off), os.Mkdir(s.plugins, info.Mode().Perm()), like(off, s.plugins)); err != nil {
		return err
	}
	move := func(from, to string, slugs []string) error {
		for _, slug := range slugs {
			d.changes++
			if err := os.Rename(filepath.Join(from, slug), filepath.Join(to, slug)); err != nil {
				return err
			}
		}
		return nil
	}
	if well, err := s.asks(ctx, d); !well || err != nil {
		return errors.Join(err, errLost)
	}
	waiting := s.slugs()
	for len(waiting) > 0 {
		slug := waiting[0]
		waiting = waiting[1:]
		if err := move(off, s.plugins, []string{slug}); err != nil {
			return err
		}
		well, err := s.asks(ctx, d)
		if err != nil {
			return err
		}
		if well {
			continue
		}
		d.found = append(d.found, slug)
		if err := errors.Join(move(s.plugins, off, []string{slug}), move(off, s.plugins, waiting)); err != nil {
			return err
		}
		well, err = s.asks(ctx, d)
		if well || err != nil {
			return err
		}
		if err := move(s.plugins, off, waiting); err != nil {
			return err
		}
	}
	return nil
}

// readdAll empties the list of active plugins and fills it one by one, to the last.
func readdAll(ctx context.Context, s *stage, d *deeds) error {
	var on []string
	set := func() error {
		d.changes++
		return s.setOption(ctx, serialised(on))
	}
	if err := set(); err != nil {
		return err
	}
	if well, err := s.asks(ctx, d); !well || err != nil {
		return errors.Join(err, errLost)
	}
	for _, slug := range s.slugs() {
		on = append(on, slug)
		if err := set(); err != nil {
			return err
		}
		well, err := s.asks(ctx, d)
		if err != nil {
			return err
		}
		if well {
			continue
		}
		d.found = append(d.found, slug)
		on = on[:len(on)-1]
		if err := set(); err != nil {
			return err
		}
	}
	return nil
}

// serialised is the option active_plugins in PHP's form.
func serialised(slugs []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "a:%d:{", len(slugs))
	for i, slug := range slugs {
		file := slug + "/" + slug + ".php"
		fmt.Fprintf(&b, "i:%d;s:%d:%q;", i, len(file), file)
	}
	return b.String() + "}"
}

// halves is what tools for plain bisection do: of the suspects one half is renamed
// away; the half in which the fault stays or goes is halved again. One culprit is
// taken for granted.
func halves(ctx context.Context, s *stage, d *deeds) error {
	suspects := s.slugs()
	for len(suspects) > 1 {
		half := suspects[:len(suspects)/2]
		if err := s.away(d, half...); err != nil {
			return err
		}
		well, err := s.asks(ctx, d)
		if err != nil {
			return err
		}
		if err := s.back(d, half...); err != nil {
			return err
		}
		if well {
			suspects = half
		} else {
			suspects = suspects[len(half):]
		}
	}
	d.found = slices.Clone(suspects)
	if err := s.away(d, suspects...); err != nil {
		return err
	}
	well, err := s.asks(ctx, d)
	if err == nil && !well {
		d.found = nil
		err = errors.Join(s.back(d, suspects...), errLost)
	}
	return err
}

// byWPCLI deactivates one plugin, looks, and activates it again if that was not it.
// The others are skipped while it runs, or it would fail as the site does.
func byWPCLI(ctx context.Context, s *stage, d *deeds) error {
	program, err := exec.LookPath("wp")
	if err != nil {
		return errNotInstalled
	}
	wp := func(verb, slug string) error {
		d.changes++
		cmd := exec.CommandContext(ctx, program, "plugin", verb, slug, "--skip-plugins", "--skip-themes", "--path="+s.lab.Site(0).Root)
		if err := s.asOwner(cmd); err != nil {
			return err
		}
		if out, err := cmd.CombinedOutput(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("wp plugin %s %s: %w\n%s", verb, slug, err, out)
		}
		return ctx.Err()
	}
	for i := range s.n {
		slug := lab.Slug(i + 1)
		if err := wp("deactivate", slug); err != nil {
			return err
		}
		if well, err := s.asks(ctx, d); well || err != nil {
			d.found = []string{slug}
			return err
		}
		if err := wp("activate", slug); err != nil {
			return err
		}
	}
	return errLost
}
