package agent

import (
	"context"
	"os"
	"slices"
	"sync"

	"wpmend/agent/site"
)

// sight is what discoveries have seen so far.
type sight struct {
	mu       sync.Mutex
	eye      site.Eye
	host     site.Host // the last one found; before it, what was remembered
	number   int
	recalled bool
	under    *settings // which the host was found under
}

// Discover looks at the host and remembers what runs. What has not changed since the
// last time is not read again, and what it gives must not be changed.
func (a *Agent) Discover(ctx context.Context) (site.Host, error) {
	host, _, err := a.discover(ctx, "")
	return host, err
}

// discover is Discover; fresh is the root of a site whose folders are looked through
// in any case. What was found keeps its number until something else is found.
func (a *Agent) discover(ctx context.Context, fresh string) (h site.Host, number int, err error) {
	a.sight.mu.Lock()
	defer a.sight.mu.Unlock()
	var problems []string
	if !a.sight.recalled {
		remembered, err := site.Recall(a.state)
		if err != nil {
			problems = append(problems, err.Error())
		}
		a.sight.host, a.sight.recalled = remembered, true
	}
	settings := a.settings.Load()
	if a.sight.under != settings {
		a.sight.eye.Forget()
	}
	h, same, err := a.sight.eye.Discover(ctx, a.sight.host, settings.Includes, fresh)
	if err != nil {
		return h, 0, err
	}
	if same {
		return a.sight.host, a.sight.number, nil
	}
	h.Masters = slices.Clone(h.Masters)
	for i, m := range h.Masters {
		for _, f := range settings.FPM {
			if f.Config == m.Config && len(f.Args) > 0 {
				h.Masters[i].Args = f.Args
			}
		}
	}
	a.keep(h.Sites)
	h.Problems = append(problems, h.Problems...)
	if err := h.Remember(a.state); err != nil {
		h.Problems = append(h.Problems, err.Error())
	}
	a.sight.host, a.sight.under = h, settings
	a.sight.number++
	return h, a.sight.number, nil
}

// keep makes these the sites that are known. One that is gone stays known as long as
// its folder is there: what was changed on it can still be undone.
func (a *Agent) keep(sites []site.Site) {
	now := make(map[string]bool, len(sites))
	for i := range sites {
		now[sites[i].Root] = true
		a.sites.Store(sites[i].Root, &sites[i])
	}
	a.sites.Range(func(root, s any) bool {
		if now[root.(string)] {
			return true
		}
		if _, err := os.Stat(root.(string)); err != nil {
			a.sites.Delete(root)
			return true
		}
		alone := *s.(*site.Site) // or all that were found with it stay in memory
		alone.Vhosts = slices.Clone(alone.Vhosts)
		a.sites.Store(root, &alone)
		return true
	})
}
