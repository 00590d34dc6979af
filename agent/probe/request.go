package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"wpmend/agent/site"
)

// Request is what a probe asks for.
type Request struct {
	Target *url.URL
	// Method is GET where it is empty. Anything but GET and HEAD may change the
	// site; to ask so is for a person to decide.
	Method string
	// Cookie is added to the header of that name, for this site alone: a redirect
	// to another site is not followed, nor is the cookie shown to another
	// WordPress below the same name.
	Cookie string
}

const (
	// maxMethod: the longest registered method has 17 letters (UPDATEREDIRECTREF).
	maxMethod = 20
	// maxCookie is what gateways take of a header line by default
	// (nginx: large_client_header_buffers 8k; Apache: LimitRequestFieldSize 8190).
	maxCookie = 8 << 10
)

// Valid refuses what could not be sent as it stands, or would smuggle a header.
func (q Request) Valid() error {
	if q.Target == nil {
		return fmt.Errorf("a request without a URL")
	}
	if len(q.Method) > maxMethod || strings.Trim(q.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return fmt.Errorf("%q is no method of HTTP: write it in capitals, like GET or HEAD", q.Method)
	}
	if len(q.Cookie) > maxCookie {
		return fmt.Errorf("the cookie has %d bytes, gateways take %d", len(q.Cookie), maxCookie)
	}
	if strings.ContainsFunc(q.Cookie, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("the cookie holds a control character")
	}
	return nil
}

func (q Request) method() string {
	if q.Method == "" {
		return http.MethodGet
	}
	return q.Method
}

func (q Request) head() bool { return q.Method == http.MethodHead }

// at is the same request at another URL.
func (q Request) at(u *url.URL) Request {
	q.Target = u
	return q
}

// redirected is what a browser asks for after a redirect with this status
// (RFC 9110, 15.4): only 307 and 308 keep a method that is not safe.
func (q Request) redirected(status int, to *url.URL) Request {
	safe := q.method() == http.MethodGet || q.head()
	if !safe && status != http.StatusTemporaryRedirect && status != http.StatusPermanentRedirect {
		q.Method = http.MethodGet
	}
	return q.at(to)
}

// headers are those of every probe. The cookie of its own is WordPress' sign for
// "do not cache" (wp-login.php sets it); gateways' cache rules match it.
func (q Request) headers(s site.Site, forwarded bool) http.Header {
	cookie := "wordpress_no_cache=1"
	if q.Cookie != "" && s.Serves(q.Target.Hostname()) && strings.HasPrefix(q.Target.Path, s.Base+"/") {
		cookie += "; " + q.Cookie
	}
	h := http.Header{
		"User-Agent":    {"wpmend (health probe)"},
		"Accept":        {"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"},
		"Cache-Control": {"no-cache"},
		"Pragma":        {"no-cache"},
		"Cookie":        {cookie},
	}
	if forwarded {
		h.Set("X-Forwarded-Proto", "https")
	}
	return h
}

// ByFront is [ByFrontRequest] of a plain GET.
func ByFront(ctx context.Context, s site.Site, target *url.URL, l Limits) Result {
	return ByFrontRequest(ctx, s, Request{Target: target}, l)
}

// ByPool is [ByPoolRequest] of a plain GET.
func ByPool(ctx context.Context, s site.Site, target *url.URL, l Limits) Result {
	return ByPoolRequest(ctx, s, Request{Target: target}, l)
}

// ByShadow is [ByShadowRequest] of a plain GET.
func ByShadow(ctx context.Context, s site.Site, target *url.URL, socket string, extra map[string]string, l Limits) Result {
	return ByShadowRequest(ctx, s, Request{Target: target}, socket, extra, l)
}

// Best asks the front and, where its answer says nothing of PHP (a refusal, a
// redirect out of the site, no address to ask at), the pool as well. judged is
// what is known of the site: the pool's answer then, if there is one.
func Best(ctx context.Context, s site.Site, q Request, l Limits) (front, judged Result) {
	front = ByFrontRequest(ctx, s, q, l)
	if !front.Aside() && front.Outcome != Unknown || s.Pool.Listen().Addr == "" || ctx.Err() != nil {
		return front, front
	}
	if pool := ByPoolRequest(ctx, s, q, l); pool.Outcome != Unknown {
		return front, pool
	}
	return front, front
}
