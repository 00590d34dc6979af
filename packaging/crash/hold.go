package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Verdict is what becomes of a call.
type Verdict struct {
	do    deed
	errno unix.Errno
}

type deed int

const (
	carryOut deed = iota
	kill
	fail
	part
	partKill
	wholeKill
)

// Pass lets the call happen.
func Pass() Verdict { return Verdict{} }

// Kill ends the program before the call, by SIGKILL.
func Kill() Verdict { return Verdict{do: kill} }

// Fail makes the call fail, without effect.
func Fail(errno unix.Errno) Verdict { return Verdict{do: fail, errno: errno} }

// Part carries out half of a write, and says so to the program.
func Part() Verdict { return Verdict{do: part} }

// Torn carries out half of a write, and ends the program. Of other calls: [Kill].
func Torn() Verdict { return Verdict{do: partKill} }

// KillAfter carries out a write or a send, and ends the program before it learns of it.
func KillAfter() Verdict { return Verdict{do: wholeKill} }

// Held is a program that waits at its calls.
type Held struct {
	cmd      *exec.Cmd
	listener int
	watched  func(path string) bool
	decide   func(Call) Verdict
	n        int
	groups   map[uint32]int // by thread
	mu       sync.Mutex
	err      error // of what was done in the program's stead
}

// Hold starts a command whose program calls [Enter], and asks decide for each call of
// it (not of its children) that changes one of the watched paths or asks a MySQL server
// something. decide is called by one goroutine, while the program stands still in that call.
func Hold(cmd *exec.Cmd, watched func(path string) bool, decide func(Call) Verdict) (*Held, error) {
	listener, started, err := handOver(cmd)
	if err != nil {
		return nil, err
	}
	err = cmd.Start()
	started()
	if err != nil {
		return nil, err
	}
	h := &Held{cmd: cmd, watched: watched, decide: decide, groups: map[uint32]int{}}
	if h.listener, err = listener(); err != nil {
		return nil, errors.Join(err, cmd.Wait())
	}
	go h.serve()
	return h, nil
}

// Wait waits for the command. What its children do then passes unseen.
func (h *Held) Wait() error {
	err := h.cmd.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		err = errors.Join(err, h.err)
	}
	return err
}

// serve answers until nobody is held any more, children of the program included.
func (h *Held) serve() {
	defer unix.Close(h.listener)
	for {
		ready := []unix.PollFd{{Fd: int32(h.listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return
		}
		if ready[0].Revents&unix.POLLIN == 0 {
			return // POLLHUP
		}
		var n notice
		if control(h.listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)) != nil {
			continue // it was killed meanwhile
		}
		h.answer(n)
	}
}

func (h *Held) answer(n notice) {
	out := answer{ID: n.ID, Flags: pass}
	if h.group(n.PID) == h.cmd.Process.Pid {
		c := n.read()
		if c.tgid = h.cmd.Process.Pid; c.Name == "send" || h.watched(c.Path) || c.To != "" && h.watched(c.To) {
			h.n++
			c.N = h.n
			// So that who has waited sees all that decide has noted.
			h.mu.Lock()
			verdict := h.decide(c)
			h.mu.Unlock()
			if !h.obey(c, verdict, &out) {
				return
			}
		}
	}
	// An error means that it was killed meanwhile.
	_ = control(h.listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&out))
}

// obey tells whether the program lives on.
func (h *Held) obey(c Call, v Verdict, out *answer) bool {
	switch v.do {
	case fail:
		out.Flags, out.Error = 0, -int32(v.errno)
	case part:
		if n := h.write(c, (len(c.Data)+1)/2); n > 0 {
			out.Flags, out.Val = 0, int64(n)
		}
	case partKill:
		h.write(c, len(c.Data)/2)
	case wholeKill:
		h.write(c, len(c.Data))
	}
	if v.do == carryOut || v.do == fail || v.do == part {
		return true
	}
	_ = unix.Kill(c.tgid, unix.SIGKILL) // an error means that it is dead
	return false
}

// write does the first n bytes of a write in the program's stead, on its own descriptor.
func (h *Held) write(c Call, n int) int {
	if c.Name != "write" && c.Name != "send" || n == 0 {
		return 0
	}
	pidfd, err := unix.PidfdOpen(c.tgid, 0)
	if err == nil {
		defer unix.Close(pidfd)
		var fd int
		if fd, err = unix.PidfdGetfd(pidfd, c.fd, 0); err == nil {
			defer unix.Close(fd)
			n, err = unix.Write(fd, c.Data[:n])
		}
	}
	if err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.err = fmt.Errorf("write in the program's stead: %w", err)
		return 0
	}
	return n
}

// group is the process of a thread.
func (h *Held) group(thread uint32) int {
	if g, known := h.groups[thread]; known && g == h.cmd.Process.Pid {
		return g
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	_, rest, _ := strings.Cut(string(status), "\nTgid:\t")
	line, _, _ := strings.Cut(rest, "\n")
	g, _ := strconv.Atoi(line)
	h.groups[thread] = g
	return g
}
