package bisect

import "context"

// baselines asks for nothing masked and all masked, and finds the healthy set from
// which to grow. It is done when that settles the search.
func (r *run) baselines(ctx context.Context) (done bool, err error) {
	none, whole := r.floor, r.about(r.all, growing)
	if err := r.calibrate(ctx); err != nil {
		return false, err
	}
	first := []query{whole}
	order := r.order(r.all)
	switch at, pointed := r.suspect(order, strong); {
	case pointed && r.t.workers > 3:
		// First the page that warms what all others need; then all that fails if a strong
		// suspect is guilty at once: where failing means to hang, that is waited for once.
		if err := r.t.settle(ctx, r.about(none, growing)); err != nil {
			return false, err
		}
		twice := r.twice(r.all)
		twice.kind = growing
		first = append(first, r.let(order[:at]), r.alone(order[at]), twice)
	case pointed && r.t.workers > 2:
		first = append(first, r.about(none, growing), r.let(order[:at]))
	case r.t.workers > 1 && !r.all.empty():
		first = append(first, r.about(none, growing))
	}
	if err := r.t.settle(ctx, first...); err != nil {
		return false, err
	}
	if done, err := r.failing(ctx, whole); done || err != nil {
		return done, err
	}
	if err := r.t.settle(ctx, r.about(none, growing)); err != nil {
		return false, err
	}
	return r.footing(ctx, none)
}

// healthyTimes is how often nothing masked must be healthy before the search ends
// with it: the incident says otherwise.
const healthyTimes = 6

// failing makes sure that nothing masked fails as the incident does.
func (r *run) failing(ctx context.Context, whole query) (done bool, err error) {
	rec := r.t.record(r.all)
	switch r.t.verdict(r.all) {
	case Unresolved:
		return false, r.unresolved(r.all)
	case Healthy:
		whole.times = (healthyTimes + r.t.noise.repeat - 1) / r.t.noise.repeat
		r.result.Finding = HealthyUnmasked
		return true, r.t.settle(ctx, whole)
	}
	if r.want != "" && rec.signatures[r.want] == 0 {
		whole.times = 2
		if err := r.t.settle(ctx, whole); err != nil {
			return false, err
		}
		if rec.signatures[r.want] == 0 {
			return false, stuckf("nothing masked fails in another way than the incident: %q instead of %q", rec.signature, r.want)
		}
	}
	if r.want == "" {
		r.want = rec.signature
	}
	r.result.Signature = r.want
	return false, nil
}

// footing chooses the healthy set to grow from: the largest that is known.
func (r *run) footing(ctx context.Context, none set) (done bool, err error) {
	if r.recall(none) {
		return false, nil
	}
	rec := r.t.record(none)
	if r.t.verdict(none) == Failing && rec.signatures[r.want] > 0 || r.all.empty() {
		r.result.Finding = FailsAllMasked
		all := r.about(none, growing)
		all.times = seenTwice
		return true, r.t.settle(ctx, all)
	}
	return r.foothold(ctx, none)
}

// recall takes up the largest set that is known to be healthy.
func (r *run) recall(floor set) bool {
	if r.t.verdict(floor) == Healthy {
		r.floor, r.kept = floor, floor
	}
	for _, in := range r.t.known {
		if r.t.verdict(in) == Healthy && (r.kept == nil || r.kept.within(in) && in.len() > r.kept.len()) {
			r.kept = in
			if r.t.verdict(floor) != Healthy {
				r.floor = in
			}
		}
	}
	return r.kept != nil
}

// let is the question for the kept set and some more units.
func (r *run) let(more []int) query {
	in := r.kept
	if in == nil {
		in = r.floor
	}
	for _, u := range more {
		in = in.with(u)
	}
	return r.about(in, growing)
}

// twice is a question that conviction is going to repeat, asked where a round has room.
func (r *run) twice(in set) query {
	q := r.about(in, acquitting)
	q.times, q.spare = seenTwice, true
	return q
}

// about is the question for a set.
func (r *run) about(in set, k kind) query { return query{in: in, why: r.describe(in), kind: k} }

// alone is the question whether a unit fails by itself.
func (r *run) alone(u int) query {
	return r.about(r.floor.union(r.up[u]), membership)
}

// grow lets the rest in, setting aside each unit that breaks the kept set.
func (r *run) grow(ctx context.Context, rest set) error {
	for !rest.empty() {
		whole := r.kept.union(rest)
		r.suspects = func() set {
			if r.t.verdict(whole) == Healthy {
				return newSet(r.all.len())
			}
			return rest
		}
		queries := []query{r.let(rest.items())}
		if n := len(r.aside); n > 0 && r.t.workers > 1 {
			// Needed in any case, so it may as well share the round.
			queries = append(queries, r.alone(r.aside[n-1].unit))
			if n == 1 && r.wide() {
				queries = append(queries, r.twice(whole.union(r.up[r.aside[0].unit])), r.twice(whole))
			}
		}
		if err := r.t.settle(ctx, queries...); err != nil {
			return err
		}
		switch r.t.verdict(whole) {
		case Healthy:
			r.kept = whole
			return nil
		case Unresolved:
			return r.unresolved(whole)
		}
		r.steps++
		unit, err := r.narrow(ctx, rest, growing)
		if err != nil {
			return err
		}
		if err := r.still(ctx); err != nil {
			return err
		}
		r.aside = append(r.aside, setAside{unit: unit})
		rest = rest.minus(r.kept).minus(r.down[unit])
	}
	r.suspects = func() set { return rest }
	return nil
}

// still asks again whether the kept set is healthy when answers are noisy. One taken
// for healthy by mistake would make everything let in after it look guilty, so it
// has to be surer with every unit set aside.
func (r *run) still(ctx context.Context) error {
	if !r.t.noise.on {
		return nil
	}
	q := r.let(nil)
	q.strict, q.more = true, limit(0.1)*float64(len(r.aside))
	if err := r.t.settle(ctx, q); err != nil {
		return err
	}
	if r.t.verdict(q.in) != Healthy {
		return errNoisy
	}
	return nil
}

func (r *run) unresolved(in set) error {
	rec := r.t.record(in)
	words, off := "no answer could be judged with %s masked (asked %d times)", "nothing"
	if rec.healthy+rec.failing > 0 {
		words = "too few answers could be judged with %s masked (asked %d times)"
	}
	if masked := r.all.minus(in); !masked.empty() {
		off = r.words(masked)
	}
	return stuckf(words, off, rec.healthy+rec.failing+rec.unresolved)
}
