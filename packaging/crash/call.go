package crash

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notice is struct seccomp_notif.
type notice struct {
	ID    uint64
	PID   uint32 // of the thread
	Flags uint32
	Nr    int32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

// answer is struct seccomp_notif_resp.
type answer struct {
	ID    uint64
	Val   int64
	Error int32
	Flags uint32
}

// pass lets the kernel carry the call out (SECCOMP_USER_NOTIF_FLAG_CONTINUE).
const pass = 1

// Call is a system call that is about to happen.
type Call struct {
	N      int    // its number among those that are watched, from 1
	Name   string // "write", "rename", …; "send" is a question to a MySQL server
	Path   string // absolute: what it changes
	To     string // of a rename or a link
	Data   []byte // of a write, a send, a setxattr
	Attr   string // of a setxattr
	Flags  int    // of an open or a rename; AT_REMOVEDIR of an unlink
	Mode   uint32 // of an open, a mkdir or a chmod
	UID    int    // of a chown
	GID    int
	fd     int // of a write
	tgid   int
	thread int
}

// String shows a call in one line.
func (c Call) String() string {
	switch {
	case c.To != "":
		return fmt.Sprintf("%d: %s %s to %s", c.N, c.Name, c.Path, c.To)
	case c.Name == "send":
		return fmt.Sprintf("%d: send %.60q", c.N, c.Data)
	case c.Data != nil:
		return fmt.Sprintf("%d: %s %s (%d bytes)", c.N, c.Name, c.Path, len(c.Data))
	}
	return fmt.Sprintf("%d: %s %s", c.N, c.Name, c.Path)
}

// maxRead bounds what is read of another process, in bytes.
const maxRead = 16 << 20

// memory reads what an argument points to.
func memory(pid int, at uint64, n uint64) []byte {
	if n == 0 || n > maxRead {
		return nil
	}
	buf := make([]byte, n)
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	got, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: int(n)}}, 0)
	if err != nil {
		return nil
	}
	return buf[:got]
}

// text reads a string that ends in NUL, page by page: the next page may not be there.
func text(pid int, at uint64) string {
	var b []byte
	for len(b) < unix.PathMax {
		n := 4096 - at%4096
		part := memory(pid, at, n)
		if end := bytes.IndexByte(part, 0); end >= 0 {
			return string(append(b, part[:end]...))
		}
		if len(part) == 0 {
			return ""
		}
		b, at = append(b, part...), at+n
	}
	return ""
}

func opened(pid int, fd uint64) string {
	at := fmt.Sprintf("/proc/%d/cwd", pid)
	if int32(fd) != unix.AT_FDCWD {
		at = fmt.Sprintf("/proc/%d/fd/%d", pid, int32(fd))
	}
	path, _ := os.Readlink(at)
	return path
}

// at is the path that a name and a folder stand for. Links in the folder's name are
// resolved, as the kernel shows open files.
func at(pid int, dir, name uint64) string {
	rel := text(pid, name)
	if rel == "" {
		return opened(pid, dir) // AT_EMPTY_PATH
	}
	if !filepath.IsAbs(rel) {
		rel = filepath.Join(opened(pid, dir), rel)
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(rel)); err == nil {
		rel = filepath.Join(folder, filepath.Base(rel))
	}
	return rel
}

// read takes a notice apart.
func (n notice) read() Call {
	pid, a := int(n.PID), n.Args
	c := Call{Name: name(int(n.Nr)), thread: pid, fd: int(int32(a[0]))}
	cwd := uint64(0xffffffffffffffff - 99) // AT_FDCWD is -100
	old := legacy(int(n.Nr)) != ""         // without a folder's descriptor
	if old {
		a = [6]uint64{cwd, a[0], a[1], a[2], a[3]}
	}
	switch c.Name {
	case "write":
		c.Path, c.Data = opened(pid, a[0]), memory(pid, a[1], a[2])
		if strings.HasPrefix(c.Path, "socket:") && question(c.Data) {
			c.Name = "send"
		}
	case "other write", "fsync", "ftruncate":
		c.Path = opened(pid, a[0])
	case "open":
		c.Path, c.Flags, c.Mode = at(pid, a[0], a[1]), int(a[2]), uint32(a[3])
	case "mkdir", "mknod":
		c.Path, c.Mode = at(pid, a[0], a[1]), uint32(a[2])
	case "unlink":
		c.Path, c.Flags = at(pid, a[0], a[1]), int(a[2])
	case "rename", "link":
		if old {
			a[3], a[2] = a[2], cwd
		}
		c.Path, c.To = at(pid, a[0], a[1]), at(pid, a[2], a[3])
		if n.Nr == unix.SYS_RENAMEAT2 {
			c.Flags = int(a[4])
		}
	case "symlink":
		c.Path, c.To = at(pid, a[1], a[2]), text(pid, a[0])
	case "truncate", "utime":
		c.Path = at(pid, cwd, n.Args[0])
	case "chmod":
		if n.Nr == unix.SYS_FCHMOD {
			c.Path, c.Mode = opened(pid, a[0]), uint32(a[1])
		} else {
			c.Path, c.Mode = at(pid, a[0], a[1]), uint32(a[2])
		}
	case "chown":
		if n.Nr == unix.SYS_FCHOWN {
			c.Path, c.UID, c.GID = opened(pid, a[0]), int(int32(a[1])), int(int32(a[2]))
		} else {
			c.Path, c.UID, c.GID = at(pid, a[0], a[1]), int(int32(a[2])), int(int32(a[3]))
		}
	case "setxattr", "removexattr":
		if n.Nr == unix.SYS_FSETXATTR || n.Nr == unix.SYS_FREMOVEXATTR {
			c.Path = opened(pid, a[0])
		} else {
			c.Path = at(pid, cwd, n.Args[0])
		}
		c.Attr = text(pid, a[1])
		if c.Name == "setxattr" {
			c.Data = memory(pid, a[2], a[3])
		}
	}
	return c
}

// question tells a packet that begins a command of the MySQL protocol: three bytes of
// length, the sequence number 0, and the command: a query, or a prepared statement.
func question(packet []byte) bool {
	if len(packet) < 5 || packet[3] != 0 {
		return false
	}
	n := binary.LittleEndian.Uint32(packet) & 0xffffff
	return int(n) == len(packet)-4 && (packet[4] == 0x03 || packet[4] == 0x16 || packet[4] == 0x17)
}

func control(fd int, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
