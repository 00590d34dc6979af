package bisect

import "context"

// A fault may show only once something is warm: from the second request on, when
// OPcache or a cache has what the first one left. Its answers follow a rule, healthy at
// first and failing ever after, so they need no odds: a healthy answer takes as many
// requests as came before the first failure, and one more.

// mostRepeat is the most requests of one healthy answer; what fails even later is
// taken for noise.
const mostRepeat = healthyTimes

// learn changes how answers are judged when those of a record do not fit, and reports
// whether it did.
func (n *noise) learn(r *record) bool {
	switch {
	case n.on || r.failing == 0 || !r.back && r.late < n.repeat:
		return false
	case r.back || r.late >= mostRepeat:
		n.on = true
	default:
		n.repeat = r.late + 1
	}
	return true
}

// abreast is how many of the answers that a query wants may be asked in one round:
// what warms up must be asked one after the other.
func (n *noise) abreast(wanted int) int {
	if n.repeat > 1 && !n.on {
		return min(wanted, 1)
	}
	return wanted
}

// warmed makes sure that what failed late goes on failing: else it comes and goes.
func (r *run) warmed(ctx context.Context) error {
	for _, in := range r.t.known {
		if rec := r.t.record(in); rec.late == 0 || rec.failing == 0 {
			continue
		}
		q := r.about(in, growing)
		q.times = rateFailing
		if err := r.t.settle(ctx, q); err != nil {
			return err
		}
	}
	return nil
}
