package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const (
	mostBody     = 64 << 10
	bodyWithin   = 10 * time.Second
	answerWithin = 30 * time.Second // for the client to take it, once it is there
)

// serve is the way of every request: whether it may be answered at all, by whom it is
// asked, how often, and only then what it asks for.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.headers(w.Header())
	if r.Body != nil && r.Body != http.NoBody {
		// Also where it is never read: the server takes the rest of it itself.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin))
	}
	began := &started{ResponseWriter: w}
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		if fault != http.ErrAbortHandler {
			s.o.Log.Error("a fault of wpmend's own in answering a request", "method", r.Method, "path", r.URL.Path, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
		}
		if began.started {
			panic(http.ErrAbortHandler)
		}
		refuse(w, problem("failed", "a fault of wpmend's own", "the service's log tells more: journalctl -u wpmend"))
	}()
	if p := s.answerTo(began, r); p != nil {
		refuse(began, p)
	}
}

// started knows whether an answer has begun.
type started struct {
	http.ResponseWriter
	started bool
}

func (s *started) WriteHeader(status int) {
	s.started = true
	s.ResponseWriter.WriteHeader(status)
}

func (s *started) Write(b []byte) (int, error) {
	s.started = true
	return s.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (s *started) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *Server) answerTo(w http.ResponseWriter, r *http.Request) *Problem {
	if p := s.strange(r); p != nil {
		return p
	}
	handler, pattern := s.mux.Handler(r)
	kind, known := s.routes[pattern]
	if known && kind.page {
		deadline(w)
		s.pagePolicy(w.Header())
		handler.ServeHTTP(w, r)
		return nil
	}
	p, _ := r.Context().Value(peerKey{}).(peer)
	if _, ok := r.Context().Value(peerKey{}).(peer); !ok {
		p = peer{tcp: true}
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c, err := s.caller(r.Context(), p, token)
	if err != nil {
		return s.anonymous(problemOf(err))
	}
	leave, refused := s.limits.enter(c, kind.weight(r))
	if refused != nil {
		return refused
	}
	defer leave()
	if c.role == Nobody {
		return problem("not-permitted", "you own no site of this host", "root, the group that api.group names and the users of sites may ask")
	}
	if !known {
		return notServed(handler, w, r)
	}
	if r.Method == http.MethodHead && kind.stream {
		w.Header().Set("Allow", http.MethodGet)
		return problem("method-not-allowed", "a stream of events has no end to give the length of", "GET it")
	}
	body, p2 := readBody(w, r)
	if p2 != nil {
		return p2
	}
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Del("Accept") // there is one type a resource
	if kind.stream {
		s.mux.ServeHTTP(w, r)
		return nil
	}
	do := func() *answer {
		a := &answer{header: http.Header{}}
		s.mux.ServeHTTP(a, r)
		return a
	}
	key, given := r.Header[http.CanonicalHeaderKey(keysHeader)]
	if !kind.changes || !given {
		do().send(w)
		return nil
	}
	a, p3 := s.keys.once(c, strings.Join(key, ","), r, body, do)
	if p3 != nil {
		return p3
	}
	a.send(w)
	return nil
}

// weight is what a request of this kind costs.
func (k kindOf) weight(r *http.Request) weight {
	switch {
	case k.stream || k.waits && r.URL.Query().Get("wait") != "":
		return waiting
	case k.heavy:
		return heavy
	}
	return light
}

// anonymous slows down who guesses the token.
func (s *Server) anonymous(p *Problem) *Problem {
	if p.Status != http.StatusUnauthorized {
		return p
	}
	leave, refused := s.limits.enter(&caller{role: Nobody, key: "without a token"}, light)
	if refused != nil {
		return refused
	}
	leave()
	return p
}

// strange refuses what no client of ours sends: names of other hosts, which a page of
// somebody else's could lead here (DNS rebinding), requests of other origins, paths that
// are not what they look like.
func (s *Server) strange(r *http.Request) *Problem {
	if !s.isOurs(r.Host) {
		return problem("misdirected", "the Host of this request is not one of wpmend's", "use localhost, or the address that api.listen gives")
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return problem("cross-origin", "a page of another origin may not ask for changes", "serve wpmend's page by your own origin")
	}
	if at := r.URL.EscapedPath(); r.Method == http.MethodConnect || !strings.HasPrefix(at, "/") || path.Clean(at) != strings.TrimSuffix(at, "/") && at != "/" {
		return problem("not-found", "no such path", "GET /v1/openapi.json lists what there is")
	}
	return nil
}

func (s *Server) isOurs(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	switch strings.ToLower(name) {
	case "localhost", "127.0.0.1", "::1", "[::1]", "wpmend":
		return true
	}
	listen, _, err := net.SplitHostPort(s.o.Config().API.Listen)
	return err == nil && name == listen
}

// notServed is the mux' own answer, as a problem.
func notServed(handler http.Handler, w http.ResponseWriter, r *http.Request) *Problem {
	a := &answer{header: http.Header{}}
	handler.ServeHTTP(a, r)
	if a.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", a.header.Get("Allow"))
		return problem("method-not-allowed", r.Method+" is not what can be done here", "Allow names what can")
	}
	return problem("not-found", "no such path", "GET /v1/openapi.json lists what there is")
}

// readBody reads a request whole, within its bounds, before anything is done about it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Problem) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, problem("too-large", fmt.Sprintf("the body is larger than %d bytes", mostBody), "no request needs that much")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, problem("timeout", "the body did not come in time", "send it at once")
	case err != nil:
		return nil, problem("malformed", "the body cannot be read", "send as many bytes as the headers say")
	}
	// A client that waits for its answer, or listens, sends nothing more.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if len(body) > 0 {
		if given := r.Header.Get("Content-Type"); given != "" {
			if t, _, err := mime.ParseMediaType(given); err != nil || t != "application/json" {
				return nil, problem("media-type", "the body is not application/json", "send JSON, with Content-Type: application/json")
			}
		}
		r.Header.Set("Content-Type", "application/json")
	}
	return body, nil
}

// deadline lets the client have so long to take an answer.
func deadline(w http.ResponseWriter) {
	// A writer of a test has no deadlines.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin))
}

// answer is one that is whole before any of it is sent.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) send(w http.ResponseWriter) {
	a.WriteHeader(http.StatusOK)
	deadline(w)
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // the client has gone
}

// refuse answers with a problem.
func refuse(w http.ResponseWriter, p *Problem) {
	a := &answer{header: http.Header{}, status: p.Status}
	a.header.Set("Content-Type", problemType)
	for name, values := range p.GetHeaders() {
		a.header[name] = values
	}
	if err := huma.DefaultJSONFormat.Marshal(&a.body, p); err != nil {
		a.body.Reset()
	}
	a.send(w)
}

// headers are those of every answer.
func (s *Server) headers(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

// pagePolicy lets the page load what is its own and ask the API, and be shown by those who
// may.
func (s *Server) pagePolicy(h http.Header) {
	ancestors := "'none'"
	if list := s.o.Config().API.FrameAncestors; len(list) > 0 {
		ancestors = strings.Join(list, " ")
	} else {
		h.Set("X-Frame-Options", "DENY")
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "+ancestors)
	h.Set("Cache-Control", "no-cache")
}
