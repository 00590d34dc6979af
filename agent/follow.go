package agent

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"wpmend/agent/evidence"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/agent/watch"
)

const (
	// symptomRest is how long a site's symptoms wait after a visit that they caused;
	// each further visit in a row doubles it, up to longestSymptomRest: scheduled
	// probes go on meanwhile.
	symptomRest        = 250 * time.Millisecond
	longestSymptomRest = 30 * time.Second
	// symptomCalm without a symptom ends such a row.
	symptomCalm = time.Minute
	// visitsAtOnce bounds how many sites are visited for their symptoms at the same
	// moment, beside the scheduled probes.
	visitsAtOnce = 8
	// asksAtOnce bounds how many URLs that logs name are asked at the same moment: what
	// all sites have in common, as a restart of FPM, lets each of thousands fail once.
	asksAtOnce = 16
)

// told is what the logs said of one site that no visit has looked into yet.
type told struct {
	symptoms []heard       // one a URL, at most logURLs of these, and one without
	first    time.Time     // of what is in symptoms, by the log; zero: nothing is
	last     time.Time     // when the last one came
	next     time.Time     // no visit before
	rest     time.Duration // after the next visit
	settled  time.Time     // what failed until then has been looked into
}

// heard is a symptom with the moment at which its log was read.
type heard struct {
	evidence.Symptom
	came time.Time
}

// add keeps a symptom, unless it is known already or one too many.
func (t *told) add(y evidence.Symptom, now time.Time) {
	if y.Time.Before(t.settled.Truncate(time.Second)) { // logs carry whole seconds
		return
	}
	if now.Sub(t.last) > symptomCalm {
		t.rest = 0
	}
	t.last = now
	if t.first.IsZero() {
		t.first = y.Time
	}
	if i := slices.IndexFunc(t.symptoms, func(o heard) bool { return sameURL(o.URL, y.URL) }); i >= 0 {
		t.symptoms[i] = heard{y, now}
		return
	}
	switch alike := slices.ContainsFunc(t.symptoms, func(o heard) bool { return o.What == y.What }); {
	case len(t.symptoms) <= logURLs:
		t.symptoms = append(t.symptoms, heard{y, now})
	case !alike: // another trouble than what fills the list
		t.symptoms[logURLs] = heard{y, now}
	}
}

func sameURL(a, b *url.URL) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// visited forgets what a visit until now has looked into: all if that is settled,
// else what names no URL, and of the URLs that were asked what was heard before they
// were asked last: what a visit finds is written down after that.
func (t *told) visited(asked map[string]time.Time, settled bool, now time.Time) {
	if settled {
		t.settled = now
	}
	t.symptoms = slices.DeleteFunc(t.symptoms, func(y heard) bool {
		switch {
		case y.Time.After(now):
			return false
		case settled || y.URL == nil:
			return true
		}
		at, was := asked[y.URL.String()]
		return was && !y.came.After(at)
	})
	if len(t.symptoms) == 0 {
		t.first = time.Time{}
	}
	t.rest = min(max(symptomRest, 2*t.rest), longestSymptomRest)
	t.next = now.Add(t.rest)
}

// follow makes the logs of the sites found now the ones that are followed.
func (w *watching) follow(sites []site.Site) {
	logs := evidence.Logs(sites)
	files := make([]string, 0, len(logs))
	for i, l := range logs {
		if i == 0 || logs[i-1].File != l.File {
			files = append(files, l.File)
		}
	}
	w.mu.Lock()
	w.logs = logs
	w.mu.Unlock()
	w.follower.Set(files)
}

// startFollowing follows the logs until ctx ends.
func (w *watching) startFollowing(ctx context.Context) {
	w.follower = watch.NewFollower(w.read, func(file, what string) {
		w.agent.log.Warn("following the logs", "log", file, "note", what)
	})
	w.work.Go(func() { w.follower.Run(ctx) })
}

// read takes what a log grew by.
func (w *watching) read(file string, lines []byte) {
	w.mu.Lock()
	logs := w.logs
	w.mu.Unlock()
	now := time.Now()
	first, _ := slices.BinarySearchFunc(logs, file, func(l evidence.Log, file string) int { return strings.Compare(l.File, file) })
	for _, l := range logs[first:] {
		if l.File != file {
			break
		}
		for _, y := range l.Read(lines, now.Add(-lately), w.visited) {
			w.tell(y, now)
		}
	}
}

// visited notes that a visitor of a site was well.
func (w *watching) visited(id string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.After(w.pages[id]) {
		w.pages[id] = at
	}
}

// visitedSince says whether a visitor of a site was well since a moment, and none was
// not.
func (w *watching) visitedSince(id string, since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.told[id]; t != nil && !t.last.Before(since) {
		return false
	}
	_, rests := w.resting[id]
	return !rests && w.pages[id].After(since)
}

