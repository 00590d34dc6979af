package errlog

import "os"

// Open opens the log at path for one who follows it, with the same care as [MarkFile]; the mark is its present end.
// A log that does not exist is an error that wraps fs.ErrNotExist.
func Open(path string) (*os.File, Mark, error) {
	f, st, err := openLog(path)
	if err != nil {
		return nil, Mark{}, err
	}
	return f, Mark{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size}, nil
}
