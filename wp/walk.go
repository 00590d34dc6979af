package wp

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrRefused is what a path ends in when it goes through a link that is not
// followed, or to a file that the link's maker could not have read.
var ErrRefused = errors.New("refused")

// maxLinks is the kernel's own bound on links in one path (path_resolution(7)).
const maxLinks = 40

// place is where a walk stands: an O_PATH descriptor and what fstat says of it.
// All judging and all reading is done on the descriptor, so that nothing can be
// exchanged between the two.
type place struct {
	fd   int
	name string
	st   unix.Stat_t
}

func openPlace(dirfd int, name string) (place, error) {
	var p place
	fd, err := retry(func() (int, error) {
		return unix.Openat(dirfd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return p, err
	}
	p = place{fd: fd, name: name}
	if err := unix.Fstat(fd, &p.st); err != nil {
		unix.Close(fd)
		return place{}, err
	}
	return p, nil
}

func (p place) isDir() bool  { return p.st.Mode&unix.S_IFMT == unix.S_IFDIR }
func (p place) isLink() bool { return p.st.Mode&unix.S_IFMT == unix.S_IFLNK }
func (p place) close()       { unix.Close(p.fd) }

// walk resolves a path one name at a time. Until it meets a link it goes where
// the names lead, which cannot be out of the folder it started in. From the
// first link on, every folder it passes must belong to a trusted user, be
// closed to other writers, and be open to whoever could have made the link:
// root's eyes must not show a customer what the customer may not see.
type walk struct {
	at      place
	trusted []uint32 // users who may make links and own what they lead to; nil: judged by the caller
	readers []uint32 // who must be able to read what is found: empty until a link is met
	always  []uint32 // the same, from the beginning on
	group   *uint32  // of the site's owner, besides those that the host knows
	makers  []uint32 // who, other than root, made the links that were followed
	passed  []uint32 // who, other than root, owns a folder on the way, while links are judged by the caller
	links   int
	open    error // the first folder that others can write; only matters for a link below it
}

// to goes along names. The last one is followed, if it is a link, only if asked.
func (w *walk) to(names []string, followLast bool) error {
	if err := w.pass(); err != nil {
		return err
	}
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		if name == "" || name == "." {
			continue
		}
		if !w.at.isDir() {
			return unix.ENOTDIR
		}
		next, err := openPlace(w.at.fd, name)
		if err != nil {
			return err
		}
		if next.isLink() && (len(names) > 0 || followLast) {
			target, err := w.follow(next)
			next.close()
			if err != nil {
				return err
			}
			names = append(strings.Split(target, "/"), names...)
			continue
		}
		w.at.close()
		w.at = next
		if err := w.pass(); err != nil {
			return err
		}
	}
	return nil
}

// follow judges a link and gives its target; an absolute one restarts the walk
// at the root folder.
func (w *walk) follow(link place) (string, error) {
	if w.links++; w.links > maxLinks {
		return "", unix.ELOOP
	}
	if w.trusted != nil {
		if w.open != nil {
			return "", fmt.Errorf("%w: the link %q is in a folder that is not its owner's alone: %w", ErrRefused, link.name, w.open)
		}
		if !slices.Contains(w.trusted, link.st.Uid) {
			return "", fmt.Errorf("%w: the link %q belongs to %s, not to root or the site's owner", ErrRefused, link.name, userName(link.st.Uid))
		}
		w.readers = append(w.readers, w.trusted[0], link.st.Uid, w.at.st.Uid)
	} else {
		// Who owns a folder above cannot make a link of root's, but choose among those there are.
		w.readers = append(w.readers, w.passed...)
		if link.st.Uid != 0 {
			w.readers = append(w.readers, link.st.Uid)
			w.makers = append(w.makers, link.st.Uid)
		}
	}
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link.fd, "", target)
	if err != nil {
		return "", err
	}
	if target[0] == '/' {
		top, err := openPlace(unix.AT_FDCWD, "/")
		if err != nil {
			return "", err
		}
		w.at.close()
		w.at = top
		if err := w.pass(); err != nil {
			return "", err
		}
	}
	return string(target[:n]), nil
}

