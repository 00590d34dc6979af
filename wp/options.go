package wp

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrNoOption says that there is no option of that name.
var ErrNoOption = errors.New("no such option")

const sitewide = "active_sitewide_plugins"

// Option reads one option, [ErrNoOption] if it is not there.
func (d *Database) Option(ctx context.Context, name string) ([]byte, error) {
	all, err := d.Options(ctx, name)
	if err != nil {
		return nil, err
	}
	v, ok := all[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q in %s", ErrNoOption, name, d)
	}
	return v, nil
}

// Options reads the options of these names in one question; those that are not
// there are left out.
func (d *Database) Options(ctx context.Context, names ...string) (map[string][]byte, error) {
	found := map[string][]byte{}
	if len(names) == 0 {
		return found, nil
	}
	question := fmt.Sprintf("SELECT option_name, CAST(option_value AS BINARY) FROM `%soptions` WHERE option_name IN (?%s)",
		d.prefix, strings.Repeat(",?", len(names)-1))
	err := d.query(ctx, 2, func(v []string) error {
		found[v[0]] = []byte(v[1])
		return nil
	}, question, names...)
	if err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	return found, nil
}

// SwapOption sets an option to value if its bytes are still old; false if they
// are not, or if there is no such option. After an error it is not known
// whether the option was set: read it.
func (d *Database) SwapOption(ctx context.Context, name string, old, value []byte) (bool, error) {
	ok, err := d.swap(ctx, "options", "option_value", "option_name = ?", []string{name}, old, value)
	if err != nil {
		return false, fmt.Errorf("set option %q: %w", name, err)
	}
	return ok, nil
}

// NetworkPlugins reads active_sitewide_plugins of a network of sites; nil
// where there is no network.
func (d *Database) NetworkPlugins(ctx context.Context) ([]byte, error) {
	if !d.network {
		return nil, nil
	}
	var value []byte
	err := d.query(ctx, 1, func(v []string) error {
		value = []byte(v[0])
		return nil
	},
		fmt.Sprintf("SELECT CAST(meta_value AS BINARY) FROM `%ssitemeta` WHERE meta_key = ? AND site_id = ? ORDER BY meta_id DESC LIMIT 1", d.prefix), sitewide, d.site)
	if errors.Is(err, ErrNoTable) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the network's plugins: %w", err)
	}
	return value, nil
}

// SwapNetworkPlugins sets active_sitewide_plugins as [Database.SwapOption] sets
// an option.
func (d *Database) SwapNetworkPlugins(ctx context.Context, old, value []byte) (bool, error) {
	ok, err := d.swap(ctx, "sitemeta", "meta_value", "meta_key = ? AND site_id = ?", []string{sitewide, d.site}, old, value)
	if err != nil {
		return false, fmt.Errorf("set the network's plugins: %w", err)
	}
	return ok, nil
}

// ReadActive reads which plugins and which theme are switched on. A missing
// option is an empty one.
func ReadActive(ctx context.Context, d *Database) (ActiveState, error) {
	o, err := d.Options(ctx, "active_plugins", "template", "stylesheet")
	if err != nil {
		return ActiveState{}, err
	}
	network, err := d.NetworkPlugins(ctx)
	if err != nil {
		return ActiveState{}, err
	}
	a := ActiveState{Template: string(o["template"]), Stylesheet: string(o["stylesheet"])}
	if a.Plugins, err = PluginList(o["active_plugins"]); err != nil {
		return ActiveState{}, fmt.Errorf("option active_plugins of %s: %w", d, err)
	}
	if a.Network, err = PluginList(network); err != nil {
		return ActiveState{}, fmt.Errorf("option active_sitewide_plugins of %s: %w", d, err)
	}
	return a, nil
}

// maxOptions bounds the options of one site: larger tables exist, as wrecks.
const maxOptions = 100_000

// RawOptions gives a digest of the stored bytes of each option, by name, to
// compare before and after. Transients are left out: they come and go. The
// network's plugins are there as "network:active_sitewide_plugins".
func (d *Database) RawOptions(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	add := func(v []string) error {
		found[v[0]] = v[1]
		if len(found) > maxOptions {
			return fmt.Errorf("%w: more than %d options", errTooLarge, maxOptions)
		}
		return nil
	}
	err := d.query(ctx, 2, add, fmt.Sprintf("SELECT option_name, SHA2(CAST(option_value AS BINARY), 256) FROM `%soptions`"+
		" WHERE option_name NOT LIKE '\\_transient\\_%%' AND option_name NOT LIKE '\\_site\\_transient\\_%%'", d.prefix))
	if err != nil {
		return nil, fmt.Errorf("compare options: %w", err)
	}
	if !d.network {
		return found, nil
	}
	err = d.query(ctx, 2, add, fmt.Sprintf("SELECT CONCAT('network:', meta_key), SHA2(CAST(meta_value AS BINARY), 256) FROM `%ssitemeta`"+
		" WHERE meta_key = ? AND site_id = ?", d.prefix), sitewide, d.site)
	if err != nil && !errors.Is(err, ErrNoTable) {
		return nil, fmt.Errorf("compare options: %w", err)
	}
	return found, nil
}

// String names the database for messages, without its password.
func (d *Database) String() string {
	return fmt.Sprintf("database %q at %s, tables %s…", d.name, d.at.Addr, d.prefix)
}
