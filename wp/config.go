package wp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Value is a constant or variable of wp-config.php.
type Value struct {
	Text  string // as PHP converts it to a string: true is "1", false and null are ""
	Known bool   // false: PHP computes it; it is never guessed
	File  string // absolute path of the file that sets it
	Line  int
	Why   string // if not Known: what keeps it from being known
}

// True tells whether PHP takes a known value for true.
func (v Value) True() bool { return v.Known && isTrue(v.Text) }

// Gap is a place that may define any constant and set any variable: code that
// is not followed.
type Gap struct {
	File string
	Line int
	Why  string
}

// Config is what wp-config.php is certain to say, up to the line that loads
// wp-settings.php. The first definition of a constant holds, as in PHP.
type Config struct {
	File      string // absolute path
	Root      string // the site's folder as it was opened
	Real      string // the same with links resolved
	Core      string // the core's folder below Root, "" for Root itself
	ABSPATH   string // the core's folder with links resolved, without the final slash
	Owner     uint32 // the site's owner: databases are dialled as this user
	Constants map[string]Value
	Prefix    Value    // $table_prefix
	Includes  []string // files read along with it, in PHP's order, absolute
	Gaps      []Gap
	INI       []INISet // in PHP's order; a later one of the same name wins
}

// Const looks a constant up. It is absent (false) only if nothing can have
// defined it; where a [Gap] may have, it is unknown.
func (c Config) Const(name string) (Value, bool) {
	if v, ok := c.Constants[name]; ok {
		return v, true
	}
	if len(c.Gaps) > 0 {
		g := c.Gaps[0]
		return Value{File: g.File, Line: g.Line, Why: g.Why}, true
	}
	return Value{}, false
}

// TellsDatabase says whether reading was enough for [OpenDatabase].
func (c Config) TellsDatabase() bool {
	for _, name := range accessConstants {
		if v, ok := c.Const(name); ok && !v.Known {
			return false
		}
	}
	return c.Prefix.Known
}

// accessConstants are how a database is reached.
var accessConstants = [...]string{"DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST"}

// ErrUnknown says that a needed value of wp-config.php is computed by PHP.
var ErrUnknown = errors.New("the value is computed by PHP")

// unknownError names the value and the place that computes it.
func unknownError(name string, v Value) error {
	return fmt.Errorf("%w: %s in %s, line %d (%s); only WordPress itself can tell it", ErrUnknown, name, v.File, v.Line, v.Why)
}

// maxConfig bounds wp-config.php and each file that it includes.
const maxConfig = 1 << 20

// ReadConfig is [ReadConfigOf] for a core in the tree's own folder.
func ReadConfig(t *Tree) (Config, error) { return ReadConfigOf(t, "") }

// ReadConfigOf reads the wp-config.php that wp-load.php of the core would load: the
// core's own, or the one in the folder above unless that folder holds another
// WordPress. Core is the core's folder within the tree. Nothing is run; what cannot
// be decided by reading is unknown.
func ReadConfigOf(t *Tree, core string) (Config, error) {
	c, own, err := newConfig(t, core)
	if err != nil {
		return Config{}, err
	}
	defer own.Close()
	base := own
	switch _, err := own.Stat(configFile); {
	case errors.Is(err, fs.ErrNotExist):
		if base, err = configAbove(c.ABSPATH, t.Owner()); err != nil {
			return Config{}, err
		}
		defer base.Close()
	case err != nil:
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	real, err := realDir(base)
	if err != nil {
		return Config{}, err
	}
	// Read from the site's own folder where it can be, so that files all over the
	// site can be included.
	rel := configFile
	if below, err := filepath.Rel(c.Real, real); err == nil && filepath.IsLocal(below) {
		base, real, rel = t, c.Real, filepath.Join(below, configFile)
	}
	r := newReader(base, real, c.ABSPATH, c.Real)
	if err := r.main(rel); err != nil {
		return Config{}, err
	}
	c.File, c.Includes, c.Gaps, c.INI = filepath.Join(real, rel), r.includes, r.gaps, r.sets
	for name, d := range r.consts {
		c.Constants[name] = d.value()
	}
	c.Prefix = r.variable("table_prefix")
	if c.Prefix.File == "" {
		c.Prefix = Value{File: c.File, Line: 1, Why: "$table_prefix is never set"}
	}
	return c, nil
}

const configFile = "wp-config.php"

// newConfig knows the folders, and opens the core's.
func newConfig(t *Tree, core string) (Config, *Tree, error) {
	if core != "" && !filepath.IsLocal(core) {
		return Config{}, nil, fmt.Errorf("%q is no folder of %q", core, t.Dir())
	}
	c := Config{Root: t.Dir(), Core: core, Owner: t.Owner(), Constants: map[string]Value{}}
	var err error
	if c.Real, err = realDir(t); err != nil {
		return Config{}, nil, err
	}
	own, err := OpenTree(filepath.Join(t.Dir(), core), t.Owner())
	if err != nil {
		return Config{}, nil, err
	}
	if c.ABSPATH, err = realDir(own); err != nil {
		return Config{}, nil, errors.Join(err, own.Close())
	}
	return c, own, nil
}

// configAbove opens the folder above the core's, if wp-load.php would take its
// wp-config.php.
func configAbove(abspath string, owner uint32) (*Tree, error) {
	missing := fmt.Errorf("no wp-config.php in %q, nor one above that WordPress would take: finish the installation or put the file back: %w", abspath, fs.ErrNotExist)
	above := filepath.Dir(abspath)
	if above == abspath {
		return nil, missing
	}
	parent, err := OpenTree(above, owner)
	if err != nil {
		return nil, fmt.Errorf("look for wp-config.php in the folder above: %w", err)
	}
	for _, f := range []struct {
		name string
		want bool
	}{{configFile, true}, {"wp-settings.php", false}} {
		_, err := parent.Stat(f.name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("look for wp-config.php in the folder above: %w", err)
			return nil, errors.Join(err, parent.Close())
		}
		if (err == nil) != f.want {
			return nil, errors.Join(missing, parent.Close())
		}
	}
	return parent, nil
}

// realDir is the folder's path without links, which is what PHP's __DIR__ says.
func realDir(t *Tree) (string, error) {
	dir, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", t.root.fd))
	if err != nil {
		return "", fmt.Errorf("resolve %q: %w", t.Dir(), err)
	}
	return dir, nil
}
