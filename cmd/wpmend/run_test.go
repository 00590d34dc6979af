package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// service is a `wpmend run` in the background.
type service struct {
	s    *stage
	cmd  *exec.Cmd
	mu   sync.Mutex
	log  bytes.Buffer
	done chan struct{}
}

func (v *service) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.Write(p)
}

func (v *service) said() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.String()
}

// serve starts `wpmend run` and waits until it watches.
func (s *stage) serve() *service {
	s.t.Helper()
	v := &service{s: s, cmd: s.command("run"), done: make(chan struct{})}
	v.cmd.Stdout, v.cmd.Stderr = v, v
	s.must(v.cmd.Start())
	go func() {
		v.cmd.Wait() // how it ended is in ProcessState
		close(v.done)
	}()
	s.t.Cleanup(func() {
		v.cmd.Process.Kill()
		<-v.done
		if s.t.Failed() {
			s.t.Logf("wpmend run said:\n%s", v.said())
		}
	})
	v.until("watching", 30*time.Second, func() bool { return strings.Contains(v.said(), "msg=watching") })
	return v
}

// until waits for something that must come.
func (v *service) until(what string, limit time.Duration, cond func() bool) {
	v.s.t.Helper()
	for deadline := time.Now().Add(limit); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.s.t.Fatalf("%s did not come within %s", what, limit)
		}
		select {
		case <-v.done:
			v.s.t.Fatalf("wpmend run ended instead of %s: %v", what, v.cmd.ProcessState)
		default:
		}
	}
}

// end asks it to end, as a service manager does.
func (v *service) end(sig syscall.Signal) {
	v.s.t.Helper()
	start := time.Now()
	v.s.must(v.cmd.Process.Signal(sig))
	select {
	case <-v.done:
	case <-time.After(20 * time.Second):
		v.s.t.Fatalf("wpmend run does not end 20 s after %s", sig)
	}
	v.s.t.Logf("ended %.2f s after %s", time.Since(start).Seconds(), sig)
	if code := v.cmd.ProcessState.ExitCode(); code != 0 {
		v.s.t.Errorf("wpmend run ended with %v, want exit 0", v.cmd.ProcessState)
	}
}

// healthy says whether the first site answers a whole page.
func (s *stage) healthy() bool {
	status, body, err := s.Get("/")
	return err == nil && status == 200 && lab.Complete(body)
}

const every = 2 * time.Second // between two looks of the service, in these tests

// The service heals by itself, within one interval and the time that healing takes.
func TestRun(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30}, `watch.every = "2s"`)
	v := s.serve()
	s.breakBy(lab.Fatal, culpritSlug)
	before, rows := s.snapshot(), s.database()
	broken := time.Now()
	v.until("a healthy answer", 4*(every+5*time.Second), s.healthy)
	t.Logf("well again %.2f s after it was broken, looked at every %s", time.Since(broken).Seconds(), every)
	v.until("the incident's end", 20*time.Second, func() bool { return strings.Contains(v.said(), "state=resolved") })
	v.end(syscall.SIGTERM)
	s.wantSnapshot(without(before, culpritSlug))
	s.wantDatabase(rows)
	var list incidentsJSON
	s.json("incidents").exits(0).into(&list)
	if len(list.Incidents) != 1 || list.Incidents[0].State != "resolved" {
		t.Errorf("incidents %+v, want one, resolved", list.Incidents)
	}
	var left recoverJSON
	s.json("recover").exits(0).into(&left)
	if len(left.Changes) != 0 {
		t.Errorf("recover found %+v, want nothing left", left.Changes)
	}
}

// Two services and an impatient administrator act once.
func TestRunTwice(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30}, `watch.every = "1s"`)
	first, second := s.serve(), s.serve()
	s.breakBy(lab.Blank200, culpritSlug)
	before := s.snapshot()
	for !s.healthy() {
		// busy, or healed by it, or healthy meanwhile: never a second change
		if r := s.json("heal", s.domain()); r.code != 0 && !(r.code == 1 && strings.Contains(r.stdout, `"busy"`)) {
			t.Errorf("%s", r)
		}
	}
	first.until("the end of the work", 20*time.Second, func() bool {
		var list incidentsJSON
		s.json("incidents").exits(0).into(&list)
		return len(list.Incidents) > 0 && list.Incidents[0].State != "open"
	})
	time.Sleep(2 * time.Second) // both look once more
	first.end(syscall.SIGTERM)
	second.end(syscall.SIGINT)
	s.wantSnapshot(without(before, culpritSlug))
	if n := strings.Count(s.journal(), `"site_root"`); n == 0 {
		t.Error("the journal holds no change")
	}
	var list incidentsJSON
	s.json("incidents").exits(0).into(&list)
	changes := 0
	for _, i := range list.Incidents {
		changes += len(i.Changes)
	}
	if changes != 1 {
		t.Errorf("%d changes, want one: %+v", changes, list.Incidents)
	}
}

