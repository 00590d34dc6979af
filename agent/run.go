package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/evidence"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/agent/watch"
)

// probesAtOnce bounds how many sites are asked at the same moment.
const probesAtOnce = 8

// discoveryBound is how long one discovery may take; a gateway that dumps 5,000 sites
// takes seconds. A loop whose discovery does not even end then is taken for wedged.
const discoveryBound = 2 * time.Minute

// stopBound is how long Run waits for its work after the end of ctx. What runs longer is
// taken back by the next start's recovery, but for an act on a live server: it is waited
// for, since one that was stopped must be started again.
const stopBound = 4 * time.Second

// RunOptions tie Run to whoever supervises it.
type RunOptions struct {
	// Ready is called once, after the first discovery, with the number of sites found; nil: nobody waits.
	Ready func(sites int)
	// Beat is called on every turn of the loop, at least every BeatEvery, unless what the loop depends on stands still;
	// nil: nobody listens.
	Beat      func()
	BeatEvery time.Duration
	// Reload brings configurations to put in force, which must be valid.
	Reload <-chan config.Config
	// Status is told in one line what it does; nil: nobody listens.
	Status func(string)
}

// Run watches every site by its logs and by scheduled probes, and heals what fails,
// until ctx ends. What an interrupted run left is put back first.
func (a *Agent) Run(ctx context.Context, o RunOptions) error {
	thrifty()
	report, err := a.Recover(ctx)
	if ctx.Err() != nil {
		return nil // the next start goes on
	}
	if err != nil {
		return err
	}
	for _, n := range report.Notes {
		a.log.Error("a record cannot be read", "note", n)
	}
	if report.unread {
		a.log.Error("what wpmend has changed on this host is not known, so nothing is changed before it is: wpmend only observes", "remedy", "wpmend recover")
	}
	for _, c := range report.Changes {
		a.log.Warn("recovered", "change", c.ID, "what", c.What, "state", c.State, "note", c.Note)
	}
	w := &watching{agent: a, options: o, blind: report.unread, schedule: newSchedule(a.conf().Watch), sites: map[string]*site.Site{}, pages: map[string]time.Time{},
		busy: map[string]bool{}, resting: map[string]*pause{}, groups: map[string][]*shared{}, told: map[string]*told{}, news: make(chan struct{}, 1), discovered: make(chan discovery, 1),
		probes: newSlots(probesAtOnce, probeStands), visits: newSlots(visitsAtOnce, probeStands),
		asks: newSlots(asksAtOnce, probeStands), incidents: newSlots(a.conf().Watch.Incidents, incidentStands), rare: newSlots(1, incidentStands)}
	w.startFollowing(ctx)
	w.work.Go(func() { w.keep(ctx) })
	for {
		now := time.Now()
		if w.began.IsZero() && !now.Before(w.next) {
			w.discover(ctx, now)
		}
		w.beat(now)
		symptomatic, wake := w.symptomatic(now)
		for _, id := range append(symptomatic, w.schedule.Due(now, w.visitedSince)...) {
			w.start(ctx, id)
		}
		if w.began.IsZero() && (wake.IsZero() || w.next.Before(wake)) {
			wake = w.next
		}
		if next, ok := w.schedule.Next(); ok && (wake.IsZero() || next.Before(wake)) {
			wake = next
		}
		if beat := w.beaten.Add(o.BeatEvery); o.BeatEvery > 0 && (wake.IsZero() || beat.Before(wake)) {
			wake = beat
		}
		var due <-chan time.Time
		if !wake.IsZero() {
			due = time.After(time.Until(wake))
		}
		select {
		case <-ctx.Done():
			return w.stop()
		case d := <-w.discovered:
			w.found(d)
		case c := <-o.Reload:
			w.reconfigure(c)
		case <-w.news:
		case <-w.agent.nudged:
			w.hurry(time.Now())
		case <-due:
		}
	}
}

// watching is the state of one Run. What stands before work belongs to the loop alone.
type watching struct {
	agent      *Agent
	options    RunOptions
	blind      bool // a record cannot be read, so that nothing may be changed
	schedule   *watch.Schedule
	next       time.Time // when the next discovery is due
	began      time.Time // when the one under way began; zero: there is none
	hurried    time.Time // until when discoveries follow each other quickly
	beaten     time.Time // the last beat, or when it was refused
	stood      bool      // the last beat was refused
	ready      bool
	look       int             // the discovery that is in force
	noted      map[string]bool // its problems
	follower   *watch.Follower
	followed   int // the discovery whose logs are followed; belongs to the one under way
	doubts     doubts
	discovered chan discovery
	news       chan struct{} // something else may be due now

	work   sync.WaitGroup
	probes *slots
	visits *slots // for symptoms; a site that hangs holds up no other
	asks   *slots // of URLs that logs name
	rare   *slots // incidents whose failure is rare

	mu        sync.Mutex
	incidents *slots // a reload exchanges them
	sites     map[string]*site.Site
	pages     map[string]time.Time // when a visitor of a site was well, by the access log
	logs      []evidence.Log       // ordered by file
	told      map[string]*told     // by site
	busy      map[string]bool
	resting   map[string]*pause    // see restKey
	renewed   time.Time            // when all pauses were ended last
	groups    map[string][]*shared // failures under examination, by the PHP-FPM master of their sites
	open      int                  // incidents at work
}

