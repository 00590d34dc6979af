package agent

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/history"
	"wpmend/agent/policy"
	"wpmend/agent/site"
)

// remembered is how far back an escalated incident is looked for that may last still.
const remembered = 30 * 24 * time.Hour

// pause keeps wpmend from trying the same in vain again and again, and from telling it.
type pause struct {
	since     time.Time // when it was first left alone
	until     time.Time
	mode      config.Mode // in which it was
	reason    policy.Reason
	incidents []string  // that told of it, the latest last
	told      tales     // what they told
	up        time.Time // since when the site has been well; zero: it failed when it was last seen
	came      bool      // it was well at least once since the last attempt
}

func newPause(now time.Time) *pause { return &pause{since: now, told: tales{}} }

// failed is told of every failure that is seen; it says whether that is left alone now.
func (p *pause) failed(mode config.Mode, now time.Time) bool {
	p.up = time.Time{}
	return mode == p.mode && now.Before(p.until)
}

// escalated begins the next pause.
func (p *pause) escalated(mode config.Mode, r HealReport, now time.Time) {
	p.mode, p.reason, p.came, p.up = mode, r.Reason, false, time.Time{}
	p.until = now.Add(policy.Rest(p.since, now))
	switch r.Reason {
	case policy.BudgetSite, policy.BudgetPool, policy.BudgetHost, policy.BudgetMaster:
		// It is known when it may go on.
		if !r.Until.IsZero() && r.Until.Before(now.Add(policy.LongestRest)) {
			p.until = r.Until
		}
	}
	if r.Incident != "" && !slices.Contains(p.incidents, r.Incident) {
		p.incidents = append(p.incidents, r.Incident)
	}
}

// well is told of every moment when the site is seen well; it says whether it has been
// for as long as it was left alone before.
func (p *pause) well(now time.Time) (over bool) {
	p.came = true
	if p.up.IsZero() {
		p.up = now
	}
	return now.Sub(p.up) >= policy.Rest(p.since, p.up)
}

// stale: neither a failure nor health was seen for long.
func (p *pause) stale(now time.Time) bool {
	return now.After(p.until.Add(2*policy.LongestRest)) && (p.up.IsZero() || now.After(p.up.Add(2*policy.LongestRest)))
}

func (w *watching) rests(key string, mode config.Mode, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.resting[key]
	return p != nil && p.failed(mode, now)
}

// attempt is what the next attempt at a failure must know. still: the site only goes on
// flapping, and its pause was made longer.
func (w *watching) attempt(s site.Site, key string, mode config.Mode, group *shared) (t *attempt, still bool) {
	now := time.Now()
	t = &attempt{group: group, hold: policy.Verdict{Allowed: true}}
	w.mu.Lock()
	p := w.resting[key]
	if p != nil {
		t.told = maps.Clone(p.told)
		if n := len(p.incidents); n > 0 {
			t.last = p.incidents[n-1]
		}
		if p.reason == policy.Flapping {
			still = p.came
			if still {
				p.escalated(p.mode, HealReport{Reason: policy.Flapping}, now)
			}
			w.mu.Unlock()
			return t, still // one that stays down flaps no more
		}
	}
	w.mu.Unlock()
	list, err := w.agent.recorded(s, now.Add(-policy.Window))
	if err != nil {
		w.agent.log.Warn("the history cannot be read", "err", err)
	}
	t.hold = flaps(list, func(i history.Incident) string { return keyOf(s, i) }, key, w.agent.confOf(s).Budget.Flaps, now)
	return t, false
}

func (w *watching) pause(s site.Site, key string, mode config.Mode, r HealReport) {
	until := w.rest(key, mode, r)
	w.agent.log.Info("leaving the site alone", "site", s.Domain, "until", until.Format(time.RFC3339))
}

// pauseOther is pause for a site that an incident of its pool names.
func (w *watching) pauseOther(other SiteRef, mode config.Mode, r HealReport) {
	until := w.rest(other.ID, mode, r)
	w.agent.log.Info("leaving the site alone", "site", other.Domain, "until", until.Format(time.RFC3339))
}

