package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	return journal.Deps{Options: options{a}, Start: startMaster,
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
	owner, err := o.agent.owner(ctx, root)
	if err != nil {
		return nil, err
	}
	t, err := wp.OpenTree(root, owner)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	c, err := wp.ReadConfig(t)
	if err != nil {
		return nil, err
	}
	return wp.OpenDatabase(ctx, c, "")
}

// owner is the user whose rights a site's database is asked with: never root's,
// whom a database server on a unix socket would trust without a password.
func (a *Agent) owner(ctx context.Context, root string) (uint32, error) {
	if uid, known := a.owners.Load(root); known {
		return uid.(uint32), nil
	}
	if _, err := a.Discover(ctx); err != nil {
		return 0, fmt.Errorf("find the owner of %s: %w", root, err)
	}
	if uid, known := a.owners.Load(root); known {
		return uid.(uint32), nil
	}
	uid, err := site.FolderOwner(root)
	if err == nil && uid == 0 {
		err = fmt.Errorf("%s belongs to root and no running pool serves it, so its database is not asked: start its PHP-FPM first", root)
	}
	return uid, err
}
