package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"wpmend/agent/config"
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

// Run watches every site by scheduled probes and heals what fails, until ctx ends.
// What an interrupted run left is put back first.
func (a *Agent) Run(ctx context.Context) error {
	report, err := a.Recover(ctx)
	observe := a.config.Mode == config.Observe
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
	w := &watching{agent: a, observe: observe, schedule: watch.NewSchedule(time.Duration(a.config.Watch.Every)), sites: map[string]site.Site{},
		busy: map[string]bool{}, resting: map[string]pause{},
		probes: make(chan struct{}, probesAtOnce), incidents: make(chan struct{}, a.config.Watch.Incidents)}
	defer w.work.Wait()
	for {
		if time.Now().After(w.discovery) {
			if err := w.discover(ctx); err != nil {
				a.log.Error("cannot discover the sites of this host", "err", err)
			}
		}
		for _, id := range w.schedule.Due(time.Now()) {
			w.start(ctx, id)
		}
		wake := w.discovery
		if next, ok := w.schedule.Next(); ok && next.Before(wake) {
			wake = next
		}
		select {
		case <-ctx.Done():
			return nil
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

	work      sync.WaitGroup
	probes    chan struct{}
	incidents chan struct{}

	mu      sync.Mutex
	sites   map[string]site.Site
	busy    map[string]bool
	resting map[string]pause
}

// pause keeps wpmend from trying the same in vain again and again.
type pause struct {
	until time.Time
	last  time.Duration
}

func (w *watching) discover(ctx context.Context) error {
	w.discovery = time.Now().Add(time.Duration(w.agent.config.Watch.Discover))
	host, err := w.agent.Discover(ctx)
	if err != nil {
		return err
	}
	for _, p := range host.Problems {
		w.agent.log.Warn("discovery", "note", p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(host.Sites) != len(w.sites) {
		w.agent.log.Info("watching", "sites", len(host.Sites), "every", time.Duration(w.agent.config.Watch.Every))
	}
	clear(w.sites)
	for _, s := range host.Sites {
		w.sites[s.ID] = s
	}
	w.schedule.Set(slices.Collect(maps.Keys(w.sites)), time.Now())
	return nil
}

// start probes a site beside the others, unless it is at work on it already.
func (w *watching) start(ctx context.Context, id string) {
	w.mu.Lock()
	s, known := w.sites[id]
	if !known || w.busy[id] {
		w.mu.Unlock()
		return
	}
	w.busy[id] = true
	w.mu.Unlock()
	w.work.Go(func() {
		defer func() {
			w.mu.Lock()
			delete(w.busy, id)
			w.mu.Unlock()
		}()
		if err := w.visit(ctx, s); err != nil && ctx.Err() == nil {
			w.agent.log.Error("cannot handle the site", "site", s.Domain, "err", err)
		}
	})
}

// visit probes one site and handles its incident.
func (w *watching) visit(ctx context.Context, s site.Site) error {
	w.probes <- struct{}{}
	r := w.agent.askOne(ctx, s, probe.Request{Target: probe.Home(s)})
	<-w.probes
	if !r.Outcome.Failing() || ctx.Err() != nil {
		if r.Outcome == probe.Healthy {
			w.well(s)
		}
		return nil
	}
	log := w.agent.log.With("site", s.Domain, "outcome", r.Outcome, "signature", r.Signature)
	if w.rests(s) {
		log.Debug("the site still fails")
		return nil
	}
	if w.observe {
		log.Warn("the site fails; wpmend only observes")
		w.pause(s)
		return nil
	}
	log.Warn("the site fails")
	select {
	case w.incidents <- struct{}{}:
		defer func() { <-w.incidents }()
	case <-ctx.Done():
		return nil
	}
	// The pool's master may have ended since the last discovery.
	if fresh, err := w.rediscover(ctx, s); err == nil {
		s = fresh
	}
	report, err := w.agent.Heal(ctx, s, HealOptions{Seen: &r})
	var held *lock.Held
	if errors.As(err, &held) {
		log.Info("somebody is at work on the site", "by", held.Error())
		return nil
	}
	if err != nil {
		w.pause(s)
		return fmt.Errorf("heal: %w", err)
	}
	log.Warn("incident ended", "incident", report.Incident, "state", report.State, "culprits", len(report.Culprits), "took", report.Seconds)
	if report.State == StateEscalated {
		w.pause(s)
	}
	return nil
}

func (w *watching) rediscover(ctx context.Context, s site.Site) (site.Site, error) {
	host, err := w.agent.Discover(ctx)
	if err != nil {
		return s, err
	}
	return site.Find(host.Sites, s.Root)
}

func (w *watching) rests(s site.Site) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.resting[s.ID].until)
}

func (w *watching) pause(s site.Site) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := pause{last: min(max(rest, 2*w.resting[s.ID].last), longestRest)}
	p.until = time.Now().Add(p.last)
	w.resting[s.ID] = p
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
