package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	crashing "wpmend/packaging/crash"
	"wpmend/packaging/lab"
	"wpmend/php/fpm"
	"wpmend/php/transient"
)

// asWpmend makes the test binary be wpmend: what is tested is a process of its own,
// as users run it, and it carries the race detector when the tests do.
const asWpmend = "WPMEND_TEST_PART"

func TestMain(m *testing.M) {
	if transient.Helps(os.Args) {
		os.Exit(transient.Help(fpm.Prepare))
	}
	switch os.Getenv(asWpmend) {
	case "nobody":
		if err := syscall.Setuid(65534); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fallthrough
	case "wpmend":
		// Nothing that wpmend starts may play this part again.
		os.Unsetenv(asWpmend)
		if err := crashing.Enter(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		if file := os.Getenv("WPMEND_TEST_WEDGE"); file != "" {
			ctx = wedging{ctx, file}
		}
		code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// slots bounds how many labs stand at once, whatever -parallel says: each is a whole
// stack of servers.
var slots = make(chan struct{}, 4)

// stage is a lab and a wpmend that knows nothing but it.
type stage struct {
	*lab.Lab
	t      testing.TB
	config string // the configuration file
	state  string
}

// newStage brings a lab up. settings are further lines of wpmend's configuration.
func newStage(t testing.TB, o lab.Options, settings ...string) *stage {
	t.Helper()
	slots <- struct{}{}
	t.Cleanup(func() { <-slots })
	l := lab.New(t, o)
	s := &stage{Lab: l, t: t, config: filepath.Join(l.Dir, "wpmend.toml"), state: filepath.Join(l.Dir, "state")}
	// Tests make more changes an hour than a host should see.
	settings = append([]string{fmt.Sprintf("only = [%q]", l.Dir), "budget.site = 1000", "budget.pool = 10000", "budget.host = 10000", "budget.flaps = 0", fmt.Sprintf("api.socket = %q", filepath.Join(l.Dir, "api.sock"))}, settings...)
	s.write(s.config, strings.Join(settings, "\n")+"\n")
	return s
}

// must fails the test at once on an error.
func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) write(path, text string) {
	s.t.Helper()
	s.must(os.WriteFile(path, []byte(text), 0o644))
}

// breakBy breaks the first site.
func (s *stage) breakBy(f lab.Fault, plugin string) {
	s.t.Helper()
	s.must(s.Break(0, f, plugin))
}

func (s *stage) snapshot() lab.Snapshot {
	s.t.Helper()
	snap, err := s.Snapshot(0)
	s.must(err)
	return snap
}

// wantSnapshot compares the first site with what it was.
func (s *stage) wantSnapshot(want lab.Snapshot) {
	s.t.Helper()
	if d := want.Diff(s.snapshot()); d != "" {
		s.t.Errorf("the site is not as expected:\n%s", d)
	}
}

// page is the first site's front page as visitors see it.
func (s *stage) page() (status int, body string) {
	s.t.Helper()
	status, body, err := s.Get("/")
	s.must(err)
	return status, body
}

// wantPlugins wants a whole page on which exactly all plugins but these ran.
func (s *stage) wantPlugins(total int, but ...string) {
	s.t.Helper()
	status, body := s.page()
	if status != 200 || !lab.Complete(body) {
		s.t.Fatalf("the front answers %d, whole page %v; want 200 and a whole page", status, lab.Complete(body))
	}
	for n := 1; n <= total; n++ {
		ran := strings.Contains(body, "<!-- "+lab.Slug(n)+" saw ")
		if want := !slices.Contains(but, lab.Slug(n)); ran != want {
			s.t.Errorf("%s ran: %v, want %v", lab.Slug(n), ran, want)
		}
	}
}

// domain is the first site's, the SITE of most commands.
func (s *stage) domain() string { return s.Site(0).Domain }

// command prepares a call of wpmend in a session of its own.
func (s *stage) command(args ...string) *exec.Cmd {
	return wpmend(append([]string{"--config", s.config, "--state", s.state}, args...)...)
}

func wpmend(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// environment makes the test binary wpmend. With the race detector it would take a second to end.
func environment() []string {
	return append(os.Environ(), asWpmend+"=wpmend", "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
}

// result is what a call of wpmend gave.
type result struct {
	t              testing.TB
	args           []string
	code           int
	stdout, stderr string
	took           time.Duration
	session        int // the session it ran in, its pid
}

// run calls wpmend for a person.
func (s *stage) run(args ...string) result {
	s.t.Helper()
	return call(s.t, s.command(args...))
}

// json calls wpmend with --json.
func (s *stage) json(args ...string) result {
	s.t.Helper()
	return call(s.t, s.command(append([]string{"--json"}, args...)...))
}

// callLimit ends a wpmend that hangs, long after anything that it should do.
const callLimit = 3 * time.Minute

func call(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, time.Second
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(callLimit, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("wpmend %q did not end within %s; it said:\n%s%s", cmd.Args[1:], callLimit, stderr.String(), stdout.String())
	}
	r := result{t: t, args: cmd.Args[1:], code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(),
		took: time.Since(start), session: cmd.Process.Pid}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", r, err)
	}
	return r
}

func (r result) String() string {
	return fmt.Sprintf("wpmend %s: exit %d after %.1f s\nstdout: %s\nstderr: %s", strings.Join(r.args, " "), r.code, r.took.Seconds(), r.stdout, r.stderr)
}

// exits fails the test at once unless the call ended with this code.
func (r result) exits(code int) result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("exit %d, want %d: %s", r.code, code, r)
	}
	return r
}

// into reads the one JSON object on stdout. Lists must never be null, and nothing may
// stand beside the object.
func (r result) into(v any) {
	r.t.Helper()
	var plain map[string]any
	dec := json.NewDecoder(strings.NewReader(r.stdout))
	if err := dec.Decode(&plain); err != nil {
		r.t.Fatalf("stdout is not one JSON object: %v: %s", err, r)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		r.t.Errorf("stdout holds more than one JSON object: %s", r)
	}
	noNulls(r.t, "", plain)
	if err := json.Unmarshal([]byte(r.stdout), v); err != nil {
		r.t.Fatalf("%v: %s", err, r)
	}
}

// noNulls: a remedy is a name or null, nothing else may be null.
func noNulls(t testing.TB, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		if !strings.HasSuffix(path, ".remedy") {
			t.Errorf("JSON: %s is null", path)
		}
	case map[string]any:
		for key, inner := range v {
			noNulls(t, path+"."+key, inner)
		}
	case []any:
		for i, inner := range v {
			noNulls(t, fmt.Sprintf("%s[%d]", path, i), inner)
		}
	}
}

// limit logs how long a call took and fails the test at a multiple of the issue's
// own limit: test machines are shared, exact figures come from the benchmarks.
func (r result) limit(d time.Duration) {
	r.t.Helper()
	r.t.Logf("wpmend %s took %.2f s (limit %s)", strings.Join(r.args[4:], " "), r.took.Seconds(), d)
	if r.took > 4*d {
		r.t.Errorf("took %s, more than four times the limit of %s", r.took, d)
	}
}

// owners are the user and the group of a file.
func owners(info os.FileInfo) (uid, gid int) {
	st := info.Sys().(*syscall.Stat_t) // always so on Linux
	return int(st.Uid), int(st.Gid)
}
