package evidence

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// Bounds on a URL out of a log, in bytes and parameters: what is longer is a
// scanner's or an attack's.
const (
	maxURI    = 2048
	maxQuery  = 1024
	maxParams = 20
)

// rank orders what may be asked again.
type rank int

// The ranks: pages first, then what bots and browsers ask beside them.
const (
	page rank = iota
	aside
	never
)

// askable makes of a request in a log a URL of the site that can be asked again
// without harm: whoever writes into a log, which is any visitor, chooses what
// wpmend asks. host is "" where the log does not have it.
//
// Refused is what may change something (an action, a nonce, a cart), what is not
// WordPress' and what another site answers. Parameters that look like a secret are
// left out, since such a link may be for one use, and what is shown is what is
// asked; so are those of advertisers, which only split the count.
//
// php says that PHP certainly answered: otherwise an image or a script is a file.
func askable(s site.Site, host, uri string, php bool) (u *url.URL, r rank) {
	if len(uri) > maxURI || strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '#' }) {
		return nil, never
	}
	asked, err := url.ParseRequestURI(uri)
	if err != nil || asked.User != nil || asked.Opaque != "" {
		return nil, never
	}
	if asked.Host != "" { // absolute form: the request line names the host
		host = asked.Hostname()
	}
	home := probe.Home(s)
	if host != "" && !strings.EqualFold(host, home.Hostname()) {
		if !s.Serves(host) {
			return nil, never
		}
		home = probe.HomeAt(s, host)
	}
	below, inside := strings.CutPrefix(asked.Path, s.Base+"/")
	if !inside || !plainPath(asked.Path) {
		return nil, never
	}
	query, ok := harmlessQuery(asked.RawQuery)
	if !ok {
		return nil, never
	}
	r, keepQuery := rankOf(below)
	switch {
	case r == never, isAsset(below) && !php:
		return nil, never
	case isAsset(below):
		r = aside
	case !keepQuery:
		query = ""
	}
	u = &url.URL{Scheme: home.Scheme, Host: home.Host, Path: asked.Path, RawPath: asked.RawPath, RawQuery: query}
	return u, r
}

// plainPath refuses what a gateway would read as another path, and what a person
// could not see.
func plainPath(p string) bool {
	if len(p) > 1 && path.Clean(p) != strings.TrimSuffix(p, "/") {
		return false
	}
	return !strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == '\ufffd' })
}

// rankOf judges a path below the site's folder. Of the scripts only WordPress' own
// are asked, and those that act on their query without it.
func rankOf(below string) (r rank, query bool) {
	script := below
	if strings.HasSuffix(below, "/") || below == "" {
		script = below + "index.php"
	}
	for segment := range strings.SplitSeq(strings.ToLower(below), "/") {
		if slices.Contains(actionPages[:], segment) || strings.HasPrefix(segment, ".") || random(segment) {
			return never, false
		}
	}
	switch {
	case strings.HasPrefix(below, "wp-admin/"):
		switch strings.TrimPrefix(script, "wp-admin/") {
		case "admin-ajax.php":
			return aside, true
		case "index.php", "admin.php", "edit.php", "plugins.php", "options-general.php", "profile.php", "upload.php", "users.php":
			return aside, false
		}
		return never, false
	case (strings.HasPrefix(below, "wp-content/") || strings.HasPrefix(below, "wp-includes/")) && !isAsset(below):
		return never, false
	case !strings.HasSuffix(strings.ToLower(below), ".php"):
		if i := strings.Index(strings.ToLower(below), ".php/"); i >= 0 && below[:i] != "index" {
			return never, false
		}
		return page, true
	}
	switch below {
	case "index.php":
		return page, true
	case "wp-login.php", "wp-cron.php", "xmlrpc.php", "wp-signup.php":
		return aside, false
	}
	return never, false
}

// actionPages are parts of a path that do something when asked, as WooCommerce and
// others name them.
var actionPages = [...]string{"customer-logout", "logout", "log-out", "signout", "sign-out", "unsubscribe", "delete",
	"remove", "remove-item", "cancel", "confirm", "activate", "deactivate", "wc-api", "download-file"}

