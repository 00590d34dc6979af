package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/wp"
)

// startTimeout bounds the start of an FPM master.
const startTimeout = 20 * time.Second

// journalDeps is what the journal needs of the other rooms.
func (a *Agent) journalDeps() journal.Deps {
	return journal.Deps{Options: options{a}, Start: startMaster, Act: a.act, Forget: a.forget,
		Lock: func(root string) (func(), error) { return a.holdRoot(context.Background(), root, "recover") }}
}

// startMaster carries out what remedy.StartFPM described.
func startMaster(ctx context.Context, what json.RawMessage) error {
	var m fpm.Master
	if err := json.Unmarshal(what, &m); err != nil {
		return fmt.Errorf("read which PHP-FPM to start: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if _, err := fpm.Start(ctx, m); err != nil && !errors.Is(err, fpm.ErrRunning) {
		return err
	}
	return nil
}

// options reads and writes a site's options with the access that its own
// wp-config.php gives, as the site's owner.
type options struct{ agent *Agent }

func (o options) Option(ctx context.Context, root, name string) (value []byte, err error) {
	db, err := o.open(ctx, root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Option(ctx, name)
}

func (o options) SwapOption(ctx context.Context, root, name string, old, new []byte) (swapped bool, err error) {
	db, err := o.open(ctx, root)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.SwapOption(ctx, name, old, new)
}

func (o options) open(ctx context.Context, root string) (*wp.Database, error) {
	c, err := o.agent.access(ctx, root)
	if err != nil {
		return nil, err
	}
	return wp.OpenDatabase(ctx, c, "")
}

// access is what the site's wp-config.php says of its database; where PHP computes
// it, WordPress itself is asked, once.
func (a *Agent) access(ctx context.Context, root string) (wp.Config, error) {
	s, err := a.siteAt(ctx, root)
	if err != nil {
		return wp.Config{}, err
	}
	c, err := s.Config()
	if err != nil || c.TellsDatabase() {
		return c, err
	}
	if known, ok := a.configs.Load(root); ok {
		return known.(wp.Config), nil
	}
	i, err := a.inspect(ctx, s)
	if err != nil {
		return wp.Config{}, err
	}
	c = c.Inspected(i)
	a.configs.Store(root, c)
	return c, nil
}

// siteAt is what is known of the site in a root folder. Its owner is the user whose
// rights its database is asked with: never root's, whom a database server on a unix
// socket would trust without a password.
func (a *Agent) siteAt(ctx context.Context, root string) (site.Site, error) {
	if s, known := a.sites.Load(root); known {
		return *s.(*site.Site), nil
	}
	if _, err := a.Discover(ctx); err != nil {
		return site.Site{}, fmt.Errorf("find the owner of %s: %w", root, err)
	}
	if s, known := a.sites.Load(root); known {
		return *s.(*site.Site), nil
	}
	uid, err := site.FolderOwner(root)
	if err == nil && uid == 0 {
		err = fmt.Errorf("%s belongs to root and no running pool serves it, so its database is not asked: start its PHP-FPM first", root)
	}
	return site.Site{Root: root, Owner: uid}, err
}

// forget makes the site's persistent object cache drop an option that has changed in
// the database: WordPress would go on with the old one. Where that cannot be done the
// site shows it, when it is verified.
func (a *Agent) forget(ctx context.Context, root, name string) {
	if err := a.drop(ctx, root, name); err != nil {
		a.log.Warn("the site's object cache may go on with an old value", "site", root, "option", name, "err", err)
	}
}

func (a *Agent) drop(ctx context.Context, root, name string) error {
	s, err := a.siteAt(ctx, root)
	if err != nil {
		return err
	}
	l := &look{site: s}
	if err := a.read(ctx, l); err != nil {
		return err
	}
	if !slices.ContainsFunc(l.wp.Components, func(c wp.Component) bool { return c.Active && isObjectCache(c) }) {
		return nil
	}
	if s.Handler == site.ModPHP {
		return errors.New("there is no pool to ask the cache by: flush it by hand (wp cache flush)")
	}
	sh, err := a.startShadow(ctx, s, l.wp.Paths)
	if err != nil {
		return err
	}
	defer a.closeShadow(s, sh)
	return sh.Forget(ctx, []string{name})
}
