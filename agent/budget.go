package agent

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/policy"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

// deniedError is a refusal by policy.
type deniedError struct{ policy.Verdict }

func (e *deniedError) Error() string { return e.Why }

// spending are the changes that were granted and do not stand in the journal yet, so that
// two incidents side by side cannot take the same last one of a budget. A person's
// command beside the service is a process of its own and not counted before it plans.
type spending struct {
	mu      sync.Mutex
	granted map[*grant]bool
}

// grant is the leave to make so many more changes to a site.
type grant struct {
	a    *Agent
	want policy.Want
	at   time.Time
}

// grant asks for leave to make further changes to a site; the error is a [*deniedError].
func (a *Agent) grant(s site.Site, further int) (*grant, error) {
	a.spending.mu.Lock()
	defer a.spending.mu.Unlock()
	now := time.Now()
	g := &grant{a, policy.Want{Site: s.ID, Pool: poolOf(s), Changes: further}, now}
	if v := policy.Budget(a.past(now), g.want, a.budgets(s), now); !v.Allowed {
		return nil, &deniedError{v}
	}
	if a.spending.granted == nil {
		a.spending.granted = map[*grant]bool{}
	}
	a.spending.granted[g] = true
	return g, nil
}

// plan writes one of the granted changes down.
func (g *grant) plan(c journal.Change) (journal.Change, error) {
	g.a.spending.mu.Lock()
	defer g.a.spending.mu.Unlock()
	c, err := g.a.journal.Plan(c)
	g.want.Changes--
	return c, err
}

// end gives back what was not planned.
func (g *grant) end() {
	g.a.spending.mu.Lock()
	defer g.a.spending.mu.Unlock()
	delete(g.a.spending.granted, g)
}

// mayTouch refuses a master that was reloaded or restarted too often within the last
// hour: what that did not mend, the next one will not either, and all its sites suffer.
func (a *Agent) mayTouch(m fpm.Master) error {
	a.spending.mu.Lock()
	defer a.spending.mu.Unlock()
	now := time.Now()
	if v := policy.Budget(a.past(now), policy.Want{Master: m.Config}, policy.Limits{Master: a.conf().Budget.Master}, now); !v.Allowed {
		return &deniedError{v}
	}
	return nil
}

func (a *Agent) budgets(s site.Site) policy.Limits {
	host := a.conf().Budget
	return policy.Limits{Site: a.confOf(s).Budget.Site, Pool: host.Pool, Host: host.Host, Master: host.Master}
}

// past are the changes that count for the budgets: planned within the last hour, or
// granted. The caller holds the lock of what is granted.
func (a *Agent) past(now time.Time) []policy.Change {
	changes, err := a.journal.Since(now.Add(-policy.Window))
	if err != nil {
		a.log.Warn("some records of the journal cannot be read", "err", err)
	}
	past := counted(changes, a.poolAt)
	for g := range a.spending.granted {
		for range g.want.Changes {
			past = append(past, policy.Change{At: g.at, Site: g.want.Site, Pool: g.want.Pool})
		}
	}
	return past
}

// counted are the changes that wpmend made by itself, as policy counts them; pool tells
// that of a site by its root.
func counted(changes []journal.Change, pool func(root string) string) []policy.Change {
	var past []policy.Change
	for _, c := range changes {
		if c.Actor != remedy.Actor || c.Untouched || c.State == journal.Undone && c.UndoNone != "" {
			continue // what was refused has touched nobody
		}
		past = append(past, policy.Change{At: c.Created, Site: c.Site, Pool: pool(c.SiteRoot), Master: touched(c)})
	}
	return past
}

// touched is the master that a change reloads or restarts, "" if it touches none.
func touched(c journal.Change) string {
	for _, s := range c.Steps {
		var act remedy.Act
		if s.Kind != journal.Act || json.Unmarshal(s.Act, &act) != nil || act.Master == nil {
			continue
		}
		if slices.Contains([]string{remedy.ReloadFPM, remedy.RestartFPM, remedy.AskPanel}, act.Do) {
			return act.Master.Config
		}
	}
	return ""
}

// poolOf names the pool that runs a site, "" if none is known.
func poolOf(s site.Site) string {
	if s.Pool.Name == "" {
		return ""
	}
	return s.Master.Config + ":" + s.Pool.Name
}

func (a *Agent) poolAt(root string) string {
	s, ok := a.sites.Load(root)
	if !ok {
		return ""
	}
	return poolOf(*s.(*site.Site))
}
