package wp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ErrNoOption says that there is no option of that name.
var ErrNoOption = errors.New("no such option")

const (
	sitewide      = "active_sitewide_plugins"
	networkOption = "network:"
	blogOption    = "blog-"
)

// stored is where an option lies. Options of the main blog are called by their
// own name; "blog-2:template" is one of blog 2 and "network:site_name" one of the
// network, on both of which a site of one blog has none.
type stored struct {
	table string // without quotes
	key   string // the option's name there
	blog  int64  // 0: the network
}

// columns of the place's table: what it calls the name and the value.
func (p stored) columns() (key, value string) {
	if p.blog == 0 {
		return "meta_key", "meta_value"
	}
	return "option_name", "option_value"
}

// stored finds an option by its name; false where there is no network to have it.
func (d *Database) stored(name string) (stored, bool) {
	if key, ok := strings.CutPrefix(name, networkOption); ok {
		return stored{d.prefix + "sitemeta", key, 0}, d.network
	}
	blog, key, ok := cutBlog(name)
	if !ok {
		blog, key = d.mainBlog, name
	}
	return stored{d.blogPrefix(blog) + "options", key, blog}, !ok || d.network
}

// blogPrefix begins the names of a blog's tables (wpdb::get_blog_prefix).
func (d *Database) blogPrefix(blog int64) string {
	if blog <= 1 || !d.network {
		return d.prefix
	}
	return fmt.Sprintf("%s%d_", d.prefix, blog)
}

// cutBlog takes "blog-2:template" apart. Each blog has one way to be written.
func cutBlog(name string) (blog int64, key string, ok bool) {
	rest, ok := strings.CutPrefix(name, blogOption)
	if !ok {
		return 0, "", false
	}
	number, key, ok := strings.Cut(rest, ":")
	if !ok {
		return 0, "", false
	}
	blog, err := strconv.ParseInt(number, 10, 64)
	if err != nil || blog < 1 || strconv.FormatInt(blog, 10) != number {
		return 0, "", false
	}
	return blog, key, true
}

// Option reads one option, [ErrNoOption] if it is not there. Names are those of
// the main blog's options; "blog-2:active_plugins" is blog 2's and
// "network:active_sitewide_plugins" the network's.
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

// Options reads the options of these names, in one question for each table; those
// that are not there are left out.
func (d *Database) Options(ctx context.Context, names ...string) (map[string][]byte, error) {
	found := map[string][]byte{}
	asked := map[string]map[string][]string{} // by table, then by the name there
	places := map[string]stored{}
	for _, name := range names {
		p, ok := d.stored(name)
		if !ok {
			continue
		}
		if asked[p.table] == nil {
			asked[p.table], places[p.table] = map[string][]string{}, p
		}
		asked[p.table][p.key] = append(asked[p.table][p.key], name)
	}
	for _, table := range slices.Sorted(maps.Keys(asked)) {
		keys := slices.Sorted(maps.Keys(asked[table]))
		key, value := places[table].columns()
		// Of rows with one name WordPress takes the last (wp_load_core_site_options).
		order := "option_id"
		where, args := "", keys
		if places[table].blog == 0 {
			order, where, args = "meta_id", " AND site_id = ?", append(slices.Clone(keys), d.site)
		}
		question := fmt.Sprintf("SELECT %s, CAST(%s AS BINARY) FROM `%s` WHERE %s IN (?%s)%s ORDER BY %s",
			key, value, table, key, strings.Repeat(",?", len(keys)-1), where, order)
		err := d.query(ctx, 2, func(v []string) error {
			for _, name := range asked[table][v[0]] {
				found[name] = []byte(v[1])
			}
			return nil
		}, question, args...)
		if errors.Is(err, ErrNoTable) && table != d.blogPrefix(d.mainBlog)+"options" {
			continue // a blog that is gone, or a site that is no network yet
		}
		if err != nil {
			return nil, fmt.Errorf("read options: %w", err)
		}
	}
	return found, nil
}

