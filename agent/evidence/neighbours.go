package evidence

import (
	"context"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// neighbourTimeout bounds the questions to other sites, which are asked side by side.
const neighbourTimeout = 2 * time.Second

// neighbours asks up to three other sites of the same pool for their front pages.
func neighbours(ctx context.Context, s site.Site, others []site.Site) diagnose.Neighbours {
	const most = 3
	var next []site.Site
	for _, o := range others {
		if o.ID != s.ID && len(next) < most && o.Handler == s.Handler && o.Master.Config == s.Master.Config && o.Pool.Name == s.Pool.Name {
			next = append(next, o)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, neighbourTimeout)
	defer cancel()
	results := make(chan probe.Outcome, len(next))
	for _, o := range next {
		go func() {
			results <- probe.ByFront(ctx, o, probe.Home(o), probe.Limits{Timeout: neighbourTimeout, Body: publicBody}).Outcome
		}()
	}
	var found diagnose.Neighbours
	for range next {
		outcome := <-results
		if outcome == probe.Unknown || outcome == probe.Barred {
			continue
		}
		found.Asked++
		if outcome.Failing() {
			found.Failing++
		}
	}
	return found
}
