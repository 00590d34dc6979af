package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/evidence"
	"wpmend/agent/lock"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/agent/watch"
)

// probesAtOnce bounds how many sites are asked at the same moment.
const probesAtOnce = 8

// rest is how long a site whose incident ended without a cure is left alone; each
// further one in a row doubles it, up to longestRest.
const (
	rest        = time.Minute
	longestRest = time.Hour
)

// Run watches every site by its logs and by scheduled probes, and heals what fails,
// until ctx ends. What an interrupted run left is put back first.
func (a *Agent) Run(ctx context.Context) error {
	report, err := a.Recover(ctx)
	observe := a.conf().Mode == config.Observe
	if err != nil {
		return err
	}
	for _, n := range report.Notes {
		a.log.Error("a record cannot be read, so nothing is changed before it can be: wpmend only observes", "note", n)
		observe = true
	}
	for _, c := range report.Changes {
		a.log.Warn("recovered", "change", c.ID, "what", c.What, "state", c.State, "note", c.Note)
	}
	w := &watching{agent: a, observe: observe, schedule: watch.NewSchedule(time.Duration(a.conf().Watch.Every)), sites: map[string]site.Site{},
		busy: map[string]bool{}, resting: map[string]pause{}, told: map[string]*told{}, news: make(chan struct{}, 1),
		probes: make(chan struct{}, probesAtOnce), visits: make(chan struct{}, visitsAtOnce), incidents: make(chan struct{}, a.conf().Watch.Incidents), rare: make(chan struct{}, 1)}
	defer w.work.Wait()
	w.startFollowing(ctx)
	if !observe {
		w.work.Go(func() { w.keep(ctx) })
	}
	for {
		if time.Now().After(w.discovery) {
			if err := w.discover(ctx); err != nil {
				a.log.Error("cannot discover the sites of this host", "err", err)
			}
		}
		now := time.Now()
		symptomatic, wake := w.symptomatic(now)
		for _, id := range append(symptomatic, w.schedule.Due(now)...) {
			w.start(ctx, id)
		}
		if wake.IsZero() || w.discovery.Before(wake) {
			wake = w.discovery
		}
		if next, ok := w.schedule.Next(); ok && next.Before(wake) {
			wake = next
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.news:
		case <-time.After(time.Until(wake)):
		}
	}
}

// watching is the state of one Run.
type watching struct {
	agent     *Agent
	observe   bool
	schedule  *watch.Schedule
	discovery time.Time // of the next one
	follower  *watch.Follower
	news      chan struct{} // something else may be due now

	work      sync.WaitGroup
	probes    chan struct{}
	visits    chan struct{} // for symptoms; a site that hangs holds up no other
	incidents chan struct{}
	rare      chan struct{} // incidents whose failure is rare

	mu      sync.Mutex
	sites   map[string]site.Site
	logs    map[string][]evidence.Log // by file
	told    map[string]*told          // by site
	busy    map[string]bool
	resting map[string]pause // see restKey
}

// pause keeps wpmend from trying the same in vain again and again.
type pause struct {
	until time.Time
	last  time.Duration
}

func (w *watching) discover(ctx context.Context) error {
	w.discovery = time.Now().Add(time.Duration(w.agent.conf().Watch.Discover))
	host, err := w.agent.Discover(ctx)
	if err != nil {
		return err
	}
	for _, p := range host.Problems {
		w.agent.log.Warn("discovery", "note", p)
	}
	other := w.found(host.Sites)
	w.follow(host.Sites)
	if other {
		w.agent.log.Info("watching", "sites", len(host.Sites), "every", time.Duration(w.agent.conf().Watch.Every))
	}
	return nil
}

// found takes over what a discovery found; other says that there are more sites or
// fewer.
func (w *watching) found(sites []site.Site) (other bool) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	other = len(sites) != len(w.sites)
	clear(w.sites)
	for _, s := range sites {
		w.sites[s.ID] = s
	}
	w.schedule.Set(slices.Collect(maps.Keys(w.sites)), now)
	maps.DeleteFunc(w.resting, func(_ string, p pause) bool { return now.After(p.until.Add(p.last)) })
	return other
}

// start visits a site beside the others, unless it is at work on it already.
func (w *watching) start(ctx context.Context, id string) {
	w.mu.Lock()
	s, known := w.sites[id]
	if !known || w.busy[id] {
		w.mu.Unlock()
		return
	}
	w.busy[id] = true
	symptoms := w.take(id, time.Now())
	w.mu.Unlock()
	w.work.Go(func() {
		asked, settled, err := w.visit(ctx, s, symptoms)
		w.mu.Lock()
		delete(w.busy, id)
		if t := w.told[id]; t != nil && (settled || len(symptoms) > 0) {
			t.visited(asked, settled, time.Now())
		}
		w.mu.Unlock()
		w.rouse()
		if err != nil && ctx.Err() == nil {
			w.agent.log.Error("cannot handle the site", "site", s.Domain, "err", err)
		}
	})
}

// visit probes one site and handles its incident, if there is one; asked are the URLs
// of its symptoms that it asked, settled says that it looked into all of them.
func (w *watching) visit(ctx context.Context, s site.Site, symptoms []evidence.Symptom) (asked []string, settled bool, err error) {
	slots := w.probes
	if len(symptoms) > 0 {
		slots = w.visits
	}
	slots <- struct{}{}
	r := w.agent.askOne(ctx, s, probe.Request{Target: probe.Home(s)})
	<-slots
	switch {
	case ctx.Err() != nil:
		return nil, false, nil
	case r.Outcome.Failing():
		_, err = w.incident(ctx, s, r, nil)
		return nil, true, err // it accounts for whatever else fails
	case r.Outcome == probe.Healthy:
		w.well(s)
	}
	return w.ask(ctx, s, symptoms)
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
	if w.observe {
		log.Warn("the site fails; wpmend only observes")
		w.pause(s, key)
		return false, nil
	}
	log.Warn("the site fails")
	slot := w.incidents
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	case <-ctx.Done():
		return false, nil
	}
	// The search for a rare failure must not keep others from being healed.
	rare := func() bool {
		select {
		case w.rare <- struct{}{}:
			<-slot
			slot = w.rare
			return true
		default:
			return false
		}
	}
	// The pool's master may have ended since the last discovery.
	if fresh, err := w.rediscover(ctx, s); err == nil {
		s = fresh
	}
	report, err := w.agent.Heal(ctx, s, HealOptions{Seen: &r, Logged: logged, Rare: rare})
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

// restKey tells the failures of a site apart that are left alone by themselves: what
// anybody can bring about by a URL must not keep wpmend from the front page.
func restKey(s site.Site, r probe.Result, logged *url.URL) string {
	if logged == nil {
		return s.ID
	}
	return s.ID + " " + r.Signature
}

func (w *watching) rediscover(ctx context.Context, s site.Site) (site.Site, error) {
	host, err := w.agent.Discover(ctx)
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
