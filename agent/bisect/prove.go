package bisect

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// How often the final context must have been seen, with answers taken as certain.
const (
	seenTwice = 2
	// mostSightings of a failure that never shows the same signature twice.
	mostSightings = 5
)

// prove turns candidates into culprits: each is needed, each was seen often enough,
// and it is known whether it fails alone.
func (r *run) prove(ctx context.Context) error {
	for {
		if err := r.needed(ctx); err != nil {
			return err
		}
		if err := r.confirm(ctx); err != nil {
			return err
		}
		swapped, err := r.fewer(ctx)
		if err != nil {
			return err
		}
		if !swapped {
			return r.shadowed(ctx)
		}
	}
}

// final is the site with everything let in but the other candidates.
func (r *run) final(unit int) query {
	q := r.about(r.kept.union(r.up[unit]), acquitting)
	q.strict = true
	return q
}

// needed lets each candidate in again, and acquits those that the site bears.
func (r *run) needed(ctx context.Context) error {
	for {
		// Whose requirements are off goes down with them and is nobody's culprit.
		r.aside = slices.DeleteFunc(r.aside, func(a setAside) bool {
			return r.up[a.unit].minus(r.kept).len() > 1
		})
		at, err := r.needless(ctx)
		if at < 0 || err != nil {
			return err
		}
		r.kept = r.final(r.aside[at].unit).in
		r.result.Acquitted = append(r.result.Acquitted, r.name(r.aside[at].unit))
		r.aside = slices.Delete(r.aside, at, at+1)
		if err := r.grow(ctx, r.waiting()); err != nil {
			return err
		}
	}
}

