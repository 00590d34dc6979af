// Package redact takes out of texts what must not leave the host: passwords, keys and
// salts, cookies, tokens, the values of a URL's query, a visitor's address. It knows how
// logs, PHP's traces and wp-config.php write them; it refuses to know what the texts are
// for.
//
// It is pure. Its invariant: what it takes for a secret does not come out again in any
// part, and redacting twice changes nothing more.
package redact

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Gone stands in the place of a secret.
const Gone = "[redacted]"

// shortest is the length below which a known secret is no secret: taking "root" out of
// every path would hide the story and protect nobody.
const shortest = 6

// A Redactor takes out known secrets besides those that show by their form.
type Redactor struct{ known []string }

// New makes a redactor that knows these secrets, such as the constants of wp-config.php.
func New(secrets ...string) Redactor {
	known := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < shortest || strings.Contains(Gone, s) })
	// A secret that contains another must go first, or half of it stays.
	slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) })
	return Redactor{slices.Compact(known)}
}

// form is one way in which a secret is written, and what stays of it.
type form struct {
	pattern *regexp.Regexp
	with    string
}

func of(pattern, with string) form { return form{regexp.MustCompile(pattern), with} }

// secretName are the words by which a setting's name gives it away.
const secretName = `[\w.-]*(?i:passw(?:or)?d|passphrase|pwd|secret|token|api_?key|private_?key|(?:auth|secure_auth|logged_in|nonce)_(?:key|salt)|credential)[\w.-]*`

// forms are tried in this order, the widest first.
var forms = []form{
	// Headers of HTTP, to the end of their line or of the quotes around it.
	of(`(?i)\b((?:set-)?cookie2?|(?:proxy-)?authorization|x-wp-nonce|x-api-key)(\s*[:=]\s*)[^\r\n"]+`, "${1}${2}"+Gone),
	// WordPress' own cookies and PHP's sessions, wherever they stand.
	of(`\b((?:wordpress(?:_logged_in|_sec)?|wp-postpass|wp_woocommerce_session)_[0-9a-zA-Z]*|PHPSESSID|wp-settings-\d+)=[^;\s"'&]+`, "${1}="+Gone),
	of(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`, "${1} "+Gone),
	// define( 'DB_PASSWORD', 'x' ) and "password" => "x".
	of(`(['"]`+secretName+`['"]\s*(?:,|=>|:)\s*)(?:'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?)`, "${1}'"+Gone+"'"),
	// password=x, DB_PASSWORD: x.
	of(`\b(`+secretName+`\]?\s*[=:]\s*)(?:'[^'\n]*'?|"[^"\n]*"?|[^\s&;,'")]+)`, "${1}"+Gone),
	// mysql://user:password@host
	of(`([a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@'"]*):[^/\s@'"]+@`, "${1}:"+Gone+"@"),
	// The values of a query; its names tell what was asked.
	of(`([?&][^=&\s"'#<>?]{1,100}=)[^&\s"'#<>]+`, "${1}"+Gone),
	// Somebody's mailbox.
	of(`[A-Za-z0-9._%+-]+(@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})`, Gone+"${1}"),
}

var (
	// traceCall is a line of a PHP stack trace, whose quoted arguments are values
	// (zend.exception_ignore_args = 0): "#0 /a.php(3): login('me', 'secret')".
	traceCall = regexp.MustCompile(`#\d+ [^\n]*?(?:\(\d+\)|\[internal function\]): [^\n(]*\([^\n]*`)
	quoted    = regexp.MustCompile(`'(?:[^'\\\n]|\\.)*'?`)
	// client is how nginx ("client: A") and Apache ("[client A:PORT]") name a visitor.
	client = regexp.MustCompile(`(\bclient:? )(\[[0-9a-fA-F:.]+\](?::\d+)?|[0-9a-fA-F:.]+)`)
)

// Text is s without secrets.
func (r Redactor) Text(s string) string {
	for _, secret := range r.known {
		s = strings.ReplaceAll(s, secret, Gone)
	}
	s = traceCall.ReplaceAllStringFunc(s, func(line string) string {
		i := strings.LastIndex(line[:strings.Index(line, "): ")+3], "): ") + 3
		if strings.Contains(line, "[internal function]: ") {
			i = strings.Index(line, "]: ") + 3
		}
		return line[:i] + quoted.ReplaceAllString(line[i:], "'"+Gone+"'")
	})
	for _, f := range forms {
		s = f.pattern.ReplaceAllString(s, f.with)
	}
	return client.ReplaceAllStringFunc(s, maskClient)
}

// maskClient keeps of a visitor's address what tells a network, as statistics do: the
// first three bytes of IPv4, the first 48 bits of IPv6.
func maskClient(s string) string {
	at := strings.IndexByte(s, ' ') + 1
	addr, port, err := netip.Addr{}, "", error(nil)
	if ap, perr := netip.ParseAddrPort(s[at:]); perr == nil {
		addr, port = ap.Addr(), ":0"
	} else if addr, err = netip.ParseAddr(strings.Trim(s[at:], "[]")); err != nil {
		return s
	}
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return s
	}
	masked := prefix.Addr()
	if port == "" {
		return s[:at] + masked.String()
	}
	return s[:at] + netip.AddrPortFrom(masked, 0).String()
}
