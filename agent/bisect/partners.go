package bisect

import (
	"context"
	"errors"
	"slices"
)

const (
	// mostConflicts of one candidate are named.
	mostConflicts = 4
	// A conflict rests on more answers than a lone culprit: a partner that fails only
	// now and then by itself would look like one, and an innocent would be convicted.
	// So the partners alone, a light page as a rule, are asked most often.
	conflictFailing = 3
	conflictHealthy = 4
	partnersHealthy = 7
	// So often somebody must fail whose company says nothing.
	scatteredFailing = 5
	// So many partners are hardly ever real, and cost so many times the answers.
	manyPartners = 4
	// mostPartners bounds the search for names: more than so many come of answers
	// that change from one context to the next, and then nobody is convicted.
	mostPartners = 16
	// mostCompany is the same for who fails alone, too, only in another way: it is at
	// fault whatever its partners are, so their names are worth less.
	mostCompany = 6
)

var errScattered = stuckf("a component fails in another way in each company: its answers change too much to convict anybody")

// conflicts finds the sets of kept units with which a unit fails that is healthy
// alone, none sharing a member: each member was needed for the failure.
func (r *run) conflicts(ctx context.Context, unit int) ([][]int, error) {
	kept, suspects := r.kept, r.suspects
	defer func() { r.kept, r.suspects, r.t.aim = kept, suspects, "" }()
	var found [][]int
	named := newSet(r.all.len())
	for len(found) < mostConflicts {
		// Without the partners named so far and what requires them: is there more?
		without := kept
		for _, u := range named.items() {
			without = without.minus(r.down[u])
		}
		in := without.union(r.up[unit])
		r.t.aim = ""
		if len(found) == 0 {
			r.t.aim = r.signature(unit)
		}
		small, ok := r.smallestFailing(r.up[unit], in)
		if !ok {
			if err := r.t.settle(ctx, r.about(in, membership)); err != nil {
				return nil, err
			}
			if r.t.verdict(in) != Failing {
				break
			}
			small = in
		}
		if len(found) > 0 {
			// What is away may be missed by others: then this failure is none of the unit's.
			r.t.aim = r.t.record(small).signature
			if err := r.t.settle(ctx, r.about(without, membership)); err != nil {
				return nil, err
			}
			if r.t.verdict(without) == Failing {
				break
			}
		}
		partners, err := r.partners(ctx, unit, small, kept)
		var stuck *stuckError
		if errors.As(err, &stuck) && !errors.Is(err, errScattered) {
			// The conviction stands without them; only their names are missing.
			r.result.Explanation = "not every partner of " + r.name(unit) + " could be found: " + stuck.Error()
			err = nil
		}
		if err != nil {
			return nil, err
		}
		if len(partners) == 0 {
			break
		}
		for _, u := range partners {
			named = named.with(u)
		}
		slices.Sort(partners)
		found = append(found, partners)
	}
	return found, nil
}

// smallestFailing is the least set seen failing that holds some units and stays
// within others.
func (r *run) smallestFailing(holds, inside set) (least set, ok bool) {
	for _, in := range r.t.known {
		if holds.within(in) && in.within(inside) && r.t.verdict(in) == Failing && (!ok || in.len() < least.len()) {
			least, ok = in, true
		}
	}
	return least, ok
}

// partners finds the fewest units inside a failing set that a unit needs in order
// to fail: the first that breaks the rest, then the first that breaks these two, …
func (r *run) partners(ctx context.Context, unit int, failing, kept set) ([]int, error) {
	base, asked := r.floor.union(r.up[unit]), len(r.t.known)
	var found []int
	for {
		window := failing.minus(base)
		if window.empty() {
			return found, nil
		}
		if len(found) == mostPartners || len(found) == mostCompany && r.t.strange(r.alone(unit).in, r.t.aim) {
			return nil, errScattered
		}
		r.kept = base
		u, err := r.narrow(ctx, window, membership)
		if err != nil {
			return found, err
		}
		found = append(found, u)
		failing = r.kept.with(u)
		base = base.union(r.up[u])
		if err := r.t.settle(ctx, r.about(base, membership)); err != nil {
			return found, err
		}
		if r.t.verdict(base) == Healthy {
			continue
		}
		if !r.t.strange(r.alone(unit).in, r.t.aim) &&
			!slices.ContainsFunc(r.t.known[asked:], func(in set) bool { return r.t.strange(in, r.t.aim) }) {
			return found, r.conflict(ctx, unit, found, kept)
		}
		found, names, err := r.prune(ctx, unit, found)
		if err != nil {
			return names, err
		}
		return names, r.conflict(ctx, unit, found, kept)
	}
}

// prune looks again where one component misses another and fails in a way of its own: it
// drops who only stopped such a failure, and does not name who is merely needed, by
// the unit or by a partner, to work at all.
func (r *run) prune(ctx context.Context, unit int, partners []int) (needed, names []int, err error) {
	needed = slices.Clone(partners)
	for _, p := range partners {
		less := r.floor.union(r.up[unit])
		for _, u := range needed {
			if u != p {
				less = less.union(r.up[u])
			}
		}
		if err := r.t.settle(ctx, r.about(less, membership)); err != nil {
			return needed, names, err
		}
		switch {
		case less.has(p):
		case r.t.verdict(less) == Failing:
			needed = slices.DeleteFunc(needed, func(u int) bool { return u == p })
		case !r.t.strange(less, r.t.aim):
			names = append(names, p)
		}
	}
	return needed, names, nil
}

// conflict repeats the answers on which a conflict rests: the unit fails with its
// partners alone and in the final context; without it both are healthy.
func (r *run) conflict(ctx context.Context, unit int, partners []int, kept set) error {
	r.kept = kept
	without := r.floor
	for _, u := range partners {
		without = without.union(r.up[u])
	}
	with := without.union(r.up[unit])
	healthy, failing := r.let(nil), r.final(unit)
	few, fewer := r.about(with, membership), r.about(without, membership)
	healthy.times, failing.times, few.times, fewer.times = conflictHealthy, conflictFailing, conflictFailing, partnersHealthy
	if len(partners) >= manyPartners {
		healthy.times, failing.times, few.times, fewer.times = 3*healthy.times, 3*failing.times, 3*few.times, 3*fewer.times
	}
	return r.t.settle(ctx, failing, few, healthy, fewer)
}
