package wp

import (
	"regexp"
	"slices"
)

// ownerMarks tell by what its author writes into a drop-in which plugin it belongs
// to: texts of the drop-ins that these plugins install, and the plugins' folders.
var ownerMarks = []struct {
	mark *regexp.Regexp
	slug string
}{
	{regexp.MustCompile(`WP_ROCKET_ADVANCED_CACHE`), "wp-rocket"},
	{regexp.MustCompile(`(?i)W3 Total Cache|W3TC_`), "w3-total-cache"},
	{regexp.MustCompile(`WP SUPER CACHE|WPCACHEHOME`), "wp-super-cache"},
	{regexp.MustCompile(`LSCWP|LSCACHE_ADV_CACHE|LiteSpeed`), "litespeed-cache"},
	{regexp.MustCompile(`Object Cache Pro`), "object-cache-pro"},
	{regexp.MustCompile(`Redis Object Cache`), "redis-cache"},
	{regexp.MustCompile(`Query Monitor`), "query-monitor"},
	{regexp.MustCompile(`(?i)Docket Cache`), "docket-cache"},
	{regexp.MustCompile(`(?i)Hummingbird`), "hummingbird-performance"},
	{regexp.MustCompile(`(?i)SQLite (?:Database )?Integration|SQLITE_DB_DROPIN`), "sqlite-database-integration"},
	{regexp.MustCompile(`(?i)Cache Enabler`), "cache-enabler"},
	{regexp.MustCompile(`(?i)Breeze`), "breeze"},
}

// inFolder finds a plugin's folder in what a drop-in includes:
// …/plugins/redis-cache/… or WP_PLUGIN_DIR . '/redis-cache/….
var inFolder = regexp.MustCompile(`(?:/plugins/|WP_PLUGIN_DIR\s*\.\s*['"]/)([A-Za-z0-9_.-]{1,100})/`)

// owner is the id of the plugin that put a drop-in where it lies, as far as its
// first bytes tell, among the plugins that are installed; "" for none.
func owner(t *Tree, dropIn Component, plugins []Component) string {
	head, err := t.ReadHead(dropIn.Path, headSize)
	if err != nil {
		return ""
	}
	installed := func(slug string) string {
		i := slices.IndexFunc(plugins, func(p Component) bool { return p.Kind == KindPlugin && p.Name == slug })
		if i < 0 {
			return ""
		}
		return plugins[i].ID()
	}
	for _, m := range inFolder.FindAllSubmatch(head, -1) {
		if id := installed(string(m[1])); id != "" {
			return id
		}
	}
	for _, o := range ownerMarks {
		if o.mark.Match(head) {
			if id := installed(o.slug); id != "" {
				return id
			}
		}
	}
	return ""
}
