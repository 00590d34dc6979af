package bisect

import (
	"context"
	"slices"
)

// mostGraces bounds Result.Cleared.
const mostGraces = 4

// mostDetours is how many unresolved answers one narrowing goes around.
const mostDetours = 8

// narrow finds the unit that breaks the kept set. It is given a window of units:
// the kept set was seen healthy, with the whole window let in it was seen failing.
// What turns out harmless before the unit joins the kept set.
func (r *run) narrow(ctx context.Context, window set, k kind) (int, error) {
	detours := 0
	if known, ok := r.smallestFailing(r.kept, r.kept.union(window)); ok && known.len() < r.kept.union(window).len() {
		less := known.minus(r.kept)
		r.ease(r.order(window), less.len())
		window = less
	}
	if k == growing && !r.wide() && !within(window.len(), r.budget()) {
		r.grace++ // a suspect was tried beside the baselines, in vain
	}
	for window.len() > 1 {
		r.suspects = func() set { return window }
		order := r.order(window)
		if k == growing && len(order) == 2 {
			unit, err := r.pair(ctx, order)
			if unit >= 0 || err != nil {
				return unit, err
			}
		}
		p := r.plan(order, k)
		queries := make([]query, 0, len(p.cuts)+len(p.spare))
		for _, at := range p.cuts {
			q := r.let(order[:at])
			q.kind = k
			queries = append(queries, q)
		}
		r.suspects = func() set { return r.part(order, p.cuts) }
		left, asked := r.budget()-1, r.t.probes
		if err := r.t.settle(ctx, append(queries, p.spare...)...); err != nil {
			return -1, err
		}
		low, high := r.between(order, p.cuts)
		if low == 0 && high == len(order) {
			if detours++; detours > mostDetours || !r.fresh(order) {
				return -1, r.unresolved(queries[0].in)
			}
			for ; asked < r.t.probes; asked++ {
				r.t.reclass(k, detour)
			}
			continue
		}
		r.ease(order, high)
		window = r.part(order, p.cuts)
		for _, u := range order[:low] {
			r.kept = r.kept.with(u)
		}
		if k == growing && p.bold && !within(window.len(), left) {
			r.grace++
		}
	}
	return window.items()[0], nil
}

// wide reports whether waiting is dear enough for more questions a round.
func (r *run) wide() bool { return r.t.slow && r.t.workers > 1 }

// ease takes back the evidence against a suspect when nothing but it, and what
// requires it, was left out and the same failure showed as before.
func (r *run) ease(order []int, high int) {
	if at, ok := r.suspect(order, strong); ok && at == high &&
		r.t.record(r.let(order[:at]).in).signature == r.t.record(r.let(order).in).signature {
		r.weight[order[at]] = 1
	}
}

// budget is the number of questions left to find the present culprit within Bound.
func (r *run) budget() int {
	return Bound(r.all.len(), r.steps) - 1 - r.t.counts[growing] + r.grace
}

// plan is what to ask next of a window.
type plan struct {
	cuts  []int   // how many of the window's units to let in, ascending
	spare []query // asked in the same round because waiting is dear
	bold  bool    // evidence is followed at the risk of a question beyond Bound
}

// plan chooses where to cut a window of units.
func (r *run) plan(order []int, k kind) plan {
	at, pointed := r.suspect(order, strong)
	bold := pointed && r.grace < r.mostGrace(order)
	if r.wide() {
		if _, sure := r.suspect(order, 2*strong); !sure || !bold || k != growing {
			cuts := slices.DeleteFunc(r.spread(order, r.t.workers), func(at int) bool { return r.mute(order[:at]) })
			if len(cuts) == 0 {
				cuts = []int{r.around(order, len(order)/2)}
			}
			return plan{cuts: cuts}
		}
		alone := r.alone(order[at])
		alone.spare = true
		return plan{cuts: []int{at}, spare: []query{alone, r.twice(r.let(order).in), r.twice(r.let(order[:at]).in)}, bold: true}
	}
	budget := r.budget()
	if k != growing {
		budget = log2(len(order))
	}
	if bold {
		budget++
	}
	at = r.cut(order, budget)
	if r.mute(order[:at]) {
		at = r.around(order, at)
	}
	return plan{cuts: []int{at}, bold: bold}
}

// mostGrace is how many questions beyond Bound wrong evidence may cost: one, and
// one more for each failure that showed when a suspect was masked and that was not
// seen before: then that suspect was guilty, and there is another culprit.
func (r *run) mostGrace(order []int) int {
	r.failures[r.t.record(r.let(order).in).signature] = true
	return min(len(r.failures), mostGraces)
}

// between reads the answers to a list of cuts: units before low are harmless, the
// one that breaks the kept set comes before high.
func (r *run) between(order, cuts []int) (low, high int) {
	high = len(order)
	for _, at := range cuts {
		switch r.t.verdict(r.let(order[:at]).in) {
		case Healthy:
			low = at
		case Failing:
			return low, at
		}
	}
	return low, high
}

// part is what between leaves of a window.
func (r *run) part(order, cuts []int) set {
	low, high := r.between(order, cuts)
	part := newSet(r.all.len())
	for _, u := range order[low:high] {
		part = part.with(u)
	}
	return part
}

// mute reports whether a part of a window was asked for without an answer.
func (r *run) mute(more []int) bool {
	q := r.let(more)
	return r.t.records[q.in.key()] != nil && r.t.missing(q) == 0 && r.t.verdict(q.in) == Unresolved
}

// fresh reports whether a cut is left that may get an answer.
func (r *run) fresh(order []int) bool {
	for at := 1; at < len(order); at++ {
		if !r.mute(order[:at]) {
			return true
		}
	}
	return false
}

// around finds the cut next to an unresolved one that may get an answer.
func (r *run) around(order []int, at int) int {
	for d := 1; d < len(order); d++ {
		for _, c := range []int{at - d, at + d} {
			if c >= 1 && c < len(order) && !r.mute(order[:c]) {
				return c
			}
		}
	}
	return at
}

// pair tells two units apart by letting the heavier in alone: if it fails so, that
// also answers whether it needs partners, a question saved half of the time. It
// returns -1 when the answers leave it open.
func (r *run) pair(ctx context.Context, order []int) (int, error) {
	if r.kept.equal(r.floor) || r.up[order[1]].has(order[0]) {
		return -1, nil
	}
	signature := r.t.record(r.let(order).in).signature
	queries := []query{r.alone(order[1]), r.alone(order[0])}
	fails := func(i int) bool {
		return r.t.verdict(queries[i].in) == Failing && r.t.record(queries[i].in).signature == signature
	}
	r.suspects = func() set {
		left := newSet(r.all.len())
		for i, u := range []int{order[1], order[0]} {
			if left = left.with(u); fails(i) {
				return newSet(r.all.len()).with(u)
			}
		}
		return left
	}
	if r.wide() {
		if err := r.t.settle(ctx, queries...); err != nil {
			return -1, err
		}
	}
	for i, u := range []int{order[1], order[0]} {
		if err := r.t.settle(ctx, queries[i]); err != nil {
			return -1, err
		}
		if !fails(i) {
			continue
		}
		if i == 1 {
			// The first took the place of a cut.
			r.t.reclass(membership, growing)
		}
		return u, nil
	}
	return -1, nil
}
