package errlog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// lineReader returns lines without their ending (LF or CRLF), each cut at maxRecord bytes.
type lineReader struct {
	r    *bufio.Reader
	long []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 32<<10)}
}

// next returns a line, valid until the next call. The last one needs no ending; io.EOF comes after it.
func (l *lineReader) next() ([]byte, error) {
	chunk, err := l.r.ReadSlice('\n')
	if err == nil {
		return trimEnding(chunk), nil
	}
	l.long = l.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		l.keep(chunk)
		chunk, err = l.r.ReadSlice('\n')
	}
	l.keep(chunk)
	if err != nil && (!errors.Is(err, io.EOF) || len(l.long) == 0) {
		return nil, err
	}
	return trimEnding(l.long), nil
}

func (l *lineReader) keep(b []byte) {
	l.long = append(l.long, b[:min(maxRecord-len(l.long), len(b))]...)
}

func trimEnding(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// scanRecords joins lines into records: one begins where starts says so, and runs to the next. Lines before the
// first are passed over. It stops, without an error, when yield returns false.
func scanRecords(r io.Reader, starts func([]byte) bool, yield func(record []byte) bool) error {
	lines := newLineReader(r)
	var record []byte
	inside := false
	for {
		line, err := lines.next()
		if err != nil {
			if inside {
				yield(record)
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if starts(line) {
			if inside && !yield(record) {
				return nil
			}
			record, inside = append(record[:0], line...), true
			continue
		}
		if inside && len(record)+1 < maxRecord {
			record = append(record, '\n')
			record = append(record, line[:min(maxRecord-len(record), len(line))]...)
		}
	}
}
