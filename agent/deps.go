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
	return journal.Deps{Options: options{}, Start: startMaster,
		Lock: func(root string) (func(), error) { return a.holdRoot(root, "recover") }}
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
// wp-config.php gives.
type options struct{}

func (options) Option(ctx context.Context, root, name string) (value []byte, err error) {
	db, err := openDatabase(ctx, root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Option(ctx, name)
}

func (options) SwapOption(ctx context.Context, root, name string, old, new []byte) (swapped bool, err error) {
	db, err := openDatabase(ctx, root)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.SwapOption(ctx, name, old, new)
}

func openDatabase(ctx context.Context, root string) (*wp.Database, error) {
	owner, err := site.FolderOwner(root)
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
