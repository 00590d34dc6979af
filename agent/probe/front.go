package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

// Limits bounds one probe.
type Limits struct {
	Timeout time.Duration
	Body    int // bytes
}

// ByFrontRequest asks through the gateway, as a visitor would, but always on an
// address of this host that the site's vhost listens on: name resolution and any
// CDN are left out. Certificates are not verified: the question is whether PHP works.
func ByFrontRequest(ctx context.Context, s site.Site, q Request, l Limits) Result {
	return byFront(ctx, s, q, l, asker{})
}

func byFront(ctx context.Context, s site.Site, q Request, l Limits, k asker) (r Result) {
	r, ok := begin(Front, q)
	defer r.bound()
	if !ok {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	if !k.visitor {
		q = q.at(Uncached(q.Target))
	}
	for hop := 0; ; hop++ {
		r.URL = shown(q.Target)
		a, err := frontOnce(ctx, s, q, l, k)
		r.Took = time.Since(r.Start)
		if err != nil {
			r.Outcome, r.Signature, r.Detail = frontFailure(err), "front: "+errorClass(err), err.Error()
			return r
		}
		r.Status, r.Bytes, r.Closed = a.Status, len(a.Body), closed(a.Body)
		r.Cached, r.Server = cached(a.Header), server(a.Header)
		done, to := step(s, q.Target, a, hop, &r)
		if done {
			return r
		}
		q = q.redirected(a.Status, to)
	}
}

// begin is the result of a request that has not been sent yet; ok is false for one
// that cannot be sent at all.
func begin(route Route, q Request) (r Result, ok bool) {
	r = Result{Route: route, Start: time.Now()}
	if err := q.Valid(); err != nil {
		r.Outcome, r.Signature, r.Detail = Unknown, "request", err.Error()
		return r, false
	}
	r.URL = shown(q.Target)
	return r, true
}

// step judges a final answer into r, or says where a redirect leads.
func step(s site.Site, u *url.URL, a Answer, hop int, r *Result) (done bool, to *url.URL) {
	location := a.Header.Get("Location")
	if a.Status < 300 || a.Status >= 400 || location == "" {
		r.Outcome, r.Signature = Judge(a)
		return true, nil
	}
	to, ok := next(s, u, location)
	switch {
	case !ok:
		r.Outcome, r.Signature, r.Detail = Unknown, "redirect", "redirects out of the site, to "+clip(location, maxShown)
	case notInstalled(to.Path):
		r.Outcome, r.Signature, r.Detail = DBError, "not installed", "redirects to WordPress' installer: its tables or wp-config.php are missing"
	case hop == maxRedirects:
		r.Outcome, r.Signature, r.Detail = Unknown, "redirect loop", fmt.Sprintf("more than %d redirects, the last to %s", maxRedirects, clip(location, maxShown))
	default:
		return false, to
	}
	return true, nil
}

// entrance is where a request for u reaches the site. Forwarded says that TLS ends
// at a proxy in front: nobody listens with TLS here, and WordPress learns of it by
// a header.
func entrance(s site.Site, u *url.URL) (listen []gateway.Listen, forwarded bool) {
	listen = listeners(s, u.Hostname(), u.Scheme)
	if len(listen) > 0 || u.Scheme != "https" {
		return listen, false
	}
	return listeners(s, u.Hostname(), "http"), true
}

func frontOnce(ctx context.Context, s site.Site, q Request, l Limits, k asker) (Answer, error) {
	u := q.Target
	listen, forwarded, err := k.entrance(s, u)
	if err != nil {
		return Answer{}, err
	}
	scheme := u.Scheme
	if forwarded {
		scheme = "http"
	}
	request, err := http.NewRequestWithContext(ctx, q.method(), scheme+"://"+u.Host+u.RequestURI(), nil)
	if err != nil {
		return Answer{}, err
	}
	request.Header = k.headers(s, q, forwarded)
	response, err := k.transport(u, listen).RoundTrip(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(l.Body)+1))
	a := Answer{Status: response.StatusCode, Header: response.Header, Body: body, Head: q.head()}
	if len(body) > l.Body {
		a.Body, a.Truncated = body[:l.Body], true
	}
	if err != nil {
		return a, fmt.Errorf("the answer broke off after %d bytes: %w", len(body), err)
	}
	return a, nil
}

func frontFailure(err error) Outcome {
	switch {
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return GatewayTimeout
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EHOSTUNREACH):
		return Unreachable
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return Incomplete
	}
	return Unknown
}

// errorClass is the part of an error that is the same from request to request.
func errorClass(err error) string {
	var errno syscall.Errno
	switch {
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return "no answer in time"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "closed early"
	}
	return "unusable"
}
