package wp

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
)

// saidPaths are the constants that hold folders.
var saidPaths = [...]string{"ABSPATH", "WP_CONTENT_DIR", "WP_PLUGIN_DIR", "WPMU_PLUGIN_DIR"}

// ReadInspected is [ReadConfigOf] with what WordPress itself said. All of that comes
// from the site and is held to the same rules as its files: the core must be the one
// in the tree, and the folders of components must lie in the tree as far as its
// links may be followed. Chroot is the pool's, below which WordPress sees its paths;
// "" for none.
func ReadInspected(t *Tree, core string, i Inspection, chroot string) (Config, error) {
	c, err := ReadConfigOf(t, core)
	if err != nil {
		// WordPress got along with a file that reading alone does not find.
		var own *Tree
		if c, own, err = newConfig(t, core); err != nil {
			return Config{}, err
		}
		if err := own.Close(); err != nil {
			return Config{}, err
		}
		c.File = filepath.Join(c.ABSPATH, configFile)
	}
	if chroot != "" {
		real, err := filepath.EvalSymlinks(chroot)
		if err != nil {
			return Config{}, fmt.Errorf("the pool's chroot: %w", err)
		}
		i.Constants = maps.Clone(i.Constants)
		for _, name := range saidPaths {
			if said, ok := i.Constants[name]; ok {
				i.Constants[name] = filepath.Join(real, said)
			}
		}
	}
	if said := i.Constants["ABSPATH"]; !filepath.IsAbs(said) || filepath.Clean(said) != c.ABSPATH {
		return Config{}, fmt.Errorf("WordPress says that it lies in %q, while the site has it in %q: a new release may have been put there meanwhile; try again", said, c.ABSPATH)
	}
	c = c.Inspected(i)
	p, err := c.Paths()
	if err != nil {
		return Config{}, err
	}
	for _, dir := range []string{p.Content, p.Plugins, p.MUPlugins, p.Themes} {
		if _, err := t.Stat(dir); errors.Is(err, ErrRefused) {
			return Config{}, fmt.Errorf("a folder that WordPress says it uses: %w", err)
		}
	}
	return c, nil
}
