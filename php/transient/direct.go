package transient

import (
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// startDirect forks cmd from a thread of its own.
//
// A parent-death signal comes when the forking *thread* ends (prctl(2), PR_SET_PDEATHSIG), and the Go runtime ends
// threads as it likes; so one goroutine keeps its thread from before the fork until the program has ended. It never
// gives the thread back, which makes the runtime end it: nobody inherits its mount namespace.
func startDirect(cmd *exec.Cmd, o Options) (*Child, error) {
	attributes(cmd, o)
	c := &Child{ended: make(chan struct{})}
	c.kill = func() {
		// Only an ended process can make this fail.
		_ = cmd.Process.Kill()
	}
	started := make(chan error, 1)
	OnOwnThread(func() {
		defer close(c.ended)
		if err := prepared(o); err != nil {
			started <- err
			return
		}
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.PID = cmd.Process.Pid
		started <- nil
		// How it ended is in the state; the error says it again.
		_ = cmd.Wait()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
			c.status, c.finished = status, true
		}
	})
	if err := <-started; err != nil {
		<-c.ended
		return nil, err
	}
	return c, nil
}

// runDirect is cmd.Run on a thread of its own.
func runDirect(cmd *exec.Cmd, o Options) error {
	attributes(cmd, o)
	done := make(chan error, 1)
	OnOwnThread(func() {
		if err := prepared(o); err != nil {
			done <- err
			return
		}
		done <- cmd.Run()
	})
	return <-done
}

// attributes bind the program's life to the thread's.
func attributes(cmd *exec.Cmd, o Options) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if o.Alone {
		cmd.SysProcAttr.Setsid = true
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWPID
	}
}

// prepared makes the calling thread ready to fork.
func prepared(o Options) error {
	if o.Prepare != nil {
		if err := o.Prepare(o.Data); err != nil {
			return err
		}
	}
	if o.NoNewPrivs {
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	return nil
}

// OnOwnThread runs f on a thread that ends with it. The first thread of the process cannot end, and /proc/self shows
// its namespaces as ours, so it is passed over.
func OnOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// While this goroutine holds the first thread, the next one gets another.
		begun := make(chan struct{})
		OnOwnThread(func() { close(begun); f() })
		<-begun
		runtime.UnlockOSThread()
	}()
}