func (w *watching) rest(key string, mode config.Mode, r HealReport) time.Time {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.resting[key]
	if p == nil {
		p = newPause(now)
		w.resting[key] = p
	}
	p.escalated(mode, r, now)
	if began := now.Add(-time.Duration(r.Seconds * float64(time.Second))); w.renewed.After(began) {
		p.until = now // another configuration came meanwhile
	}
	if r.State == StateEscalated {
		p.told[tale(history.Incident{Reason: string(r.Reason), Culprits: r.Culprits, Causes: r.Causes})] = true
	}
	return p.until
}

// mended ends the pause of what an incident has mended.
func (w *watching) mended(key, incident string) {
	w.mu.Lock()
	p := w.resting[key]
	delete(w.resting, key)
	w.mu.Unlock()
	if p != nil {
		w.over(p, "mended, by incident "+incident)
	}
}

// well ends a site's pause once it has stayed well for as long: a fault that comes and
// goes must not start from the shortest pause each time.
func (w *watching) well(s site.Site) {
	w.mu.Lock()
	p := w.resting[s.ID]
	now := time.Now()
	if p == nil || !p.well(now) {
		w.mu.Unlock()
		return
	}
	delete(w.resting, s.ID)
	w.mu.Unlock()
	w.agent.log.Info("the site is well again", "site", s.Domain)
	w.over(p, fmt.Sprintf("the site is well again, and has been for %s", now.Sub(p.up).Round(time.Second)))
}

// over writes down that what was escalated does not last any more.
func (w *watching) over(p *pause, what string) {
	for _, id := range p.incidents {
		if err := w.agent.history.Over(id, what); err != nil {
			w.agent.log.Warn("it cannot be written down that an incident is over", "incident", id, "err", err)
		}
	}
}

// forget ends the pauses of what has not been seen for long.
func (w *watching) forget(now time.Time) {
	w.mu.Lock()
	var gone []*pause
	maps.DeleteFunc(w.resting, func(_ string, p *pause) bool {
		if p.stale(now) {
			gone = append(gone, p)
			return true
		}
		return false
	})
	w.mu.Unlock()
	for _, p := range gone {
		w.over(p, "it was not seen any more")
	}
}

// tryAgain lets every failure be looked into at once, as after another configuration.
// What was told of it is not told again.
func (w *watching) tryAgain() {
	w.renewed = time.Now()
	for _, p := range w.resting {
		p.until = w.renewed
	}
}

// restore makes the pauses what they were before a restart, as far as the history tells.
func (w *watching) restore(now time.Time) {
	list, err := w.agent.history.List(history.Filter{Since: now.Add(-remembered)})
	if err != nil {
		w.agent.log.Warn("some records of the history cannot be read", "err", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	of := map[string][]history.Incident{}
	for _, i := range list {
		for _, r := range append([]SiteRef{i.Site}, i.Sites...) {
			of[r.ID] = append(of[r.ID], i)
		}
	}
	for id, own := range of {
		if s := w.sites[id]; s != nil {
			maps.Copy(w.resting, pauses(*s, own, now))
		}
	}
}

// pauses are those of a site that its incidents, the newest first, tell of.
func pauses(s site.Site, list []history.Incident, now time.Time) map[string]*pause {
	found, ended := map[string]*pause{}, map[string]bool{}
	for _, i := range list {
		key := keyOf(s, i)
		switch {
		case ended[key] || i.Reason == string(policy.Stopped) || onlyLogged(i):
			continue
		case i.State != history.Escalated || !i.Over.IsZero() || i.Reason == "":
			ended[key] = true
			continue
		}
		p := found[key]
		if p == nil {
			p = newPause(now)
			p.reason, p.mode, p.came = policy.Reason(i.Reason), config.Heal, true
			if p.reason == policy.SuggestOnly {
				p.mode = config.Suggest
			}
			found[key] = p
		}
		p.since = i.Ended
		p.incidents = append([]string{i.ID}, p.incidents...)
		p.told[tale(i)] = true
	}
	for _, p := range found {
		p.until = policy.Resume(p.since, now)
	}
	return found
}
