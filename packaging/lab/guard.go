package lab

import (
	_ "embed"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

//go:embed guard.sh
var guardScript string

// endTimeout is how long the guard may take to end a lab: it gives processes 3 s
// before it kills them, and a busy machine needs room.
const endTimeout = 30 * time.Second

// A guard is a small shell that waits at the end of a pipe. The kernel closes the
// pipe when the process that made the lab ends, in whatever way: so a lab never
// outlives a panic, an interrupt or a kill -9. Parent-death signals would not do:
// they follow the forking thread, not the process, reach only children, and a
// killed FPM master leaves its workers serving.
type guard struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

func startGuard(dir string) (*guard, error) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		return nil, fmt.Errorf("cannot guard the lab: %w", err)
	}
	cmd := exec.Command(bash, "-c", guardScript, "wpmend-lab-guard", dir,
		nginxBinary, apacheBinary, fpmBinary, mariadbBinary)
	// Its own session: an interrupt typed at the terminal must not end it first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot guard the lab: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot guard the lab: %w", err)
	}
	return &guard{cmd, pipe}, nil
}

// end lets the guard do its work and waits for it.
func (g *guard) end() error {
	g.pipe.Close()
	done := make(chan error, 1)
	go func() { done <- g.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("cannot end every process of the lab: guard: %w", err)
		}
		return nil
	case <-time.After(endTimeout):
		return fmt.Errorf("cannot end the lab within %s: guard (pid %d) still tries", endTimeout, g.cmd.Process.Pid)
	}
}
