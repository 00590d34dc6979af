package agent

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"wpmend/agent/diagnose"
	"wpmend/agent/evidence"
)

// calm says why nothing may be renamed or switched off now, whatever a search says: an
// overload, a dead database, a full disk, an update under way. nil: nothing stands in the way.
func calm(l *look) error {
	if by, why := diagnose.Calm(l.causes); why != "" {
		return fmt.Errorf("no component is searched or switched off (%s): %s", by.Cause, why)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(l.site.Root, &fs); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", l.site.Root, err)
	}
	if fs.Bavail == 0 || fs.Files > 0 && fs.Ffree == 0 {
		return fmt.Errorf("the disk under %s is full: nothing is switched off before there is room again", l.site.Root)
	}
	what, err := evidence.Updating(l.site, l.wp.Paths)
	if err != nil {
		return fmt.Errorf("look for an update under way on %s: %w", l.site.Domain, err)
	}
	if what != "" {
		return fmt.Errorf("an update of %s seems to be under way (%s is fresh): nothing is switched off before it has ended", l.site.Domain, what)
	}
	return nil
}

// unchanged wants components to be as they were when they were searched.
func (a *Agent) unchanged(ctx context.Context, l *look, ids []string) error {
	before := l.wp
	if err := a.read(ctx, l); err != nil {
		return err
	}
	for _, id := range ids {
		was, _, _ := before.Component(id)
		is, off, ok := l.wp.Component(id)
		if !ok || off || !is.ModTime.Equal(was.ModTime) || is.Version != was.Version {
			return fmt.Errorf("%s has changed while it was searched: an update or a deploy seems to be under way", id)
		}
	}
	return nil
}
