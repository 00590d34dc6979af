package wp

import (
	"maps"
	"slices"
)

// Inspection is what WordPress says of itself ([Mask.Inspect]). It comes from the
// site: true only as far as the site is honest.
type Inspection struct {
	// Constants that are defined, of those that wpmend knows, WordPress' own
	// defaults included; as PHP converts them to strings.
	Constants map[string]string
	// Prefix of the tables; Version of WordPress; PHP's own.
	Prefix, Version, PHP string
	Multisite            bool
	// Plugins and Network are active_plugins and the keys of
	// active_sitewide_plugins, as they are stored.
	Plugins, Network     []string
	Template, Stylesheet string
	// Config is the wp-config.php that was loaded, with links resolved.
	Config string
	// Problem says why the database did not answer; then what is stored there
	// (Plugins, Network, Template, Stylesheet) is not known. "" if it did.
	Problem string
}

// inspected are the constants that an inspection asks for: all that wpmend
// reads of a [Config], and what names the site in a report.
var inspected = []string{
	"ABSPATH", "WP_CONTENT_DIR", "WP_PLUGIN_DIR", "WPMU_PLUGIN_DIR", "UPLOADS",
	"DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST", "MYSQL_CLIENT_FLAGS",
	"WP_HOME", "WP_SITEURL",
	"MULTISITE", "SUBDOMAIN_INSTALL", "VHOST", "SUNRISE", "SITE_ID_CURRENT_SITE", "BLOG_ID_CURRENT_SITE",
	"DOMAIN_CURRENT_SITE", "PATH_CURRENT_SITE",
	"WP_CACHE", "WP_DEBUG", "WP_DEBUG_LOG", "WP_DISABLE_FATAL_ERROR_HANDLER", "DISABLE_WP_CRON",
	"DISALLOW_FILE_MODS", "WP_MEMORY_LIMIT", "WP_DEFAULT_THEME",
}

// Inspected is the configuration with what WordPress itself said of it: nothing
// that it asks for is unknown then. Where both know, and differ, WordPress is
// believed, since it has run what was only read.
func (c Config) Inspected(i Inspection) Config {
	c.Constants = maps.Clone(c.Constants)
	if c.Constants == nil {
		c.Constants = map[string]Value{}
	}
	for _, name := range inspected {
		text, defined := i.Constants[name]
		if !defined {
			delete(c.Constants, name)
			continue
		}
		c.Constants[name] = c.Constants[name].said(text, c.File)
	}
	if i.Prefix != "" {
		c.Prefix = c.Prefix.said(i.Prefix, c.File)
	}
	// A gap may have defined any constant; now it is known which it did.
	c.Gaps = nil
	return c
}

// said is the value once it is known to be text.
func (v Value) said(text, file string) Value {
	if v.Known && v.Text == text {
		return v
	}
	if v.File == "" {
		v.File, v.Line = file, 1
	}
	return Value{Text: text, Known: true, File: v.File, Line: v.Line}
}

// Active is the state of the database as the inspection saw it.
func (i Inspection) Active() ActiveState {
	return ActiveState{Plugins: slices.Clone(i.Plugins), Network: slices.Clone(i.Network), Template: i.Template, Stylesheet: i.Stylesheet}
}
