package errlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxWindow bounds what one window holds in memory, whatever is asked for.
const maxWindow = 64 << 20

// Mark is a place in a growing file: its end when the mark was made. The zero Mark is the place before a file that
// did not exist.
type Mark struct {
	Dev, Ino uint64
	Size     int64
}

// MarkFile marks the present end of the log at path; a log that does not exist yet gives the zero Mark.
func MarkFile(path string) (Mark, error) {
	f, st, err := openLog(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Mark{}, nil
	}
	if err != nil {
		return Mark{}, err
	}
	defer f.Close()
	return Mark{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size}, nil
}

// ReadSince returns what was written to the log at path after m, at most the last limit bytes (and never more than
// 64 MiB); when it has to leave something out, the result begins at the start of a line.
//
//   - the same file, not smaller: from the mark on
//   - the same file, but smaller: it was truncated (logrotate's copytruncate), so all of it; a file that has since
//     outgrown the mark cannot be told from one that only grew
//   - another file: what is new in path.1, if that is the marked one, then all of path
//   - no file: nothing, or what is new in path.1
func ReadSince(path string, m Mark, limit int64) ([]byte, error) {
	limit = min(limit, maxWindow)
	if limit <= 0 {
		return nil, nil
	}
	f, st, err := openLog(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return rotated(path, m, limit), nil
	case err != nil:
		return nil, err
	}
	defer f.Close()
	if uint64(st.Dev) == m.Dev && st.Ino == m.Ino {
		from := m.Size
		if st.Size < m.Size {
			from = 0
		}
		return readWindow(f, from, st.Size, limit)
	}
	fresh, err := readWindow(f, 0, st.Size, limit)
	if err != nil || st.Size >= limit-1 {
		return fresh, err
	}
	old := rotated(path, m, limit-1-st.Size)
	if len(old) > 0 && old[len(old)-1] != '\n' {
		// The last line of a rotated file has ended, whether or not its newline was written.
		old = append(old, '\n')
	}
	return append(old, fresh...), nil
}

// rotated returns what came after m in path.1, or nothing if that is not the marked file. Anything else in its
// place, a link or a pipe, is not the marked file either, so it is no error.
func rotated(path string, m Mark, limit int64) []byte {
	f, st, err := openLog(path + ".1")
	if err != nil {
		return nil
	}
	defer f.Close()
	if uint64(st.Dev) != m.Dev || st.Ino != m.Ino || st.Size <= m.Size {
		return nil
	}
	old, err := readWindow(f, m.Size, st.Size, limit)
	if err != nil {
		return nil
	}
	return old
}

// ReadTail returns the last limit bytes of the log at path (never more than 64 MiB), from the start of a line. A log that does not exist
// is an error that wraps fs.ErrNotExist.
func ReadTail(path string, limit int64) ([]byte, error) {
	f, st, err := openLog(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readWindow(f, 0, st.Size, min(limit, maxWindow))
}

// readWindow reads f from offset from to offset to, at most the last limit bytes of it.
func readWindow(f *os.File, from, to, limit int64) ([]byte, error) {
	if to-from <= limit {
		return readRange(f, from, to)
	}
	// One byte more tells whether the cut falls on the start of a line.
	b, err := readRange(f, to-limit-1, to)
	if err != nil {
		return nil, err
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, nil
	}
	return b[i+1:], nil
}

// readRange reads what there is between two offsets; a file that shrank meanwhile gives less.
func readRange(f *os.File, from, to int64) ([]byte, error) {
	if to <= from {
		return nil, nil
	}
	b, err := io.ReadAll(io.NewSectionReader(f, from, to-from))
	if err != nil {
		return nil, fmt.Errorf("read log %s: %w", f.Name(), err)
	}
	return b, nil
}
