package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
	"wpmend/php/errlog"
	"wpmend/php/fcgi"
	"wpmend/php/fpm"
	"wpmend/php/socket"
	"wpmend/wp"
)

// maxStderr bounds what PHP says beside the answer.
const maxStderr = 256 << 10

// ByPoolRequest asks the live pool directly over FastCGI.
func ByPoolRequest(ctx context.Context, s site.Site, q Request, l Limits) Result {
	return byFastCGI(ctx, Pool, s, q, s.Pool.Listen(), nil, l)
}

// ByShadowRequest asks a private copy of the pool that listens on socket; extra are
// FastCGI parameters for its prepend.
func ByShadowRequest(ctx context.Context, s site.Site, q Request, socket string, extra map[string]string, l Limits) Result {
	return byFastCGI(ctx, Shadow, s, q, fpm.Address{Network: "unix", Addr: socket}, extra, l)
}

// byFastCGI sends the parameters that the gateway's own location would send, and
// applies that location's limits to the answer, since FPM itself has none.
func byFastCGI(ctx context.Context, route Route, s site.Site, q Request, to fpm.Address, extra map[string]string, l Limits) (r Result) {
	r, ok := begin(route, q)
	defer r.bound()
	if !ok {
		return r
	}
	if err := s.Unserved(); err != nil && to.Addr == "" {
		r.Outcome, r.Signature, r.Detail = Unknown, "no pool", err.Error()
		return r
	}
	if to.Addr == "" {
		r.Outcome, r.Signature, r.Detail = Unknown, "no pool", "the web server runs the site's PHP itself; there is no pool to ask"
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	q = q.at(Uncached(q.Target))
	for hop := 0; ; hop++ {
		r.URL = shown(q.Target)
		params, err := RequestParams(s, q)
		if err != nil {
			r.Outcome, r.Signature, r.Detail = Unknown, "parameters", err.Error()
			return r
		}
		if route == Shadow {
			wp.TakeGatewayPrepend(params)
		}
		maps.Copy(params, extra)
		answer, err := fcgi.Do(ctx, to.Network, to.Addr, fcgi.Request{Params: params},
			fcgi.Limits{Header: maxHeader, Body: l.Body, Stderr: maxStderr})
		r.Took = time.Since(r.Start)
		if answer != nil {
			r.Status, r.Bytes, r.Closed, r.Header = answer.Status, len(answer.Body), closed(answer.Body), answer.HeaderBytes
			r.Errors = phpErrors(answer.Stderr)
		}
		if err != nil {
			r.Outcome, r.Signature, r.Detail = poolFailure(err, r.Errors)
			return r
		}
		if buffer := BufferSize(s.Location); int64(answer.HeaderWire) > buffer {
			r.Outcome, r.Signature = BadGateway, HeaderTooBig
			r.Detail = fmt.Sprintf("the response header has %d bytes, the gateway's buffer takes %d", answer.HeaderWire, buffer)
			return r
		}
		a := Answer{Status: answer.Status, Header: answer.Header, Body: answer.Body, Truncated: answer.Truncated, Errors: r.Errors, Head: q.head()}
		done, onward := step(s, q.Target, a, hop, &r)
		if done {
			for _, root := range s.Roots() {
				r.Signature = strings.ReplaceAll(r.Signature, root+"/", "")
			}
			if e, ok := firstFatal(r.Errors); ok && r.Outcome == Fatal {
				r.Detail = fmt.Sprintf("PHP %s: %s in %s:%d", e.Kind, e.Message, e.File, e.Line)
			}
			return r
		}
		q = q.redirected(a.Status, onward)
	}
}

// Params is [RequestParams] of a plain GET.
func Params(s site.Site, u *url.URL) (map[string]string, error) {
	return RequestParams(s, Request{Target: u})
}

// RequestParams are the FastCGI parameters of q, as the site's own location sends
// them.
func RequestParams(s site.Site, q Request) (map[string]string, error) {
	u := q.Target
	script, pathInfo := scriptOf(s, u.Path)
	realRoot, err := filepath.EvalSymlinks(s.DocRoot)
	if err != nil {
		return nil, fmt.Errorf("document root: %w", err)
	}
	scheme, port := u.Scheme, 80
	listen, forwarded := entrance(s, u)
	switch {
	case forwarded:
		scheme = "http"
	case scheme == "https":
		port = 443
	}
	if len(listen) > 0 && listen[0].Port != 0 {
		port = listen[0].Port
	}
	params, err := s.Location.Expand(gateway.Target{
		Scheme: scheme, Host: u.Host, Method: q.method(), URI: u.RequestURI(), Script: script, PathInfo: pathInfo,
		Query: u.RawQuery, Header: q.headers(s, forwarded), ServerAddr: "127.0.0.1", RemoteAddr: "127.0.0.1", ServerPort: port,
		DocumentRoot: s.DocRoot, RealRoot: realRoot,
	})
	if err != nil {
		return nil, err
	}
	if forwarded && params["HTTPS"] == "" {
		// The header is what WordPress gets to see by the front; a site that goes by
		// another sign of its proxy would redirect for ever.
		params["HTTPS"] = "on"
	}
	return params, nil
}

// scriptOf is what the gateway's try_files would choose for a path.
func scriptOf(s site.Site, p string) (script, pathInfo string) {
	t, err := wp.OpenTree(s.DocRoot, s.Owner)
	if err != nil {
		return s.Script(), ""
	}
	defer t.Close()
	clean := path.Clean("/" + p)
	switch info, err := t.Stat("." + clean); {
	case err != nil:
	case info.Mode().IsRegular() && strings.HasSuffix(clean, ".php"):
		return clean, ""
	case info.IsDir() && clean != "/":
		index := path.Join(clean, "index.php")
		if info, err := t.Stat("." + index); err == nil && info.Mode().IsRegular() {
			return index, ""
		}
	}
	if rest, ok := strings.CutPrefix(clean, s.Script()+"/"); ok {
		return s.Script(), "/" + rest
	}
	return s.Script(), ""
}

// BufferSize is the gateway's fastcgi_buffer_size in bytes; unset it is one page
// (ngx_http_fastcgi_module.c). All that comes before the header's end must fit.
func BufferSize(l gateway.PHPLocation) int64 {
	if l.BufferSize > 0 {
		return l.BufferSize
	}
	return int64(os.Getpagesize())
}

func phpErrors(stderr []byte) []errlog.PHPError {
	var found []errlog.PHPError
	for _, text := range errlog.SplitMessages(string(stderr)) {
		if e, ok := errlog.ParsePHPError(text); ok {
			found = append(found, e)
		}
	}
	return found
}

// poolFailure judges a FastCGI exchange that did not end with an answer.
func poolFailure(err error, php []errlog.PHPError) (Outcome, string, string) {
	var conn *fcgi.ConnError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return GatewayTimeout, "no answer", err.Error()
	case errors.Is(err, socket.ErrElsewhere):
		return Unknown, "connect: another's socket", err.Error()
	case errors.As(err, &conn) && conn.Op == "dial" && errors.Is(err, syscall.EACCES):
		return BadGateway, "connect: permission denied", err.Error()
	case errors.As(err, &conn) && conn.Op == "dial":
		return BadGateway, "connect: " + errorClass(err), err.Error()
	case errors.As(err, &conn):
		if e, ok := firstFatal(php); ok {
			return Fatal, fatalSignature(e, true, ""), err.Error()
		}
		return BadGateway, "worker died", err.Error()
	}
	return BadGateway, "invalid answer", err.Error()
}
