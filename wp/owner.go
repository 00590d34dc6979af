package wp

import (
	"regexp"
	"slices"
	"strings"
)

// ownerMarks tell by what its author writes into a drop-in which plugin put it there:
// texts of the drop-ins that these plugins install, and the plugins' folders, those of
// their paid editions included.
var ownerMarks = []struct {
	mark     *regexp.Regexp // in what its author wrote
	constant *regexp.Regexp // in its code: nobody else's code has it
	slugs    []string
}{
	{regexp.MustCompile(`WP_ROCKET_ADVANCED_CACHE`), regexp.MustCompile(`\bWP_ROCKET_ADVANCED_CACHE\b`), []string{"wp-rocket"}},
	{regexp.MustCompile(`(?i)\bW3 Total Cache\b|\bW3TC_`), regexp.MustCompile(`\bdefine\s*\(\s*['"]W3TC_`), []string{"w3-total-cache"}},
	{regexp.MustCompile(`WP SUPER CACHE|WPCACHEHOME`), regexp.MustCompile(`\bWPCACHEHOME\b`), []string{"wp-super-cache"}},
	{regexp.MustCompile(`LSCWP|LSCACHE_ADV_CACHE|LiteSpeed`), regexp.MustCompile(`\bdefine\s*\(\s*['"]LSCACHE_ADV_CACHE`), []string{"litespeed-cache"}},
	{regexp.MustCompile(`Object Cache Pro`), nil, []string{"object-cache-pro"}},
	{regexp.MustCompile(`Redis Object Cache`), nil, []string{"redis-cache"}},
	{regexp.MustCompile(`Query Monitor`), nil, []string{"query-monitor"}},
	{regexp.MustCompile(`(?i)\bDocket[ _]?Cache\b`), nil, []string{"docket-cache"}},
	{regexp.MustCompile(`(?i)\bHummingbird\b|\bWPHB_`), regexp.MustCompile(`\bdefine\s*\(\s*['"]WPHB_`), []string{"hummingbird-performance", "wp-hummingbird"}},
	{regexp.MustCompile(`(?i)\bSQLite (?:Database )?Integration\b|SQLITE_DB_DROPIN`), regexp.MustCompile(`\bSQLITE_DB_DROPIN`), []string{"sqlite-database-integration"}},
	{regexp.MustCompile(`(?i)\bCache[ _]Enabler\b`), nil, []string{"cache-enabler"}},
	{regexp.MustCompile(`(?i)\bComet Cache\b`), nil, []string{"comet-cache", "comet-cache-pro"}},
	{regexp.MustCompile(`(?i)\bHyper Cache\b`), nil, []string{"hyper-cache"}},
	{regexp.MustCompile(`(?i)\bBreeze\b`), nil, []string{"breeze"}},
}

// inFolder finds the folder, or the file, of a plugin in what PHP code includes:
// '…/plugins/redis-cache/…', WP_PLUGIN_DIR . '/redis-cache'.
var inFolder = regexp.MustCompile(`(?:/plugins/|WP_PLUGIN_DIR\s*\.\s*['"]/)([A-Za-z0-9_.-]{1,100})[/'"]`)

var (
	includes  = regexp.MustCompile(`(?i)(@\s*)?\b(include|require)(?:_once)?\b([^;]*)`)
	looksAt   = regexp.MustCompile(`(?i)\b(?:file_exists|is_file|is_readable|is_dir|stream_resolve_include_path)\s*\(`)
	variables = regexp.MustCompile(`\$[A-Za-z_]`)
)

// Owner is the id of the plugin, one of those that are installed, that a drop-in or a
// must-use plugin must move together with; false if there is none.
//
// Of a drop-in it is the plugin that put it there, as far as its first 8 KiB tell: by
// the plugin's folder in its code and its author's words, or by what it loads unguarded. Of a must-use plugin of
// one file it is the plugin whose files it loads without a look whether they are there
// (a firewall's loader): without the plugin every request would end in a fatal error.
func Owner(t *Tree, c Component, plugins []Component) (id string, ok bool) {
	switch {
	case c.Kind == KindDropIn:
		if head, err := t.ReadHead(c.Path, headSize); err == nil {
			id = putBy(head, plugins)
		}
	case c.Kind == KindMUPlugin && c.singleFile():
		if head, err := t.ReadHead(c.Path, maxLoader); err == nil {
			id = loads(head, plugins)
		}
	}
	return id, id != ""
}

// titleLine is the header by which a drop-in says what it is.
var titleLine = regexp.MustCompile(`(?m)^[\s*#/]*Plugin Name:.*$`)

// putBy tells whose drop-in this is by its first bytes, "" unknown. That a text names a
// plugin is not enough: caches name each other, and lists of exceptions name anybody.
// Its code and its author's words must agree, or one of them be plain: a constant of
// the plugin's in the code, its name in the header, its files loaded without a look.
func putBy(head []byte, plugins []Component) string {
	code, title := withoutComments(head), titleLine.Find(head)
	named := mentioned(code, plugins)
	plain := ""
	for _, o := range ownerMarks {
		for _, slug := range o.slugs {
			id := pluginID(slug, plugins)
			switch {
			case id == "":
			case o.mark.Match(head) && slices.Contains(named, id):
				return id
			case plain == "" && (o.constant != nil && o.constant.Match(code) || o.mark.Match(title)):
				plain = id
			}
		}
	}
	if plain != "" {
		return plain
	}
	return loads(head, plugins)
}

// loads tells which plugin a must-use loader fails without, "" none. One that loads
// several plugins is somebody's own code, and stays.
func loads(head []byte, plugins []Component) string {
	code := withoutComments(head)
	if look := looksAt.FindIndex(code); look != nil {
		code = code[:look[0]] // what follows is guarded
	}
	all := mentioned(code, plugins)
	var found []string
	for _, m := range includes.FindAllSubmatchIndex(code, -1) {
		if m[2] >= 0 && strings.EqualFold(string(code[m[4]:m[5]]), "include") {
			continue // silent
		}
		from := code[m[6]:m[7]]
		ids := mentioned(from, plugins)
		if len(ids) == 0 && variables.Match(from) {
			ids = all // put together elsewhere
		}
		for _, id := range ids {
			if !slices.Contains(found, id) {
				found = append(found, id)
			}
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// mentioned are the installed plugins whose folders code names, each once.
func mentioned(code []byte, plugins []Component) []string {
	var found []string
	for _, m := range inFolder.FindAllSubmatch(code, -1) {
		if id := pluginID(string(m[1]), plugins); id != "" && !slices.Contains(found, id) {
			found = append(found, id)
		}
	}
	return found
}

func pluginID(name string, plugins []Component) string {
	i := slices.IndexFunc(plugins, func(p Component) bool { return p.Kind == KindPlugin && p.Name == name })
	if i < 0 {
		return ""
	}
	return plugins[i].ID()
}

// withoutComments blanks the comments of PHP code out, up to what PHP could not read
// either: the end of a part of a file, for one.
func withoutComments(src []byte) []byte {
	s := &scanner{src: src, line: 1}
	err := s.html()
	for err == nil && s.pos < len(s.src) {
		err = s.code()
	}
	code := slices.Clone(src[:s.pos])
	for _, t := range s.tokens {
		if t.kind == kindComment {
			for i := t.start; i < t.end; i++ {
				code[i] = ' '
			}
		}
	}
	return code
}