// SwapOption sets an option to value if its bytes are still old; false if they
// are not, or if there is no such option. After an error it is not known
// whether the option was set: read it.
func (d *Database) SwapOption(ctx context.Context, name string, old, value []byte) (bool, error) {
	p, ok := d.stored(name)
	if !ok {
		return false, nil
	}
	key, column := p.columns()
	where, args := key+" = ?", []string{p.key}
	if p.blog == 0 {
		where, args = where+" AND site_id = ?", append(args, d.site)
	}
	ok, err := d.swap(ctx, p.table, column, where, args, old, value)
	if err != nil {
		return false, fmt.Errorf("set option %q: %w", name, err)
	}
	return ok, nil
}

// NetworkPlugins reads active_sitewide_plugins of a network of sites; nil
// where there is no network.
func (d *Database) NetworkPlugins(ctx context.Context) ([]byte, error) {
	value, err := d.Option(ctx, networkOption+sitewide)
	if errors.Is(err, ErrNoOption) {
		return nil, nil
	}
	return value, err
}

// SwapNetworkPlugins sets active_sitewide_plugins as [Database.SwapOption] sets
// an option.
func (d *Database) SwapNetworkPlugins(ctx context.Context, old, value []byte) (bool, error) {
	return d.SwapOption(ctx, networkOption+sitewide, old, value)
}

// ReadActive reads which plugins and which themes are switched on, on every blog of
// a network. A missing option is an empty one.
func ReadActive(ctx context.Context, d *Database) (ActiveState, error) {
	o, err := d.Options(ctx, "active_plugins", "template", "stylesheet", networkOption+sitewide)
	if err != nil {
		return ActiveState{}, err
	}
	a := ActiveState{Template: string(o["template"]), Stylesheet: string(o["stylesheet"])}
	if a.Plugins, err = PluginList(o["active_plugins"]); err != nil {
		return ActiveState{}, fmt.Errorf("option active_plugins of %s: %w", d, err)
	}
	if a.Network, err = PluginList(o[networkOption+sitewide]); err != nil {
		return ActiveState{}, fmt.Errorf("option active_sitewide_plugins of %s: %w", d, err)
	}
	return a, d.readBlogs(ctx, &a)
}

// maxOptions bounds the options of one site: larger tables exist, as wrecks.
const maxOptions = 100_000

// RawOptions gives a digest of the stored bytes of each option, by name, to
// compare before and after. Transients are left out: they come and go. Of a network
// there is what switches components on: "network:active_sitewide_plugins",
// "blog-2:active_plugins" and its themes, of as many blogs as [ReadActive] reads.
func (d *Database) RawOptions(ctx context.Context) (map[string]string, error) {
	found := map[string]string{}
	add := func(v []string) error {
		found[v[0]] = v[1]
		if len(found) > maxOptions {
			return fmt.Errorf("%w: more than %d options", errTooLarge, maxOptions)
		}
		return nil
	}
	own := func(v []string) error {
		// An option could be called as if it were another blog's.
		if _, _, other := cutBlog(v[0]); other || strings.HasPrefix(v[0], networkOption) {
			return nil
		}
		return add(v)
	}
	err := d.query(ctx, 2, own, fmt.Sprintf("SELECT option_name, SHA2(CAST(option_value AS BINARY), 256) FROM `%soptions`"+
		" WHERE option_name NOT LIKE '\\_transient\\_%%' AND option_name NOT LIKE '\\_site\\_transient\\_%%'", d.blogPrefix(d.mainBlog)))
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
	blogs, _, err := d.otherBlogs(ctx)
	if err != nil {
		return nil, fmt.Errorf("compare options: %w", err)
	}
	err = d.eachBlog(ctx, blogs, "SHA2(CAST(option_value AS BINARY), 256)", func(blog int64, name, digest string) error {
		return add([]string{fmt.Sprintf("%s%d:%s", blogOption, blog, name), digest})
	})
	if err != nil {
		return nil, fmt.Errorf("compare options: %w", err)
	}
	return found, nil
}

// String names the database for messages, without its password.
func (d *Database) String() string {
	return fmt.Sprintf("database %q at %s, tables %s…", d.name, d.at.Addr, d.prefix)
}
