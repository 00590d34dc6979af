// Package bisect searches for a correction set: components whose absence makes
// a failing site healthy, none of them needlessly.
//
// It knows components by name, weight and requirements, and asks one kind of
// question: is the site healthy with these masked? It refuses to know what a
// component, a probe or a site is; it has no clock, disk or network, and with the
// same answers it asks the same questions.
//
// Its invariant: evidence orders, answers convict. A component is convicted only
// in its final context: the site with everything let in but the convicted was seen
// healthy, and with this one let in as well it was seen failing, each twice or as
// often as the odds demand. A failure other than the incident's (another signature)
// steers the search, but in that context alone it counts as guilt: there it is what
// visitors would see.
//
// # How it searches
//
// Nothing masked must fail and all masked must be healthy. A healthy set is kept
// and grown by binary search to the first component that breaks it; that one is
// set aside and the rest is let in, until the site is healthy (grow.go). The split
// goes by weight, the most suspect last, inside the budget that [Bound] leaves
// (cut.go). Then each component set aside is let in again: if the site stays
// healthy it is acquitted (prove.go). For one that is healthy alone, the partners it
// needs in order to fail are searched (partners.go). A set that fails from its second request on makes
// every healthy answer take as many requests (warm.go); answers that contradict each
// other in any other way switch to a sequential test (noise.go).
package bisect

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Component is one thing that can be masked.
type Component struct {
	ID       string
	Weight   float64  // prior odds of guilt against a component of which nothing is known, which is 1
	Requires []string // ids that must be let in with it; unknown ids are ignored
}

// Question asks for the site with some components masked and all others let in.
type Question struct {
	Masked []string // sorted
}

// Verdict is what an answer says of the site.
type Verdict int

// The verdicts. Unresolved says nothing in either direction.
const (
	Unresolved Verdict = iota
	Healthy
	Failing
)

func (v Verdict) String() string {
	switch v {
	case Healthy:
		return "healthy"
	case Failing:
		return "failing"
	}
	return "unresolved"
}

// Answer is what one probe found.
type Answer struct {
	Verdict   Verdict
	Signature string        // what failed and where, for failures; equal for equal failures
	Blamed    []string      // ids named by a trace or fatal of this answer, the most suspect first
	Slow      bool          // it hung: asking side by side saves time
	Took      time.Duration // for those who read the events; it decides nothing
}

// Ask puts the questions of one round, side by side if it can, and returns their
// answers in order. A question may stand in a round more than once.
type Ask func(ctx context.Context, round []Question) ([]Answer, error)

// Search describes what is looked for.
type Search struct {
	Components []Component
	Workers    int     // most questions of one round; less than 1 means 1
	Signature  string  // the incident's; "" takes the one seen with nothing masked
	Rate       float64 // share of the incident's requests that fail, if it comes and goes; 0 or ≥ 1: every one
	// Repeat is how many requests a healthy answer takes, the worst of them counting, for
	// what fails only once something is warm; less than 1 means 1. The search raises it by
	// itself when it sees first requests healthy and later ones failing.
	Repeat   int
	Progress func(Event) // called after each round, may be nil
}

// Culprit is a convicted component.
type Culprit struct {
	ID         string
	Signature  string     // of the failure with everything let in but the other culprits
	With       []string   // kept components without which it does not fail; empty: it fails by itself
	Conflicts  [][]string // With as the sets that it was taken from: each fails together with it
	Dependants []string   // components that require it and therefore go off along with it
	// Circle lists the dependants that it requires in turn: none of them can be let in
	// without the others, so the fault may lie in any.
	Circle []string
	// OnlyWithout names culprits of another failure, when this one's is not the
	// incident's and was seen only while they were masked: it may merely need them. Both
	// must be off either way.
	OnlyWithout []string
}

// Finding is how a search ended.
type Finding int

// The findings. Only Found comes with culprits.
const (
	Undecided       Finding = iota // see Result.Explanation
	Found                          // the culprits are a minimal correction set
	HealthyUnmasked                // nothing masked is healthy: no component is at fault
	FailsAllMasked                 // all masked still fails: the fault lies elsewhere
)

func (f Finding) String() string {
	switch f {
	case Found:
		return "found"
	case HealthyUnmasked:
		return "healthy with nothing masked"
	case FailsAllMasked:
		return "fails with everything masked"
	}
	return "unresolved"
}

// Result is what a search found and what it cost. Lists are never nil.
type Result struct {
	Culprits    []Culprit // in the order of the search's components
	Finding     Finding
	Explanation string // in words, when the finding alone does not say it
	Signature   string // the incident's failure with nothing masked
	// Odds is the probability that every verdict of the final context is right: one
	// minus the sum of their error rates, see noise.go. 0 without a verdict.
	Odds float64
	// Rate is the share of requests with nothing masked that failed, if the failure
	// comes and goes; 0: it does not.
	Rate float64
	// Repeat is how many requests a healthy answer took, see Search.Repeat.
	Repeat    int
	Acquitted []string // set aside on the way, found needless

	Probes  int // distinct questions, baselines and acquittals included
	Repeats int // questions asked again, for conviction or because of noise
	Rounds  int // calls of Ask

	// Shares of Probes that Bound does not cover.
	Acquittals  int // "is it needed?": the kept set and one culprit
	Memberships int // "does it fail alone, and with whom?"
	Cleared     int // wrong evidence: a strong suspect was not alone at fault
	Detours     int // around unresolved answers
}

// Run searches until it has a finding. An error of Ask, or the end of ctx, ends it
// with what is known so far.
func Run(ctx context.Context, s Search, ask Ask) (Result, error) {
	g, err := newGraph(s.Components)
	if err != nil {
		return newResult(), err
	}
	if ask == nil {
		return newResult(), errors.New("no way to ask was given")
	}
	r := newRun(s, g, ask)
	err = r.search(ctx)
	var stuck *stuckError
	if errors.As(err, &stuck) {
		r.result.Finding, r.result.Explanation, r.result.Culprits = Undecided, stuck.Error(), []Culprit{}
		return r.finish(), nil
	}
	if err != nil {
		r.result.Finding, r.result.Culprits = Undecided, []Culprit{}
		return r.finish(), fmt.Errorf("search among %d components: %w", len(s.Components), err)
	}
	return r.finish(), nil
}

// stuckError ends a search that cannot go on; it is a finding, not a failure.
type stuckError struct{ why string }

func (e *stuckError) Error() string { return e.why }

func stuckf(format string, args ...any) error {
	return &stuckError{fmt.Sprintf(format, args...)}
}
