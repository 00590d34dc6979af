package agent

import (
	"context"

	"golang.org/x/sync/errgroup"

	"wpmend/agent/diagnose"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// Check probes a site and explains a failure; it changes nothing.
func (a *Agent) Check(ctx context.Context, s site.Site, q Question) (CheckReport, error) {
	l, err := a.begin(ctx, s, q)
	if err != nil {
		return CheckReport{}, err
	}
	l.note(a.offers(l)...)
	l.walk, l.outside = q.Walk, true
	return a.check(ctx, l)
}

func (a *Agent) check(ctx context.Context, l *look) (CheckReport, error) {
	s := l.site
	a.say(s, "asking %s", l.target())
	l.front = a.askFront(ctx, l)
	if !l.front.Outcome.Failing() && ctx.Err() == nil && !a.askLogs(ctx, l) {
		a.askVisitor(ctx, l)
	}
	if l.unread != nil && !l.front.Outcome.Failing() {
		return CheckReport{}, l.unread
	}
	a.explain(ctx, l)
	r := CheckReport{Site: ref(s), URL: l.front.URL, FromLog: l.logged, Healthy: l.front.Outcome == probe.Healthy && len(l.causes) == 0, Outcome: l.front.Outcome,
		Status: l.front.Status, Detail: l.front.Detail, Seconds: l.front.Took.Seconds(), Causes: l.causes, Layers: []diagnose.Layer{}, Notes: l.notes}
	if l.walk {
		r.Layers = diagnose.Walk(l.facts, l.causes)
	}
	return r, ctx.Err()
}

// CheckAll checks sites side by side, in their order. A site that cannot be read
// is in the result as unknown, with the reason in its notes; failed counts these.
func (a *Agent) CheckAll(ctx context.Context, sites []site.Site) (reports []CheckReport, failed int, err error) {
	reports = make([]CheckReport, len(sites))
	errs := make([]error, len(sites))
	var group errgroup.Group
	group.SetLimit(probesAtOnce)
	for i, s := range sites {
		group.Go(func() error {
			l, err := a.begin(ctx, s, Question{})
			if err != nil {
				errs[i] = err
				return nil
			}
			reports[i], errs[i] = a.check(ctx, l)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	for i, err := range errs {
		if err != nil {
			failed++
			reports[i] = CheckReport{Site: ref(sites[i]), URL: probe.Home(sites[i]).String(), Outcome: probe.Unknown, Causes: []diagnose.Cause{}, Layers: []diagnose.Layer{}, Notes: notes(err)}
		}
	}
	return reports, failed, ctx.Err()
}
