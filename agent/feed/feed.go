// Package feed hands on what happens, as it happens, to whoever listens: to panels, to
// the page, to notifications and metrics. It knows events and listeners; it refuses to
// know who works and what the listeners are for.
//
// Its invariant: who publishes never waits. A listener that is too slow loses its
// place and is told so.
package feed

import (
	"sync"
	"time"

	"wpmend/agent/history"
)

// Kind says what an event is about.
type Kind string

// The kinds.
const (
	Doing    Kind = "doing"    // a step of the work, in words
	Searched Kind = "search"   // a round of a search
	Incident Kind = "incident" // an incident began, went on or ended; its state says which
	Job      Kind = "job"      // a piece of work that somebody asked for was begun or ended
)

// Event is one thing that happened.
type Event struct {
	ID       uint64            `json:"id"` // grows by one from event to event, from 1 at the start of the service
	Time     time.Time         `json:"time"`
	Kind     Kind              `json:"kind"`
	Site     history.SiteRef   `json:"site"`
	Text     string            `json:"text"`               // in words, one line
	Job      string            `json:"job,omitempty"`      // whose work it is; "": the service's own
	Search   *Search           `json:"search,omitempty"`   // of Searched
	Incident *history.Incident `json:"incident,omitempty"` // of Incident: as it was written down
}

// Search is how far a search has got.
type Search struct {
	Round    int      `json:"round"` // from 1
	Asked    []Asked  `json:"asked"` // in this round
	Suspects []string `json:"suspects"`
	Aside    []string `json:"aside"` // convicted so far, in the order in which they were found
	Probes   int      `json:"probes"`
	Repeats  int      `json:"repeats"`
}

// Asked is one question of a search with its answer.
type Asked struct {
	Why       string   `json:"why"`
	Masked    []string `json:"masked"`
	Verdict   string   `json:"verdict"`
	Signature string   `json:"signature,omitempty"`
	Repeat    bool     `json:"repeat,omitempty"`
}

// Feed keeps the last events and hands them on. Its methods may be called side by side.
type Feed struct {
	mu        sync.Mutex
	last      uint64
	kept      []Event // a ring
	listeners map[*Listener]struct{}
}

// Listener gets the events from one on.
type Listener struct {
	feed   *Feed
	events chan Event
}

// New makes a Feed that keeps so many events for listeners that come back.
func New(keep int) *Feed {
	return &Feed{kept: make([]Event, 0, keep), listeners: map[*Listener]struct{}{}}
}

// Publish gives the event its id and, unless it has one, its time, and returns it.
func (f *Feed) Publish(e Event) Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	e.ID = f.last
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if len(f.kept) < cap(f.kept) {
		f.kept = append(f.kept, e)
	} else if cap(f.kept) > 0 {
		f.kept[int((e.ID-1)%uint64(cap(f.kept)))] = e
	}
	for l := range f.listeners {
		select {
		case l.events <- e:
		default: // too slow
			f.drop(l)
		}
	}
	return e
}

// Listen begins to listen. Missed are the kept events after the one with the id, the
// oldest first; gap says that some between are kept no more, or that the id is of an
// earlier start of the service. With an id of 0 nothing was missed. Buffer is how many
// events the listener may lag behind before it is dropped.
func (f *Feed) Listen(after uint64, buffer int) (l *Listener, missed []Event, gap bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l = &Listener{feed: f, events: make(chan Event, buffer)}
	f.listeners[l] = struct{}{}
	if after == 0 {
		return l, nil, false
	}
	first := f.last - uint64(len(f.kept)) + 1
	gap = after > f.last || after+1 < first
	for id := max(first, after+1); id <= f.last && after <= f.last; id++ {
		missed = append(missed, f.kept[int((id-1)%uint64(cap(f.kept)))])
	}
	return l, missed, gap
}

// Events is closed when the listener was too slow, or closed.
func (l *Listener) Events() <-chan Event { return l.events }

// Close ends listening; it may be called more than once.
func (l *Listener) Close() {
	l.feed.mu.Lock()
	defer l.feed.mu.Unlock()
	l.feed.drop(l)
}

// Listeners is how many there are.
func (f *Feed) Listeners() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.listeners)
}

func (f *Feed) drop(l *Listener) {
	if _, listening := f.listeners[l]; listening {
		delete(f.listeners, l)
		close(l.events)
	}
}
