package fcgi

import (
	"fmt"
	"strconv"
)

// ConnError says at which point the connection failed. Err is the end of the context if that was the reason, else
// the system's own error.
//
//   - dial: nobody answered; for a unix socket EAGAIN means that its backlog is full, as all workers are busy
//   - write: the connection ended before the request was out whole, and nothing had come back
//   - read: the worker died (io.ErrUnexpectedEOF, ECONNRESET) or hung (the context's error) before END_REQUEST
type ConnError struct {
	Op   string // dial | write | read
	Addr string
	Err  error
}

func (e *ConnError) Error() string {
	switch e.Op {
	case "dial":
		return fmt.Sprintf("cannot connect to fastcgi %s: %v", e.Addr, e.Err)
	case "write":
		return fmt.Sprintf("cannot send the request to fastcgi %s: %v", e.Addr, e.Err)
	default:
		return fmt.Sprintf("fastcgi %s: no answer until the end of the request: %v", e.Addr, e.Err)
	}
}

func (e *ConnError) Unwrap() error { return e.Err }

// HeaderError is a CGI header that no gateway would pass on: nginx answers 502 to it.
type HeaderError struct {
	Reason string
	Bytes  []byte // the offending line or the header's start, cut; nil when there was nothing
}

func (e *HeaderError) Error() string {
	if len(e.Bytes) == 0 {
		return "invalid cgi header: " + e.Reason
	}
	return fmt.Sprintf("invalid cgi header: %s: %s", e.Reason, quoteCut(e.Bytes))
}

// ProtocolError says that the other end does not speak FastCGI as a responder should.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "not a fastcgi responder: " + e.Reason }

// RefusedError is an END_REQUEST with a protocol status other than "request complete".
type RefusedError struct{ Status uint8 }

func (e *RefusedError) Error() string {
	switch e.Status {
	case 1:
		return "request refused: the responder cannot multiplex connections"
	case 2:
		return "request refused: the responder is overloaded"
	case 3:
		return "request refused: the server has no responder role"
	default:
		return "request refused with unknown protocol status " + strconv.Itoa(int(e.Status))
	}
}

// quotedBytes is how much of a hostile answer an error repeats.
const quotedBytes = 120

func quoteCut(b []byte) string {
	if len(b) > quotedBytes {
		return strconv.QuoteToASCII(string(b[:quotedBytes])) + "…"
	}
	return strconv.QuoteToASCII(string(b))
}

// cutBytes keeps the start of b for an error, without holding on to the buffer behind it.
func cutBytes(b []byte) []byte {
	return append([]byte(nil), b[:min(len(b), quotedBytes+1)]...)
}

// connectionEnd marks an error of the connection itself, as against one of what came over it.
type connectionEnd struct{ err error }

func (e connectionEnd) Error() string { return e.err.Error() }
