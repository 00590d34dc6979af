package fcgi

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"wpmend/php/socket"
)

// Begun is a connection on which the first byte of a request has been sent and no more. PHP-FPM counts a request's age,
// for its slow log and its time limits, from that byte (fcgi_accept_request calls fpm_request_reading_headers when the
// connection is readable), so a request that is finished later is older than its script has run.
type Begun struct {
	conn          net.Conn
	network, addr string
	since         time.Time
	sent          int
	once          sync.Once
}

// Begin opens a connection to a responder and begins a request that [WithBegun] hands to a later [Do]. A worker waits
// for the rest until Close.
func Begin(ctx context.Context, network, addr string) (*Begun, error) {
	conn, err := socket.Dial(ctx, network, addr)
	if err != nil {
		return nil, &ConnError{Op: "dial", Addr: addr, Err: contextFirst(ctx, err)}
	}
	b := &Begun{conn: conn, network: network, addr: addr, since: time.Now()}
	if b.sent, err = conn.Write([]byte{version1}); err != nil {
		conn.Close()
		return nil, &ConnError{Op: "write", Addr: addr, Err: contextFirst(ctx, err)}
	}
	return b, nil
}

// Age is how long ago the request began.
func (b *Begun) Age() time.Duration { return time.Since(b.since) }

// Close gives the connection up, unless a Do has taken it.
func (b *Begun) Close() { b.once.Do(func() { b.conn.Close() }) }

type begunKey struct{}

// WithBegun makes the first Do with this context that goes to the same address use b, instead of a connection that it
// opens itself.
func WithBegun(ctx context.Context, b *Begun) context.Context {
	return context.WithValue(ctx, begunKey{}, b)
}

// connect takes the context's begun connection, or opens one.
func connect(ctx context.Context, network, addr string) (*Begun, error) {
	if b, ok := ctx.Value(begunKey{}).(*Begun); ok && b.network == network && b.addr == addr {
		taken := false
		b.once.Do(func() { taken = true })
		if taken {
			return b, nil
		}
	}
	conn, err := socket.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &Begun{conn: conn}, nil
}

// skipper leaves out what has been sent already.
type skipper struct {
	w    io.Writer
	skip int
}

func (s *skipper) Write(p []byte) (int, error) {
	n := min(s.skip, len(p))
	s.skip -= n
	if n == len(p) {
		return n, nil
	}
	m, err := s.w.Write(p[n:])
	return n + m, err
}
