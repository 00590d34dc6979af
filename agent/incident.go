package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/history"
	"wpmend/agent/lock"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// leadPatience is how long a site waits at most until it is known whether the failures of
// others are its own: theirs may be made to take long.
const leadPatience = time.Minute

// incident handles a failure that a probe saw, of the front page or of a URL that only
// a log names; false: it was left alone.
func (w *watching) incident(ctx context.Context, s site.Site, r probe.Result, logged *url.URL) (handled bool, err error) {
	key, mode := restKey(s, r, logged), w.mode(s)
	log := w.agent.log.With("site", s.Domain, "outcome", r.Outcome, "signature", r.Signature)
	if logged != nil {
		log = log.With("url", logged.String())
	}
	if w.rests(key, mode, time.Now()) {
		log.Debug("the site still fails")
		return false, nil
	}
	if mode == config.Observe {
		log.Warn("the site fails; wpmend only observes")
		w.pause(s, key, mode, HealReport{})
		return false, nil
	}
	group, waited := w.lead(ctx, s)
	if group == nil {
		return true, nil // the incident of its pool was its own
	}
	defer w.end(group)
	if waited || r.Start.Before(w.lookedInto(s)) { // it may be over since
		target := logged
		if target == nil {
			target = probe.Home(s)
		}
		r = w.agent.askOne(ctx, s, probe.Request{Target: target})
		if ctx.Err() != nil || !r.Outcome.Failing() {
			return true, nil
		}
	}
	t, still := w.attempt(s, key, mode, group)
	if still {
		log.Warn("the site goes down and comes up again: it is left alone for longer")
		return true, nil
	}
	log.Warn("the site fails")
	if first := w.firstTold(s); !first.IsZero() {
		w.agent.meter.Noticed(max(0, time.Since(first)))
	}
	report, err := w.heal(ctx, s, HealOptions{Seen: &r, Logged: logged, Suggest: mode == config.Suggest || !t.hold.Allowed, attempt: t})
	var held *lock.Held
	switch {
	case errors.As(err, &held):
		log.Info("somebody is at work on the site", "by", held.Error())
		return false, nil
	case err != nil:
		w.pause(s, key, mode, HealReport{})
		return true, fmt.Errorf("heal: %w", err)
	case report.Incident == "":
		return false, nil // the end came first
	}
	log.Warn("incident ended", "incident", report.Incident, "state", report.State, "culprits", len(report.Culprits), "took", report.Seconds, "reason", report.Reason,
		"told", report.Incident == t.last)
	switch report.State {
	case StateEscalated:
		w.pause(s, key, mode, report)
		for _, other := range report.Sites {
			w.pauseOther(other, mode, report)
		}
	case StateResolved:
		w.mended(key, report.Incident)
	}
	return true, nil
}

// heal takes the incident to its end as soon as its turn has come.
func (w *watching) heal(ctx context.Context, s site.Site, o HealOptions) (HealReport, error) {
	w.mu.Lock()
	incidents := w.incidents
	w.mu.Unlock()
	release, ok := incidents.take(ctx)
	if !ok {
		return HealReport{}, nil
	}
	defer func() { release() }()
	// Another configuration, or quiet hours, may have come meanwhile.
	if o.mode = func() config.Mode { return w.mode(s) }; o.mode() == config.Observe {
		return HealReport{}, nil
	}
	o.Suggest = o.Suggest || o.mode() == config.Suggest
	w.opened(1)
	defer w.opened(-1)
	// The search for a rare failure must not keep others from being healed.
	o.Rare = func() bool {
		other, ok := w.rare.try()
		if ok {
			release()
			release = other
		}
		return ok
	}
	// The pool's master may have ended since the last discovery.
	if fresh, err := w.rediscover(ctx, s); err == nil {
		s = fresh
	}
	return w.agent.Heal(ctx, s, o)
}

// mode is what may be done about a site now.
func (w *watching) mode(s site.Site) config.Mode {
	if w.blind {
		return config.Observe
	}
	c := w.agent.confOf(s)
	if c.Mode == config.Heal && c.Quiet(time.Now()) {
		return config.Suggest
	}
	return c.Mode
}

// opened counts the incidents at work.
func (w *watching) opened(more int) {
	w.mu.Lock()
	w.open += more
	w.mu.Unlock()
	w.tellStatus()
}

// restKey tells the failures of a site apart that are left alone by themselves: what
// anybody can bring about by a URL must not keep wpmend from the front page.
func restKey(s site.Site, r probe.Result, logged *url.URL) string {
	if logged == nil {
		return s.ID
	}
	return s.ID + " " + r.Signature
}

// keyOf is the [restKey] of an incident that names the site.
func keyOf(s site.Site, i history.Incident) string {
	if i.Site.ID != s.ID || i.Symptom.URL == probe.Home(s).String() {
		return s.ID
	}
	return s.ID + " " + i.Symptom.Signature
}

func (w *watching) rediscover(ctx context.Context, s site.Site) (site.Site, error) {
	host, _, err := w.agent.discover(ctx, s.Root)
	if err != nil {
		return s, err
	}
	return site.Find(host.Sites, s.Root)
}

// lead makes the site the one whose failure is looked into first, of those that share a
// PHP-FPM master. nil: it was named by an incident of its pool, which has ended, or ctx
// has. waited: others had to be looked into before.
func (w *watching) lead(ctx context.Context, s site.Site) (group *shared, waited bool) {
	at, seen := s.Master.Config, map[*shared]bool{}
	patience := time.After(leadPatience)
	for {
		w.mu.Lock()
		var open *shared
		for _, g := range w.groups[at] {
			if !seen[g] {
				open = g
			}
		}
		if open == nil {
			group = newShared()
			group.at = at
			if at != "" {
				w.groups[at] = append(w.groups[at], group)
			}
			w.mu.Unlock()
			return group, len(seen) > 0
		}
		w.mu.Unlock()
		seen[open] = true
		wait := open.decided
		for range 2 {
			if wait == open.ended {
				patience = nil
			}
			select {
			case <-wait:
			case <-patience:
				return newShared(), true
			case <-ctx.Done():
				return nil, true
			}
			if wait == open.ended {
				return nil, true
			}
			if !open.join(ref(s)) {
				break
			}
			wait = open.ended
		}
	}
}

// end lets those go on who waited for the failure to be looked into.
func (w *watching) end(g *shared) {
	g.decide(nil)
	now := time.Now()
	w.mu.Lock()
	for _, other := range g.sites() {
		t := w.told[other.ID]
		if t == nil {
			t = &told{}
			w.told[other.ID] = t
		}
		t.visited(nil, true, now)
	}
	list := w.groups[g.at]
	for i, o := range list {
		if o == g {
			w.groups[g.at] = append(list[:i:i], list[i+1:]...)
		}
	}
	if len(w.groups[g.at]) == 0 {
		delete(w.groups, g.at)
	}
	w.mu.Unlock()
	close(g.ended)
}

// lookedInto is until when the site's failures are accounted for.
func (w *watching) lookedInto(s site.Site) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.told[s.ID]; t != nil {
		return t.settled
	}
	return time.Time{}
}

// firstTold is when the logs told first of what no visit has looked into yet; zero: they
// tell of nothing.
func (w *watching) firstTold(s site.Site) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.told[s.ID]; t != nil {
		return t.first
	}
	return time.Time{}
}