// harmlessQuery is the part of a query that can be asked and shown; ok is false
// when it asks for an action.
func harmlessQuery(raw string) (kept string, ok bool) {
	if raw == "" {
		return "", true
	}
	if len(raw) > maxQuery || strings.Count(raw, "&") >= maxParams || strings.Contains(raw, ";") {
		return "", false
	}
	var parts []string
	for part := range strings.SplitSeq(raw, "&") {
		rawKey, rawValue, _ := strings.Cut(part, "=")
		key, err := url.QueryUnescape(rawKey)
		value, err2 := url.QueryUnescape(rawValue)
		if err != nil || err2 != nil || strings.ContainsFunc(key+value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
			return "", false
		}
		key = strings.ToLower(key)
		switch {
		case slices.ContainsFunc(trackers[:], func(t string) bool { return strings.HasPrefix(key, t) }):
		case acts(key) || acts(strings.ToLower(value)):
			return "", false
		case part == "", secret(key, value):
		default:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "&"), true
}

// acts reports whether a key or value has a word for doing something. Too many
// refused (a search for "delete") cost a candidate; one too few an action.
func acts(text string) bool {
	if slices.Contains(actionKeys[:], text) || strings.Contains(text, "nonce") {
		return true
	}
	return slices.ContainsFunc(words(text), func(word string) bool { return slices.Contains(verbs[:], word) })
}

var (
	// actionKeys are parameters that stand for an action whatever they hold. _method
	// turns a GET of WordPress' REST interface into any other: WP_REST_Server::serve_request.
	actionKeys = [...]string{"_method", "add-to-cart", "wc-ajax", "wc-api", "edd_action", "download_file", "security",
		"pay_for_order", "order_again", "add_to_wishlist", "eval", "wp_customize", "customize_changeset_uuid"}
	verbs = [...]string{"activate", "add", "apply", "approve", "backup", "ban", "block", "buy", "cancel", "clean", "clear",
		"confirm", "create", "cron", "deactivate", "del", "delete", "destroy", "disable", "drop", "duplicate", "edit", "empty",
		"enable", "erase", "exec", "execute", "export", "fix", "flush", "generate", "import", "insert", "install", "kill",
		"like", "logout", "migrate", "pay", "publish", "purge", "put", "rebuild", "refund", "register", "reject", "remove",
		"rename", "repair", "replace", "reset", "restore", "revoke", "rm", "run", "save", "send", "set", "signout", "spam",
		"stop", "submit", "subscribe", "switch", "sync", "trash", "truncate", "unapprove", "undo", "uninstall", "unlock",
		"unsubscribe", "untrash", "update", "upgrade", "upload", "vote", "wipe", "write"}
	secretWords = [...]string{"key", "pass", "pwd", "auth", "hash", "sig", "signature", "code", "otp", "sid", "mail",
		"login", "user", "username", "jwt", "ticket", "invite"}
	secretParts = [...]string{"token", "passw", "secret", "apikey", "sess", "credential", "email"}
	trackers    = [...]string{"utm_", "fbclid", "gclid", "msclkid", "mc_", "_ga", "_gl", "wpmend", "doing_wp_cron"}
)

// longValue is longer than words, numbers and dates are.
const longValue = 100

// secret reports a parameter that lets its holder in, or names a person.
func secret(key, value string) bool {
	return len(value) > longValue || random(value) ||
		slices.ContainsFunc(secretParts[:], func(part string) bool { return strings.Contains(key, part) }) ||
		slices.ContainsFunc(words(key), func(word string) bool { return slices.Contains(secretWords[:], word) })
}

// randomRun is the length from which letters mixed with digits are taken for a
// secret: 24 of them hold 120 bits and more, no slug or number is written so.
const randomRun = 24

func random(text string) bool {
	return slices.ContainsFunc(words(strings.ToLower(text)), func(word string) bool {
		return len(word) >= randomRun && strings.ContainsAny(word, "0123456789") && strings.ContainsAny(word, "abcdefghijklmnopqrstuvwxyz")
	})
}

// words are the runs of letters and digits of a text in lower case.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

// isAsset: files that a gateway serves by itself.
func isAsset(below string) bool {
	return slices.Contains(assets[:], strings.ToLower(path.Ext(below)))
}

var assets = [...]string{".css", ".js", ".mjs", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico", ".bmp",
	".woff", ".woff2", ".ttf", ".otf", ".eot", ".mp4", ".webm", ".mp3", ".ogg", ".pdf", ".zip", ".gz", ".txt"}
