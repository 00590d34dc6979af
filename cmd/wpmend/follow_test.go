package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/history"
	"wpmend/packaging/lab"
)

// byLogsOnly: no scheduled probe comes in time.
const byLogsOnly = `watch.every = "24h"`

// incidents are read from the history itself, since a call of wpmend takes longer
// than what is measured here.
func (s *stage) incidents() (list []history.Incident) {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.state, "history", "[0-9A-Z]*.json"))
	s.must(err)
	for _, name := range names {
		if strings.Count(filepath.Base(name), ".") > 1 {
			continue // what became of an incident later
		}
		text, err := os.ReadFile(name)
		s.must(err)
		var i history.Incident
		s.must(json.Unmarshal(text, &i))
		list = append(list, i)
	}
	return list
}

// visit is one request of a visitor; when it was sent is what the rest is measured by.
func (s *stage) visit(path string, status int) time.Time {
	s.t.Helper()
	sent := time.Now()
	got, _, err := s.Get(path)
	s.must(err)
	if got != status {
		s.t.Fatalf("%s answers %d, want %d", path, got, status)
	}
	return sent
}

// opened waits for the incident after n others.
func (v *service) opened(n int, sent time.Time) (i history.Incident, written time.Duration) {
	v.s.t.Helper()
	v.until("the incident", 20*time.Second, func() bool { return len(v.s.incidents()) > n })
	written = time.Since(sent)
	return v.s.incidents()[n], written
}

// ended waits until incident n has, and gives the moment of its diagnosis.
func (v *service) ended(n int) (i history.Incident, diagnosed time.Time) {
	v.s.t.Helper()
	v.until("the incident's end", 90*time.Second, func() bool { return v.s.incidents()[n].State != history.Ongoing })
	i = v.s.incidents()[n]
	for _, e := range i.Timeline {
		if strings.HasPrefix(e.What, "most likely cause") {
			diagnosed = e.Time
		}
	}
	return i, diagnosed
}

// One visitor's request to an inner page is enough: by the logs alone the incident is
// open at once. Where the front page fails too it is mended; where only the inner
// page does, it is explained and nothing is changed.
func TestRunFollowsLogs(t *testing.T) {
	t.Parallel()
	for _, gateway := range []string{lab.Nginx, lab.Apache} {
		t.Run(gateway, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lab.Options{Plugins: 8, Gateway: gateway}, byLogsOnly)
			s.must(s.AddPage(0, "shop"))
			v := s.serve()
			whole := s.snapshot()

			s.breakBy(lab.Segfault.When(lab.AtShop), lab.Slug(3))
			before := s.snapshot()
			sent := s.visit("/shop/", map[string]int{lab.Nginx: 502, lab.Apache: 503}[gateway])
			s.timely(v, "only /shop/ fails", 0, sent)
			i, _ := v.ended(0)
			if i.State != history.Escalated || !strings.HasSuffix(i.Symptom.URL, "/shop/") || len(i.Changes) != 0 || !strings.Contains(strings.Join(i.Advice, " "), "anybody may have asked for it") {
				t.Errorf("incident %+v, want /shop/ escalated with advice", i)
			}
			if len(i.Culprits) != 1 || i.Culprits[0].Component != "plugin:"+lab.Slug(3) {
				t.Errorf("culprits %+v, want plugin-03 named", i.Culprits)
			}
			s.wantSnapshot(before)
			s.must(s.Mend(0))
			s.wantSnapshot(whole)

			s.breakBy(lab.Fatal, lab.Slug(5))
			before = s.snapshot()
			sent = s.visit("/shop/", 500)
			s.timely(v, "every page fails", 1, sent)
			if i, _ = v.ended(1); i.State != history.Resolved || len(i.Culprits) != 1 || i.Culprits[0].Component != "plugin:"+lab.Slug(5) {
				t.Errorf("incident %+v, want plugin-05 switched off", i)
			}
			s.wantSnapshot(without(before, lab.Slug(5)))
			v.end(syscall.SIGTERM)
			if n := len(s.incidents()); n != 2 {
				t.Errorf("%d incidents, want two", n)
			}
		})
	}
}

// timely reports when incident n was opened and explained after a request, and holds
// it against bounds that are generous, since test machines are shared.
func (s *stage) timely(v *service, what string, n int, sent time.Time) {
	s.t.Helper()
	i, written := v.opened(n, sent)
	_, diagnosed := v.ended(n)
	s.t.Logf("%s: the failure seen %.2f s after the request, written down after %.2f s, explained after %.2f s",
		what, i.Opened.Sub(sent).Seconds(), written.Seconds(), diagnosed.Sub(sent).Seconds())
	if i.Opened.Sub(sent) > 10*time.Second || written > 10*time.Second || diagnosed.IsZero() || diagnosed.Sub(sent) > 30*time.Second {
		s.t.Errorf("too late: %s", fmt.Sprint(i.Timeline))
	}
}
