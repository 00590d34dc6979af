package watch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/php/errlog"
)

// followed is one file.
type followed struct {
	path    string
	folder  *folder
	seen    errlog.Mark // what lay at path when it was last looked at; zero: nothing
	at      errlog.Mark // how far which file was read; zero: none yet, so the next one from its beginning
	tail    tail        // of that file; closed while it is idle
	old     *aside      // what lay at path before; nil: nothing, or that is over
	news    time.Time   // when it was last read
	queued  bool
	skipped bool   // noted that it grows too fast
	trouble string // noted
}

// name is the file's in its folder.
func (x *followed) name() string { return filepath.Base(filepath.Clean(x.path)) }

// aside is a file after its name was given to another: its server writes there until it is told to open the new one.
type aside struct {
	tail
	at    int64
	since time.Time
}

// tail is a file that is open; inside says that it was left within a line that is
// passed over.
type tail struct {
	*os.File
	inside bool
}

// seen is what lies at a path, by its name alone.
func seen(path string) errlog.Mark {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return errlog.Mark{}
	}
	return errlog.Mark{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size}
}

func same(a, b errlog.Mark) bool { return a.Dev == b.Dev && a.Ino == b.Ino }

// read takes what is new, within the bounds of a turn; more says that there is more.
func (f *Follower) read(x *followed, now time.Time) (n int64, more bool) {
	if x.seen = seen(x.path); x.seen != (errlog.Mark{}) || x.tail.File == nil {
		f.open(x, now)
	}
	if x.old != nil {
		if n, more = f.readOn(x, &x.old.tail, &x.old.at); !more && now.Sub(x.old.since) > f.pace.idle {
			f.finish(x)
		}
	}
	if x.tail.File != nil {
		m, moreNew := f.readOn(x, &x.tail, &x.at.Size)
		if n, more = n+m, more || moreNew; m > 0 {
			x.news = now
		}
	}
	if !more {
		x.skipped = false
	}
	if f.opened > f.pace.open {
		f.shut(x)
	}
	return n, more
}

// open sees to it that tail is what lies at the path now.
func (f *Follower) open(x *followed, now time.Time) {
	if x.tail.File != nil && same(x.at, x.seen) {
		return
	}
	file, mark, err := errlog.Open(x.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	f.complain(x, err)
	x.news = now
	if file != nil && same(x.at, mark) && x.tail.File == nil {
		x.tail.File = file
		f.opened++
		return
	}
	f.setAside(x, now)
	x.at = errlog.Mark{}
	if file != nil {
		x.at, x.tail = errlog.Mark{Dev: mark.Dev, Ino: mark.Ino}, tail{File: file}
		f.opened++
	}
}

// setAside keeps what lay at the path before, as far as it can still be had.
func (f *Follower) setAside(x *followed, now time.Time) {
	if x.tail.File == nil && x.at != (errlog.Mark{}) {
		if file, mark, err := errlog.Open(x.path + ".1"); err == nil && same(x.at, mark) {
			x.tail.File = file
			f.opened++
		} else if err == nil {
			closeRead(file)
		}
	}
	if x.tail.File == nil {
		return
	}
	f.finish(x)
	x.old = &aside{x.tail, x.at.Size, now}
	x.tail = tail{}
}

// readOn takes whole lines from at on.
func (f *Follower) readOn(x *followed, t *tail, at *int64) (n int64, more bool) {
	var st unix.Stat_t
	if err := unix.Fstat(int(t.Fd()), &st); err != nil {
		f.complain(x, fmt.Errorf("stat log: %w", err))
		return 0, false
	}
	if st.Size < *at { // truncated
		*at, t.inside = 0, false
	}
	if ahead := st.Size - *at; ahead > f.pace.backlog {
		if !x.skipped {
			f.note(x.path, fmt.Sprintf("grows faster than it is read: %d bytes were skipped, and more will be", ahead-f.pace.file))
			x.skipped = true
		}
		*at, t.inside = st.Size-f.pace.file, true
	}
	for n < f.pace.file {
		read, err := t.ReadAt(f.buffer, *at)
		if err != nil && !errors.Is(err, io.EOF) {
			f.complain(x, fmt.Errorf("read log: %w", err))
			return n, false
		}
		used := f.tell(x.path, f.buffer[:read], &t.inside)
		n, *at = n+int64(used), *at+int64(used)
		if read < len(f.buffer) {
			return n, false
		}
	}
	return n, true
}

// tell gives whole lines on and says how many bytes are done with: a line without an
// end stays where it is, unless it is longer than lines are.
func (f *Follower) tell(path string, text []byte, inside *bool) (used int) {
	if *inside {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return len(text)
		}
		used, *inside = i+1, false
	}
	end := bytes.LastIndexByte(text, '\n') + 1
	if end > used {
		f.take(path, text[used:end])
		used = end
	}
	if len(text)-used > maxLine {
		used, *inside = len(text), true
	}
	return used
}

// finish ends the reading of the old file: its last line has ended, with a newline or
// without.
func (f *Follower) finish(x *followed) {
	if x.old == nil {
		return
	}
	n, err := x.old.ReadAt(f.buffer[:maxLine], x.old.at)
	if n > 0 && !x.old.inside && (err == nil || errors.Is(err, io.EOF)) {
		f.buffer[n] = '\n'
		f.take(x.path, f.buffer[:n+1])
	}
	f.drop(x)
}

// drop closes the old file.
func (f *Follower) drop(x *followed) {
	if x.old != nil {
		closeRead(x.old.File)
		f.opened--
		x.old = nil
	}
}

// shut closes the file until there is news; of one that is gone nothing is kept.
func (f *Follower) shut(x *followed) {
	if x.tail.File == nil {
		return
	}
	closeRead(x.tail.File)
	f.opened--
	x.tail.File = nil
	if x.seen == (errlog.Mark{}) {
		x.at, x.tail = errlog.Mark{}, tail{}
	}
}

// closeRead closes a file that was only read: nothing can be lost.
func closeRead(file *os.File) { _ = file.Close() }

// complain notes what is wrong with a file, once.
func (f *Follower) complain(x *followed, err error) {
	what := ""
	if err != nil {
		what = err.Error()
	}
	if what != "" && what != x.trouble {
		f.note(x.path, what)
	}
	x.trouble = what
}
