package fcgi

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"
	"testing/iotest"
)

// Laws: no input panics or makes us keep more than the limits; how the bytes are cut on their way makes no
// difference.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		stdout("Status: 200 OK\r\nA: b\r\n\r\nbody") + end(0),
		stderrRec("words") + stdout("A: b\n") + stdout("\nbody") + stdout("") + end(0),
		rec(1, typeStdout, 1, "\n", 255) + end(2),
		stdout("\r\n\r\n\r\n") + stdout("x"),
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		rec(1, 11, 0, "", 3), rec(1, typeStdout, 1, "A: b", 8)[:10],
	} {
		f.Add([]byte(s))
	}
	limits := Limits{Header: 300, Body: 200, Stderr: 100}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, pieces := &answer{limits: limits}, &answer{limits: limits}
		err1 := whole.readFrom(bytes.NewReader(b))
		err2 := pieces.readFrom(iotest.OneByteReader(bytes.NewReader(b)))
		if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() {
			t.Errorf("whole: %v, in pieces: %v", err1, err2)
		}
		r, s := whole.response(), pieces.response()
		if r.Status != s.Status || !bytes.Equal(r.Body, s.Body) || !bytes.Equal(r.Stderr, s.Stderr) ||
			r.HeaderBytes != s.HeaderBytes || r.HeaderWire != s.HeaderWire || !maps.EqualFunc(r.Header, s.Header, slices.Equal) {
			t.Errorf("whole: %+v, in pieces: %+v", r, s)
		}
		if len(r.Body) > limits.Body || len(r.Stderr) > limits.Stderr || r.HeaderBytes > limits.Header {
			t.Errorf("limits passed: %+v", r)
		}
		if r.HeaderWire > len(b) || r.HeaderBytes > r.HeaderWire {
			t.Errorf("header of %d bytes, %d on the wire, in %d", r.HeaderBytes, r.HeaderWire, len(b))
		}
		if err1 == nil && r.Status < 100 {
			t.Errorf("status %d without an error", r.Status)
		}
	})
}

// Law: what the writer frames, the reader gives back.
func FuzzRecords(f *testing.F) {
	f.Add(uint8(typeStdin), []byte("content"))
	f.Add(uint8(typeParams), []byte{})
	f.Add(uint8(typeStdin), bytes.Repeat([]byte("x"), maxContent+1))
	f.Fuzz(func(t *testing.T, typ uint8, content []byte) {
		var wire bytes.Buffer
		w := &recordWriter{w: &wire}
		w.stream(typ, content)
		w.record(typ, nil)
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if wire.Len()%8 != 0 {
			t.Errorf("%d bytes on the wire: records are not aligned", wire.Len())
		}
		rr := newRecordReader(&wire)
		var got []byte
		for {
			rec, err := rr.next()
			if err != nil {
				t.Fatal(err)
			}
			if rec.typ != typ {
				t.Fatalf("type %d came back as %d", typ, rec.typ)
			}
			if len(rec.content) == 0 {
				break
			}
			got = append(got, rec.content...)
		}
		if !bytes.Equal(got, content) {
			t.Errorf("%d bytes came back as %d", len(content), len(got))
		}
		if _, err := rr.next(); !errors.As(err, new(connectionEnd)) {
			t.Errorf("after the last record: %v", err)
		}
	})
}

// Law: pairs come back as they were, whatever bytes they hold.
func FuzzParams(f *testing.F) {
	f.Add("REQUEST_METHOD", "GET", "A", "")
	f.Add("", "", "x", string(make([]byte, 130)))
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		params := map[string]string{n1: v1, n2: v2}
		got, ok := decodeParams(bytes.Join(encodeParams(params), nil))
		if !ok || !maps.Equal(got, params) {
			t.Errorf("%q came back as %q", params, got)
		}
	})
}

// A writer's first error ends it: what follows is not sent.
func TestWriterStops(t *testing.T) {
	t.Parallel()
	err := writeRequest(failingWriter{}, Request{Body: make([]byte, 10<<20)})
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
