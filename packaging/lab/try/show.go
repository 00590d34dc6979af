package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"wpmend/packaging/lab"
)

const (
	plugins = 30
	culprit = 17 // the plugin that is broken; any would do
)

var errNotHealed = errors.New("the site is not well again")

// symptom says in words what a fault does.
func symptom(f lab.Fault) string {
	switch f {
	case lab.Segfault:
		return lab.Slug(culprit) + " now crashes its PHP worker (signal 11)"
	case lab.Kill9:
		return "the PHP worker is now killed (signal 9) whenever " + lab.Slug(culprit) + " runs"
	case lab.Hang:
		return lab.Slug(culprit) + " now waits for ever; the pool ends requests after 5 s"
	case lab.Compute:
		return lab.Slug(culprit) + " now computes for ever; the pool ends requests after 5 s"
	case lab.Fatal:
		return lab.Slug(culprit) + " now calls a function that does not exist"
	case lab.Blank200:
		return lab.Slug(culprit) + " now ends every page before it begins"
	case lab.Header9k:
		return lab.Slug(culprit) + " now sends a response header of 9 kB, more than nginx takes"
	case lab.FPMStopped:
		return "PHP-FPM is stopped"
	case lab.SocketMode:
		return "nginx may no longer open the pool's socket"
	case lab.DatabaseDown:
		return "the database is down"
	}
	return "the site is in maintenance mode"
}

// mendable says whether wpmend heals the fault. The others it names only, with
// the command for a person, since the change would not be its own to make.
func mendable(f lab.Fault) bool {
	switch f {
	case lab.Header9k, lab.SocketMode, lab.DatabaseDown, lab.Maintenance:
		return false
	}
	return true
}

type stage struct {
	out  io.Writer
	l    *lab.Lab
	argv []string // wpmend with its global flags
	n    int
}

func (s *stage) title(format string, args ...any) {
	s.n++
	text := fmt.Sprintf("%d. %s", s.n, fmt.Sprintf(format, args...))
	if out, ok := s.out.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(s.out, "\n%s\n\n", text)
}

func show(ctx context.Context, out io.Writer, wpmend string, fault lab.Fault, stay bool) (err error) {
	s := &stage{out: out}
	s.title("A shop comes up: nginx, PHP-FPM, MariaDB and WordPress with %d plugins", plugins)
	started := time.Now()
	if s.l, err = lab.Up(ctx, lab.Options{Plugins: plugins, TerminateTimeout: 5 * time.Second}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.l.Close()) }()
	site := s.l.Site(0)
	fmt.Fprintf(s.out, "   up in %.1f s, all of it in %s\n", time.Since(started).Seconds(), s.l.Dir)
	if _, err := s.visit(ctx); err != nil {
		return err
	}

	s.title("wpmend is shown this site and no other, and looks at it while all is well")
	if err := s.configure(wpmend); err != nil {
		return err
	}
	// Not only for show: what was seen now tells it how to start FPM when FPM is down.
	if _, err := s.wpmend(ctx, "sites"); err != nil {
		return err
	}

	s.title("It breaks: %s", symptom(fault))
	plugin := ""
	if fault.InPlugin() {
		plugin = lab.Slug(culprit)
	}
	if err := s.l.Break(0, fault, plugin); err != nil {
		return err
	}
	if _, err := s.visit(ctx); err != nil {
		return err
	}

	s.title("What is wrong? (check changes nothing)")
	if _, err := s.wpmend(ctx, "check", site.Domain); err != nil {
		return err
	}

	s.title("Heal it")
	code, err := s.wpmend(ctx, "heal", site.Domain)
	if err != nil {
		return err
	}

	s.title("And now?")
	well, err := s.visit(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out)
	if _, err := s.wpmend(ctx, "incidents"); err != nil {
		return err
	}
	if stay {
		s.wait(ctx)
	}
	switch {
	case well:
		return nil
	case !mendable(fault) && code == 4:
		fmt.Fprintln(s.out, "   This fault is not wpmend's to mend: it named the cause and left all as it was.")
		return nil
	}
	return errNotHealed
}

// configure writes wpmend's configuration: the lab's site and no other.
func (s *stage) configure(wpmend string) error {
	config := filepath.Join(s.l.Dir, "wpmend.toml")
	text := fmt.Sprintf("only = [%q]\n", s.l.Site(0).Root)
	fmt.Fprintf(s.out, "   %s says: %s\n", config, text)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("cannot write wpmend's configuration: %w", err)
	}
	s.argv = []string{wpmend, "--config", config, "--state", filepath.Join(s.l.Dir, "state")}
	return nil
}

// visit looks at the shop as a visitor does and says whether the page is whole.
func (s *stage) visit(ctx context.Context) (well bool, err error) {
	started := time.Now()
	status, body, err := s.l.GetFrom(ctx, 0, "/")
	if err != nil {
		return false, err
	}
	well = status == http.StatusOK && lab.Complete(body)
	page := fmt.Sprintf("%d %s", status, http.StatusText(status))
	switch {
	case body == "":
		page += ", an empty page"
	case well:
		page += fmt.Sprintf(", a whole page, %d of %d plugins at work", strings.Count(body, "<!-- plugin-"), plugins)
	}
	fmt.Fprintf(s.out, "   %s/ at %s:80 answers %s (%.2f s)\n", s.l.Site(0).URL, s.l.Address, page, time.Since(started).Seconds())
	return well, nil
}

// wpmend runs one command of wpmend with its output as it is.
func (s *stage) wpmend(ctx context.Context, args ...string) (code int, err error) {
	argv := append(append([]string{}, s.argv...), args...)
	fmt.Fprintf(s.out, "$ wpmend %s\n", strings.Join(argv[1:], " "))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, s.out, s.out
	// Asked, not killed, when the try is interrupted: it has shadows to end.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	started := time.Now()
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		return 0, fmt.Errorf("cannot run wpmend %s: %w", args[0], err)
	}
	code = cmd.ProcessState.ExitCode()
	fmt.Fprintf(s.out, "   (exit code %d, %.1f s)\n", code, time.Since(started).Seconds())
	if code == 1 || code == 2 || code < 0 {
		return code, fmt.Errorf("wpmend %s did not work: exit code %d", args[0], code)
	}
	return code, nil
}

// wait keeps the site up until Enter or an interrupt.
func (s *stage) wait(ctx context.Context) {
	fmt.Fprintf(s.out, `
   The shop stays up until Enter or Ctrl-C. From another terminal:
   $ curl -H 'Host: %s' http://%s/
   $ sudo %s sites
`, s.l.Site(0).Domain, s.l.Address, strings.Join(s.argv, " "))
	entered := make(chan struct{})
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n') // the end of the input will do as well
		close(entered)
	}()
	select {
	case <-entered:
	case <-ctx.Done():
	}
}