// needless finds a candidate with which the site stays healthy, or -1. Each acquittal
// changes the context in which the others must be asked, so those asked least come
// first, and of these the ones that failed only in ways of their own: for want of what
// was masked, as a rule.
func (r *run) needless(ctx context.Context) (int, error) {
	order, rank := make([]int, len(r.aside)), make([]int, len(r.aside))
	for i, a := range r.aside {
		order[i], rank[i] = i, 2*a.needed+r.likely(a.unit)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
	for i, at := range order {
		q := r.final(r.aside[at].unit)
		q.strict = false
		queries := []query{q}
		if r.wide() || i == len(order)-1 {
			for _, more := range r.certain() {
				more.spare = true
				queries = append(queries, more)
			}
		}
		if err := r.t.settle(ctx, queries...); err != nil {
			return -1, err
		}
		switch r.t.verdict(q.in) {
		case Healthy:
			return at, nil
		case Unresolved:
			return -1, r.unresolved(q.in)
		}
		r.aside[at].needed++
	}
	return -1, nil
}

// likely is 1 for a candidate that was ever seen to fail in the incident's way while
// no other candidate was let in, 0 for others.
func (r *run) likely(unit int) int {
	others := newSet(r.all.len())
	for _, a := range r.aside {
		if a.unit != unit {
			others = others.with(a.unit)
		}
	}
	for _, in := range r.t.known {
		if in.has(unit) && in.intersect(others).empty() && r.t.record(in).signatures[r.want] > 0 {
			return 1
		}
	}
	return 0
}

// waiting is what is neither kept nor off because of a candidate.
func (r *run) waiting() set {
	off := newSet(r.all.len())
	for _, a := range r.aside {
		off = off.with(a.unit)
	}
	return r.without(off).minus(r.kept)
}

// confirm repeats the final context until it is certain, and asks whether each
// candidate fails alone.
func (r *run) confirm(ctx context.Context) error {
	certain := r.certain()
	if err := r.t.settle(ctx, certain...); err != nil {
		return err
	}
	for _, q := range certain {
		if q.kind != membership && r.t.noise.missing(r.t.record(q.in), q) > 0 {
			return r.unresolved(q.in)
		}
	}
	for i, a := range r.aside {
		if err := r.sameWay(ctx, a.unit); err != nil {
			return err
		}
		if len(a.conflicts) > 0 {
			continue
		}
		if err := r.company(ctx, i); err != nil {
			return err
		}
	}
	return r.stands()
}

// company finds the partners of a candidate that does not fail alone, or fails alone
// in another way: it may need one kept component to work at all and another to fail.
func (r *run) company(ctx context.Context, at int) error {
	unit := r.aside[at].unit
	alone := r.alone(unit).in
	switch otherwise := r.t.strange(alone, r.signature(unit)); {
	case r.t.verdict(alone) == Unresolved:
		r.result.Explanation = "whether " + r.name(unit) + " fails by itself could not be judged"
		return nil
	case r.t.verdict(alone) == Failing && !otherwise:
		return nil
	}
	found, err := r.conflicts(ctx, unit)
	if errors.Is(err, errScattered) && r.t.verdict(alone) == Failing {
		r.result.Explanation = "whether " + r.name(unit) + " fails with others only could not be told: it fails in another way in each company"
		// Failing alone in a way of its own it may only miss something, which proves
		// nothing: the final context must be the surer.
		healthy, failing := r.let(nil), r.final(unit)
		healthy.times, failing.times = partnersHealthy, scatteredFailing
		found, err = nil, r.t.settle(ctx, healthy, failing)
	}
	r.aside[at].conflicts = found
	return err
}

// certain is what a conviction asks for: whether each candidate fails alone, and the
// final context twice.
func (r *run) certain() []query {
	var queries []query
	for _, a := range r.aside {
		queries = append(queries, r.alone(a.unit))
	}
	for _, a := range r.aside {
		q := r.final(a.unit)
		q.times = seenTwice
		queries = append(queries, q)
	}
	healthy := r.let(nil)
	healthy.times, healthy.strict = seenTwice, true
	return append(queries, healthy)
}

// sameWay wants one and the same failure twice: what fails in another way each time
// is not understood.
func (r *run) sameWay(ctx context.Context, unit int) error {
	q := r.final(unit)
	for q.times = seenTwice; ; q.times++ {
		rec := r.t.record(q.in)
		if rec.signatures[rec.signature] >= seenTwice || r.t.noise.on {
			return nil
		}
		if q.times > mostSightings {
			return stuckf("with %s the site fails in another way each time, %d times in a row", q.why, rec.failing)
		}
		if err := r.t.settle(ctx, q); err != nil {
			return err
		}
	}
}

// stands reports whether the final context has the odds of a conviction; answers
// that changed it on the way start the search again.
func (r *run) stands() error {
	if r.t.verdict(r.kept) != Healthy {
		return errNoisy
	}
	for _, a := range r.aside {
		if r.t.verdict(r.final(a.unit).in) != Failing {
			return errNoisy
		}
	}
	return nil
}

// fewer tries to switch off one common partner in place of several candidates that
// fail only together with it. The fewest components off, dependants counted, win.
func (r *run) fewer(ctx context.Context) (bool, error) {
	for _, x := range r.kept.items() {
		var with, others []setAside
		for _, a := range r.aside {
			if len(a.conflicts) > 0 && !slices.ContainsFunc(a.conflicts, func(c []int) bool { return !slices.Contains(c, x) }) {
				with = append(with, a)
			} else {
				others = append(others, a)
			}
		}
		if len(with) < 2 {
			continue
		}
		off := newSet(r.all.len()).with(x)
		for _, a := range others {
			off = off.with(a.unit)
		}
		in := r.without(off)
		if in.len() <= r.kept.len() {
			continue
		}
		if err := r.t.settle(ctx, r.about(in, membership)); err != nil {
			return false, err
		}
		if r.t.verdict(in) != Healthy {
			continue
		}
		swap := setAside{unit: x}
		for _, a := range with {
			r.result.Acquitted = append(r.result.Acquitted, r.name(a.unit))
			for _, c := range a.conflicts {
				c = append(slices.DeleteFunc(slices.Clone(c), func(u int) bool { return u == x }), a.unit)
				slices.Sort(c)
				swap.conflicts = append(swap.conflicts, c)
			}
		}
		r.kept, r.aside = in, append(others, swap)
		return true, nil
	}
	return false, nil
}

// shadowed tells culprits with a failure of their own from those that may merely
// need another culprit: was that failure ever seen with both let in? Where no culprit
// of the incident's failure explains it, two others may hide each other, and one
// question says which of them fails first.
func (r *run) shadowed(ctx context.Context) error {
	for i, a := range r.aside {
		for _, b := range r.aside {
			if r.signature(a.unit) != r.want && r.signature(b.unit) == r.want && !r.together(a.unit, b.unit) {
				r.aside[i].without = append(r.aside[i].without, b.unit)
			}
		}
	}
	for i, a := range r.aside {
		if r.signature(a.unit) == r.want || len(a.without) > 0 {
			continue
		}
		for _, b := range r.aside {
			if signature := r.signature(b.unit); signature == r.want || signature == r.signature(a.unit) {
				continue
			}
			if !r.together(a.unit, b.unit) && !r.together(b.unit, a.unit) {
				both := r.floor.union(r.up[a.unit]).union(r.up[b.unit])
				if err := r.t.settle(ctx, r.about(both, membership)); err != nil {
					return err
				}
			}
			if !r.together(a.unit, b.unit) {
				r.aside[i].without = append(r.aside[i].without, b.unit)
			}
		}
	}
	return nil
}

// together reports whether a candidate was seen failing in its way with another let in.
func (r *run) together(unit, other int) bool {
	both, signature := r.up[unit].union(r.up[other]), r.signature(unit)
	return slices.ContainsFunc(r.t.known, func(in set) bool {
		return both.within(in) && r.t.record(in).signatures[signature] > 0
	})
}

// signature is how a candidate fails in the final context.
func (r *run) signature(unit int) string { return r.t.record(r.final(unit).in).signature }
