package bisect

import (
	"context"
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
			r.shadowed()
			return nil
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
		var queries []query
		for _, a := range r.aside {
			q := r.final(a.unit)
			q.strict = false
			queries = append(queries, q)
		}
		spare := r.certain()
		for i := range spare {
			spare[i].spare = true
		}
		if err := r.t.settle(ctx, append(slices.Clone(queries), spare...)...); err != nil {
			return err
		}
		at := slices.IndexFunc(queries, func(q query) bool { return r.t.verdict(q.in) == Healthy })
		if at < 0 {
			for _, q := range queries {
				if r.t.verdict(q.in) == Unresolved {
					return r.unresolved(q.in)
				}
			}
			return nil
		}
		r.kept = queries[at].in
		r.result.Acquitted = append(r.result.Acquitted, r.name(r.aside[at].unit))
		r.aside = slices.Delete(r.aside, at, at+1)
		if err := r.grow(ctx, r.waiting()); err != nil {
			return err
		}
	}
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
	if err := r.t.settle(ctx, r.certain()...); err != nil {
		return err
	}
	for i, a := range r.aside {
		if err := r.sameWay(ctx, a.unit); err != nil {
			return err
		}
		if r.t.verdict(r.alone(a.unit).in) != Healthy || len(a.conflicts) > 0 {
			continue
		}
		var err error
		if r.aside[i].conflicts, err = r.conflicts(ctx, a.unit); err != nil {
			return err
		}
	}
	return r.stands()
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
// need a culprit of the incident's: was that failure ever seen with both let in?
func (r *run) shadowed() {
	for i, a := range r.aside {
		signature := r.signature(a.unit)
		for _, b := range r.aside {
			if signature == r.want || r.signature(b.unit) != r.want {
				continue
			}
			both := r.up[a.unit].union(r.up[b.unit])
			if !slices.ContainsFunc(r.t.known, func(in set) bool {
				return both.within(in) && r.t.record(in).signatures[signature] > 0
			}) {
				r.aside[i].without = append(r.aside[i].without, b.unit)
			}
		}
	}
}

// signature is how a candidate fails in the final context.
func (r *run) signature(unit int) string { return r.t.record(r.final(unit).in).signature }
