package site

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"wpmend/wp"
)

// WordPress is what a site's own files and database say, read without running
// any of its code.
type WordPress struct {
	Config     wp.Config
	Paths      wp.Paths
	Active     wp.ActiveState
	Components []wp.Component
	Switched   []wp.Component // what carries wpmend's name for "off"
	// Database says why the options could not be read: then Active is empty and
	// every installed plugin counts as active, since nothing is known.
	Database error
	// Identity names the database and prefix: copies of a site may share it.
	Identity string
}

// Read opens the site's folder and database and reads them. An error means that
// the folder or wp-config.php could not be read at all.
func (s Site) Read(ctx context.Context) (WordPress, error) {
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		return WordPress{}, fmt.Errorf("open %s: %w", s.Root, err)
	}
	defer t.Close()
	var w WordPress
	if w.Config, err = wp.ReadConfig(t); err != nil {
		return WordPress{}, fmt.Errorf("read the configuration of %s: %w", s.Domain, err)
	}
	if w.Paths, err = w.Config.Paths(); err != nil {
		return WordPress{}, fmt.Errorf("read the configuration of %s: %w", s.Domain, err)
	}
	w.Active, w.Identity, w.Database = readActive(ctx, w.Config)
	if w.Components, err = wp.Components(t, w.Paths, w.Active); err != nil {
		return WordPress{}, fmt.Errorf("list the components of %s: %w", s.Domain, err)
	}
	if w.Switched, err = wp.SwitchedOff(t, w.Paths); err != nil {
		return WordPress{}, fmt.Errorf("list what is switched off on %s: %w", s.Domain, err)
	}
	if w.Database != nil {
		for i, c := range w.Components {
			w.Components[i].Active = c.Kind == "plugin"
		}
	}
	return w, nil
}

func readActive(ctx context.Context, c wp.Config) (active wp.ActiveState, identity string, err error) {
	db, err := wp.OpenDatabase(ctx, c, "")
	if err != nil {
		return wp.ActiveState{}, "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	active, err = wp.ReadActive(ctx, db)
	return active, db.Identity(), err
}

// Component finds a component by its id among what is installed and what is
// switched off.
func (w WordPress) Component(id string) (c wp.Component, off, ok bool) {
	for _, c := range w.Components {
		if c.ID() == id {
			return c, false, true
		}
	}
	for _, c := range w.Switched {
		if c.ID() == id {
			return c, true, true
		}
	}
	return wp.Component{}, false, false
}

// Plugins are the active plugins, the components that the first search looks at.
func (w WordPress) Plugins() []wp.Component {
	var found []wp.Component
	for _, c := range w.Components {
		if c.Kind == "plugin" && c.Active {
			found = append(found, c)
		}
	}
	return found
}

// FolderOwner is the user who owns a site's root folder: what is known of a site
// when only the journal names it.
func FolderOwner(root string) (uint32, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(root, &stat); err != nil {
		return 0, fmt.Errorf("owner of %s: %w", root, err)
	}
	return stat.Uid, nil
}
