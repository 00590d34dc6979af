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
	// Prepends are the files that PHP itself loads first; those that apply are
	// Components too.
	Prepends []wp.PrependedFile
	// PrependsUnread says why they could not be looked for.
	PrependsUnread error
	// Database says why the options could not be read: then Active is empty and
	// every installed plugin counts as active, since nothing is known.
	Database error
	// Identity names the database and prefix: copies of a site may share it.
	Identity string

	links wp.Links
}

// Read opens the site's folder and database and reads them. An error means that
// the folder or wp-config.php could not be read at all, or, if it is
// [wp.ErrUnknown], that PHP computes where the components lie or how the database
// is reached: then only [Site.ReadInspected] can tell. With only the database
// unknown, what the files say comes along with the error.
func (s Site) Read(ctx context.Context) (WordPress, error) {
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		return WordPress{}, fmt.Errorf("open %s: %w", s.Root, err)
	}
	defer t.Close()
	c, err := wp.ReadConfigOf(t, s.Core)
	if err != nil {
		return WordPress{}, fmt.Errorf("read the configuration of %s: %w", s.Domain, err)
	}
	w := WordPress{Config: c}
	w.Active, w.Identity, w.Database = readActive(ctx, c)
	if w, err = s.read(t, w); err == nil && errors.Is(w.Database, wp.ErrUnknown) {
		err = fmt.Errorf("read the configuration of %s: %w", s.Domain, w.Database)
	}
	return w, err
}

// ReadInspected is Read with what WordPress said of itself, which is taken from the
// site and checked like everything else of it: folders must lie below the root.
func (s Site) ReadInspected(ctx context.Context, i wp.Inspection) (WordPress, error) {
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		return WordPress{}, fmt.Errorf("open %s: %w", s.Root, err)
	}
	defer t.Close()
	chroot, _ := s.Pool.Get("chroot")
	c, err := wp.ReadInspected(t, s.Core, i, chroot)
	if err != nil {
		return WordPress{}, fmt.Errorf("read the configuration of %s: %w", s.Domain, err)
	}
	w := WordPress{Config: c}
	w.Active, w.Identity, w.Database = readActive(ctx, c)
	if w.Database != nil && i.Problem == "" {
		// Its own user reached the database, ours does not: what it said must do.
		w.Active = i.Active()
	}
	return s.read(t, w)
}

// Config reads the site's wp-config.php. Of a site that only its root and owner are
// known of, the core is looked for first.
func (s Site) Config() (wp.Config, error) {
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		return wp.Config{}, fmt.Errorf("open %s: %w", s.Root, err)
	}
	defer t.Close()
	core := s.Core
	if core == "" {
		if core, err = wp.FindCore(t); err != nil {
			return wp.Config{}, err
		}
	}
	c, err := wp.ReadConfigOf(t, core)
	if err != nil {
		return wp.Config{}, fmt.Errorf("read the configuration of %s: %w", s.Root, err)
	}
	return c, nil
}

// read lists the components by a configuration.
func (s Site) read(t *wp.Tree, w WordPress) (WordPress, error) {
	var err error
	if w.Paths, err = w.Config.Paths(); err != nil {
		return WordPress{}, fmt.Errorf("read the configuration of %s: %w", s.Domain, err)
	}
	if w.Components, err = wp.Components(t, w.Paths, w.Active); err != nil {
		return WordPress{}, fmt.Errorf("list the components of %s: %w", s.Domain, err)
	}
	if w.Switched, err = wp.SwitchedOff(t, w.Paths); err != nil {
		return WordPress{}, fmt.Errorf("list what is switched off on %s: %w", s.Domain, err)
	}
	w.Prepends, w.PrependsUnread = wp.Prepends(t, s.hostPrepend(), ".", s.Core)
	for _, p := range w.Prepends {
		if p.Active {
			w.Components = append(w.Components, p.Component)
		}
	}
	known := w.Database == nil || w.Active.Stylesheet != ""
	for i, c := range w.Components {
		switch {
		case c.Kind == wp.KindDropIn && !w.Config.Heeds(c):
			w.Components[i].Active = false
		case c.Kind == wp.KindPlugin && !known:
			w.Components[i].Active = true
		}
	}
	w.links = wp.FindLinks(t, w.Paths, w.Components)
	return w, nil
}

// hostPrepend is what the pool, which the site's owner cannot write, sets.
func (s Site) hostPrepend() wp.HostPrepend {
	file, admin := s.Pool.Get("php_admin_value[auto_prepend_file]")
	if !admin {
		file, _ = s.Pool.Get("php_value[auto_prepend_file]")
	}
	return wp.HostPrepend{File: file, Admin: admin, Htaccess: s.Handler == ModPHP}
}

// Blame says which component a file belongs to, by its path alone: [wp.Blame] for
// this site, links included. PHP names the file behind a link.
func (w WordPress) Blame(s Site, file string) (id string, ok bool) {
	roots := s.Roots()
	if id, ok := wp.Blame(file, w.Paths, roots...); ok {
		return id, true
	}
	return wp.Blame(w.links.Follow(s.Root, file), w.Paths, roots...)
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
