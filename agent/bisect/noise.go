package bisect

import (
	"context"
	"errors"
	"math"
)

// errNoisy starts the search again with every answer kept as evidence.
var errNoisy = errors.New("answers contradict each other")

// The sequential test (Wald, 1945). Of two hypotheses about a set, guilty: it fails
// with the rate of the incident; innocent: it fails with the background's. Every
// answer adds its log-likelihood ratio; the test ends where the odds of being wrong
// fall below one in a thousand for a step of the search, and one in ten thousand for
// a conviction.
//
// While no two answers contradict each other, one answer decides a step and two a
// conviction; the odds then rest on steadyRate and background.
const (
	background = 0.01 // share of a healthy set's answers that fail anyway
	steadyRate = 0.95 // share of a guilty set's answers that fail, if nothing says otherwise
	// Rates are taken for lower than the incident's, because only a rate overrated
	// makes a guilty set look healthy: what is left of several culprits fails more
	// rarely than all of them did.
	stepCaution  = 0.7
	finalCaution = 0.5
	leastRate    = 0.02
	// Several culprits fail more often together than each: of the rest is never
	// assumed that it fails more often than this.
	mostRate   = 0.3
	stepError  = 1e-3
	finalError = 1e-4
	// mostAnswers about one set; undecided then, it stays unresolved.
	mostAnswers = 400
	// The incident's rate is measured until so many failures, or answers, were seen.
	rateFailing = 6
	rateAnswers = 60
)

// noise judges records.
type noise struct {
	on     bool
	rate   float64 // share of the incident's requests that fail, as measured
	repeat int     // requests of a healthy answer, while answers are taken as certain
}

// odds is the log-likelihood ratio of guilty against innocent.
func (n *noise) odds(r *record, strict bool) float64 {
	rate, healthy := n.assumed(strict), r.healthy
	switch {
	case n.on:
	case r.failing > 0:
		healthy = 0 // it was not warm yet
	default:
		healthy /= n.repeat
	}
	return float64(r.failing)*math.Log(rate/background) + float64(healthy)*math.Log((1-rate)/(1-background))
}

func (n *noise) assumed(strict bool) float64 {
	switch {
	case !n.on:
		return steadyRate
	case strict:
		return min(max(leastRate, finalCaution*n.rate), mostRate)
	}
	return min(max(leastRate, stepCaution*n.rate), mostRate)
}

// wrong is the probability that the record's verdict is wrong, its hypotheses
// being equally likely before.
func (n *noise) wrong(r *record) float64 {
	return 1 / (1 + math.Exp(math.Abs(n.odds(r, true))))
}

func (n *noise) verdict(r *record) Verdict {
	if !n.on {
		switch {
		case r.failing > 0:
			return Failing
		case r.healthy >= n.repeat:
			return Healthy
		}
		return Unresolved
	}
	switch odds := n.odds(r, false); {
	case odds >= limit(stepError):
		return Failing
	case odds <= -limit(stepError):
		return Healthy
	}
	return Unresolved
}

func limit(wrong float64) float64 { return math.Log((1 - wrong) / wrong) }

// missing is the least number of further answers that could decide a query.
func (n *noise) missing(r *record, q query) int {
	seen := r.healthy + r.failing
	switch times := max(q.times, 1); {
	case n.on:
	case r.failing > 0:
		return max(0, times-r.failing)
	default:
		return max(0, times*n.repeat-r.healthy)
	}
	bar := limit(stepError)
	if q.strict {
		bar = limit(finalError) + q.more
	}
	rate, odds := n.assumed(q.strict), n.odds(r, q.strict)
	switch {
	case math.Abs(odds) >= bar || seen+r.unresolved >= mostAnswers:
		return 0
	case odds < 0:
		return int(math.Ceil((bar + odds) / math.Log((1-background)/(1-rate))))
	}
	return int(math.Ceil((bar - odds) / math.Log(rate/background)))
}

// calibrate measures the rate of the incident once answers are known to be noisy.
func (r *run) calibrate(ctx context.Context) error {
	if !r.t.noise.on {
		return r.warmed(ctx)
	}
	q := r.about(r.all, growing)
	for {
		rec := r.t.record(r.all)
		seen := rec.healthy + rec.failing
		if rec.failing >= rateFailing || seen+rec.unresolved >= rateAnswers {
			if rec.failing > 0 {
				r.t.noise.rate = min(float64(rec.failing)/float64(seen), steadyRate)
			}
			return nil
		}
		round := make([]query, min(r.t.workers, rateAnswers-seen-rec.unresolved))
		for i := range round {
			round[i] = q
		}
		if err := r.t.put(ctx, round); err != nil {
			return err
		}
	}
}
