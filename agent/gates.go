package agent

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/wp"
)

// updating is how long a sign of an update under way counts. WordPress itself
// ignores a .maintenance file after ten minutes (wp-includes/load.php).
const updating = 10 * time.Minute

// gate says why nothing may be switched off now, whatever a search convicts: a full
// disk, an update under way. nil: nothing stands in the way.
func (a *Agent) gate(ctx context.Context, l *look, ids []string) error {
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
	if l.logged && !plainPage(l.target()) {
		return fmt.Errorf("only %s fails, which the log names: anybody may have asked for it, so nothing is switched off for it before a person says so: wpmend heal %s --url '%s'",
			l.target(), l.site.Domain, strings.ReplaceAll(l.target().String(), "'", "%27"))
	}
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

// plainPage tells whether a URL is one that the site's own pages would link to: no
// query but WordPress' plain permalinks. What anybody can make up shall not get a
// plugin switched off.
func plainPage(u *url.URL) bool {
	for key, values := range u.Query() {
		if !slices.Contains([]string{"p", "page_id", "cat", "paged"}, key) || len(values) != 1 || strings.Trim(values[0], "0123456789") != "" {
			return false
		}
	}
	return true
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
