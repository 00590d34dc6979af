package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/history"
	"wpmend/agent/policy"
	"wpmend/packaging/lab"
)

// shares has the second site run in the pool of the first.
func (s *stage) shares() {
	s.t.Helper()
	text, err := os.ReadFile(s.VhostConfig(1))
	s.must(err)
	config := strings.ReplaceAll(string(text), s.Site(1).Socket+";", s.Site(0).Socket+";")
	if config == string(text) {
		s.t.Fatal("the gateway's configuration names no socket of the second site")
	}
	s.write(s.VhostConfig(1), config)
	s.must(s.RestartGateway())
}

// closed waits for so many incidents that have ended, and wants no more.
func (v *service) closed(n int) []history.Incident {
	v.s.t.Helper()
	var list []history.Incident
	v.until(fmt.Sprintf("the end of incident %d", n), 60*time.Second, func() bool {
		list = v.s.incidents()
		return len(list) >= n && !slices.ContainsFunc(list, func(i history.Incident) bool { return i.State == history.Ongoing })
	})
	if len(list) > n {
		v.s.t.Fatalf("%d incidents, want %d: %+v", len(list), n, list)
	}
	return list
}

// A pool that is gone is one incident of all its sites, with one remedy; plugins of two
// sites of one pool that break at the same moment are two.
func TestRunPool(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 4, Sites: 3}, `watch.every = "1s"`, "watch.incidents = 3")
	s.shares()
	v := s.serve()
	s.must(s.StopFPM())
	first := v.closed(1)[0]
	v.until("answers of all", 10*time.Second, func() bool { return s.allWell() })
	time.Sleep(3 * time.Second) // every site is looked at again
	first = v.closed(1)[0]
	if first.State != history.Resolved || len(first.Changes) != 1 || len(first.Sites) != 2 || first.Probes != 0 || !strings.Contains(fmt.Sprint(first.Timeline), "well again along with it") {
		t.Errorf("incident %+v, want one of all sites, resolved by one change without a search", first)
	}
	if n := strings.Count(s.journal(), `"what": "start PHP-FPM`); n != 1 {
		t.Errorf("PHP-FPM was started %d times", n)
	}

	s.must(s.Break(0, lab.Fatal, lab.Slug(1)))
	s.must(s.Break(1, lab.Fatal, lab.Slug(2)))
	for n, i := range v.closed(3)[1:] {
		if i.State != history.Resolved || len(i.Culprits) != 1 || len(i.Sites) != 0 {
			t.Errorf("incident %d: %+v, want one with a culprit of its own", n, i)
		}
	}
	if !s.allWell() {
		t.Error("not all sites are well")
	}

	// What nobody may mend is told once of both, and the third is well.
	s.must(s.Break(0, lab.SocketMode, ""))
	last := v.closed(4)[3]
	time.Sleep(3 * time.Second)
	v.closed(4)
	if last.State != history.Escalated || last.Reason != string(policy.Unsolved) || len(last.Sites) != 1 || len(last.Changes) != 0 || !strings.HasPrefix(last.Causes[0].Cause, "socket-") {
		t.Errorf("incident %+v, want one of both sites of the pool, left as it is", last)
	}
	shown := s.run("incidents", "show", last.ID).exits(exitDone).stdout
	for _, i := range []int{0, 1} {
		if !strings.Contains(shown, s.Site(i).Domain) {
			t.Errorf("%s is not named: %s", s.Site(i).Domain, shown)
		}
	}
	v.end(syscall.SIGTERM)
}

func (s *stage) allWell() bool {
	for i := range s.Sites() {
		status, body, err := s.GetFrom(s.t.Context(), i, "/")
		if err != nil || status != 200 || !lab.Complete(body) {
			return false
		}
	}
	return true
}

// reload puts further settings in force.
func (v *service) reload(settings ...string) {
	v.s.t.Helper()
	n := strings.Count(v.said(), "another configuration is in force")
	v.s.write(v.s.config, strings.Join(append([]string{fmt.Sprintf("only = [%q]", v.s.Dir), `watch.every = "1s"`}, settings...), "\n")+"\n")
	v.s.must(v.cmd.Process.Signal(syscall.SIGHUP))
	v.until("the configuration", 10*time.Second, func() bool { return strings.Count(v.said(), "another configuration is in force") > n })
}

// again has what fails be looked into again, and wants nothing to be told or changed.
func (v *service) again(incidents int, settings ...string) {
	v.s.t.Helper()
	before, n := v.s.snapshot(), strings.Count(v.said(), "told=true")
	v.reload(settings...)
	v.until("another look", 30*time.Second, func() bool { return strings.Count(v.said(), "told=true") > n })
	v.closed(incidents)
	v.s.wantSnapshot(before)
}

