package journal

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// openRoot opens a site's root folder from / on, one name at a time. A link on the
// way counts if root made it where nobody else could; a link of another user counts
// only if it leads to a root folder of his own: nobody can lead wpmend into what is
// not his.
func openRoot(root string) (*folder, error) {
	at, err := enter(unix.AT_FDCWD, "/", "/")
	if err != nil {
		return nil, err
	}
	w := way{names: strings.Split(root, "/")}
	for len(w.names) > 0 && err == nil {
		at, err = w.step(at)
	}
	if err == nil {
		for _, maker := range w.makers {
			if maker != at.uid {
				err = &RefusedError{What: fmt.Sprintf("the way to %s goes through a link that uid %d could have made, but the folder belongs to uid %d", root, maker, at.uid),
					Do: "let the gateway's configuration name the real folder"}
			}
		}
	}
	if err != nil {
		at.close()
		return nil, err
	}
	return at, nil
}

// way is the rest of a way from / to a site's root.
type way struct {
	names   []string
	links   int
	passed  []uint32 // who, other than root, owns a folder that was passed
	makers  []uint32 // who, other than root, could have made a link that was followed
	writers error    // the first folder that others than its owner may write
}

// step goes on by one name. The folder that it leaves is closed; on an error the
// one that it came from is given back.
func (w *way) step(at *folder) (*folder, error) {
	name := w.names[0]
	w.names = w.names[1:]
	if name == "" || name == "." {
		return at, nil
	}
	whole := path.Join(at.path, name)
	o, err := identify(at.fd, name)
	if err == nil && o == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return at, &fs.PathError{Op: "open", Path: whole, Err: err}
	}
	w.pass(at)
	if o.Type == "link" {
		target, err := w.follow(at, name, o)
		if err != nil {
			return at, err
		}
		w.names = append(strings.Split(target, "/"), w.names...)
		if !path.IsAbs(target) {
			return at, nil
		}
		name, whole = "/", "/"
	}
	next, err := enter(at.fd, name, whole)
	if err != nil {
		return at, err
	}
	at.close()
	return next, nil
}

func (w *way) pass(f *folder) {
	if f.uid != 0 {
		w.passed = append(w.passed, f.uid)
	}
	// In a sticky folder (/tmp) only the owner of an entry can exchange it.
	if f.mode&0o022 != 0 && f.mode&unix.S_ISVTX == 0 && w.writers == nil {
		w.writers = fmt.Errorf("others may write in %s (mode %04o)", f.path, f.mode&0o7777)
	}
}

func (w *way) follow(at *folder, name string, link *object) (string, error) {
	whole := path.Join(at.path, name)
	// The kernel's own bound, path_resolution(7).
	if w.links++; w.links > 40 {
		return "", &fs.PathError{Op: "open", Path: whole, Err: unix.ELOOP}
	}
	if w.writers != nil {
		return "", &RefusedError{What: fmt.Sprintf("%s is a link on the way to the site's root, and %v", whole, w.writers),
			Do: "let the gateway's configuration name the real folder"}
	}
	if link.uid != 0 {
		w.makers = append(w.makers, link.uid)
	}
	// Who owns a folder above cannot make a link of root's, but choose among those there are.
	w.makers = append(w.makers, w.passed...)
	return readlink(at.fd, name, whole)
}

func readlink(dir int, name, whole string) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, target)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: whole, Err: err}
	}
	return string(target[:n]), nil
}
