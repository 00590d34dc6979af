package transient

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Helps says whether a process with these arguments (os.Args) was started to be a helper: then it is to call [Help]
// and nothing else.
func Helps(args []string) bool { return len(args) == 2 && args[1] == helperWord }

// Help is the helper in a unit: it does what the socket on its standard input orders, says there how that went, and
// ends when that has ended or the socket closes, whichever is first; systemd then ends the rest of the unit. prepare
// is every Options.Prepare of this binary. What it gives is the process's exit code.
func Help(prepare func(data []byte) error) int {
	// A copy keeps the socket when the standard input becomes the program's.
	control, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return fail(err)
	}
	socket := os.NewFile(uintptr(control), "socket")
	w, input, err := receive(socket)
	if err != nil {
		return fail(err)
	}
	cmd := &exec.Cmd{Path: w.Path, Args: w.Args, Env: w.Env, Dir: w.Dir, Stdout: os.Stdout, Stderr: os.Stderr}
	if input != nil {
		cmd.Stdin = input
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if w.As {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: w.UID, Gid: w.GID, Groups: w.Groups}
	}
	o := Options{NoNewPrivs: w.NoNewPrivs, Alone: w.Alone, Data: w.Data}
	if w.Prepare {
		o.Prepare = prepare
	}
	say := json.NewEncoder(socket)
	c, err := startDirect(cmd, o)
	if err != nil {
		return told(say.Encode(news{Error: err.Error()}))
	}
	if input != nil {
		input.Close()
	}
	left := make(chan struct{})
	go func() {
		// Nothing more is ever said to us.
		_, _ = io.Copy(io.Discard, socket)
		close(left)
	}()
	if err := say.Encode(news{PID: c.PID}); err != nil {
		c.Kill()
	}
	select {
	case <-left:
		c.Kill()
		<-c.Ended()
	case <-c.Ended():
	}
	return told(say.Encode(news{Ended: c.finished, Status: uint32(c.status)}))
}

// told: nobody may be there any more to be told, which is why we ended then.
func told(err error) int {
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "wpmend's helper:", err)
	return 1
}

// receive reads the order and, beside its first byte, the standard input.
func receive(socket *os.File) (order, *os.File, error) {
	var w order
	first, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, at, _, _, err := unix.Recvmsg(int(socket.Fd()), first, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n != 1 {
		return w, nil, fmt.Errorf("its standard input is no socket with an order: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	if err := json.NewDecoder(socket).Decode(&w); err != nil {
		return w, nil, fmt.Errorf("read the order: %w", err)
	}
	if !w.Input {
		return w, nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(rights[:at])
	if err != nil || len(messages) != 1 {
		return w, nil, fmt.Errorf("the standard input has not come: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return w, nil, fmt.Errorf("the standard input has not come: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	return w, os.NewFile(uintptr(fds[0]), "input"), nil
}