// What comes back again and again, what is too much, and what flaps is told once and
// left to a person, also over a restart; wpmend goes on once it may.
func TestRunBudgets(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 8}, `watch.every = "1s"`)
	v := s.serve()

	// The same culprit.
	plugin := filepath.Join(s.Site(0).Content, "plugins", lab.Slug(3))
	s.breakBy(lab.Fatal, lab.Slug(3))
	v.closed(1)
	s.json("enable", s.domain(), "plugin:"+lab.Slug(3)).exits(exitDone)
	second := v.closed(2)[1]
	if second.State != history.Resolved || len(second.Changes) != 1 {
		t.Fatalf("it was not switched off a second time: %+v", second)
	}
	if out, err := exec.Command("cp", "-a", filepath.Join(s.Site(0).Root, second.Changes[0].To), plugin).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	third := v.closed(3)[2]
	advice := fmt.Sprint(third.Advice)
	if third.State != history.Escalated || third.Reason != string(policy.CulpritReturns) || len(third.Culprits) != 1 || len(third.Changes) != 0 {
		t.Errorf("the third time: %+v", third)
	}
	for _, words := range []string{"was switched off 2 times within a day", "(wpmend enable)", "was installed anew at", "an automatic update", "wpmend disable " + s.domain() + " plugin:" + lab.Slug(3)} {
		if !strings.Contains(advice, words) {
			t.Errorf("it does not say %q: %s", words, advice)
		}
	}
	large := []string{"budget.site = 1000", "budget.pool = 1000", "budget.host = 1000"}
	v.again(3, append(large, "budget.flaps = 0")...)
	s.must(os.Rename(plugin, filepath.Join(s.Dir, "gone")))
	v.until("a healthy answer", 10*time.Second, s.healthy)

	// The budget: two changes were made.
	small := []string{"budget.site = 3", "budget.flaps = 0"}
	v.reload(small...)
	s.breakBy(lab.Fatal, lab.Slug(1))
	if i := v.closed(4)[3]; i.State != history.Resolved {
		t.Fatalf("the last change that was allowed: %+v", i)
	}
	s.breakBy(lab.Fatal, lab.Slug(2))
	fifth := v.closed(5)[4]
	if fifth.State != history.Escalated || fifth.Reason != string(policy.BudgetSite) || len(fifth.Culprits) != 1 || !strings.Contains(fmt.Sprint(fifth.Advice), "(budget.site)") {
		t.Errorf("past the budget: %+v", fifth)
	}
	v.again(5, small...)
	v.end(syscall.SIGTERM)
	v = s.serve()
	time.Sleep(3 * time.Second)
	v.closed(5)
	v.again(5, small...)
	v.reload(append(large, "budget.flaps = 0")...)
	sixth := v.closed(6)[5]
	v.until("the end of what was escalated", 10*time.Second, func() bool { return !s.stored(fifth.ID).Over.IsZero() })
	if sixth.State != history.Resolved || sixth.After != fifth.ID || !strings.Contains(fmt.Sprint(s.stored(fifth.ID).Timeline), "mended, by incident "+sixth.ID) {
		t.Errorf("once it might, it went on: %+v", sixth)
	}

	// What flaps.
	flaps := append(large, "budget.flaps = 3")
	v.reload(flaps...)
	s.breakBy(lab.Fatal, lab.Slug(5))
	seventh := v.closed(7)[6]
	if seventh.State != history.Escalated || seventh.Reason != string(policy.Flapping) || len(seventh.Culprits) != 1 || !strings.Contains(fmt.Sprint(seventh.Advice), "nothing is changed before it stays up, or down") {
		t.Errorf("flapping: %+v", seventh)
	}
	v.reload(flaps...) // it stayed down
	if i := v.closed(8)[7]; i.State != history.Resolved || i.After != seventh.ID {
		t.Errorf("it stayed down, and: %+v", i)
	}

	// What may only be suggested is told once, and done once it may be.
	v.reload(append(large, `mode = "suggest"`, "budget.flaps = 0")...)
	s.breakBy(lab.Fatal, lab.Slug(6))
	ninth := v.closed(9)[8]
	if ninth.State != history.Escalated || ninth.Reason != string(policy.SuggestOnly) || len(ninth.Culprits) != 1 || !strings.Contains(fmt.Sprint(ninth.Advice), "wpmend heal "+s.domain()) {
		t.Errorf("a suggestion: %+v", ninth)
	}
	v.again(9, append(large, `mode = "suggest"`, "budget.flaps = 0")...)
	v.reload(append(large, "budget.flaps = 0")...)
	if i := v.closed(10)[9]; i.State != history.Resolved || i.After != ninth.ID {
		t.Errorf("once it might be done: %+v", i)
	}
	v.end(syscall.SIGTERM)
}

// stored is an incident as the history tells it.
func (s *stage) stored(id string) (i history.Incident) {
	s.t.Helper()
	s.json("incidents", "show", id).exits(exitDone).into(&i)
	return i
}
