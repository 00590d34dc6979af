package agent

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/policy"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

var tea = time.Date(2026, 3, 4, 16, 0, 0, 0, time.UTC)

// A pause is as long as the failure has lasted; a site must stay well for as long before
// it is over, whatever happens in between.
func TestPause(t *testing.T) {
	t.Parallel()
	escalated := HealReport{Reason: policy.Unsolved, Incident: "01A"}
	p := newPause(tea)
	p.escalated(config.Heal, escalated, tea)
	if !p.failed(config.Heal, tea.Add(59*time.Second)) || p.failed(config.Heal, tea.Add(time.Minute)) {
		t.Error("the first pause is no minute")
	}
	if p.failed(config.Suggest, tea) {
		t.Error("another mode does not count")
	}
	now := tea.Add(10 * time.Minute)
	p.escalated(config.Heal, escalated, now)
	if p.until != now.Add(10*time.Minute) || len(p.incidents) != 1 {
		t.Errorf("after ten minutes: %+v", p)
	}
	now = now.Add(time.Minute)
	if p.well(now) || p.well(now.Add(10*time.Minute)) {
		t.Error("over before it was well for long enough")
	}
	p.failed(config.Heal, now.Add(10*time.Minute+time.Second))
	if p.well(now.Add(11 * time.Minute)) {
		t.Error("it failed in between")
	}
	if !p.came || !p.well(now.Add(11*time.Minute+policy.LongestRest)) {
		t.Error("well for an hour, and not over")
	}
	budget := HealReport{Reason: policy.BudgetHost, Until: now.Add(3 * time.Minute)}
	if p.escalated(config.Heal, budget, now); p.until != budget.Until {
		t.Error("it goes on when the budget is free again")
	}
	if p.stale(now.Add(2*time.Hour)) || !p.stale(now.Add(3*time.Hour)) {
		t.Error("forgotten too early, or never")
	}
}

