package agent

import (
	"context"
	"fmt"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/wp"
)

// updating is how long a sign of an update under way counts. WordPress itself
// ignores a .maintenance file after ten minutes (wp-includes/load.php).
const updating = 10 * time.Minute

// calm says why nothing may be renamed or switched off now, whatever a search says: a
// full disk, an update under way. nil: nothing stands in the way.
func calm(l *look) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(l.site.Root, &fs); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", l.site.Root, err)
	}
	if fs.Bavail == 0 || fs.Files > 0 && fs.Ffree == 0 {
		return fmt.Errorf("the disk under %s is full: nothing is switched off before there is room again", l.site.Root)
	}
	what, err := underUpdate(l)
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

// underUpdate names a fresh trace of WordPress' own updater, "" if there is none.
func underUpdate(l *look) (string, error) {
	t, err := wp.OpenTree(l.site.Root, l.site.Owner)
	if err != nil {
		return "", err
	}
	defer t.Close()
	for _, p := range []string{path.Join(l.site.Core, ".maintenance"), path.Join(l.wp.Paths.Content, "upgrade")} {
		info, err := t.Stat(p)
		if err != nil || time.Since(info.ModTime()) > updating {
			continue
		}
		if !info.IsDir() {
			return p, nil
		}
		entries, err := t.ReadDir(p)
		if err != nil {
			return "", err
		}
		// WordPress leaves the folder itself behind, empty.
		if len(entries) > 0 {
			return path.Join(p, entries[0].Name()), nil
		}
	}
	return "", nil
}
