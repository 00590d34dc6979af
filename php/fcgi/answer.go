package fcgi

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
)

// Bounds on what is worth nothing: a server that sends only this is not answering.
const (
	maxIdleRecords = 1000     // records in a row that carry neither output nor an end
	maxStderrRead  = 64 << 20 // standard error read and dropped, with its records' heads, bytes
)

// answer gathers one response from its records.
type answer struct {
	limits     Limits
	records    int
	idle       int
	stderrRead int

	raw        []byte // stdout until the header's blank line is found
	headed     bool
	stdoutDone bool

	status      int
	header      http.Header
	headerBytes int
	headerWire  int
	body        []byte
	stderr      []byte
	appStatus   uint32
	truncated   bool
}

func (a *answer) response() *Response {
	return &Response{
		Status: a.status, Header: a.header, HeaderBytes: a.headerBytes, HeaderWire: a.headerWire,
		Body: a.body, Stderr: a.stderr, AppStatus: a.appStatus, Truncated: a.truncated,
	}
}

// readFrom reads until END_REQUEST, a full body, or an error.
func (a *answer) readFrom(r io.Reader) error {
	rr := newRecordReader(r)
	for {
		rec, err := rr.next()
		if err != nil && rec.typ == typeEndRequest {
			return err // half an end says nothing
		}
		done, takeErr := a.take(rec)
		switch {
		case takeErr != nil:
			return takeErr
		case err != nil:
			return err
		case done:
			return nil
		}
	}
}

// take uses one record, or what came of one.
func (a *answer) take(rec record) (done bool, err error) {
	if rec.typ != 0 {
		a.records++
	}
	a.idle++
	if len(rec.content) > 0 && (rec.typ == typeStdout || rec.typ == typeStderr) {
		a.idle = 0
	}
	if a.idle > maxIdleRecords {
		return false, &ProtocolError{fmt.Sprintf("%d records in a row without output", a.idle)}
	}
	switch rec.typ {
	case 0: // nothing came of it
		return false, nil
	case typeStdout:
		return a.takeStdout(rec)
	case typeStderr:
		return false, a.takeStderr(rec.content)
	case typeEndRequest:
		return true, a.end(rec.content)
	default:
		return false, &ProtocolError{fmt.Sprintf("unexpected record of type %d", rec.typ)}
	}
}

func (a *answer) takeStdout(rec record) (done bool, err error) {
	if len(rec.content) == 0 {
		a.stdoutDone = true
		return false, nil
	}
	if a.stdoutDone {
		return false, &ProtocolError{"output after the end of the output stream"}
	}
	if a.headed {
		return a.takeBody(rec.content), nil
	}
	seen := len(a.raw)
	a.raw = append(a.raw, rec.content...)
	// The blank line may have begun in the record before: its last three bytes are looked at again.
	end := headerEnd(a.raw, max(0, seen-3))
	if end < 0 && len(a.raw) > a.limits.Header || end > a.limits.Header {
		return false, &HeaderError{fmt.Sprintf("longer than %d bytes", a.limits.Header), cutBytes(a.raw)}
	}
	if end < 0 {
		return false, nil
	}
	a.headerBytes = end
	a.headerWire = int(rec.start) + headLen + end - seen
	if a.status, a.header, err = parseHeader(a.raw[:end]); err != nil {
		return false, err
	}
	a.headed = true
	rest := a.raw[end:]
	a.raw = nil
	return a.takeBody(rest), nil
}

// takeBody reports whether the body is full.
func (a *answer) takeBody(b []byte) (full bool) {
	room := a.limits.Body - len(a.body)
	a.body = append(a.body, b[:min(room, len(b))]...)
	a.truncated = len(b) > room
	return a.truncated
}

func (a *answer) takeStderr(b []byte) error {
	a.stderr = append(a.stderr, b[:min(a.limits.Stderr-len(a.stderr), len(b))]...)
	if a.stderrRead += headLen + len(b); a.stderrRead > maxStderrRead {
		return &ProtocolError{fmt.Sprintf("more than %d MiB of standard error", maxStderrRead>>20)}
	}
	return nil
}

// end reads END_REQUEST: four bytes of application status, one of protocol status, three reserved.
func (a *answer) end(b []byte) error {
	if len(b) != 8 {
		return &ProtocolError{fmt.Sprintf("end of request of %d bytes instead of 8", len(b))}
	}
	a.appStatus = binary.BigEndian.Uint32(b)
	if b[4] != 0 {
		return &RefusedError{b[4]}
	}
	if !a.headed {
		return &HeaderError{"the request ended before the header did", cutBytes(a.raw)}
	}
	return nil
}