func (w *watching) tell(y evidence.Symptom, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.sites[y.Site]; !known {
		return
	}
	t := w.told[y.Site]
	if t == nil {
		t = &told{}
		w.told[y.Site] = t
	}
	t.add(y, now)
	w.rouse()
}

// rouse lets the loop look again at what is due.
func (w *watching) rouse() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// symptomatic are the sites to be visited for their symptoms now, and when the next
// one is; the zero time if there is none.
func (w *watching) symptomatic(now time.Time) (ids []string, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, t := range w.told {
		switch {
		case len(t.symptoms) == 0 || w.busy[id]: // the end of a visit rouses
		case !t.next.After(now):
			ids = append(ids, id)
		case next.IsZero() || t.next.Before(next):
			next = t.next
		}
	}
	return ids, next
}

// take takes out what is known of a site's symptoms, if it is time for them.
func (w *watching) take(id string, now time.Time) []evidence.Symptom {
	t := w.told[id]
	if t == nil || t.next.After(now) {
		return nil
	}
	symptoms := make([]evidence.Symptom, 0, len(t.symptoms))
	for _, y := range t.symptoms {
		symptoms = append(symptoms, y.Symptom)
	}
	return symptoms
}

// ask follows a site's symptoms where its front page is well: the URLs that they
// name, or else those that failed just then, are asked once. asked says when each URL
// was asked last.
func (w *watching) ask(ctx context.Context, s site.Site, symptoms []evidence.Symptom) (asked map[string]time.Time, settled bool, err error) {
	asked = map[string]time.Time{}
	var urls []*url.URL
	since := time.Now()
	for _, y := range symptoms {
		if y.Time.Before(since) {
			since = y.Time
		}
		if y.URL != nil {
			urls = append(urls, y.URL)
		}
	}
	if len(urls) == 0 {
		release, ok := w.asks.take(ctx)
		if !ok {
			return nil, false, nil
		}
		failed, err := evidence.Failing(s, since.Add(-time.Second), logURLs)
		release()
		if err != nil {
			w.agent.log.Debug("some logs cannot be read", "site", s.Domain, "err", err)
		}
		for _, f := range failed {
			urls = append(urls, f.URL)
		}
	}
	for _, u := range urls {
		r, ok := w.askURL(ctx, s, u)
		if !ok {
			return asked, false, nil
		}
		if asked[u.String()] = time.Now(); r.Outcome.Failing() {
			settled, err = w.incident(ctx, s, r, u)
			return asked, settled, err
		}
	}
	said := map[string]bool{}
	for _, y := range symptoms {
		log := w.agent.log.With("site", s.Domain, "request", y.Request, "what", y.What, "log", y.Source)
		if y.Request == "" || said[y.What] || w.settled(s.ID, y) {
			log.Debug("the logs tell of a failure, and the site answers well")
			continue
		}
		said[y.What] = true
		known, err := w.agent.blipped(s, y, time.Now().Add(-recurrence))
		if err != nil {
			return asked, false, err
		}
		if known {
			log.Debug("a visitor's request failed again, and the site answers well")
			continue
		}
		log.Info("a visitor's request failed, and the site answers well")
		settled, err = w.blip(ctx, s, y, asked)
		return asked, settled, err
	}
	return asked, false, nil
}

// askURL asks one URL that a log names; false: ctx ended.
func (w *watching) askURL(ctx context.Context, s site.Site, u *url.URL) (probe.Result, bool) {
	release, ok := w.asks.take(ctx)
	if !ok {
		return probe.Result{}, false
	}
	defer release()
	r := w.agent.askOne(ctx, s, probe.Request{Target: u})
	return r, ctx.Err() == nil
}

// blip is a visitor's failed request on a site that answers well: it is asked again
// and again, and if it stays well it is recorded and nothing is done, whatever the
// logs say.
func (w *watching) blip(ctx context.Context, s site.Site, y evidence.Symptom, asked map[string]time.Time) (settled bool, err error) {
	target := y.URL
	if target == nil {
		target = probe.Home(s)
	}
	for range transientProbes {
		r, ok := w.askURL(ctx, s, target)
		switch {
		case !ok:
			return false, nil
		case r.Outcome.Failing() && y.URL == nil:
			return w.incident(ctx, s, r, nil)
		case r.Outcome.Failing():
			return w.incident(ctx, s, r, y.URL)
		}
	}
	asked[target.String()] = time.Now()
	return false, w.agent.recordBlip(s, y, target)
}

// settled: the failure may be of an incident that has ended.
func (w *watching) settled(id string, y evidence.Symptom) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.told[id]
	return t != nil && !y.Time.After(t.settled)
}
