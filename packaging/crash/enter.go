// Package crash holds a program at each of its system calls that changes something, so
// that a test can let it die there, fail, or write half, and can look at the disk as it
// is at that instant. The kernel does it (seccomp's user notification, seccomp_unotify(2)),
// so the program under test carries no hooks, and nothing that it changes can be missed.
// It also models what a power cut leaves of a run ([Disk]).
//
// It refuses to know what the program is for, and what must hold after a fault.
package crash

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// heldBy names the descriptor by which the program hands itself over.
const heldBy = "WPMEND_TEST_HELD_BY"

// Enter is called first in a test binary that may be started by [Hold]: from its return on
// the program waits at each call until the one who holds it decides. Held by nobody, it
// does nothing.
func Enter() error {
	text := os.Getenv(heldBy)
	if text == "" {
		return nil
	}
	os.Unsetenv(heldBy)
	to, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	unix.CloseOnExec(to)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	filter := program()
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// Without WAIT_KILLABLE_RECV Go's own preemption signals would let one call be
	// counted many times.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC |
		unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("be held by a test: %w", errno)
	}
	err = unix.Sendmsg(to, []byte{0}, unix.UnixRights(int(fd)), nil, 0)
	unix.Close(int(fd))
	unix.Close(to)
	return err
}

// handOver lets a command that is about to start hand itself over; listener waits for it.
func handOver(cmd *exec.Cmd) (listener func() (int, error), started func(), err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "held by")
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	// With the race detector every exit would take a second.
	cmd.Env = append(cmd.Env, heldBy+"="+strconv.Itoa(3+len(cmd.ExtraFiles)), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	listener = func() (int, error) {
		defer unix.Close(pair[0])
		rights := make([]byte, unix.CmsgSpace(4))
		for {
			_, n, _, _, err := unix.Recvmsg(pair[0], make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return -1, err
			}
			messages, err := unix.ParseSocketControlMessage(rights[:n])
			if err != nil || len(messages) != 1 {
				return -1, fmt.Errorf("the program ended before it was held: %w", os.ErrProcessDone)
			}
			fds, err := unix.ParseUnixRights(&messages[0])
			if err != nil {
				return -1, err
			}
			return fds[0], nil
		}
	}
	return listener, func() { theirs.Close() }, nil
}
