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
	Real      string // the same with links resolved: ABSPATH without its final slash
	Owner     uint32 // the site's owner: databases are dialled as this user
	Constants map[string]Value
	Prefix    Value    // $table_prefix
	Includes  []string // files read along with it, in PHP's order, absolute
	Gaps      []Gap
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

// ErrUnknown says that a needed value of wp-config.php is computed by PHP.
var ErrUnknown = errors.New("the value is computed by PHP")

// unknownError names the value and the place that computes it.
func unknownError(name string, v Value) error {
	return fmt.Errorf("%w: %s in %s, line %d (%s); only WordPress itself can tell it", ErrUnknown, name, v.File, v.Line, v.Why)
}

// maxConfig bounds wp-config.php and each file that it includes.
const maxConfig = 1 << 20

// ReadConfig reads the wp-config.php that wp-load.php would load: the site's
// own, or the one in the folder above unless that folder holds another
// WordPress. Nothing is run; what cannot be decided by reading is unknown.
func ReadConfig(t *Tree) (Config, error) {
	switch _, err := t.Stat("wp-config.php"); {
	case err == nil:
		return readConfig(t, t)
	case !errors.Is(err, fs.ErrNotExist):
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	missing := fmt.Errorf("no wp-config.php in %q, nor one above that WordPress would take: finish the installation or put the file back: %w", t.Dir(), fs.ErrNotExist)
	real, err := realDir(t)
	if err != nil {
		return Config{}, err
	}
	above := filepath.Dir(real)
	if above == real {
		return Config{}, missing
	}
	parent, err := OpenTree(above, t.Owner())
	if err != nil {
		return Config{}, fmt.Errorf("look for wp-config.php in the folder above: %w", err)
	}
	defer parent.Close()
	for _, f := range []struct {
		name string
		want bool
	}{{"wp-config.php", true}, {"wp-settings.php", false}} {
		_, err := parent.Stat(f.name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Config{}, fmt.Errorf("look for wp-config.php in the folder above: %w", err)
		}
		if (err == nil) != f.want {
			return Config{}, missing
		}
	}
	return readConfig(t, parent)
}

// readConfig reads base's wp-config.php for the site in t. Both are the same
// tree, or base is the folder above.
func readConfig(t, base *Tree) (Config, error) {
	core, err := realDir(t)
	if err != nil {
		return Config{}, err
	}
	real, err := realDir(base)
	if err != nil {
		return Config{}, err
	}
	r := newReader(base, real, core)
	if err := r.main("wp-config.php"); err != nil {
		return Config{}, err
	}
	c := Config{
		File:      filepath.Join(real, "wp-config.php"),
		Root:      t.Dir(),
		Real:      core,
		Owner:     t.Owner(),
		Constants: map[string]Value{},
		Includes:  r.includes,
		Gaps:      r.gaps,
	}
	for name, d := range r.consts {
		c.Constants[name] = d.value()
	}
	c.Prefix = r.variable("table_prefix")
	if c.Prefix.File == "" {
		c.Prefix = Value{File: c.File, Line: 1, Why: "$table_prefix is never set"}
	}
	return c, nil
}

// realDir is the folder's path without links, which is what PHP's __DIR__ says.
func realDir(t *Tree) (string, error) {
	dir, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", t.root.fd))
	if err != nil {
		return "", fmt.Errorf("resolve %q: %w", t.Dir(), err)
	}
	return dir, nil
}
