package wp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The functions of package syscall change all threads; these change the one
// that calls.

const unchanged = ^uintptr(0)

func become(groups []uint32, gid, uid int) error {
	if err := setGroups(groups); err != nil {
		return err
	}
	if err := raw(unix.SYS_SETRESGID, unchanged, uintptr(gid), unchanged); err != nil {
		return err
	}
	return raw(unix.SYS_SETRESUID, unchanged, uintptr(uid), unchanged)
}

func restore(groups []uint32) error {
	if err := raw(unix.SYS_SETRESUID, unchanged, 0, unchanged); err != nil {
		return err
	}
	if err := raw(unix.SYS_SETRESGID, unchanged, 0, unchanged); err != nil {
		return err
	}
	return setGroups(groups)
}

func setGroups(groups []uint32) error {
	var first unsafe.Pointer
	if len(groups) > 0 {
		first = unsafe.Pointer(&groups[0])
	}
	return raw(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first), 0)
}

func raw(call, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(call, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// connectSocket does not wait: EAGAIN says that the server's queue is full.
func connectSocket(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
