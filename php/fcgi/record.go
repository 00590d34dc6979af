package fcgi

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Record types, roles and sizes of the FastCGI specification, sections 3.3 and 8.
const (
	typeBeginRequest = 1
	typeEndRequest   = 3
	typeParams       = 4
	typeStdin        = 5
	typeStdout       = 6
	typeStderr       = 7

	roleResponder = 1
	version1      = 1
	headLen       = 8
	maxContent    = 65535

	// requestID is the only one: a connection carries a single request.
	requestID = 1
)

// recordWriter frames streams; its first error sticks.
type recordWriter struct {
	w   io.Writer
	buf []byte
	err error
}

// writeChunk is how much is gathered before it is sent: a small request leaves in one write, a large body is not
// held twice.
const writeChunk = 128 << 10

func (w *recordWriter) record(typ uint8, content []byte) {
	pad := -len(content) & 7
	w.buf = append(w.buf, version1, typ, 0, requestID, byte(len(content)>>8), byte(len(content)), byte(pad), 0)
	w.buf = append(w.buf, content...)
	w.buf = append(w.buf, make([]byte, pad)...)
	if len(w.buf) >= writeChunk {
		w.err = w.flush()
	}
}

// stream sends content in as many records as it needs; the empty record that ends the stream is the caller's.
func (w *recordWriter) stream(typ uint8, content []byte) {
	for len(content) > 0 && w.err == nil {
		n := min(len(content), maxContent)
		w.record(typ, content[:n])
		content = content[n:]
	}
}

func (w *recordWriter) flush() error {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.w.Write(w.buf)
	}
	w.buf = w.buf[:0]
	return w.err
}

// record is one record as read. Content is valid until the next one is read.
type record struct {
	typ     uint8
	content []byte
	start   int64 // bytes that came before the record's head
}

// recordReader reads records with one buffer of the largest size that there is.
type recordReader struct {
	r    *bufio.Reader
	head [headLen]byte
	buf  []byte
	read int64
}

func newRecordReader(r io.Reader) *recordReader {
	return &recordReader{r: bufio.NewReaderSize(r, 16<<10)}
}

// next returns the next record of our request. When the connection ends within one, what came of its content is
// returned with the error.
func (rr *recordReader) next() (record, error) {
	head := rr.head[:]
	rec := record{start: rr.read}
	n, err := io.ReadFull(rr.r, head)
	rr.read += int64(n)
	if n > 0 && head[0] != version1 {
		return record{}, wrongVersion(head[:n])
	}
	if err != nil {
		return record{}, connectionEnd{unexpected(err)}
	}
	rec.typ = head[1]
	if id := binary.BigEndian.Uint16(head[2:]); id != requestID {
		return record{}, &ProtocolError{fmt.Sprintf("record of type %d for request %d, only %d was asked", rec.typ, id, requestID)}
	}
	size, pad := int(binary.BigEndian.Uint16(head[4:])), int(head[6])
	if cap(rr.buf) < size {
		rr.buf = make([]byte, max(size, 8<<10))
	}
	n, err = io.ReadFull(rr.r, rr.buf[:size])
	rr.read += int64(n)
	rec.content = rr.buf[:n]
	if err != nil {
		return rec, connectionEnd{unexpected(err)}
	}
	n, err = rr.r.Discard(pad)
	rr.read += int64(n)
	if err != nil {
		return rec, connectionEnd{unexpected(err)}
	}
	return rec, nil
}

func wrongVersion(head []byte) error {
	hint := ""
	if head[0] == 'H' {
		hint = ", as if an http server were listening there"
	}
	return &ProtocolError{fmt.Sprintf("record starts with %s instead of version 1%s", quoteCut(head), hint)}
}

// unexpected turns a clean end into what it is here: before END_REQUEST there is no good place to stop.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
