package bisect

import "context"

// mostDetours is how many unresolved answers one narrowing goes around.
const mostDetours = 8

// narrow finds the unit that breaks the kept set. It is given a window of units:
// the kept set was seen healthy, with the whole window let in it was seen failing.
// What turns out harmless before the unit joins the kept set.
func (r *run) narrow(ctx context.Context, window set, k kind) (int, error) {
	detours := 0
	for window.len() > 1 {
		r.suspects = window
		order := r.order(window)
		if k == growing && len(order) == 2 {
			unit, err := r.pair(ctx, order)
			if unit >= 0 || err != nil {
				return unit, err
			}
		}
		cuts, spare := r.plan(order, k)
		queries := make([]query, 0, len(cuts)+len(spare))
		for _, at := range cuts {
			q := r.let(order[:at])
			q.kind = k
			queries = append(queries, q)
		}
		before := r.budget()
		if err := r.t.settle(ctx, append(queries, spare...)...); err != nil {
			return -1, err
		}
		low, high := r.between(order, cuts)
		if low == 0 && high == len(order) {
			if detours++; detours > mostDetours || !r.fresh(order) {
				return -1, r.unresolved(queries[0].in)
			}
			r.t.reclass(k, len(queries))
			continue
		}
		for _, u := range order[:low] {
			r.kept = r.kept.with(u)
		}
		window = newSet(r.all.len())
		for _, u := range order[low:high] {
			window = window.with(u)
		}
		if k == growing && len(cuts) == 1 && !within(window.len(), before-1) {
			r.grace++
		}
	}
	return window.items()[0], nil
}

// budget is the number of questions left to find the present culprit within Bound.
func (r *run) budget() int {
	return Bound(r.all.len(), r.steps) - 1 - r.t.counts[growing] + r.grace
}

// plan chooses where to cut, and what else to ask in the same round because waiting
// is dear.
func (r *run) plan(order []int, k kind) (cuts []int, spare []query) {
	at, pointed := r.suspect(order, strong)
	bold := pointed && r.grace < r.mostGrace(order)
	if r.t.slow && r.t.workers > 1 {
		_, sure := r.suspect(order, 2*strong)
		if !sure || !bold || k != growing {
			return r.spread(order, r.t.workers), nil
		}
		whole, part := r.let(order), r.let(order[:at])
		whole.times, part.times = 2, 2
		return []int{at}, []query{r.alone(order[at]), part, whole}
	}
	budget := r.budget()
	if k != growing {
		budget = log2(len(order))
	}
	if bold {
		budget++
	}
	at = r.cut(order, budget)
	if r.t.verdict(r.let(order[:at]).in) == Unresolved && r.asked(order[:at]) {
		at = r.around(order, at)
	}
	return []int{at}, nil
}

// mostGrace is how many questions beyond Bound wrong evidence may have cost: one, and
// another when what fails now is not what failed at first, for then the first
// suspect was guilty and there is one more.
func (r *run) mostGrace(order []int) int {
	if r.t.record(r.let(order).in).signature != r.want {
		return 2
	}
	return 1
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

func (r *run) asked(more []int) bool { return r.t.records[r.let(more).in.key()] != nil }

// fresh reports whether a cut is left that was not asked yet.
func (r *run) fresh(order []int) bool {
	for at := 1; at < len(order); at++ {
		if !r.asked(order[:at]) {
			return true
		}
	}
	return false
}

// around finds the cut next to an unresolved one that was not asked yet.
func (r *run) around(order []int, at int) int {
	for d := 1; d < len(order); d++ {
		for _, c := range []int{at - d, at + d} {
			if c >= 1 && c < len(order) && !r.asked(order[:c]) {
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
	if r.t.slow && r.t.workers > 1 {
		if err := r.t.settle(ctx, queries...); err != nil {
			return -1, err
		}
	}
	for i, u := range []int{order[1], order[0]} {
		if err := r.t.settle(ctx, queries[i]); err != nil {
			return -1, err
		}
		if r.t.verdict(queries[i].in) == Failing && r.t.record(queries[i].in).signature == signature {
			return u, nil
		}
	}
	return -1, nil
}
