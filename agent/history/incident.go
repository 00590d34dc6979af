// Package history keeps the incidents over time: what was seen, found, done, and how
// it ended. It knows how they are stored; it refuses to judge them, and changes no
// site.
//
// Its invariant: it is append-only. One JSON file holds one incident; it is replaced
// whole while the incident is open and never touched again once it has ended (that
// it was undone later, or is over by itself, is a file of its own). The index is rebuilt on reading, so that
// the service and the command line can work side by side.
package history

import (
	"encoding/json"
	"slices"
	"time"

	"wpmend/agent/diagnose"
)

// The states of an incident.
const (
	Ongoing   = "open"      // not ended; or wpmend was interrupted
	Resolved  = "resolved"  // mended and verified
	Transient = "transient" // gone by itself
	Escalated = "escalated" // as found; a person must act
	Undone    = "undone"    // its changes were taken back later
)

// Incident is one site's trouble from first symptom to an end.
type Incident struct {
	ID       string           `json:"id"` // ULID: later ones sort later
	Site     SiteRef          `json:"site"`
	State    string           `json:"state"`
	Opened   time.Time        `json:"opened"`
	Ended    time.Time        `json:"ended,omitzero"`
	Symptom  Symptom          `json:"symptom"`
	Causes   []diagnose.Cause `json:"causes"`
	Culprits []Culprit        `json:"culprits"`
	Changes  []Change         `json:"changes"`
	Timeline []Event          `json:"timeline"`
	Probes   int              `json:"probes"`
	Repeats  int              `json:"repeats"`
	Rounds   int              `json:"rounds"`
	Seconds  float64          `json:"seconds"`
	Advice   []string         `json:"advice"`
	Versions []Version        `json:"versions,omitempty"`
	Remedies []string         `json:"remedies,omitempty"` // those that were tried, in order
	// Sites are the others of the same PHP-FPM pool that failed with it, of the same cause.
	Sites []SiteRef `json:"sites,omitempty"`
	// Reason is why it was escalated, as a word; "" where that is not known.
	Reason string `json:"reason,omitempty"`
	// After is the id of the escalated incident that this one goes on with.
	After string `json:"after,omitempty"`
	// Over is when the failure of an escalated one was seen to be over; zero: it may last.
	Over time.Time `json:"over,omitzero"`
}

// Concerns reports whether the incident is of a site, given by its id, domain or root.
func (i Incident) Concerns(site string) bool {
	is := func(s SiteRef) bool { return site == s.ID || site == s.Domain || site == s.Root }
	return is(i.Site) || slices.ContainsFunc(i.Sites, is)
}

// Version is one program that took part.
type Version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// SiteRef names a site.
type SiteRef struct {
	ID     string `json:"id"`
	Domain string `json:"domain"`
	Root   string `json:"root"`
	Owner  string `json:"owner"`
	Pool   string `json:"pool"`
}

// Symptom is what was seen first.
type Symptom struct {
	Outcome   string `json:"outcome"`
	Signature string `json:"signature"`
	URL       string `json:"url"`
	Status    int    `json:"status"` // HTTP; 0: no answer
}

// Culprit is a component that was convicted.
type Culprit struct {
	Component string   `json:"component"`
	Version   string   `json:"version"`
	Signature string   `json:"signature"`
	With      []string `json:"with"` // it fails only together with these
	// Dependants require it and go off along with it; they are not at fault.
	Dependants []string `json:"dependants"`
}

// Change is one change to the live system; its id is the journal's.
type Change struct {
	ID   string `json:"id"`
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
	Undo string `json:"undo"` // a command
}

// Event is one line of the story.
type Event struct {
	Time time.Time `json:"time"`
	What string    `json:"what"`
}

// Note adds a line to the story.
func (i *Incident) Note(at time.Time, what string) {
	i.Timeline = append(i.Timeline, Event{Time: at.UTC(), What: what})
}

// MarshalJSON writes empty lists as [], never as null.
func (i Incident) MarshalJSON() ([]byte, error) {
	type plain Incident
	i.Causes = list(i.Causes)
	i.Culprits = list(i.Culprits)
	i.Changes = list(i.Changes)
	i.Timeline = list(i.Timeline)
	i.Advice = list(i.Advice)
	return json.Marshal(plain(i))
}

// MarshalJSON writes an empty list as [], never as null.
func (c Culprit) MarshalJSON() ([]byte, error) {
	type plain Culprit
	c.With, c.Dependants = list(c.With), list(c.Dependants)
	return json.Marshal(plain(c))
}

func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
