package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"wpmend/packaging/lab"
)

// kind says who wrote a line.
type kind int

const (
	typed    kind = iota // a command, as it was typed
	progress             // its standard error
	result               // its standard output
)

// line is one that the terminal showed.
type line struct {
	kind kind
	text string
	at   time.Duration // since the beginning
}

const (
	plugins = 30
	culprit = 17 // any would do
)

// session is a shell in a lab.
type session struct {
	ctx   context.Context
	l     *lab.Lab
	env   []string
	began time.Time

	mu    sync.Mutex
	lines []line
}

// record breaks a plugin, lets wpmend find it, mend the site and give the plugin back.
func record(ctx context.Context, wpmend string) (lines []line, err error) {
	l, err := lab.Up(ctx, lab.Options{Plugins: plugins})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	s := &session{ctx: ctx, l: l}
	if err := s.prepare(wpmend); err != nil {
		return nil, err
	}
	site := l.Site(0).Domain
	if err := l.Break(0, lab.Segfault, lab.Slug(culprit)); err != nil {
		return nil, err
	}
	s.began = time.Now()
	visit := `curl -so /dev/null -w '%{http_code}\n' http://` + site + "/"
	for _, c := range []struct {
		words string
		code  int
	}{{visit, 0}, {"wpmend check " + site, 3}, {"wpmend heal " + site, 0}, {visit, 0}, {"wpmend incidents", 0}} {
		if err := s.run(c.words, c.code); err != nil {
			return nil, err
		}
	}
	id := ""
	for _, one := range s.lines {
		if m := regexp.MustCompile(`wpmend incidents undo (\w{26})`).FindStringSubmatch(one.text); m != nil {
			id = m[1]
		}
	}
	if id == "" {
		return nil, errors.New("wpmend heal does not say how to undo what it did")
	}
	return s.lines, s.run("wpmend incidents undo "+id, 0)
}

// prepare makes the host's own commands mean the lab: wpmend with a configuration that
// knows no other site, curl with the address of a name that nothing resolves.
func (s *session) prepare(wpmend string) error {
	bin := filepath.Join(s.l.Dir, "bin")
	config := filepath.Join(s.l.Dir, "wpmend.toml")
	site := s.l.Site(0)
	s.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+bin)
	if err := os.Mkdir(bin, 0o700); err != nil {
		return fmt.Errorf("prepare the shell: %w", err)
	}
	for name, text := range map[string]string{
		config:                        fmt.Sprintf("only = [%q]\n", site.Root),
		filepath.Join(bin, ".curlrc"): fmt.Sprintf("resolve = \"%s:80:%s\"\nnoproxy = \"*\"\n", site.Domain, s.l.Address),
		filepath.Join(bin, "wpmend"):  fmt.Sprintf("#!/bin/sh\nexec '%s' --config '%s' --state '%s/state' \"$@\"\n", wpmend, config, s.l.Dir),
	} {
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			return fmt.Errorf("prepare the shell: %w", err)
		}
	}
	return nil
}

// run types a command and keeps what it prints, in the order in which it comes.
func (s *session) run(words string, code int) error {
	s.keep(typed, words)
	c := exec.CommandContext(s.ctx, "/bin/sh", "-c", "exec "+words)
	c.Env, c.Dir = s.env, s.l.Dir
	// Asked, not killed, when the recording is interrupted: it has shadows to end.
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 10 * time.Second
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	said, err := c.StderrPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("run %s: %w", words, err)
	}
	var read sync.WaitGroup
	for k, from := range map[kind]io.Reader{progress: said, result: out} {
		read.Go(func() {
			for lines := bufio.NewScanner(from); lines.Scan(); {
				s.keep(k, lines.Text())
			}
		})
	}
	read.Wait()
	err = c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run %s: %w", words, err)
	}
	if got := c.ProcessState.ExitCode(); got != code {
		return fmt.Errorf("%s ended with %d, not %d:\n%s", words, got, code, s.text())
	}
	return nil
}

func (s *session) keep(k kind, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line{k, strings.ReplaceAll(text, s.l.Dir, "…"), time.Since(s.began)})
}

func (s *session) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, l := range s.lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}
