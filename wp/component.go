package wp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The kinds of component. They are the words of ids, journals and JSON.
const (
	KindPlugin   = "plugin"
	KindTheme    = "theme"
	KindMUPlugin = "mu-plugin"
	KindDropIn   = "drop-in"
	// KindPrepend is the file that PHP itself loads first (auto_prepend_file, a
	// firewall's as a rule). It is masked, never renamed.
	KindPrepend = "prepend"
)

// Component is a part of a site that can be switched off by itself.
type Component struct {
	Kind string
	// Name is the folder's or the file's own name: akismet, hello.php. It comes
	// from the site's disk and can hold any byte but "/" and NUL; [Component.ID]
	// is the form for people and for JSON.
	Name string
	// Path is where the folder or file lies, relative to the tree; for one that
	// is switched off, where it belongs.
	Path string
	// Files are a plugin's main files as active_plugins writes them
	// (akismet/akismet.php), and the file itself for other single files.
	Files []string
	// Title, Version and Parent are headers, made printable. Parent is the theme
	// that a child theme needs.
	Title, Version, Parent string
	// Requires are the names of the plugins that this one needs ("Requires
	// Plugins", since WordPress 6.5).
	Requires []string
	// Active says that WordPress loads it for visitors: for a drop-in as far as
	// its Condition holds.
	Active bool
	// Condition is the constant without which WordPress ignores this drop-in:
	// WP_CACHE, SUNRISE or MULTISITE; "" none. See [Config.Heeds].
	Condition string
	// Owner is the id of the plugin that put a drop-in, or a must-use loader, there, ""
	// unknown: they go together, or one breaks or brings back the other. See [Owner].
	Owner string
	// ModTime is the newest change among the folder itself and its main files.
	ModTime time.Time
}

// ActiveState is what the database says is switched on.
type ActiveState struct {
	Plugins              []string // active_plugins
	Network              []string // the keys of active_sitewide_plugins
	Template, Stylesheet string   // the theme, and its child or itself
	// Blogs are the active_plugins of a network's other blogs, by number; blogs
	// without plugins of their own are left out.
	Blogs map[int64][]string
	// Themes are what those blogs show, sorted: templates and stylesheets.
	Themes []string
	// BlogsUnread counts blogs whose plugins and themes are not known: those past
	// the first 5000, and those whose options are no lists or are huge.
	BlogsUnread int
}

// plugins are all lists of plugins together, in a fixed order.
func (a ActiveState) plugins() []string {
	all := slices.Concat(a.Plugins, a.Network)
	for _, blog := range slices.Sorted(maps.Keys(a.Blogs)) {
		all = append(all, a.Blogs[blog]...)
	}
	return all
}

// ID is the component's name everywhere outside this package: printable, one
// for each kind and name, and read back by [ParseID].
func (c Component) ID() string { return c.Kind + ":" + printable(c.Name) }

// ParseID takes an id apart. Only the form that [Component.ID] writes is taken,
// so that two ids are never one component.
func ParseID(id string) (kind, name string, err error) {
	kind, text, ok := strings.Cut(id, ":")
	switch kind {
	case KindPlugin, KindTheme, KindMUPlugin, KindDropIn, KindPrepend:
	default:
		ok = false
	}
	if !ok {
		return "", "", fmt.Errorf("%q is not a component: write kind:name, the kind being plugin, theme, mu-plugin, drop-in or prepend", id)
	}
	name, ok = readPrintable(text)
	if !ok || !validName(name) || printable(name) != text {
		return "", "", fmt.Errorf("%q is not a component: %q cannot be the name of a file", id, text)
	}
	return kind, name, nil
}

// validName says whether a name can be one entry of a folder.
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= 255 && !strings.ContainsAny(name, "/\x00")
}

// printable writes what would not print, or would print as something else, as
// %XX: controls, invalid UTF-8, invisible and reordering characters.
func printable(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == '%' || !unicode.IsPrint(r) || (r == utf8.RuneError && n == 1) {
			for _, c := range []byte(name[i : i+n]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		} else {
			b.WriteString(name[i : i+n])
		}
		i += n
	}
	return b.String()
}

func readPrintable(text string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		if i+2 >= len(text) {
			return "", false
		}
		high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }
