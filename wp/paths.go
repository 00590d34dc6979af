package wp

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Paths are a site's folders, relative to the tree's.
type Paths struct{ Content, Plugins, MUPlugins, Themes string }

// ErrOutside says that a folder of the site lies outside of the site's tree.
var ErrOutside = errors.New("the folder lies outside of the site's tree")

// DefaultPaths is where WordPress looks if wp-config.php says nothing else.
func DefaultPaths() Paths {
	return Paths{"wp-content", "wp-content/plugins", "wp-content/mu-plugins", "wp-content/themes"}
}

// Paths is where WordPress looks for components: the defaults, or what
// WP_CONTENT_DIR, WP_PLUGIN_DIR and WPMU_PLUGIN_DIR say. A computed one is
// [ErrUnknown], one outside of the tree [ErrOutside].
func (c Config) Paths() (Paths, error) {
	content, err := c.folder("WP_CONTENT_DIR", filepath.Join(c.Core, "wp-content"))
	if err != nil {
		return Paths{}, err
	}
	plugins, err := c.folder("WP_PLUGIN_DIR", filepath.Join(content, "plugins"))
	if err != nil {
		return Paths{}, err
	}
	must, err := c.folder("WPMU_PLUGIN_DIR", filepath.Join(content, "mu-plugins"))
	if err != nil {
		return Paths{}, err
	}
	return Paths{content, plugins, must, filepath.Join(content, "themes")}, nil
}

func (c Config) folder(name, fallback string) (string, error) {
	v, ok := c.Const(name)
	switch {
	case !ok:
		return fallback, nil
	case !v.Known:
		return "", unknownError(name, v)
	case !filepath.IsAbs(v.Text) || strings.ContainsRune(v.Text, 0):
		return "", fmt.Errorf("%s in %s, line %d: %q is no absolute path: give the whole path", name, v.File, v.Line, v.Text)
	}
	// The core last: it lies below the others unless its folder is a link.
	for _, at := range [][2]string{{c.Real, ""}, {c.Root, ""}, {c.ABSPATH, c.Core}} {
		if rel, err := filepath.Rel(at[0], v.Text); err == nil && filepath.IsLocal(rel) {
			return filepath.Join(at[1], rel), nil
		}
	}
	return "", fmt.Errorf("%w: %s in %s, line %d is %q, the site is %q: name a folder above both as the site's root", ErrOutside, name, v.File, v.Line, v.Text, c.Root)
}
