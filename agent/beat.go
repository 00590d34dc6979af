package agent

import (
	"context"
	"sync"
	"time"
)

const (
	// probeStands is how long one probe can take by no means: each request of it has a
	// timeout of seconds (probe.timeout).
	probeStands = 10 * time.Minute
	// incidentStands is the same of an incident, whose search may ask hundreds of
	// questions of a site that hangs.
	incidentStands = 3 * time.Hour
)

// beat says that the loop turns, unless what it depends on stands still.
func (w *watching) beat(now time.Time) {
	if now.Sub(w.beaten) < w.options.BeatEvery/2 {
		return // a loop that turns for thousands of sites must not keep systemd busy
	}
	w.beaten = now
	what := w.standing(now)
	if what != "" && !w.stood {
		w.agent.log.Error("wpmend stands still, and tells the watchdog no more that it is alive", "what", what)
	}
	w.stood = what != ""
	if w.options.Beat != nil && !w.stood {
		w.options.Beat()
	}
}

// standing says what has made no progress for far longer than it may take; "": nothing.
func (w *watching) standing(now time.Time) string {
	w.mu.Lock()
	incidents := w.incidents
	w.mu.Unlock()
	switch {
	case !w.began.IsZero() && now.Sub(w.began) > 2*discoveryBound:
		return "the discovery of the sites"
	case w.probes.standing(now):
		return "the scheduled probes"
	case w.visits.standing(now):
		return "the probes for what the logs say"
	case incidents.standing(now):
		return "the incidents"
	}
	return ""
}

// slots bound how much is done side by side, and know since when it is.
type slots struct {
	free   chan struct{}
	stands time.Duration // what is held for longer does not move any more

	mu    sync.Mutex
	since map[int]time.Time
	last  int
}

func newSlots(n int, stands time.Duration) *slots {
	return &slots{free: make(chan struct{}, n), stands: stands, since: map[int]time.Time{}}
}

// take waits for a slot; false: ctx ended before.
func (s *slots) take(ctx context.Context) (release func(), ok bool) {
	if ctx.Err() != nil {
		return nil, false
	}
	select {
	case s.free <- struct{}{}:
		return s.hold(), true
	case <-ctx.Done():
		return nil, false
	}
}

// try takes a slot if one is free.
func (s *slots) try() (release func(), ok bool) {
	select {
	case s.free <- struct{}{}:
		return s.hold(), true
	default:
		return nil, false
	}
}

func (s *slots) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := s.last
	s.since[id] = time.Now()
	return func() {
		s.mu.Lock()
		delete(s.since, id)
		s.mu.Unlock()
		<-s.free
	}
}

// standing: every slot is held, and none has moved for too long.
func (s *slots) standing(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, since := range s.since {
		if now.Sub(since) < s.stands {
			return false
		}
	}
	return len(s.since) >= cap(s.free)
}
