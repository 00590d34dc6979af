package fpm

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"wpmend/php/process"
)

// child is a program whose life is bound to ours by the kernel: it is PID 1 of its own PID namespace, so nothing that
// it started outlives it, and it gets SIGKILL when we die.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it and everything in its namespace has ended
}

// spawn starts cmd as a child, in the mount namespace at mnt ("" for our own), or in one made from it by prepare, which
// runs on the thread that the child is forked from.
//
// A parent-death signal comes when the forking *thread* ends (prctl(2), PR_SET_PDEATHSIG), and the Go runtime ends
// threads as it likes; so one goroutine keeps its thread from before the fork until the child has ended. It never
// gives the thread back, which makes the runtime end it: nobody inherits its mount namespace.
func spawn(cmd *exec.Cmd, mnt string, prepare func() error) (*child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	c := &child{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	onOwnThread(func() {
		defer close(c.ended)
		if err := joinMounts(mnt); err != nil {
			started <- err
			return
		}
		if err := prepare(); err != nil {
			started <- err
			return
		}
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		// How it ended is of no use: it is killed when its work is done, and its log says what went wrong before.
		_ = cmd.Wait()
	})
	if err := <-started; err != nil {
		<-c.ended
		return nil, err
	}
	return c, nil
}

// process reads the child's identity. It is reaped as soon as it ends, so its PID may be another's by then.
func (c *child) process() (process.Process, error) {
	p, err := process.Read(c.cmd.Process.Pid)
	if err != nil {
		return process.Process{}, err
	}
	select {
	case <-c.ended:
		return process.Process{}, fmt.Errorf("process %d: %w", p.PID, process.ErrGone)
	default:
		return p, nil
	}
}

// kill ends the child and with it its whole namespace.
func (c *child) kill() {
	// Only an ended process can make this fail.
	_ = c.cmd.Process.Kill()
}

// onOwnThread runs f on a thread that ends with it. The first thread of the process cannot end, and /proc/self shows
// its namespaces as ours, so it is passed over.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// While this goroutine holds the first thread, the next one gets another.
		begun := make(chan struct{})
		onOwnThread(func() { close(begun); f() })
		<-begun
		runtime.UnlockOSThread()
	}()
}

// joinMounts moves the calling thread into another process's mount namespace, unless it is there already.
func joinMounts(mnt string) error {
	if mnt == "" {
		return nil
	}
	f, err := os.Open(mnt)
	if err != nil {
		return fmt.Errorf("open the mount namespace: %w", err)
	}
	defer f.Close()
	theirs, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open the mount namespace: %w", err)
	}
	if ours, err := os.Stat("/proc/thread-self/ns/mnt"); err == nil && os.SameFile(ours, theirs) {
		return nil
	}
	// setns(2): a thread that shares its root and working folder with others may not change its mounts.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leave the shared working folder: %w", err)
	}
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("join the mount namespace %s (needs CAP_SYS_ADMIN): %w", mnt, err)
	}
	return nil
}
