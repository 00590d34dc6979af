package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/packaging/lab"
	"wpmend/php/fcgi"
	"wpmend/php/fpm"
	"wpmend/php/process"
)

// hang sends a request to a site's pool that never ends, and gives the worker at it.
func (b *bench) hang(i int) process.Process {
	b.t.Helper()
	s := b.Site(i)
	script := filepath.Join(s.Root, "hang.php")
	b.must(os.WriteFile(script, []byte("<?php while (true) usleep(1000000);"), 0o644))
	before := map[int]bool{}
	workers := func() (found []process.Process) {
		procs, err := process.List()
		b.must(err)
		for _, p := range procs {
			if p.PPID != b.FPMMaster() || len(p.Argv) != 1 || p.Argv[0] != "php-fpm: pool "+s.Pool {
				continue
			}
			// clock_nanosleep of usleep
			if call, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/wchan"); err == nil && strings.Contains(string(call), "nanosleep") {
				found = append(found, p)
			}
		}
		return found
	}
	for _, p := range workers() {
		before[p.PID] = true
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.t.Cleanup(cancel)
	go func() {
		_, _ = fcgi.Do(ctx, "unix", s.Socket, fcgi.Request{Params: map[string]string{"SCRIPT_FILENAME": script, "SCRIPT_NAME": "/hang.php",
			"REQUEST_METHOD": "GET", "REQUEST_URI": "/hang.php", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1"}}, fcgi.Limits{})
	}()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, p := range workers() {
			if !before[p.PID] {
				return p
			}
		}
	}
	b.t.Fatalf("no worker of %s hangs", s.Pool)
	return process.Process{}
}

// story is what the incident's record says.
func (b *bench) story(r HealReport) string {
	b.t.Helper()
	list, err := b.agent.history.List(history.Filter{})
	b.must(err)
	var lines []string
	for _, inc := range list {
		if inc.ID == r.Incident {
			for _, e := range inc.Timeline {
				lines = append(lines, e.What)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// touchesInTurn: two sites of one master that want it restarted at the same time get one
// restart; what was not begun touches nobody, and what went wrong after it had begun counts.
func (b *bench) touchesInTurn() {
	b.t.Helper()
	m, up, err := b.site().Master.Running()
	if err != nil || !up {
		b.t.Fatalf("%v, %v", up, err)
	}
	before := b.FPMMaster()
	act := remedy.Act{Do: remedy.RestartFPM, Master: &m, Force: true}
	var both sync.WaitGroup
	var errs [2]error
	var told [2][]string
	for i := range errs {
		both.Go(func() { errs[i] = b.agent.actFPM(context.WithValue(b.t.Context(), toldKey{}, &told[i]), act) })
	}
	both.Wait()
	b.must(errors.Join(errs[:]...))
	story := strings.Join(append(told[0], told[1]...), "\n")
	if strings.Count(story, "the restart ended") != 1 || strings.Count(story, "so it is not restarted once more") != 1 || b.FPMMaster() == before {
		b.t.Errorf("two restarts at once: %q", story)
	}
	var unbegun *journal.UnbegunError
	wrong := m
	wrong.Config += ".none"
	act.Do, act.Master = remedy.ReloadFPM, &wrong
	b.must(b.agent.actFPM(b.t.Context(), act))
	conf, err := os.ReadFile(m.Config)
	b.must(err)
	b.must(os.WriteFile(m.Config, append(conf, "nonsense\n"...), 0o644))
	act.Master = &m
	if err := b.agent.actFPM(b.t.Context(), act); !errors.As(err, &unbegun) {
		b.t.Errorf("what its own test refuses: %v", err)
	}
	b.must(os.WriteFile(m.Config, conf, 0o644))
}

// Where nothing tells whose request a stuck worker is at, it is ended only if no other
// site can be meant.
func TestStuckOfSharedPool(t *testing.T) {
	t.Parallel()
	h := &healing{agent: &Agent{core: &core{}}, look: &look{site: site.Site{ID: "a", Root: "/srv/a", Pool: fpm.Pool{Name: "www"}}}}
	h.facts.Pool.Workers = []diagnose.Worker{{PID: os.Getpid(), Stuck: true}}
	h.agent.sites.Store("/srv/a", &h.site)
	if found := h.stuck(); len(found) != 1 {
		t.Errorf("alone in its pool: %+v", found)
	}
	h.facts.Pool.Workers = append(h.facts.Pool.Workers, diagnose.Worker{Busy: true, Script: "/usr/share/phpmyadmin/index.php"})
	if found := h.stuck(); len(found) != 0 || h.lostPool() != "" {
		t.Errorf("beside something that is no site: %+v", found)
	}
	h.facts.Pool.Workers = h.facts.Pool.Workers[:1]
	h.agent.sites.Store("/srv/b", &site.Site{ID: "b", Root: "/srv/b", Pool: fpm.Pool{Name: "www"}})
	if found := h.stuck(); len(found) != 0 {
		t.Errorf("in a shared pool: %+v", found)
	}
	h.facts.Next = diagnose.Neighbours{Asked: 1, Failing: 1}
	if found := h.stuck(); len(found) != 1 || h.lostPool() != "www" {
		t.Errorf("all of the pool fail: %+v", found)
	}
	h.agent.sites.Store("/srv/c", &site.Site{ID: "c", Root: "/srv/c", Pool: fpm.Pool{Name: "www"}})
	if found := h.stuck(); len(found) != 0 || h.lostPool() != "" {
		t.Errorf("all that were asked fail: %+v", found)
	}
	h.facts.Pool.Workers[0].Dir = "/srv/a"
	if found := h.stuck(); len(found) != 1 {
		t.Errorf("in its own folder: %+v", found)
	}
}

func TestMendFPM(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.Options{Sites: 2, Plugins: 1, MaxChildren: 3})
	opened := func(take func(*healing) (bool, error)) func(*healing) (bool, error) {
		return func(h *healing) (bool, error) {
			b.must(h.open())
			done, err := take(h)
			if h.report.State == "" {
				h.report.State = StateEscalated
			}
			b.must(h.close(nil))
			return done, err
		}
	}

	// Two workers of the pool hang; one of them at another site's script, as in a shared pool.
	ours, theirs := b.hang(0), b.hang(0)
	r := b.heals(diagnose.WorkersStuck, opened(func(h *healing) (bool, error) {
		h.facts.Pool.Workers = []diagnose.Worker{
			{PID: ours.PID, Busy: true, Stuck: true, Script: filepath.Join(b.Site(0).Root, "hang.php")},
			{PID: theirs.PID, Busy: true, Stuck: true, Script: filepath.Join(b.Site(1).Root, "hang.php")},
			{PID: os.Getpid(), Stuck: false}}
		return h.endWorkers(t.Context())
	}))
	b.resolved(r)
	if ours.Alive() || !theirs.Alive() {
		t.Errorf("the site's own worker lives: %v, the other site's: %v", ours.Alive(), theirs.Alive())
	}
	if want := "end the stuck worker " + strconv.Itoa(ours.PID) + " of pool " + b.Site(0).Pool + ": ends at most 1 request;"; !strings.HasPrefix(r.Changes[0].What, want) || r.Changes[0].Undo != "" {
		t.Errorf("%+v, want %s", r.Changes[0], want)
	}
	if story := b.story(r); !strings.Contains(story, "ended 1 worker of pool "+b.Site(0).Pool+" ("+strconv.Itoa(ours.PID)+")") {
		t.Errorf("the incident says:\n%s", story)
	}
	r = b.heals(diagnose.WorkersStuck, opened(func(h *healing) (bool, error) {
		h.facts.Pool.Workers = []diagnose.Worker{{PID: ours.PID, Stuck: true}, {PID: theirs.PID, Stuck: true, Age: 9 * time.Hour}}
		return h.endWorkers(t.Context())
	}))
	b.advised(r, "no worker of the site is known to be stuck")

	// The other site's pool is at work: nothing that ends its request is done without leave.
	healthy := b.hang(1)
	poisoned := func() HealReport {
		return b.heals(diagnose.OPcachePoisoned, opened(func(h *healing) (bool, error) { return h.restartFPM(t.Context()) }))
	}
	b.configure(func(c *config.Config) { c.Budget.Patience = config.Duration(100 * time.Millisecond) })
	r = poisoned()
	b.advised(r, "ends 2 running requests of 2 pools at once: not done without leave")
	if !healthy.Alive() || !theirs.Alive() {
		t.Error("a request was ended without leave")
	}

	// With leave, as a reload: only OPcache is in question.
	b.configure(func(c *config.Config) { c.Budget.Requests = 1 })
	master := b.FPMMaster()
	r = poisoned()
	b.resolved(r)
	if !strings.HasPrefix(r.Changes[0].What, "reload PHP-FPM ("+b.FPMConfig(0)+"): a reload ends 2 running requests of 2 pools at once") {
		t.Errorf("%+v", r.Changes[0])
	}
	if story := b.story(r); !strings.Contains(story, "the reload ended 2 running requests; PHP-FPM served again after ") {
		t.Errorf("the incident says:\n%s", story)
	}
	if b.FPMMaster() != master {
		t.Error("a reload in the foreground changes the PID")
	}

	// The socket's file is gone: only a restart makes another.
	b.must(os.Remove(b.Site(0).Socket))
	r = b.heals(diagnose.SocketMissing, opened(func(h *healing) (bool, error) { return h.restartFPM(t.Context()) }))
	b.resolved(r)
	if !strings.HasPrefix(r.Changes[0].What, "restart PHP-FPM ("+b.FPMConfig(0)+"): a restart ends no request: none runs") || b.FPMMaster() == master {
		t.Errorf("%+v", r.Changes[0])
	}
	b.status(200)

	b.touchesInTurn()

	// Twice an hour is enough.
	master = b.FPMMaster()
	r = poisoned()
	b.advised(r, "was reloaded or restarted 2 times within an hour, the budget is 2 (budget.master)")
	if b.FPMMaster() != master {
		t.Error("the master was touched for all that")
	}
	changes, err := b.agent.journal.Since(time.Now().Add(-time.Hour))
	b.must(err)
	touches := 0
	for _, c := range counted(changes, b.agent.poolAt) {
		if c.Master == b.FPMConfig(0) {
			touches++
		}
	}
	if touches != 2 {
		t.Errorf("%d reloads and restarts are counted", touches)
	}
	for _, c := range changes {
		if c.State != journal.Verified && c.UndoNone == "" {
			t.Errorf("%s is %s", c.What, c.State)
		}
	}
}