// pass judges the place that the walk has come to.
func (w *walk) pass() error {
	if w.at.isDir() && w.open == nil && w.trusted != nil {
		w.open = w.writers()
	}
	switch {
	case w.trusted == nil && w.at.st.Uid != 0:
		w.passed = append(w.passed, w.at.st.Uid)
	case w.trusted != nil && w.at.isDir() && !slices.Contains(w.trusted, w.at.st.Uid):
		w.always = append(w.always, w.trusted[0]) // a stranger's folder in the site's
	}
	if len(w.readers) > 0 && w.trusted != nil {
		if w.open != nil {
			return fmt.Errorf("%w: the link leads through a folder that is not its owner's alone: %w", ErrRefused, w.open)
		}
		if !slices.Contains(w.trusted, w.at.st.Uid) {
			return fmt.Errorf("%w: the link leads to %q, which belongs to %s, not to root or the site's owner", ErrRefused, w.at.name, userName(w.at.st.Uid))
		}
	}
	if w.at.isDir() {
		return w.grants(1)
	}
	return nil
}

// writers tells who but a trusted user could exchange what is in this folder. A
// sticky folder (/tmp) passes: there only its owner can exchange an entry, and
// the entry's owner is judged in turn.
func (w *walk) writers() error {
	st := w.at.st
	switch {
	case !slices.Contains(w.trusted, st.Uid):
		return fmt.Errorf("%q belongs to %s", w.at.name, userName(st.Uid))
	case st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0:
		return fmt.Errorf("%q has mode %04o, so others can write there", w.at.name, st.Mode&0o7777)
	}
	return nil
}

// grants says whether all readers have the permission bit (4 read, 1 search).
func (w *walk) grants(bit uint32) error {
	for _, uid := range w.readers {
		if !permits(w.at.st, uid, bit) {
			return fmt.Errorf("%w: %s could not read %q, so no link may lead there", ErrRefused, userName(uid), w.at.name)
		}
	}
	for _, uid := range w.always {
		own := w.group != nil && uid == w.trusted[0] && w.at.st.Gid == *w.group && w.at.st.Mode&(bit<<3) != 0
		if !own && !permits(w.at.st, uid, bit) {
			return fmt.Errorf("%w: %s could not read %q", ErrRefused, userName(uid), w.at.name)
		}
	}
	return nil
}

// led judges who made the links on the way to a folder: nobody can lead us into what
// is not his, the site's owner at most into what is root's.
func (w *walk) led(owner uint32) error {
	for _, uid := range w.makers {
		switch {
		case uid == w.at.st.Uid:
		case uid != owner:
			return fmt.Errorf("%w: a link on the way belongs to %s, not to root or the site's owner", ErrRefused, userName(uid))
		case w.at.st.Uid != 0:
			return fmt.Errorf("%w: a link on the way belongs to %s, and the folder that it leads to to %s", ErrRefused, userName(uid), userName(w.at.st.Uid))
		}
	}
	return nil
}

// permits answers access(2) for a user from owner, group and mode. ACLs are not
// read: where only they would permit, the answer is no.
func permits(st unix.Stat_t, uid, bit uint32) bool {
	switch {
	case uid == 0:
		return true
	case st.Uid == uid:
		return st.Mode&(bit<<6) != 0
	case st.Mode&bit != 0:
		return true
	case st.Mode&(bit<<3) == 0:
		return false
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return false
	}
	groups, err := u.GroupIds()
	return err == nil && slices.Contains(groups, strconv.FormatUint(uint64(st.Gid), 10))
}

func userName(uid uint32) string {
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", uid)
}

// retry repeats a system call that a signal interrupted: Go's own preemption
// signals do that on slow file systems.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
