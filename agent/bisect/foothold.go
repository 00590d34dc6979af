package bisect

import "context"

// mostAnchors is how many units a site may turn out to need before the search for a
// healthy set is given up.
const mostAnchors = 3

// foothold looks for a healthy set when all masked fails in another way than the
// incident, or gives no answer: something outside the search (a theme, say) may
// need a component. Of sets in order of size, small ones fail for want of it, large
// ones as the incident does; the healthy ones lie between.
func (r *run) foothold(ctx context.Context, none set) (done bool, err error) {
	anchors := none
	for range mostAnchors {
		unit, err := r.turn(ctx, anchors)
		if err != nil || r.kept != nil {
			return false, err
		}
		// Either the unit is at fault, or it cured what the smaller sets lack.
		in := r.without(none.with(unit))
		if err := r.t.settle(ctx, r.about(in, detour)); err != nil {
			return false, err
		}
		if r.t.verdict(in) == Healthy {
			r.floor, r.kept = in, in
			return false, nil
		}
		anchors = anchors.union(r.up[unit])
	}
	if r.t.verdict(none) == Unresolved {
		return false, r.unresolved(none)
	}
	r.result.Finding = FailsAllMasked
	r.result.Explanation = "with everything masked it fails in another way (" + r.t.record(none).signature + "), and no healthy set was found"
	all := r.about(none, detour)
	all.times = seenTwice
	return true, r.t.settle(ctx, all)
}

// turn walks from the anchors up until the failure becomes the incident's, and
// takes up a healthy set if it meets one; else it returns the unit at the turn.
func (r *run) turn(ctx context.Context, anchors set) (int, error) {
	order := r.order(r.all.minus(anchors))
	if len(order) == 0 {
		return anchors.items()[0], nil
	}
	low, high := 0, len(order)
	for at := 0; ; at = (low + high) / 2 {
		in := anchors
		for _, u := range order[:at] {
			in = in.with(u)
		}
		if err := r.t.settle(ctx, r.about(in, detour)); err != nil {
			return -1, err
		}
		switch {
		case r.t.verdict(in) == Healthy:
			r.floor, r.kept = in, in
			return -1, nil
		case r.t.verdict(in) == Failing && r.t.record(in).signatures[r.want] > 0:
			high = at
		default:
			low = at
		}
		if high-low <= 1 {
			return order[max(high-1, 0)], nil
		}
	}
}
