package agent

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/evidence"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/wp"
)

const (
	// confirmations is how many front probes must agree before a quick failure counts.
	confirmations = 3
	// lasting is how long a quick failure must last: a file that is being replaced
	// fails for a moment only.
	lasting = time.Second
	// slow: a failure that took longer is confirmed by the shadow instead of by
	// making visitors' workers hang again.
	slow = 2 * time.Second
	// logLag is how long evidence may take to reach the logs of a busy host.
	logLag = time.Second
	// transientProbes healthy answers in a row make a failure a transient one.
	transientProbes = 20
	// lately is how far back the logs are searched for URLs that failed.
	lately = 15 * time.Minute
	// logURLs is how many of these are asked.
	logURLs = 4
)

// Question is what a user wants to have asked of a site.
type Question struct {
	URLs   []string // URLs or paths of the site; none: its front page, or what the logs say failed
	Method string   // of HTTP; "": GET
	Cookie string
	AsUser string // a login of the site, in a private copy of the pool only
	Walk   bool   // of a check: all layers are looked at, from outside in
}

func (q Question) plain() bool {
	return len(q.URLs) == 0 && q.Method == "" && q.Cookie == "" && q.AsUser == ""
}

// request is one request that a look asks.
type request struct {
	probe.Request
	user    string
	visitor bool // asked as it stands, caches in between included
}

// look is what one incident knows of its site so far.
type look struct {
	site       site.Site
	requests   []request
	chosen     bool // the user chose the requests
	logged     bool // they come from a log, where anybody can write
	wp         site.WordPress
	walk       bool           // every layer is looked at, whether or not it can matter
	outside    bool           // what the world sees of the site is asked, where this host sees nothing wrong
	unread     error          // why wp holds nothing: the site's files, wp-config.php above all, cannot be read
	inspection *wp.Inspection // where the files alone did not tell
	marks      evidence.Marks
	front      probe.Result
	fresh      probe.Result // of a private copy of the pool with nothing masked; zero: not asked
	lately     []string     // remedies that helped within the last hour; nil: not looked up
	past       probe.Result // the answer past the caches, where front is a visitor's
	facts      diagnose.Facts
	causes     []diagnose.Cause
	notes      []string
	verify     int       // healthy answers that prove a cure; 0: as configured
	keep       []request // what was well before a cure and must stay so
}

// target is the URL that reports name.
func (l *look) target() *url.URL { return l.requests[0].Target }

// begin reads the site and sets the marks behind which evidence counts. A site that
// cannot be read is no error yet: that may be why it fails.
func (a *Agent) begin(ctx context.Context, s site.Site, q Question) (*look, error) {
	a.configs.Delete(s.Root) // the access to its database may have changed since
	l := &look{site: s, notes: []string{}, chosen: !q.plain()}
	urls := q.URLs
	if len(urls) == 0 {
		urls = []string{""}
	}
	for _, given := range urls {
		target, err := probe.Resolve(s, given)
		if err != nil {
			return nil, &Error{Kind: "usage", Err: err}
		}
		r := request{Request: probe.Request{Target: target, Method: q.Method, Cookie: q.Cookie}, user: q.AsUser}
		if err := r.Valid(); err != nil {
			return nil, &Error{Kind: "usage", Err: err}
		}
		l.requests = append(l.requests, r)
	}
	if l.unread = a.read(ctx, l); ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var err error
	l.marks, err = evidence.Mark(s)
	l.notes = append(l.notes, notes(err)...)
	return l, nil
}

// read reads what the site holds, from its files and its database; WordPress itself
// is asked where PHP computes what is needed.
func (a *Agent) read(ctx context.Context, l *look) (err error) {
	if l.inspection == nil {
		if l.wp, err = l.site.Read(ctx); err == nil || !errors.Is(err, wp.ErrUnknown) {
			return err
		}
		i, asked := a.inspect(ctx, l.site)
		if asked != nil {
			return errors.Join(err, asked)
		}
		l.inspection = &i
	}
	l.wp, err = l.site.ReadInspected(ctx, *l.inspection)
	return err
}

// note adds a line once.
func (l *look) note(lines ...string) {
	for _, n := range lines {
		if !slices.Contains(l.notes, n) {
			l.notes = append(l.notes, n)
		}
	}
}

