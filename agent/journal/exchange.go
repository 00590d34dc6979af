package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// swapping is the replacing of one file, under way. The new content is written as fresh,
// and gets the name spare when it is whole and durable: only so a file cut short by a
// power cut is never taken for what somebody saved.
type swapping struct {
	*work
	at                 *folder
	name, spare, fresh string
	whole              string
}

func (w *work) swapping(at *folder, s Step) *swapping {
	spare := w.spare(s)
	return &swapping{work: w, at: at, name: path.Base(s.File.Path), spare: spare, fresh: spare + ".new", whole: s.whole()}
}

func (x *swapping) rename(from, to string, flags uint) error {
	return x.disk.call("renameat2", func() error {
		return eintr(func() error { return unix.Renameat2(x.at.fd, from, x.at.fd, to, flags) })
	})
}

func (x *swapping) drop() error { return x.unlink(x.spare) }

func (x *swapping) unlink(name string) error {
	err := x.disk.call("unlink", func() error { return unix.Unlinkat(x.at.fd, name, 0) })
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", path.Join(x.at.path, name), err)
	}
	return nil
}

// replace puts another content in the place of from and proves that it was from that
// it replaced: an editor may have saved at the same moment, and nothing of his is lost.
// Only one who opened the old file before and writes into it after the proof is not seen.
func (w *work) replace(at *folder, s Step, now *held, from, to []byte) error {
	x := w.swapping(at, s)
	if to == nil {
		return x.remove(from)
	}
	mine, err := x.write(s, now, to)
	if err == nil {
		err = x.rename(x.fresh, x.spare, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		return errors.Join(err, x.unlink(x.fresh))
	}
	if from == nil {
		err := x.rename(x.spare, x.name, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EEXIST) {
			return errors.Join(&RefusedError{What: x.whole + " has just been made by somebody else", Do: "look again"}, x.drop())
		}
		if err != nil {
			return fmt.Errorf("make %s: %w", x.whole, err)
		}
		return x.finish(mine)
	}
	if err := x.rename(x.spare, x.name, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("replace %s: %w", x.whole, err)
	}
	if old, err := at.held(x.spare); err != nil || !old.is(from) {
		return x.back(mine)
	}
	if err := x.finish(mine); err != nil {
		return err
	}
	if err := x.drop(); err != nil {
		return err
	}
	return w.disk.sync(at.path, at.fd)
}

// back gives the name to what was taken from it.
func (x *swapping) back(mine Identity) error {
	refused := &RefusedError{What: x.whole + " was saved by somebody at the very moment of its replacing", Do: "look again"}
	if err := x.rename(x.spare, x.name, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("%w; what was saved lies at %s and cannot be put back: %w", refused, path.Join(x.at.path, x.spare), err)
	}
	if o, err := identify(x.at.fd, x.spare); err != nil || o == nil || !mine.is(o.Identity) {
		// Saved once more meanwhile: the newest stays.
		if err := x.rename(x.spare, x.name, unix.RENAME_EXCHANGE); err != nil {
			return fmt.Errorf("%w; what was saved last lies at %s: %w", refused, path.Join(x.at.path, x.spare), err)
		}
	}
	return errors.Join(refused, x.drop(), x.disk.sync(x.at.path, x.at.fd))
}

// finish makes a new content durable at its name.
func (x *swapping) finish(mine Identity) error {
	o, err := identify(x.at.fd, x.name)
	if err != nil {
		return fmt.Errorf("look at %s: %w", x.whole, err)
	}
	if o == nil || !mine.is(o.Identity) {
		return &RefusedError{What: x.whole + " was exchanged at the very moment of its replacing", Do: "see who changes it"}
	}
	return x.disk.sync(x.at.path, x.at.fd)
}

// remove takes the file away if it is what was meant.
func (x *swapping) remove(from []byte) error {
	if err := x.rename(x.name, x.spare, unix.RENAME_NOREPLACE); err != nil {
		return fmt.Errorf("remove %s: %w", x.whole, err)
	}
	if old, err := x.at.held(x.spare); err != nil || !old.is(from) {
		refused := &RefusedError{What: x.whole + " was saved by somebody at the very moment of its removal", Do: "look again"}
		if err := x.rename(x.spare, x.name, unix.RENAME_NOREPLACE); err != nil {
			return fmt.Errorf("%w; what was saved lies at %s: %w", refused, path.Join(x.at.path, x.spare), err)
		}
		return refused
	}
	if err := x.drop(); err != nil {
		return err
	}
	return x.disk.sync(x.at.path, x.at.fd)
}

// write makes the new file beside the old one, whole and durable, and as the old one
// in all but content.
func (x *swapping) write(s Step, now *held, to []byte) (mine Identity, err error) {
	fd := -1
	whole := path.Join(x.at.path, x.fresh)
	err = x.disk.call("create", func() error {
		return eintr(func() (err error) {
			fd, err = unix.Openat(x.at.fd, x.fresh, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
			return err
		})
	})
	if fd < 0 {
		return mine, fmt.Errorf("create %s: %w", whole, err)
	}
	f := os.NewFile(uintptr(fd), whole)
	defer func() { err = errors.Join(err, f.Close()) }()
	if err != nil {
		return mine, fmt.Errorf("create %s: %w", whole, err)
	}
	if err := x.disk.call("write", func() error { _, err := f.Write(to); return err }); err != nil {
		return mine, err
	}
	mode, attrs := s.File.Mode, []attr{}
	if now != nil {
		mode, attrs = now.mode, now.attrs
	} else if len(s.File.Label) > 0 {
		attrs = []attr{{selinux, s.File.Label}}
	}
	err = x.disk.call("chown", func() error { return unix.Fchown(fd, int(mode.UID), int(mode.GID)) })
	if err == nil {
		err = x.disk.call("chmod", func() error { return unix.Fchmod(fd, uint32(mode.Mode)) })
	}
	if err != nil {
		return mine, fmt.Errorf("give %s to the owner of %s: %w", whole, x.whole, err)
	}
	for _, a := range attrs {
		if err := x.disk.call("setxattr", func() error { return unix.Fsetxattr(fd, a.name, a.value, 0) }); err != nil {
			return mine, fmt.Errorf("give %s the attribute %s of %s: %w", whole, a.name, x.whole, err)
		}
	}
	if err := x.disk.sync("file", fd); err != nil {
		return mine, err
	}
	o, err := identify(fd, "")
	if err != nil {
		return mine, fmt.Errorf("look at %s: %w", whole, err)
	}
	return o.Identity, nil
}

// tidied clears away what an interrupted exchange left, and reads the file. A crash
// between the exchange and the proof may have left somebody's newest save under the
// spare name: that one gets its name back.
func (w *work) tidied(s Step) (at *folder, now *held, err error) {
	if at, now, err = s.now(); err != nil {
		return nil, nil, err
	}
	x := w.swapping(at, s)
	left, err := at.held(x.spare)
	cut, cerr := identify(at.fd, x.fresh)
	if err = errors.Join(err, cerr); err == nil && cut != nil {
		err = x.unlink(x.fresh)
	}
	switch {
	case err == nil && left == nil && cut == nil:
		return at, now, nil
	case err != nil, left == nil:
	case left.unfinished(s.File):
		err = x.drop()
	case now == nil && s.File.After == nil && left.is(s.File.Before) && left.mode == s.File.Mode:
		err = x.rename(x.spare, x.name, unix.RENAME_NOREPLACE)
	case left.is(s.File.Before), left.is(s.File.After):
		err = x.drop()
	case now == nil:
		err = x.rename(x.spare, x.name, unix.RENAME_NOREPLACE)
	case now.is(s.File.Before), now.is(s.File.After):
		if err = x.rename(x.spare, x.name, unix.RENAME_EXCHANGE); err == nil {
			err = x.drop()
		}
	default:
		err = &RefusedError{What: fmt.Sprintf("both %s and %s hold what somebody wrote", x.whole, path.Join(at.path, x.spare)), Do: "keep the one that is right at the first name, and remove the other"}
	}
	if err == nil {
		err = w.disk.sync(at.path, at.fd)
	}
	at.close()
	if err != nil {
		return nil, nil, err
	}
	return s.now()
}

// unfinished tells what an earlier version was writing when it died: under the spare
// name itself, root's and 0600 until it was whole. A file that is so anyway does not tell.
func (h *held) unfinished(f *File) bool {
	fresh := h.mode.UID == 0 && h.mode.Mode == 0o600
	return fresh && (f.Mode.UID != 0 || f.Mode.Mode != 0o600) && (bytes.HasPrefix(f.After, h.data) || bytes.HasPrefix(f.Before, h.data))
}