// In the middle of an incident SIGTERM ends the service at once, and nothing is left.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30}, `watch.every = "1s"`)
	v := s.serve()
	s.breakBy(lab.Segfault, culpritSlug)
	before := s.snapshot()
	v.until("the incident", 20*time.Second, func() bool { return strings.Contains(v.said(), "the site fails") })
	v.end(syscall.SIGTERM)
	var left recoverJSON
	s.json("recover").exits(0).into(&left)
	if !left.Clean || len(left.Changes) != 0 {
		t.Errorf("recover found %+v, want that the service had put everything back itself", left.Changes)
	}
	s.wantSnapshot(before)
}

// With mode = "observe" the service says what it sees and touches nothing.
func TestRunObserves(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3}, `watch.every = "1s"`, `mode = "observe"`, "[[owner]]", `user = "nobody-has-this-name"`, "budget.site = 1")
	v := s.serve()
	doubt := func(times int) func() bool {
		return func() bool { return strings.Count(v.said(), `this host has no user \"nobody-has-this-name\"`) == times }
	}
	v.until("the note of the configuration", 20*time.Second, doubt(1))
	s.must(v.cmd.Process.Signal(syscall.SIGHUP))
	v.until("the note after a reload", 20*time.Second, doubt(2))
	s.breakBy(lab.Fatal, lab.Slug(2))
	before := s.snapshot()
	v.until("the symptom", 20*time.Second, func() bool { return strings.Contains(v.said(), "wpmend only observes") })
	v.end(syscall.SIGTERM)
	s.wantSnapshot(before)
	if record := s.journal(); strings.Contains(record, "{") {
		t.Errorf("the journal holds a change: %s", record)
	}
}

// With mode = "suggest", and in quiet hours, the service finds the culprit and says what
// would help, and touches nothing.
func TestRunSuggests(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3}, `watch.every = "1s"`, `quiet = ["00:00-24:00"]`)
	v := s.serve()
	s.breakBy(lab.Fatal, lab.Slug(2))
	before := s.snapshot()
	var list incidentsJSON
	v.until("the suggestion", 30*time.Second, func() bool {
		s.json("incidents").exits(exitDone).into(&list)
		return len(list.Incidents) > 0 && list.Incidents[0].State == "escalated"
	})
	v.end(syscall.SIGTERM)
	s.wantSnapshot(before)
	if c := list.Incidents[0].Culprits; len(c) != 1 || c[0].Component != "plugin:"+lab.Slug(2) {
		t.Errorf("culprits %+v", c)
	}
	if shown := s.run("incidents", "show", list.Incidents[0].ID).exits(exitDone).stdout; !strings.Contains(shown, "wpmend heal "+s.domain()) || !strings.Contains(shown, "switch off plugin:"+lab.Slug(2)) {
		t.Errorf("it suggests nothing: %s", shown)
	}
	if record := s.journal(); strings.Contains(record, "{") {
		t.Errorf("the journal holds a change: %s", record)
	}
}

// A limit that was set for a time is taken back by the service, and the file is as it
// was before.
func TestRunEndsTerms(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 1})
	file := filepath.Join(s.Site(0).Root, ".user.ini")
	const before = "; the owner's own\nprecision = 12\n"
	s.write(file, before)
	s.json("php", "limits", s.domain(), "--set", "max_execution_time=45", "--for", "1s").exits(exitDone)
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "max_execution_time = 45") {
		t.Fatalf("%q, %v: want the limit set", text, err)
	}
	time.Sleep(2 * time.Second) // its term has come when the service starts
	v := s.serve()
	v.until("the term's end", time.Minute, func() bool {
		text, err := os.ReadFile(file)
		return err == nil && string(text) == before
	})
}