func TestPausesAfterRestart(t *testing.T) {
	t.Parallel()
	s := site.Site{ID: "a", Root: "/srv/a", Domain: "a.test"}
	home := probe.Home(s).String()
	incident := func(id string, minutes int, state string, reason policy.Reason, page string) history.Incident {
		at := tea.Add(time.Duration(minutes) * time.Minute)
		return history.Incident{ID: id, Site: SiteRef{ID: "a"}, State: state, Reason: string(reason), Opened: at, Ended: at, Symptom: history.Symptom{URL: page, Signature: "sig"}}
	}
	over := incident("05", -4, history.Escalated, policy.Unsolved, home)
	over.Over = tea
	next := incident("07", -6, history.Escalated, policy.Unsolved, "http://b.test/")
	next.Site.ID, next.Sites = "b", []SiteRef{{ID: "a"}}
	for _, c := range []struct {
		name  string
		list  []history.Incident // the newest first
		keys  int
		since int // minutes
		told  int
		mode  config.Mode
	}{
		{"nothing", nil, 0, 0, 0, ""},
		{"one that lasts", []history.Incident{incident("09", -3, history.Escalated, policy.Unsolved, home)}, 1, -3, 1, config.Heal},
		{"a row of them", []history.Incident{incident("09", -3, history.Escalated, policy.BudgetSite, home), incident("08", -7, history.Escalated, policy.Unsolved, home), incident("07", -9, history.Resolved, "", home),
			incident("06", -20, history.Escalated, policy.Unsolved, home)}, 1, -7, 2, config.Heal},
		{"one that was interrupted does not count", []history.Incident{incident("09", -3, history.Escalated, policy.Stopped, home), incident("08", -7, history.Escalated, policy.SuggestOnly, home)}, 1, -7, 1, config.Suggest},
		{"mended since", []history.Incident{incident("09", -3, history.Resolved, "", home), incident("08", -7, history.Escalated, policy.Unsolved, home)}, 0, 0, 0, ""},
		{"over", []history.Incident{over}, 0, 0, 0, ""},
		{"of an earlier version", []history.Incident{incident("09", -3, history.Escalated, "", home)}, 0, 0, 0, ""},
		{"of the pool", []history.Incident{next}, 1, -6, 1, config.Heal},
	} {
		found := pauses(s, c.list, tea)
		if len(found) != c.keys {
			t.Errorf("%s: %d pauses", c.name, len(found))
			continue
		}
		if p := found["a"]; c.keys > 0 && (p == nil || p.since != tea.Add(time.Duration(c.since)*time.Minute) || len(p.told) != c.told || len(p.incidents) != c.told || p.mode != c.mode || p.until != policy.Resume(p.since, tea)) {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
	page := incident("09", -3, history.Escalated, policy.Unsolved, home+"page/")
	if p := pauses(s, []history.Incident{page}, tea)[restKey(s, probe.Result{Signature: "sig"}, &url.URL{})]; p == nil {
		t.Error("the pause of a page is not found again")
	}
}

// The front page's failures count, not what anybody brings about by an URL or a forged
// log; what lasts has not come again, and an end is a new beginning.
func TestFlapsOf(t *testing.T) {
	t.Parallel()
	s := site.Site{ID: "a", Domain: "a.test"}
	home := probe.Home(s).String()
	var list []history.Incident
	add := func(minutes int, state, page, signature, reason string, over int) {
		i := history.Incident{Site: SiteRef{ID: "a"}, State: state, Reason: reason, Opened: tea.Add(time.Duration(minutes) * time.Minute), Symptom: history.Symptom{URL: page, Signature: signature}}
		if over != 0 {
			i.Over = tea.Add(time.Duration(over) * time.Minute)
		}
		list = append(list, i)
	}
	flapping := func(most int) bool {
		return !flaps(list, func(i history.Incident) string { return keyOf(s, i) }, s.ID, most, tea).Allowed
	}
	add(-50, history.Resolved, home, "502", "", 0)
	add(-40, history.Transient, home, "502", "", 0)
	add(-30, history.Escalated, home, "502", string(policy.Unsolved), -29)
	if !flapping(3) || flapping(4) || flapping(0) {
		t.Error("three are not counted as three")
	}
	add(-20, history.Escalated, home, "502", string(policy.Unsolved), 0)
	add(-19, history.Ongoing, home, "502", "", 0)
	add(-18, history.Resolved, home+"page/", "502", "", 0)
	add(-17, history.Transient, home, loggedSignature+"answered 502", "", 0)
	if flapping(4) {
		t.Error("what lasts, another page or a log's line was counted")
	}
	add(-16, history.Escalated, home, "502", string(policy.Flapping), -10)
	if flapping(1) {
		t.Error("it was quiet since")
	}
}

func TestTales(t *testing.T) {
	t.Parallel()
	i := history.Incident{State: history.Escalated, Reason: string(policy.Unsolved), Causes: []diagnose.Cause{{Cause: diagnose.DBDown}}, Culprits: []Culprit{}}
	told := &attempt{told: tales{tale(i): true}}
	other := i
	other.Causes = []diagnose.Cause{{Cause: diagnose.DiskFull}}
	mended := i
	mended.State = history.Resolved
	if !told.knows(i) || told.knows(other) || told.knows(mended) || (*attempt)(nil).knows(i) {
		t.Error("the same is told twice, or news are not")
	}
}

// Of the sites of one master that fail at the same moment one is looked into first; what
// it is told by then is theirs, or each is looked into by itself.
func TestLead(t *testing.T) {
	t.Parallel()
	for _, shares := range []bool{true, false} {
		w := &watching{groups: map[string][]*shared{}, told: map[string]*told{}}
		var sites []site.Site
		scope := map[string]bool{}
		for i := range 8 {
			s := site.Site{ID: fmt.Sprint(i), Domain: fmt.Sprint(i)}
			s.Master.Config = "/m"
			sites = append(sites, s)
			scope[s.ID] = i != 0 && i != 7 // the last runs in another pool
		}
		first, waited := w.lead(t.Context(), sites[0])
		if first == nil || waited {
			t.Fatal("the first waits")
		}
		if alone, waited := w.lead(t.Context(), site.Site{ID: "x"}); alone == nil || waited {
			t.Fatal("one without PHP-FPM waits")
		}
		var mu sync.Mutex
		led := map[string]bool{}
		var work sync.WaitGroup
		for _, s := range sites[1:] {
			work.Go(func() {
				g, waited := w.lead(t.Context(), s)
				if g == nil {
					return
				}
				mu.Lock()
				led[s.ID] = waited
				mu.Unlock()
				w.end(g)
			})
		}
		if shares {
			first.decide(scope)
			for len(first.sites()) < 6 {
				time.Sleep(time.Millisecond)
			}
		}
		w.end(first)
		work.Wait()
		switch {
		case shares && (len(led) != 1 || !led["7"] || len(first.sites()) != 6):
			t.Errorf("looked into by themselves: %v; named: %v", led, first.sites())
		case !shares && (len(led) != 7 || len(first.sites()) != 0):
			t.Errorf("looked into by themselves: %v; named: %v", led, first.sites())
		case len(w.groups) != 0:
			t.Errorf("left: %v", w.groups)
		case shares && w.told["1"].settled.IsZero():
			t.Error("what the logs say of the others counts still")
		}
	}
}

// Another configuration that comes in the last moment of an incident ends its pause as well.
func TestReloadEndsPausesToCome(t *testing.T) {
	t.Parallel()
	w := &watching{resting: map[string]*pause{}}
	r := HealReport{State: StateEscalated, Reason: policy.Flapping, Seconds: 5}
	if until := w.rest("a", config.Heal, r); !until.After(time.Now()) {
		t.Errorf("without a reload it rests until %s", until)
	}
	w.tryAgain()
	for _, key := range []string{"a", "b"} {
		if until := w.rest(key, config.Heal, r); until.After(time.Now()) {
			t.Errorf("%s began under the earlier configuration, and rests until %s", key, until)
		}
	}
	r.Seconds = 0
	if until := w.rest("a", config.Heal, r); !until.After(time.Now()) {
		t.Errorf("what began afterwards rests until %s", until)
	}
}
