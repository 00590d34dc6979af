// Package fcgi asks one question of one FastCGI responder, such as a PHP-FPM pool, and reads the answer whole.
//
// It knows the FastCGI 1.0 wire format (https://fastcgi-archives.github.io/FastCGI_Specification.html), the CGI
// header that a responder writes before its body (RFC 3875, section 6), and where PHP and nginx depart from them.
// It refuses to know what is being asked: which parameters a site needs, and whether an answer means that the site
// is well, is for others to say.
//
// Main invariant: whatever the other end sends, for as long as it likes, [Do] returns when its context ends, keeps
// no more in memory than its [Limits] allow, and hands back what arrived before a failure together with the failure.
package fcgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
)

// Request is one responder request. CONTENT_LENGTH is added when Body is not empty and Params lack it; all else is
// sent as given. Without REQUEST_METHOD PHP-FPM runs no script and answers an empty 200.
type Request struct {
	Params map[string]string
	Body   []byte
}

// Limits bound what is kept of an answer, in bytes; zero takes the default beside it.
type Limits struct {
	Header int // 64 KiB; a longer CGI header is a [HeaderError]
	Body   int // 1 MiB; a longer body is cut, with Truncated set, and the connection closed
	Stderr int // 64 KiB; what comes after is dropped
}

func (l Limits) orDefault() Limits {
	if l.Header <= 0 {
		l.Header = 64 << 10
	}
	if l.Body <= 0 {
		l.Body = 1 << 20
	}
	if l.Stderr <= 0 {
		l.Stderr = 64 << 10
	}
	return l
}

// Response is what a responder answered, or as much of it as came before an error.
type Response struct {
	Status int // of the Status: line; without one 302 if there is a Location, else 200; 0: no whole header arrived
	Header http.Header
	// HeaderBytes is the size of the CGI header as the responder wrote it, with its blank line.
	HeaderBytes int
	// HeaderWire is the size of everything on the connection up to the header's end: HeaderBytes and, before and
	// between, record heads, padding and standard error. It is what has to fit into nginx's fastcgi_buffer_size.
	HeaderWire int
	Body       []byte
	Stderr     []byte
	AppStatus  uint32 // the responder's exit code; PHP-FPM always says 0
	Truncated  bool   // Body was cut at the limit; AppStatus is not known then
}

// Do sends r to the responder at addr on network ("unix" or "tcp") over a connection of its own, and reads the
// answer until the responder ends the request or ctx ends. Without a deadline in ctx it waits as long as the
// responder does.
//
// Errors are *[ConnError], *[HeaderError], *[ProtocolError] or *[RefusedError]. Except when dialling failed, the Response is
// not nil beside an error: it holds the standard error, header and body that had arrived.
//
// Closing the connection early, as a cut body or an ended ctx does, does not stop PHP: its worker goes on until the
// script next writes.
func Do(ctx context.Context, network, addr string, r Request, l Limits) (*Response, error) {
	begun, err := connect(ctx, network, addr)
	if err != nil {
		return nil, &ConnError{Op: "dial", Addr: addr, Err: contextFirst(ctx, err)}
	}
	conn := begun.conn
	// Closing ends a blocked read or write at once, whether ctx was cancelled or ran out of time.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	written := make(chan error, 1)
	go func() { written <- writeRequest(&skipper{w: conn, skip: begun.sent}, r) }()

	a := &answer{limits: l.orDefault()}
	readErr := a.readFrom(conn)
	conn.Close()
	// A responder may answer without having read all that we sent, so a failed write alone is no failure.
	writeErr := <-written

	return a.response(), a.explain(ctx, addr, readErr, writeErr)
}

// explain gives the error of one exchange its type.
func (a *answer) explain(ctx context.Context, addr string, readErr, writeErr error) error {
	if readErr == nil {
		return nil
	}
	var cut connectionEnd
	if !errors.As(readErr, &cut) {
		return fmt.Errorf("fastcgi %s: %w", addr, readErr)
	}
	if writeErr != nil && a.records == 0 {
		// Our own Close makes an unfinished write fail with net.ErrClosed; what the reader saw is the reason then.
		if errors.Is(writeErr, net.ErrClosed) {
			writeErr = cut.err
		}
		return &ConnError{Op: "write", Addr: addr, Err: contextFirst(ctx, writeErr)}
	}
	return &ConnError{Op: "read", Addr: addr, Err: contextFirst(ctx, cut.err)}
}

// contextFirst says why ctx ended if it did: then the connection was closed by us, and its error says nothing. A
// dialler's deadline can pass a moment before that of ctx.
func contextFirst(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if _, bounded := ctx.Deadline(); bounded && errors.Is(err, os.ErrDeadlineExceeded) {
		return context.DeadlineExceeded
	}
	// What the net package adds is the address, which ConnError has already.
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// writeRequest puts the whole request on the wire.
func writeRequest(w io.Writer, r Request) error {
	params := r.Params
	if _, ok := params["CONTENT_LENGTH"]; !ok && len(r.Body) > 0 {
		params = make(map[string]string, len(r.Params)+1)
		for k, v := range r.Params {
			params[k] = v
		}
		params["CONTENT_LENGTH"] = strconv.Itoa(len(r.Body))
	}
	rw := &recordWriter{w: w}
	rw.record(typeBeginRequest, []byte{0, roleResponder, 0, 0, 0, 0, 0, 0})
	for _, part := range encodeParams(params) {
		rw.stream(typeParams, part)
	}
	rw.record(typeParams, nil)
	rw.stream(typeStdin, r.Body)
	rw.record(typeStdin, nil)
	return rw.flush()
}
