package probe

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"

	"wpmend/agent/site"
)

// maxRedirects is how many hops within the site a probe follows; browsers stop at 20.
const maxRedirects = 8

// maxLocation is what gateways take of a request line by default (nginx: large_client_header_buffers 8k).
const maxLocation = 8 << 10

// maxHeader bounds a response header, far above what any gateway accepts.
const maxHeader = 1 << 20

// Home is the URL of the site's front page: https when a vhost of the site listens
// with TLS under that name, since WordPress would redirect there anyway.
func Home(s site.Site) *url.URL { return HomeAt(s, name(s)) }

// HomeAt is the front page's URL at another of the site's names.
func HomeAt(s site.Site, host string) *url.URL {
	u := &url.URL{Scheme: "http", Host: host, Path: s.Base + "/"}
	if len(listeners(s, host, "https")) > 0 {
		u.Scheme = "https"
	}
	return u
}

// name is the host name a probe uses: the domain without its subfolder. Of a vhost
// that is only called *.example.com the domain is not one of its names.
func name(s site.Site) string {
	domain := strings.TrimSuffix(s.Domain, s.Base)
	if !s.Serves(domain) && s.Serves("www."+domain) {
		return "www." + domain
	}
	return domain
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

// shown is u without the cache-busting parameter, for people.
func shown(u *url.URL) string {
	c := *u
	var kept []string
	for part := range strings.SplitSeq(c.RawQuery, "&") {
		if !strings.HasPrefix(part, nonce+"=") {
			kept = append(kept, part)
		}
	}
	c.RawQuery = strings.Join(kept, "&")
	return c.String()
}

// next resolves a redirect; ok is false when it leaves the site.
func next(s site.Site, from *url.URL, location string) (*url.URL, bool) {
	if len(location) > maxLocation {
		return nil, false
	}
	u, err := from.Parse(location)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || !s.Serves(u.Hostname()) {
		return nil, false
	}
	return u, true
}
