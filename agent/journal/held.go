package journal

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// held is a regular file as it was read.
type held struct {
	Identity
	data    []byte
	mode    FileMode
	special bool // setuid, setgid or sticky
	links   uint64
	attrs   []attr
}

// attr is an extended attribute.
type attr struct {
	name  string
	value []byte
}

const selinux = "security.selinux"

// held reads a file of an open folder without following a link, waiting for anybody or
// opening a device. Absent: nil, nil.
func (f *folder) held(name string) (*held, error) {
	whole := path.Join(f.path, name)
	fail := func(op string, err error) (*held, error) { return nil, &fs.PathError{Op: op, Path: whole, Err: err} }
	handle := -1
	err := eintr(func() (err error) {
		handle, err = unix.Openat(f.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err == unix.ENOENT {
		return nil, nil
	}
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(handle)
	o, err := identify(handle, "")
	if err != nil {
		return fail("stat", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(handle, &st); err != nil {
		return fail("stat", err)
	}
	switch {
	case o.Type == "link":
		return nil, &RefusedError{What: whole + " is a link, and no change is made through a link", Do: "put the real file in its place, or make the change by hand"}
	case o.Type != "file":
		return nil, &RefusedError{What: whole + " is no regular file", Do: "see who put it there"}
	case o.Dev != f.dev:
		return nil, &RefusedError{What: whole + " is mounted over the file", Do: "make the change by hand"}
	case st.Size > maxContent:
		return nil, &RefusedError{What: fmt.Sprintf("%s has %d bytes, more than %d", whole, st.Size, maxContent), Do: "make the change by hand"}
	}
	// What was looked at is what is opened; O_NONBLOCK, since its owner may hold a lease.
	file, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(handle), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fail("open", err)
	}
	defer file.Close()
	h := &held{Identity: o.Identity, links: uint64(st.Nlink), special: st.Mode&0o7000 != 0,
		mode: FileMode{UID: st.Uid, GID: st.Gid, Mode: fs.FileMode(st.Mode & 0o777)}}
	if h.data, err = io.ReadAll(io.LimitReader(file, maxContent+1)); err != nil {
		return fail("read", err)
	}
	if len(h.data) > maxContent {
		return nil, &RefusedError{What: fmt.Sprintf("%s grows beyond %d bytes", whole, maxContent), Do: "make the change by hand"}
	}
	if h.attrs, err = attributes(int(file.Fd())); err != nil {
		return fail("read the attributes of", err)
	}
	return h, nil
}

func (h *held) label() []byte {
	for _, a := range h.attrs {
		if a.name == selinux {
			return a.value
		}
	}
	return nil
}

// attributes are those that go with a file's content: label, access list, and what
// users set. IMA's and EVM's are signatures, capabilities are a program's.
func attributes(fd int) ([]attr, error) {
	names := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(fd, names)
	if err == unix.ENOTSUP {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var attrs []attr
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		if name != selinux && name != "security.SMACK64" && name != "system.posix_acl_access" && !strings.HasPrefix(name, "user.") {
			continue
		}
		value := make([]byte, 64<<10) // XATTR_SIZE_MAX
		n, err := unix.Fgetxattr(fd, name, value)
		if err == unix.ENODATA {
			continue
		}
		if err != nil {
			return nil, err
		}
		attrs = append(attrs, attr{name, value[:n:n]})
	}
	return attrs, nil
}

// openHost opens a folder of the host's configuration: it and all on the way are
// root's, and nobody else can exchange what leads there.
func openHost(dir string) (*folder, error) {
	at, err := enter(unix.AT_FDCWD, "/", "/")
	if err != nil {
		return nil, err
	}
	w := way{names: strings.Split(dir, "/")}
	for len(w.names) > 0 && err == nil {
		at, err = w.step(at)
	}
	if err == nil && (len(w.makers) > 0 || len(w.passed) > 0 || at.uid != 0) {
		err = &RefusedError{What: "the way to " + dir + " is not root's alone", Do: "see who owns the folders on the way"}
	}
	if err == nil && (w.writers != nil || at.mode&0o022 != 0) {
		err = &RefusedError{What: "others than root may write in " + dir + " or above it", Do: "chmod go-w the folder"}
	}
	if err != nil {
		at.close()
		return nil, err
	}
	return at, nil
}
