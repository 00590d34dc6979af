// Package watch says when something is to be looked at: it follows logs as they
// grow, and decides when which site is probed. It refuses to know what a line means
// and what a probe is.
//
// Its invariant: what it costs does not depend on what is written into the logs, and
// neither a known file nor a site's place in the round is lost from one discovery to
// the next.
package watch

import (
	"container/heap"
	"hash/fnv"
	"time"
)

const (
	// strain is how many times fewer probes there are while the host is short of
	// processors.
	strain = 4
	// unasked rounds are the longest that a site is not probed because its visitors
	// were well.
	unasked = 6
	// late is how late the caller may come and still have its due.
	late = 200 * time.Millisecond
	// lately is how long ago a visitor counts at most.
	lately = 5 * time.Minute
)

// Schedule holds the next probe of every site. Each is probed once in a round, and
// the round is as long as it takes to keep within so many probes a second.
type Schedule struct {
	every    time.Duration
	gap      time.Duration // between two probes
	strained bool
	free     time.Time // no probe before
	queue    queue
}

// NewSchedule makes an empty schedule with one probe of each site in every, and at
// most rate probes a second of all of them.
func NewSchedule(every time.Duration, rate int) *Schedule {
	return &Schedule{every: every, gap: time.Second / time.Duration(max(rate, 1))}
}

// Round is how long it takes until every site has been probed once.
func (s *Schedule) Round() time.Duration { return max(s.every, time.Duration(len(s.queue))*s.gap) }

// Slowest is the same of a host that is short of processors all the time.
func (s *Schedule) Slowest() time.Duration {
	return max(s.every, time.Duration(len(s.queue))*strain*s.gap)
}

// Strain says whether the host is short of processors: then there are fewer probes,
// and who waited the longest comes first.
func (s *Schedule) Strain(on bool) { s.strained = on }

// pause is the time between two probes.
func (s *Schedule) pause() time.Duration {
	if s.strained {
		return strain * s.gap
	}
	return s.gap
}

// Set replaces the sites by these ids. A new one gets the place in the round that
// its id stands for; a known one keeps its next time.
func (s *Schedule) Set(ids []string, now time.Time) {
	known := make(map[string]turn, len(s.queue))
	for _, t := range s.queue {
		known[t.id] = t
	}
	s.queue = make(queue, len(ids))
	latest := now.Add(s.Round())
	for i, id := range ids {
		t, ok := known[id]
		if !ok || t.at.After(latest) { // the round was longer
			t = turn{id: id, at: s.place(id, now), asked: t.asked}
		}
		s.queue[i] = t
	}
	heap.Init(&s.queue)
}

// place is the first moment after now that belongs to id.
func (s *Schedule) place(id string, now time.Time) time.Time {
	h := fnv.New64a()
	h.Write([]byte(id))
	round := s.Round()
	t := now.Truncate(round).Add(time.Duration(h.Sum64() % uint64(round)))
	if t.Before(now) {
		t = t.Add(round)
	}
	return t
}

// Due takes out the sites whose time has come and gives them their next one. A
// site that was due several times over, because the process slept, is due once; one
// that was due too early for the pace stays. One whose visitors are well, as the
// caller knows, is passed over, but not for more than six rounds.
func (s *Schedule) Due(now time.Time, well func(id string, since time.Time) bool) []string {
	var ids []string
	for len(s.queue) > 0 && !s.queue[0].at.After(now) {
		t := &s.queue[0]
		round := s.Round()
		if now.Sub(t.asked) >= unasked*round || !well(t.id, now.Add(-min(round/2, lately))) {
			if s.free.After(now) {
				break
			}
			if s.free.Before(now.Add(-late)) { // after a sleep nothing is made up for
				s.free = now.Add(-late)
			}
			s.free = s.free.Add(s.pause())
			ids = append(ids, t.id)
			t.asked = now
		}
		t.at = s.place(t.id, now.Add(1))
		heap.Fix(&s.queue, 0)
	}
	return ids
}

// Next is the time of the next probe; ok is false when there is no site.
func (s *Schedule) Next() (t time.Time, ok bool) {
	if len(s.queue) == 0 {
		return time.Time{}, false
	}
	if t = s.queue[0].at; t.Before(s.free) {
		t = s.free
	}
	return t, true
}

// turn is a site's place in the round.
type turn struct {
	id    string
	at    time.Time
	asked time.Time // the last time that it was due
}

// queue has the next one at its top.
type queue []turn

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push and Pop are heap's, which are not needed: places are exchanged, not taken out.

func (q *queue) Push(any) {}
func (q *queue) Pop() any { return nil }
