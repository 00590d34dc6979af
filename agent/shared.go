package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"wpmend/agent/diagnose"
	"wpmend/agent/policy"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

const (
	// besideAtMost is how many other sites of a pool are asked whether they fail as well;
	// whatever else fails joins as it is seen.
	besideAtMost = 256
	// besideTimeout bounds each of these questions.
	besideTimeout = 5 * time.Second
)

// shared is a failure that may be of all sites of a pool: one of them is looked into, and
// the others wait for what is found.
type shared struct {
	decided chan struct{} // closed once it is known whether it is
	ended   chan struct{} // closed once its incident has ended
	at      string        // the PHP-FPM master that the sites share

	mu     sync.Mutex
	known  bool
	scope  map[string]bool    // the sites that it may concern, by their ids; nil: it is of one site alone
	failed map[string]SiteRef // the others that were seen to fail of it
	unwell map[string]bool    // those that still fail once it is mended
}

func newShared() *shared {
	return &shared{decided: make(chan struct{}), ended: make(chan struct{}), failed: map[string]SiteRef{}, unwell: map[string]bool{}}
}

// decide says once which sites the failure concerns; none: it is of one site alone.
func (s *shared) decide(scope map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known {
		s.known, s.scope = true, scope
		close(s.decided)
	}
}

// join says whether a failing site's failure is this one; the site is named by it then.
func (s *shared) join(other SiteRef) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.scope[other.ID] || s.unwell[other.ID] {
		return false
	}
	s.failed[other.ID] = other
	return true
}

// sites are the others that failed of it, by their names.
func (s *shared) sites() []SiteRef {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []SiteRef
	for id, r := range s.failed {
		if !s.unwell[id] {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b SiteRef) int { return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.ID, b.ID)) })
	return list
}

// beside are the other sites that a pool's failure takes down along with one: those of
// its pool, or of its whole PHP-FPM master where that does not run.
func (a *Agent) beside(s site.Site) []site.Site {
	_, up, err := s.Master.Running()
	whole := err == nil && !up && s.Master.Config != ""
	return slices.DeleteFunc(a.known(), func(o site.Site) bool {
		return o.ID == s.ID || o.Handler != s.Handler || o.Master.Config != s.Master.Config || !whole && o.Pool.Name != s.Pool.Name
	})
}

// share finds out whether the failure is that of the whole pool, before anything is
// searched or changed for this one site.
func (h *healing) share(ctx context.Context) {
	var scope map[string]bool
	defer func() { h.group.decide(scope) }()
	if len(h.causes) == 0 || h.logged || h.site.Handler != site.FPM {
		return
	}
	first := h.causes[0]
	s := policy.Sharing{Common: diagnose.Common(first.Cause), Search: first.Remedy != nil && *first.Remedy == diagnose.RemedyDisable}
	if !s.Common || s.Search {
		return
	}
	all := h.agent.beside(h.site)
	asked := all[:min(len(all), besideAtMost)]
	failing := h.agent.failing(ctx, asked)
	s.Others, s.Failing = len(asked), len(failing)
	if ctx.Err() != nil || !policy.Shared(s) {
		return
	}
	scope = map[string]bool{}
	for _, o := range all {
		scope[o.ID] = true
	}
	h.whole = true
	for _, o := range failing {
		h.group.failed[o.ID] = ref(o)
	}
	if h.incident != nil {
		h.incident.Sites = h.group.sites()
	}
	h.event("%d of %d other sites of the same PHP-FPM fail as well (%s): it is one incident of them all, and none of them is searched for a component", s.Failing, s.Others, domains(failing))
}

// failing are those of the sites whose front page fails now.
func (a *Agent) failing(ctx context.Context, sites []site.Site) []site.Site {
	bad := make([]bool, len(sites))
	var group errgroup.Group
	group.SetLimit(probesAtOnce)
	for i, s := range sites {
		group.Go(func() error {
			limits := a.limits(s)
			limits.Timeout = min(limits.Timeout, besideTimeout)
			_, r := probe.Best(ctx, s, probe.Request{Target: probe.Home(s)}, limits)
			bad[i] = r.Outcome.Failing()
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	var failing []site.Site
	for i, s := range sites {
		if bad[i] {
			failing = append(failing, s)
		}
	}
	return failing
}

// verifyShared asks all that failed along with the site once it is mended. Who still
// fails has a trouble of its own.
func (h *healing) verifyShared(ctx context.Context) {
	if !h.whole {
		return
	}
	var sites []site.Site
	for _, r := range h.group.sites() {
		if s, ok := h.agent.sites.Load(r.Root); ok {
			sites = append(sites, *s.(*site.Site))
		}
	}
	still := sites
	for start := time.Now(); len(still) > 0 && ctx.Err() == nil; {
		still = h.agent.failing(ctx, still)
		if time.Since(start) > settling {
			break
		}
		if len(still) > 0 {
			time.Sleep(settling / 20)
		}
	}
	if ctx.Err() != nil {
		return
	}
	h.group.mu.Lock()
	for _, s := range still {
		h.group.unwell[s.ID] = true
	}
	h.group.mu.Unlock()
	well := slices.DeleteFunc(sites, func(s site.Site) bool {
		return slices.ContainsFunc(still, func(o site.Site) bool { return o.ID == s.ID })
	})
	if len(well) > 0 {
		h.event("well again along with it: %s", domains(well))
	}
	if len(still) > 0 {
		h.event("still failing, so of a cause of their own: %s", domains(still))
	}
}

// domains names a few of the sites.
func domains(sites []site.Site) string {
	const most = 5
	var names []string
	for _, s := range sites[:min(len(sites), most)] {
		names = append(names, s.Domain)
	}
	if more := len(sites) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
