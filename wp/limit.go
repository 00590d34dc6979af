package wp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// limiter bounds what is read from the server, which may be a customer's.
type limiter struct {
	size atomic.Int64 // bytes
	left atomic.Int64
	over atomic.Pointer[error]

	greeting atomic.Bool // a handshake is on
	conn     net.Conn    // its connection; whoever connects may use it
}

// allow starts a new answer.
func (l *limiter) allow(n int64) {
	l.size.Store(n)
	l.left.Store(n)
	l.over.Store(nil)
}

// exceeded is why the answer was cut off, nil if it was not.
func (l *limiter) exceeded() error {
	if e := l.over.Load(); e != nil {
		return *e
	}
	return nil
}

func (l *limiter) refuse(err error) error {
	l.over.Store(&err)
	return err
}

// dialled notes the connection of a handshake, and with nil closes the one that was noted if it came to nothing: the
// driver forgets its own when it panics.
func (l *limiter) dialled(c net.Conn, failed bool) {
	if c == nil && failed && l.conn != nil {
		_ = l.conn.Close() // it may have been
	}
	l.conn = c
}

// limitedConn reads a bounded answer, and none whose first packet announces
// more columns than one byte counts: the driver would allocate as many as the
// server says.
type limitedConn struct {
	net.Conn
	limit  *limiter
	asked  atomic.Bool // a command was sent and its answer has not begun
	stage  stage
	ready  []byte  // of a handshake: read and not yet handed on
	header [4]byte // of the packet being read: length, then sequence number
	have   int     // bytes of it
	body   int     // bytes of the packet still to come
	first  bool    // the next byte of the body is the first
}

// Write notes commands: their sequence numbers start from 0.
func (c *limitedConn) Write(b []byte) (int, error) {
	if len(b) > 4 && b[3] == 0 {
		c.asked.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *limitedConn) Read(b []byte) (int, error) {
	if len(c.ready) == 0 && c.limit.greeting.Load() {
		if err := c.packet(); err != nil && len(c.ready) == 0 {
			return 0, err
		}
	}
	if len(c.ready) > 0 {
		n := copy(b, c.ready)
		c.ready = c.ready[n:]
		return n, nil
	}
	n, err := c.counted().Read(b)
	if !c.follow(b[:n]) {
		return 0, c.limit.refuse(fmt.Errorf("%w: an answer of hundreds of columns", errProtocol))
	}
	return n, err
}

// counted reads what the limit allows.
func (c *limitedConn) counted() io.Reader { return countedReader{c} }

type countedReader struct{ c *limitedConn }

func (r countedReader) Read(b []byte) (int, error) {
	n, err := r.c.Conn.Read(b)
	if l := r.c.limit; l.left.Add(-int64(n)) < 0 {
		return 0, l.refuse(fmt.Errorf("%w: the server's answer has more than %d bytes", errTooLarge, l.size.Load()))
	}
	return n, err
}

// SyscallConn lets the driver look whether an idle connection has ended.
func (c *limitedConn) SyscallConn() (syscall.RawConn, error) {
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.SyscallConn()
}

// follow keeps track of packets; false if an answer begins with a column count
// of several bytes (https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html).
func (c *limitedConn) follow(b []byte) bool {
	for len(b) > 0 {
		if c.body == 0 {
			n := copy(c.header[c.have:], b)
			c.have += n
			b = b[n:]
			if c.have < len(c.header) {
				return true
			}
			c.have = 0
			c.body = int(c.header[0]) | int(c.header[1])<<8 | int(c.header[2])<<16
			c.first = true
			continue
		}
		if c.first {
			c.first = false
			if c.asked.Swap(false) && b[0] >= 0xfc && b[0] <= 0xfe {
				return false
			}
		}
		n := min(c.body, len(b))
		c.body -= n
		b = b[n:]
	}
	return true
}