// beginHeld is begin under the site's lock. What a dead wpmend left of its work is
// put back first, unless nothing may change; what the site holds is read again once
// the lock is had, since another actor may have changed it until then.
func (a *Agent) beginHeld(ctx context.Context, s site.Site, q Question, doing string, touch bool) (l *look, release func(), err error) {
	if l, err = a.begin(ctx, s, q); err != nil {
		return nil, nil, err
	}
	if release, err = a.hold(s, l.wp.Identity, doing); err != nil {
		return nil, nil, err
	}
	if err = a.settleBefore(l, touch); err == nil {
		l.unread = a.read(ctx, l)
		err = ctx.Err()
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

// gather reads the evidence and ranks the causes; of a site that is well only where
// more was asked for.
func (a *Agent) gather(ctx context.Context, l *look) {
	if !l.front.Outcome.Failing() && !l.walk && !l.outside {
		l.causes = []diagnose.Cause{}
		return
	}
	front := l.front
	if l.requests[0].visitor {
		front = l.past
	}
	marks := l.marks.Asking(evidence.Ask{Everything: l.walk, Edge: a.conf().Edge.Ask && (l.walk || l.outside), Resolver: a.conf().Edge.Resolver,
		Others: a.known(), Unread: l.unread})
	facts, err := marks.Gather(ctx, l.site, l.wp, front)
	if l.requests[0].visitor {
		facts.Visitor = l.front
	}
	if l.lately == nil {
		l.lately = append([]string{}, a.lately(l.site, time.Now().Add(-time.Hour))...)
	}
	facts.Fresh, facts.Lately = l.fresh, l.lately
	ceilings := a.confOf(l.site).Limits
	facts.Allowed = diagnose.Allowed{TuneGateway: a.conf().Gateway.Tune, Time: time.Duration(ceilings.RequestTerminateTimeout),
		Memory: int64(ceilings.MemoryLimit), Children: ceilings.MaxChildren}
	if facts.Socket.Refused || l.fresh.Outcome != "" || facts.HeaderRefused() {
		// The gateway never got to PHP or refused its answer, or PHP itself is in question.
		facts.Direct = probe.ByPool(ctx, l.site, l.target(), a.limits(l.site))
	}
	l.facts, l.causes = facts, diagnose.Causes(facts)
	l.note(notes(err, l.wp.PrependsUnread)...)
}

// known are the sites of the host, as seen last.
func (a *Agent) known() (all []site.Site) {
	a.sites.Range(func(_, s any) bool {
		all = append(all, *s.(*site.Site))
		return true
	})
	return all
}

// certain: what is known will hardly be overthrown by what the logs say within a second.
func certain(causes []diagnose.Cause) bool { return len(causes) > 0 && causes[0].Confidence >= 0.7 }

// explain is gather with patience: FPM writes down what ended a request only after
// the gateway has answered.
func (a *Agent) explain(ctx context.Context, l *look) {
	a.gather(ctx, l)
	answered := l.front.Status != 0
	for deadline := time.Now().Add(logLag); answered && l.front.Outcome.Failing() && !certain(l.causes) && time.Now().Before(deadline) && ctx.Err() == nil; {
		time.Sleep(logLag / 20)
		a.gather(ctx, l)
	}
}

// askOne asks through the gateway; where that says nothing of PHP, the pool is asked.
func (a *Agent) askOne(ctx context.Context, s site.Site, q probe.Request) probe.Result {
	_, judged := probe.Best(ctx, s, q, a.limits(s))
	a.meter.Probed(judged)
	return judged
}

// askFront requests each of the incident's URLs, as visitors do, until one fails.
func (a *Agent) askFront(ctx context.Context, l *look) probe.Result {
	return a.askAll(ctx, l, l.requests)
}

func (a *Agent) askAll(ctx context.Context, l *look, requests []request) (r probe.Result) {
	for _, q := range requests {
		if q.visitor {
			r = probe.AsVisitor(ctx, l.site, q.Target, a.limits(l.site))
			a.meter.Probed(r)
		} else {
			r = a.askOne(ctx, l.site, q.Request)
		}
		if r.Outcome.Failing() {
			break
		}
	}
	return r
}

// askVisitor asks the front page as it stands, since a cache may serve an error that PHP
// no longer gives. It is for a site that is well past its caches.
func (a *Agent) askVisitor(ctx context.Context, l *look) bool {
	if l.chosen || l.front.Outcome != probe.Healthy {
		return false
	}
	q := request{Request: probe.Request{Target: probe.Home(l.site)}, visitor: true}
	r := a.askAll(ctx, l, []request{q})
	if ctx.Err() != nil || !r.Outcome.Failing() {
		return false
	}
	l.past, l.front, l.requests = l.front, r, []request{q}
	return true
}

// askLogs asks the URLs that failed lately according to the gateway's logs. The
// first that still fails becomes what the incident is about.
func (a *Agent) askLogs(ctx context.Context, l *look) bool {
	if l.chosen {
		return false
	}
	failed, err := evidence.Failing(l.site, time.Now().Add(-lately), logURLs)
	l.notes = append(l.notes, notes(err)...)
	for _, f := range failed {
		q := probe.Request{Target: f.URL}
		a.say(l.site, "asking %s, which failed at %s (%s)", f.URL, f.Last.Local().Format("15:04:05"), f.Source)
		r := a.askOne(ctx, l.site, q)
		if ctx.Err() != nil {
			return false
		}
		if r.Outcome.Failing() {
			l.front, l.requests, l.logged = r, []request{{Request: q}}, true
			return true
		}
	}
	return false
}

// confirm asks until it is clear whether the failure lasts: lasting, or transient
// (every later answer is healthy), or intermittent (some are). It starts from what
// was asked already.
func (a *Agent) confirm(ctx context.Context, l *look, failed, asked int) (int, int) {
	if l.front.Took >= slow {
		return failed, asked
	}
	until := l.front.Start.Add(lasting)
	for asked < confirmations || failed == asked && time.Now().Before(until) || failed < asked && asked < transientProbes+1 {
		if failed == asked {
			time.Sleep(lasting / (confirmations + 1))
		}
		r := a.askFront(ctx, l)
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
