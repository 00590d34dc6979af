package main

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// Who interrupts wpmend finds the site as it was: what it had begun it takes back
// itself before it ends.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault lab.Fault
		args  []string
		at    string // a line of progress
		sig   syscall.Signal
	}{
		{"heal, searching", lab.Segfault, []string{"heal"}, "round 1", syscall.SIGINT},
		{"heal, waiting for the front", lab.Hang, []string{"heal"}, "starting a private copy", syscall.SIGTERM},
		{"bisect", lab.Hang, []string{"bisect"}, "starting a private copy", syscall.SIGINT},
		{"bisect by renaming", lab.Segfault, []string{"bisect", "--method", "rename"}, "round 2", syscall.SIGTERM},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lab.Options{Plugins: 20, TerminateTimeout: 10 * time.Second})
			s.breakBy(c.fault, culpritSlug)
			before := s.snapshot()
			cmd := s.command(append([]string{"--json", c.args[0], s.domain()}, c.args[1:]...)...)
			var stdout bytes.Buffer
			cmd.Stdout = &stdout
			progress, err := cmd.StderrPipe()
			s.must(err)
			s.must(cmd.Start())
			lines := bufio.NewScanner(progress)
			seen := false
			for !seen && lines.Scan() {
				seen = strings.Contains(lines.Text(), c.at)
			}
			if !seen {
				t.Errorf("no progress says %q", c.at)
			}
			start := time.Now()
			s.must(cmd.Process.Signal(c.sig))
			_, err = io.Copy(io.Discard, progress)
			s.must(err)
			cmd.Wait() // its exit code tells
			t.Logf("ended %.2f s after %s", time.Since(start).Seconds(), c.sig)
			r := result{t: t, args: cmd.Args[1:], code: cmd.ProcessState.ExitCode(), stdout: stdout.String()}
			var e errorJSON
			r.exits(130).into(&e)
			if e.Error.Kind != "interrupted" || e.Error.Message != "interrupted" {
				t.Errorf("error %+v, want interrupted", e.Error)
			}
			s.wantSnapshot(before)
			var left recoverJSON
			s.json("recover").exits(0).into(&left)
			if !left.Clean || len(left.Changes) != 0 {
				t.Errorf("recover found %+v, want nothing left", left.Changes)
			}
			s.wantSnapshot(before)
		})
	}
}
