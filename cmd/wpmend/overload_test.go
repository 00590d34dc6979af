package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// crowd are rounds of a burden on the site, each of some length.
type crowd struct {
	rounds int
	length time.Duration
}

// More clients than the pool can serve, and every plugin well: no component is
// switched off, and the cause is named.
func TestOverload(t *testing.T) {
	t.Parallel()
	c := crowd{2, 8 * time.Second}
	if long {
		c = crowd{20, time.Minute}
	}
	s := newStage(t, lab.Options{Plugins: 6, MaxChildren: 3}, `watch.every = "1s"`, `probe.timeout = "3s"`)
	s.must(s.AddPage(0, "shop"))
	s.breakBy(lab.Slow.When(lab.AtShop), lab.Slug(4)) // a report that takes its time, and comes
	before := s.snapshot()
	v := s.serve()
	for range c.rounds {
		load := s.Load(0, "/shop/", 20)
		s.hold(v, c.length)
		answers := load.Stop()
		t.Logf("answers by status: %v", answers)
		if answers[200] == 0 {
			t.Errorf("no client was served: %v", answers)
		}
		v.until("a healthy answer", 30*time.Second, s.healthy)
	}
	s.named(v, before, "pool-exhausted", "overload", "traffic-spike", "workers-stuck", "gateway-timeout")
}

// The database is away for a while, as in a restart: nothing is searched or switched off.
func TestDatabaseRestart(t *testing.T) {
	t.Parallel()
	c := crowd{2, 4 * time.Second}
	if long {
		c = crowd{20, 20 * time.Second}
	}
	s := newStage(t, lab.Options{Plugins: 6}, `watch.every = "1s"`)
	before := s.snapshot()
	v := s.serve()
	for range c.rounds {
		load := s.Load(0, "/", 4)
		s.must(s.StopDB())
		s.hold(v, c.length)
		s.must(s.StartDB())
		v.until("a healthy answer", 30*time.Second, s.healthy)
		time.Sleep(time.Second)
		t.Logf("answers by status: %v", load.Stop())
	}
	s.named(v, before, "db-down")
}

// hold lets time pass, in which an impatient administrator asks for a healing too.
func (s *stage) hold(v *service, length time.Duration) {
	s.t.Helper()
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if r := s.json("heal", s.domain()); r.code == 2 || r.code == 1 && !strings.Contains(r.stdout, `"busy"`) {
			s.t.Errorf("%s", r)
		}
	}
}

// named wants the burden to be named by one of these causes, the site's components as
// they were, and no change of one in the journal.
func (s *stage) named(v *service, before lab.Snapshot, causes ...string) {
	s.t.Helper()
	var list incidentsJSON
	s.json("incidents").exits(0).into(&list)
	if len(list.Incidents) == 0 {
		s.t.Error("no incident tells of it")
	}
	first := map[string]int{}
	for _, i := range list.Incidents {
		var inc incidentJSON
		s.json("incidents", "show", i.ID).exits(0).into(&inc)
		switch {
		case inc.State == "transient":
			first["transient"]++
		case len(inc.Causes) == 0:
			first["none"]++
			s.t.Errorf("an incident without a cause: %+v", inc)
		default:
			first[inc.Causes[0].Cause]++
			if !slices.Contains(causes, inc.Causes[0].Cause) {
				s.t.Errorf("named %s, want one of %v: %+v", inc.Causes[0].Cause, causes, inc)
			}
		}
		if len(inc.Culprits) > 0 {
			s.t.Errorf("convicted %+v: %+v", inc.Culprits, inc)
		}
	}
	s.t.Logf("incidents by first cause: %v", first)
	s.wantSnapshot(before)
	if record := s.journal(); strings.Contains(record, "off-by-wpmend") {
		s.t.Errorf("the journal holds a change of a component: %s", record)
	}
	if names, err := filepath.Glob(filepath.Join(s.Site(0).Content, "plugins", ".*")); err != nil || len(names) > 0 {
		s.t.Errorf("hidden among the plugins: %v, %v", names, err)
	}
}
