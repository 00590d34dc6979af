package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
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
	r, ok := begin(Front, q)
	if !ok {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	q = q.at(Uncached(q.Target))
	for hop := 0; ; hop++ {
		r.URL = shown(q.Target)
		a, err := frontOnce(ctx, s, q, l)
		r.Took = time.Since(r.Start)
		if err != nil {
			r.Outcome, r.Signature, r.Detail = frontFailure(err), "front: "+errorClass(err), err.Error()
			return r
		}
		r.Status, r.Bytes, r.Closed = a.Status, len(a.Body), closed(a.Body)
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
		r.Outcome, r.Signature, r.Detail = Unknown, "redirect", "redirects out of the site, to "+location
	case notInstalled(to.Path):
		r.Outcome, r.Signature, r.Detail = DBError, "not installed", "redirects to WordPress' installer: its tables or wp-config.php are missing"
	case hop == maxRedirects:
		r.Outcome, r.Signature, r.Detail = Unknown, "redirect loop", fmt.Sprintf("more than %d redirects, the last to %s", maxRedirects, location)
	default:
		return false, to
	}
	return true, nil
}

func frontOnce(ctx context.Context, s site.Site, q Request, l Limits) (Answer, error) {
	u := q.Target
	listen, ok := listener(s, u.Scheme)
	scheme := u.Scheme
	forwarded := !ok && scheme == "https"
	if forwarded { // TLS ends at a proxy in front; the vhost believes this header
		if listen, ok = listener(s, "http"); ok {
			scheme = "http"
		}
	}
	if !ok {
		return Answer{}, fmt.Errorf("no vhost of %s listens for %s", s.Domain, u.Scheme)
	}
	transport := &http.Transport{
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig:        &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, listen)
		},
	}
	request, err := http.NewRequestWithContext(ctx, q.method(), scheme+"://"+u.Host+u.RequestURI(), nil)
	if err != nil {
		return Answer{}, err
	}
	request.Header = q.headers(s)
	if forwarded {
		request.Header.Set("X-Forwarded-Proto", "https")
	}
	response, err := transport.RoundTrip(request)
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

// dial connects to an address that the vhost really listens on.
func dial(ctx context.Context, l gateway.Listen) (net.Conn, error) {
	var d net.Dialer
	network, addr := "tcp", net.JoinHostPort(localHost(l.Host), strconv.Itoa(l.Port))
	if l.Unix != "" {
		network, addr = "unix", l.Unix
	}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil || !l.ProxyProtocol {
		return conn, err
	}
	// The listener refuses a connection without this line; "UNKNOWN" claims no address:
	// https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, 2.1.
	if _, err := io.WriteString(conn, "PROXY UNKNOWN\r\n"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// localHost turns a listen address that means "every address" into loopback.
func localHost(host string) string {
	switch host {
	case "", "*", "0.0.0.0":
		return "127.0.0.1"
	case "::", "[::]":
		return "::1"
	}
	return host
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
