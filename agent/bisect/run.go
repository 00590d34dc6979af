package bisect

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// run is the state of one search.
type run struct {
	*graph
	t      *tester
	result Result
	want   string // the incident's signature

	floor set        // the healthy set from which the search grew: nothing let in, as a rule
	kept  set        // seen healthy; never shrinks within an attempt
	aside []setAside // candidates for guilt

	suspects func() set      // among which the next culprit is, by the answers so far; for the progress
	steps    int             // culprits looked for so far, for the budget
	grace    int             // questions beyond Bound that strong evidence has cost
	failures map[string]bool // signatures of the windows narrowed so far
}

// setAside is a unit that broke a kept healthy set.
type setAside struct {
	unit      int
	conflicts [][]int // sets of kept units with which it fails, when it is healthy alone
	without   []int   // other candidates whose absence may be why it fails
	needed    int     // how often it was let in again, and failed
}

// mostWrong is the greatest probability of a wrong verdict with which anybody is convicted.
const mostWrong = 0.01

// mostAttempts is how often contradictions may start the search again.
const mostAttempts = 10

func newRun(s Search, g *graph, ask Ask) *run {
	r := &run{graph: g, want: s.Signature, result: newResult(), failures: map[string]bool{}}
	n := len(g.members)
	r.t = &tester{graph: g, ask: ask, workers: max(1, s.Workers), records: map[string]*record{},
		noise: &noise{rate: steadyRate, repeat: min(max(1, s.Repeat), mostRepeat)}, left: mostQuestions(n)}
	if s.Rate > 0 && s.Rate < 1 {
		r.t.noise.on, r.t.noise.rate = true, s.Rate
	}
	r.t.accused = r.accused
	r.t.tell = func(asked []Asked) {
		if s.Progress == nil {
			return
		}
		e := Event{Round: r.t.rounds, Asked: asked, Suspect: r.ids(r.suspects()), Aside: []string{}, Probes: r.t.probes, Repeats: r.t.repeats}
		for _, a := range r.aside {
			e.Aside = append(e.Aside, r.name(a.unit))
		}
		s.Progress(e)
	}
	return r
}

// mostQuestions ends a search whose answers follow no rule. Certain answers need
// less even with all n units guilty, noisy ones with a handful of them.
func mostQuestions(n int) int { return 3000 + 4*Bound(n, n) }

func newResult() Result {
	return Result{Culprits: []Culprit{}, Acquitted: []string{}}
}

// search runs attempts until one ends without a contradiction.
func (r *run) search(ctx context.Context) error {
	for try := 1; ; try++ {
		r.floor, r.kept, r.aside, r.suspects = newSet(r.all.len()), nil, nil, r.unkept
		r.steps, r.result.Explanation = 0, ""
		r.result.Acquitted, r.result.Culprits = []string{}, []Culprit{}
		err := r.attempt(ctx)
		if !errors.Is(err, errNoisy) {
			return err
		}
		if try == mostAttempts {
			return stuckf("the answers contradict each other too often to convict anybody")
		}
	}
}

func (r *run) attempt(ctx context.Context) error {
	done, err := r.baselines(ctx)
	if done || err != nil {
		return err
	}
	if err := r.grow(ctx, r.all.minus(r.kept)); err != nil {
		return err
	}
	if err := r.prove(ctx); err != nil {
		return err
	}
	r.result.Finding = Found
	return r.convict()
}

// unkept is what no healthy answer has cleared yet.
func (r *run) unkept() set {
	least := r.all
	for _, in := range r.t.known {
		if off := r.all.minus(in); r.t.verdict(in) == Healthy && off.len() < least.len() {
			least = off
		}
	}
	return least
}

func (r *run) finish() Result {
	r.result.Probes, r.result.Repeats, r.result.Rounds = r.t.probes, r.t.repeats, r.t.rounds
	r.result.Acquittals, r.result.Memberships = r.t.counts[acquitting], r.t.counts[membership]
	r.result.Detours, r.result.Cleared = r.t.counts[detour], r.grace
	if r.result.Repeat = r.t.noise.repeat; r.t.noise.on {
		r.result.Repeat, r.result.Rate = 1, r.t.noise.rate
	}
	return r.result
}

// accused lets a failing answer's evidence weigh, of components that were let in:
// what was masked cannot have failed, whatever a log says.
func (r *run) accused(in set, blamed []string) {
	factor := 100.0
	for _, id := range blamed {
		if u, ok := r.unit[id]; ok && in.has(u) {
			r.accuse(u, factor)
			factor = 10
		}
	}
}

// convict writes the culprits down: what prove left aside.
func (r *run) convict() error {
	wrong := r.t.noise.wrong(r.t.record(r.kept))
	for _, a := range r.aside {
		in := r.kept.union(r.up[a.unit])
		rec := r.t.record(in)
		if r.t.verdict(in) != Failing || r.t.verdict(r.kept) != Healthy {
			return fmt.Errorf("conviction of %s without its two answers", r.name(a.unit))
		}
		wrong += r.t.noise.wrong(rec)
		c := Culprit{ID: r.name(a.unit), Signature: rec.signature, Conflicts: [][]string{}, OnlyWithout: r.named(a.without)}
		var with []int
		for _, conflict := range a.conflicts {
			c.Conflicts = append(c.Conflicts, r.named(conflict))
			with = append(with, conflict...)
		}
		c.With = slices.Compact(r.named(with))
		c.Dependants = slices.DeleteFunc(r.ids(r.down[a.unit]), func(id string) bool { return id == c.ID })
		c.Circle = slices.Sorted(slices.Values(r.members[a.unit][1:]))
		if c.Circle == nil {
			c.Circle = []string{}
		}
		r.result.Culprits = append(r.result.Culprits, c)
	}
	if wrong > mostWrong {
		r.result.Culprits = []Culprit{}
		return stuckf("the answers do not reach the odds of a conviction: %.1f %% are not %.0f %%", 100*(1-wrong), 100*(1-mostWrong))
	}
	rank := func(id string) int { return r.rank[r.unit[id]] }
	slices.SortFunc(r.result.Culprits, func(a, b Culprit) int { return rank(a.ID) - rank(b.ID) })
	slices.Sort(r.result.Acquitted)
	r.result.Acquitted = slices.Compact(r.result.Acquitted)
	r.result.Odds = max(0, 1-wrong)
	return nil
}
