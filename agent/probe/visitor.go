package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

// asker says how a request is sent: as a probe of PHP, or as a visitor would.
type asker struct {
	visitor bool
	to      netip.AddrPort // where to connect; zero: at the site's own listeners
}

// AsVisitor asks the gateway of this host for a URL as it stands, as a browser
// without a cookie does: what a cache in between holds is what comes back, and
// Result.Cached says so where the answer tells.
func AsVisitor(ctx context.Context, s site.Site, target *url.URL, l Limits) Result {
	return byFront(ctx, s, Request{Target: target}, l, asker{visitor: true})
}

// At is [ByFront] at an address of choice, such as the one that the site's name
// leads to, and past the caches in between as far as they let a request. It is
// only asked what the front page says: a redirect is followed on this site and at
// this address alone, and never to a port of the site's choosing.
func At(ctx context.Context, s site.Site, target *url.URL, addr netip.Addr, l Limits) Result {
	return byFront(ctx, s, Request{Target: target}, l, asker{to: netip.AddrPortFrom(addr, 0)})
}

// port is that of a scheme: a redirect cannot lead to another one.
func port(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// transport is for one request.
func (k asker) transport(u *url.URL, listen []gateway.Listen) *http.Transport {
	return &http.Transport{
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig:        &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if k.to.Addr().IsValid() {
				return (&net.Dialer{}).DialContext(ctx, "tcp", netip.AddrPortFrom(k.to.Addr(), port(u.Scheme)).String())
			}
			return dial(ctx, listen)
		},
	}
}

// entrance is where the request goes.
func (k asker) entrance(s site.Site, u *url.URL) (listen []gateway.Listen, forwarded bool, err error) {
	if k.to.Addr().IsValid() {
		if u.Port() != "" && u.Port() != fmt.Sprint(port(u.Scheme)) {
			return nil, false, fmt.Errorf("%s is not asked at another port than its scheme's", u.Redacted())
		}
		return nil, false, nil
	}
	listen, forwarded = entrance(s, u)
	if len(listen) == 0 {
		err = fmt.Errorf("no vhost of the site listens for %s://%s", u.Scheme, u.Hostname())
	}
	return listen, forwarded, err
}

// headers of a visitor say nothing of caches.
func (k asker) headers(s site.Site, q Request, forwarded bool) http.Header {
	h := q.headers(s, forwarded)
	if k.visitor {
		for _, name := range []string{"Cache-Control", "Pragma", "Cookie"} {
			h.Del(name)
		}
	}
	return h
}

// cacheHeaders are where caches say what they did: X-Cache (Squid, Varnish, CloudFront, Fastly),
// X-FastCGI-Cache, X-Proxy-Cache, X-Cache-Status and X-Nginx-Cache (nginx' $upstream_cache_status, as the
// common configurations name it), CF-Cache-Status (Cloudflare), X-LiteSpeed-Cache.
var cacheHeaders = []string{"X-FastCGI-Cache", "X-Proxy-Cache", "X-Cache-Status", "X-Nginx-Cache", "X-Litespeed-Cache", "Cf-Cache-Status", "X-Cache"}

// cached reads how an answer was served, "" where nothing says that it came out of a cache.
func cached(h http.Header) string {
	for _, name := range cacheHeaders {
		value := h.Get(name)
		if len(value) > 100 {
			value = value[:100]
		}
		upper := strings.ToUpper(value)
		for _, word := range []string{"HIT", "STALE", "UPDATING", "REVALIDATED"} {
			// ngx_http_cache_status: MISS BYPASS EXPIRED STALE UPDATING REVALIDATED HIT
			if strings.Contains(upper, word) {
				return name + ": " + strings.ToValidUTF8(value, "?")
			}
		}
	}
	if age, err := time.ParseDuration(h.Get("Age") + "s"); err == nil && age > 0 {
		return "Age: " + h.Get("Age") // RFC 9111, 5.1: only a cache sets it
	}
	return ""
}

// networks are headers that only one content delivery network sends:
// https://developers.cloudflare.com/fundamentals/reference/http-headers/,
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html,
// https://www.fastly.com/documentation/reference/http/http-headers/X-Served-By/ (cache-…),
// https://docs.bunny.net/docs/cdn-response-headers, https://docs.sucuri.net/website-firewall/.
var networks = []struct{ header, prefix, name string }{
	{"Cf-Ray", "", "Cloudflare"},
	{"X-Amz-Cf-Id", "", "CloudFront"},
	{"X-Served-By", "cache-", "Fastly"},
	{"Cdn-Pullzone", "", "Bunny"},
	{"X-Sucuri-Id", "", "Sucuri"},
	{"X-Azure-Ref", "", "Azure Front Door"},
	{"Akamai-Grn", "", "Akamai"},
	{"Server", "cloudflare", "Cloudflare"},
	{"Server", "CloudFront", "CloudFront"},
	{"Server", "AkamaiGHost", "Akamai"},
	{"Server", "BunnyCDN", "Bunny"},
}

func server(h http.Header) string {
	for _, n := range networks {
		if v := h.Get(n.header); v != "" && strings.HasPrefix(v, n.prefix) {
			return n.name
		}
	}
	name := strings.ToValidUTF8(h.Get("Server"), "?")
	return name[:min(len(name), 100)]
}

// Connect opens and closes a connection where a front probe of u would enter, and
// says at which address that is: of the one that was tried last where none accepts.
func Connect(ctx context.Context, s site.Site, u *url.URL) (address string, err error) {
	listen, _, err := asker{}.entrance(s, u)
	if err != nil {
		return "", err
	}
	conn, err := dial(ctx, listen)
	if err != nil {
		return tried(listen), err
	}
	return conn.RemoteAddr().String(), conn.Close()
}

func tried(listen []gateway.Listen) string {
	last := listen[len(listen)-1]
	if last.Unix != "" {
		return last.Unix
	}
	host := last.Host
	if host == "" || host == "::" {
		host = "*"
	}
	return net.JoinHostPort(host, fmt.Sprint(last.Port))
}