// discovery is what one brought.
type discovery struct {
	host site.Host
	look int // by its number, see Agent.discover
	err  error
	took usage
}

// discover looks at the host beside the loop.
func (w *watching) discover(ctx context.Context, now time.Time) {
	w.began = now
	w.work.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, discoveryBound)
		defer cancel()
		before := used()
		host, look, err := w.agent.discover(ctx, "")
		took := used().less(before)
		w.agent.meter.Discovered(took.wall, err)
		if err == nil && look != w.followed {
			w.follow(host.Sites) // opens thousands of files
			w.followed = look
		}
		w.discovered <- discovery{host, look, err, took}
	})
}

// found takes over what a discovery brought.
func (w *watching) found(d discovery) {
	now := time.Now()
	w.began, w.next = time.Time{}, w.after(now)
	if d.err != nil {
		w.agent.log.Error("cannot discover the sites of this host", "err", d.err)
	} else {
		w.takeOver(d, now)
	}
	w.strain()
	w.leave(d)
	w.mu.Lock()
	sites := len(w.sites)
	w.mu.Unlock()
	if !w.ready && w.options.Ready != nil {
		w.options.Ready(sites)
	}
	w.ready = true
	w.tellStatus()
}

// takeOver makes the sites that were found those that are watched.
func (w *watching) takeOver(d discovery, now time.Time) {
	w.forget(now)
	w.spent(d)
	w.doubt(d)
	if d.look == w.look {
		return
	}
	first := w.look == 0
	w.look = d.look
	for _, p := range d.host.Problems {
		if !w.noted[p] {
			w.agent.log.Warn("discovery", "note", p)
		}
	}
	w.noted = set(d.host.Problems)
	sites := make(map[string]*site.Site, len(d.host.Sites))
	for i := range d.host.Sites {
		sites[d.host.Sites[i].ID] = &d.host.Sites[i]
	}
	gone := func(id string) bool { return sites[id] == nil }
	w.mu.Lock()
	other := len(sites) != len(w.sites)
	w.sites = sites
	w.schedule.Set(slices.Collect(maps.Keys(sites)), now)
	maps.DeleteFunc(w.told, func(id string, _ *told) bool { return gone(id) })
	maps.DeleteFunc(w.pages, func(id string, _ time.Time) bool { return gone(id) })
	w.mu.Unlock()
	if first {
		w.restore(now)
	}
	if other {
		w.agent.log.Info("watching", "sites", len(sites), "every", w.schedule.Round(), "under_load", w.schedule.Slowest())
	}
}

// reconfigure puts another configuration in force. Work that has begun ends under the earlier one.
func (w *watching) reconfigure(c config.Config) {
	was := w.agent.conf().Watch
	w.agent.Reconfigure(c)
	w.mu.Lock()
	w.tryAgain() // what was in vain may not be so now
	if c.Watch.Incidents != was.Incidents {
		w.incidents = newSlots(c.Watch.Incidents, incidentStands)
	}
	if c.Watch.Every != was.Every || c.Watch.Rate != was.Rate {
		w.schedule = newSchedule(c.Watch)
		w.schedule.Set(slices.Collect(maps.Keys(w.sites)), time.Now())
	}
	w.mu.Unlock()
	w.next = time.Now() // other sites may be meant
	w.agent.log.Info("another configuration is in force", "mode", c.Mode)
}

func (w *watching) tellStatus() {
	if w.options.Status == nil {
		return
	}
	w.mu.Lock()
	sites, open := len(w.sites), w.open
	w.mu.Unlock()
	status := "watching " + count(sites, "site") + ", " + count(open, "incident") + " at work"
	if w.blind {
		status += "; only observing, since a record of the journal cannot be read: wpmend recover"
	}
	w.options.Status(status)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// stop waits until the work has ended, or is only what a later recovery can take back.
func (w *watching) stop() error {
	done := make(chan struct{})
	go func() { w.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(stopBound):
	}
	// What follows an act, its undo perhaps, begins right after it.
	for acted := time.Now(); time.Since(acted) < stopBound/8; {
		if w.agent.acting.Load() > 0 {
			acted = time.Now()
		}
		select {
		case <-done:
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	w.agent.log.Warn("ended in the midst of its work: what is not finished is taken back at the next start")
	return nil
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
		asked, settled, err := w.visit(ctx, *s, symptoms)
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

// visit probes one site and handles its incident, if there is one; asked says when each
// URL of its symptoms was asked last, settled that it looked into all of them.
func (w *watching) visit(ctx context.Context, s site.Site, symptoms []evidence.Symptom) (asked map[string]time.Time, settled bool, err error) {
	from := w.probes
	if len(symptoms) > 0 {
		from = w.visits
	}
	release, ok := from.take(ctx)
	if !ok {
		return nil, false, nil
	}
	r := w.agent.askOne(ctx, s, probe.Request{Target: probe.Home(s)})
	release()
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
