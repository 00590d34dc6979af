package probe

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

// maxRedirects is how many hops within the site a probe follows; browsers stop at 20.
const maxRedirects = 8

// maxHeader bounds a response header, far above what any gateway accepts.
const maxHeader = 1 << 20

// Home is the URL of the site's front page: https when a vhost of the site
// listens with TLS, since WordPress would redirect there anyway.
func Home(s site.Site) *url.URL {
	u := &url.URL{Scheme: "http", Host: name(s), Path: s.Base + "/"}
	if _, ok := listener(s, "https"); ok {
		u.Scheme = "https"
	}
	return u
}

// name is the host name a probe uses: the domain without its subfolder.
func name(s site.Site) string {
	return strings.TrimSuffix(s.Domain, s.Base)
}

// Resolve makes a full URL of what a user typed: a path, or a URL of the site.
func Resolve(s site.Site, given string) (*url.URL, error) {
	if given == "" {
		return Home(s), nil
	}
	u, err := url.Parse(given)
	if err != nil {
		return nil, fmt.Errorf("--url %q: %w", given, err)
	}
	full := Home(s).ResolveReference(u)
	if full.Scheme != "http" && full.Scheme != "https" {
		return nil, fmt.Errorf("--url %q: only http and https can be probed", given)
	}
	if !s.Serves(full.Hostname()) {
		return nil, fmt.Errorf("--url %q: %s does not belong to %s", given, full.Hostname(), s.Domain)
	}
	if !strings.HasPrefix(full.Path, s.Base+"/") {
		return nil, fmt.Errorf("--url %q: lies outside of %s/, where the site lives", given, s.Domain)
	}
	return full, nil
}

// listener finds an address that a vhost of the site listens on for scheme.
func listener(s site.Site, scheme string) (gateway.Listen, bool) {
	for _, v := range s.Vhosts {
		for _, l := range v.Listens {
			if l.TLS == (scheme == "https") {
				return l, true
			}
		}
	}
	return gateway.Listen{}, false
}

// nonce is the query parameter that makes a URL new to every cache.
const nonce = "wpmend"

// Nonce is the value of u's cache-busting parameter, "" if it has none.
func Nonce(u *url.URL) string { return u.Query().Get(nonce) }

// Uncached returns u with a query that no page cache has seen; a URL that has one
// already stays as it is.
func Uncached(u *url.URL) *url.URL {
	if Nonce(u) != "" {
		return u
	}
	c := *u
	q := nonce + "=" + rand.Text()
	if c.RawQuery != "" {
		q = c.RawQuery + "&" + q
	}
	c.RawQuery = q
	return &c
}

// headers are those of every probe. The cookie is WordPress' own sign for "do not
// cache" (wp-login.php sets it); gateways' cache rules match it.
func headers() http.Header {
	return http.Header{
		"User-Agent":    {"wpmend (health probe)"},
		"Accept":        {"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"},
		"Cache-Control": {"no-cache"},
		"Pragma":        {"no-cache"},
		"Cookie":        {"wordpress_no_cache=1"},
	}
}

// next resolves a redirect; ok is false when it leaves the site.
func next(s site.Site, from *url.URL, location string) (*url.URL, bool) {
	u, err := from.Parse(location)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || !s.Serves(u.Hostname()) {
		return nil, false
	}
	return u, true
}
