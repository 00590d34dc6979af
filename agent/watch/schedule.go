// Package watch says when something is to be looked at: it follows logs as they
// grow, and decides when which site is probed. It refuses to know what a line means
// and what a probe is.
//
// Its invariant: what it costs does not depend on what is written into the logs, and
// neither a known file nor a site's place in the round is lost from one discovery to
// the next.
package watch

import (
	"hash/fnv"
	"time"
)

// Schedule holds the next probe of every site.
type Schedule struct {
	every time.Duration
	due   map[string]time.Time
}

// NewSchedule makes an empty schedule with one probe of each site in every.
func NewSchedule(every time.Duration) *Schedule {
	return &Schedule{every: every, due: map[string]time.Time{}}
}

// Set replaces the sites by these ids. A new one gets the place in the round that
// its id stands for; a known one keeps its next time.
func (s *Schedule) Set(ids []string, now time.Time) {
	due := make(map[string]time.Time, len(ids))
	for _, id := range ids {
		if t, known := s.due[id]; known {
			due[id] = t
			continue
		}
		due[id] = s.place(id, now)
	}
	s.due = due
}

// place is the first moment after now that belongs to id.
func (s *Schedule) place(id string, now time.Time) time.Time {
	h := fnv.New64a()
	h.Write([]byte(id))
	offset := time.Duration(h.Sum64() % uint64(s.every))
	t := now.Truncate(s.every).Add(offset)
	if t.Before(now) {
		t = t.Add(s.every)
	}
	return t
}

// Due takes out the sites whose time has come and gives them their next one. A
// site that was due several times over, because the process slept, is due once.
func (s *Schedule) Due(now time.Time) []string {
	var ids []string
	for id, t := range s.due {
		if !t.After(now) {
			ids = append(ids, id)
			s.due[id] = s.place(id, now.Add(1))
		}
	}
	return ids
}

// Next is the time of the next probe; ok is false when there is no site.
func (s *Schedule) Next() (t time.Time, ok bool) {
	for _, d := range s.due {
		if !ok || d.Before(t) {
			t, ok = d, true
		}
	}
	return t, ok
}
