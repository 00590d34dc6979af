package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/lock"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// rest is how long a site whose incident ended without a cure is left alone; each
// further one in a row doubles it, up to longestRest.
const (
	rest        = time.Minute
	longestRest = time.Hour
)

// pause keeps wpmend from trying the same in vain again and again.
type pause struct {
	until time.Time
	last  time.Duration
}

// incident handles a failure that a probe saw, of the front page or of a URL that only
// a log names; false: it was left alone.
func (w *watching) incident(ctx context.Context, s site.Site, r probe.Result, logged *url.URL) (handled bool, err error) {
	log := w.agent.log.With("site", s.Domain, "outcome", r.Outcome, "signature", r.Signature)
	if logged != nil {
		log = log.With("url", logged.String())
	}
	key := restKey(s, r, logged)
	if w.rests(key) {
		log.Debug("the site still fails")
		return false, nil
	}
	mode := w.mode(s)
	if mode == config.Observe {
		log.Warn("the site fails; wpmend only observes")
		w.pause(s, key)
		return false, nil
	}
	log.Warn("the site fails")
	w.mu.Lock()
	incidents := w.incidents
	w.mu.Unlock()
	release, ok := incidents.take(ctx)
	if !ok {
		return false, nil
	}
	defer func() { release() }()
	w.opened(1)
	defer w.opened(-1)
	// The search for a rare failure must not keep others from being healed.
	rare := func() bool {
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
	report, err := w.agent.Heal(ctx, s, HealOptions{Seen: &r, Logged: logged, Rare: rare, Suggest: mode == config.Suggest})
	var held *lock.Held
	if errors.As(err, &held) {
		log.Info("somebody is at work on the site", "by", held.Error())
		return false, nil
	}
	if err != nil {
		w.pause(s, key)
		return true, fmt.Errorf("heal: %w", err)
	}
	log.Warn("incident ended", "incident", report.Incident, "state", report.State, "culprits", len(report.Culprits), "took", report.Seconds)
	if report.State == StateEscalated {
		w.pause(s, key)
	}
	return true, nil
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

func (w *watching) rediscover(ctx context.Context, s site.Site) (site.Site, error) {
	host, _, err := w.agent.discover(ctx, s.Root)
	if err != nil {
		return s, err
	}
	return site.Find(host.Sites, s.Root)
}

func (w *watching) rests(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.resting[key].until)
}

func (w *watching) pause(s site.Site, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := pause{last: min(max(rest, 2*w.resting[key].last), longestRest)}
	p.until = time.Now().Add(p.last)
	w.resting[key] = p
	w.agent.log.Info("leaving the site alone", "site", s.Domain, "until", p.until.Format(time.RFC3339))
}

// well forgets a pause once the site has stayed well for as long again: a fault that
// comes and goes must not start from the shortest pause each time.
func (w *watching) well(s site.Site) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p, ok := w.resting[s.ID]; ok && time.Now().After(p.until.Add(p.last)) {
		delete(w.resting, s.ID)
	}
}
