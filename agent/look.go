package agent

import (
	"context"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"wpmend/agent/diagnose"
	"wpmend/agent/evidence"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

const (
	// confirmations is how many front probes must agree before a quick failure counts.
	confirmations = 3
	// slow: a failure that took longer is confirmed by the shadow instead of by
	// making visitors' workers hang again.
	slow = 2 * time.Second
	// logLag is how long evidence may take to reach the logs of a busy host.
	logLag = time.Second
	// transientProbes healthy answers in a row make a failure a transient one.
	transientProbes = 20
)

// look is what one incident knows of its site so far.
type look struct {
	site   site.Site
	target *url.URL
	wp     site.WordPress
	marks  evidence.Marks
	front  probe.Result
	facts  diagnose.Facts
	causes []diagnose.Cause
	notes  []string
}

// begin reads the site and sets the marks behind which evidence counts.
func (a *Agent) begin(ctx context.Context, s site.Site, given string) (*look, error) {
	target, err := probe.Resolve(s, given)
	if err != nil {
		return nil, &Error{Kind: "usage", Err: err}
	}
	l := &look{site: s, target: target, notes: []string{}}
	if l.wp, err = s.Read(ctx); err != nil {
		return nil, err
	}
	l.marks, err = evidence.Mark(s)
	l.notes = append(l.notes, notes(err)...)
	return l, nil
}

// beginHeld is begin under the site's lock. What a dead wpmend left of its work is
// put back first, unless nothing may change; what the site holds is read again once
// the lock is had, since another actor may have changed it until then.
func (a *Agent) beginHeld(ctx context.Context, s site.Site, given, doing string, touch bool) (l *look, release func(), err error) {
	if l, err = a.begin(ctx, s, given); err != nil {
		return nil, nil, err
	}
	if release, err = a.hold(s, l.wp.Identity, doing); err != nil {
		return nil, nil, err
	}
	if err = a.settleBefore(l, touch); err == nil {
		l.wp, err = s.Read(ctx)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return l, release, nil
}

func (a *Agent) settleBefore(l *look, touch bool) error {
	left := a.leftOn(l.site.Root)
	if len(left) == 0 {
		return nil
	}
	if !touch {
		l.notes = append(l.notes, "an earlier wpmend was interrupted: `wpmend recover` puts back what it left, and what is said here may change then")
		return nil
	}
	if err := a.settle(left); err != nil {
		return err
	}
	l.notes = append(l.notes, "put back first what an interrupted wpmend had left")
	return nil
}

// explain gathers the evidence and ranks the causes; a failing site only.
func (a *Agent) explain(ctx context.Context, l *look) {
	if !l.front.Outcome.Failing() {
		l.causes = []diagnose.Cause{}
		return
	}
	facts, err := l.marks.Gather(ctx, l.site, l.wp, l.front)
	// FPM writes down what ended a request only after the gateway has answered.
	answered := l.front.Status != 0
	for deadline := time.Now().Add(logLag); answered && len(diagnose.Causes(facts)) == 0 && time.Now().Before(deadline) && ctx.Err() == nil; {
		time.Sleep(logLag / 20)
		facts, err = l.marks.Gather(ctx, l.site, l.wp, l.front)
	}
	if facts.Socket.Refused {
		// The gateway never got to PHP, so asking PHP itself adds something.
		facts.Direct = probe.ByPool(ctx, l.site, l.target, a.limits())
	}
	l.facts, l.causes = facts, diagnose.Causes(facts)
	l.notes = append(l.notes, notes(err)...)
}

// confirm asks until it is clear whether the failure lasts: lasting, or transient
// (every later answer is healthy), or intermittent (some are).
func (a *Agent) confirm(ctx context.Context, l *look) (failed, asked int) {
	failed, asked = 1, 1
	if l.front.Took >= slow {
		return failed, asked
	}
	for asked < confirmations || (failed < asked && asked < transientProbes+1) {
		r := probe.ByFront(ctx, l.site, l.target, a.limits())
		if ctx.Err() != nil {
			return failed, asked
		}
		asked++
		if r.Outcome.Failing() {
			failed++
		}
	}
	return failed, asked
}

// Check probes a site once and explains a failure; it changes nothing.
func (a *Agent) Check(ctx context.Context, s site.Site, given string) (CheckReport, error) {
	l, err := a.begin(ctx, s, given)
	if err != nil {
		return CheckReport{}, err
	}
	a.say(s, "asking %s", l.target)
	l.front = probe.ByFront(ctx, s, l.target, a.limits())
	a.explain(ctx, l)
	return CheckReport{Site: ref(s), URL: l.front.URL, Healthy: l.front.Outcome == probe.Healthy, Outcome: l.front.Outcome,
		Status: l.front.Status, Detail: l.front.Detail, Seconds: l.front.Took.Seconds(), Causes: l.causes, Notes: l.notes}, ctx.Err()
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
			reports[i], errs[i] = a.Check(ctx, s, "")
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	for i, err := range errs {
		if err != nil {
			failed++
			reports[i] = CheckReport{Site: ref(sites[i]), URL: probe.Home(sites[i]).String(), Outcome: probe.Unknown, Causes: []diagnose.Cause{}, Notes: notes(err)}
		}
	}
	return reports, failed, ctx.Err()
}
