package evidence

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"time"

	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/wp"
)

// updating is how long a sign of an update under way counts. WordPress itself
// ignores a .maintenance file after ten minutes (wp-includes/load.php).
const updating = 10 * time.Minute

// databaseTimeout bounds the look at the tables.
const databaseTimeout = 2 * time.Second

// Updating names a fresh trace of WordPress' own updater, "" if there is none.
func Updating(s site.Site, p wp.Paths) (string, error) {
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		return "", err
	}
	defer t.Close()
	for _, p := range []string{path.Join(s.Core, ".maintenance"), path.Join(p.Content, "upgrade")} {
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

// themeMissing is the folder of the active theme, or of its parent, where the
// database names one that is not there.
func themeMissing(s site.Site, w site.WordPress) string {
	if w.Database != nil || w.Paths.Themes == "" {
		return ""
	}
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		return ""
	}
	defer t.Close()
	for _, theme := range []string{w.Active.Stylesheet, w.Active.Template} {
		if theme == "" || path.Clean("/"+theme) != "/"+theme {
			continue
		}
		folder := path.Join(w.Paths.Themes, theme)
		if info, err := t.Stat(folder); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
			return folder
		}
	}
	return ""
}

// database says why WordPress cannot work with its database. One that answers us may
// still have tables that cannot be read, which is asked where the page says so.
func database(ctx context.Context, w site.WordPress, front probe.Result) error {
	if w.Database != nil || front.Outcome != probe.DBError || w.Config.File == "" {
		return w.Database
	}
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	db, err := wp.OpenDatabase(ctx, w.Config, "")
	if err != nil {
		return err
	}
	return errors.Join(db.CheckTables(ctx), db.Close())
}
