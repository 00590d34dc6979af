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
// fall below one in a thousand for a step of the search, and one in ten thousand for a
// conviction. A search decides some ten sets, so its verdict is right with more
// than 99 %.
//
// While no two answers contradict each other, one answer decides a step and two a
// conviction; the odds then rest on steadyRate and background.
const (
	background = 0.01 // share of a healthy set's answers that fail anyway
	steadyRate = 0.95 // share of a guilty set's answers that fail, if nothing says otherwise
	// caution: a rate is taken for lower than it was measured, because only a rate
	// overrated makes a guilty set look healthy.
	caution    = 0.7
	leastRate  = 0.05
	stepError  = 1e-3
	finalError = 1e-4
	// mostAnswers about one set; undecided then, it stays unresolved.
	mostAnswers = 160
	// The rate is measured until so many failures, or answers, were seen.
	rateFailing = 6
	rateAnswers = 60
)

// noise judges records.
type noise struct {
	on   bool
	rate float64 // share of a guilty set's answers that fail
}

// odds is the log-likelihood ratio of guilty against innocent.
func (n *noise) odds(r *record) float64 {
	rate := n.rate
	if !n.on {
		rate = steadyRate
	}
	return float64(r.failing)*math.Log(rate/background) + float64(r.healthy)*math.Log((1-rate)/(1-background))
}

// wrong is the probability that the record's verdict is wrong, its hypotheses
// being equally likely before.
func (n *noise) wrong(r *record) float64 {
	return 1 / (1 + math.Exp(math.Abs(n.odds(r))))
}

func (n *noise) verdict(r *record) Verdict {
	if !n.on {
		switch {
		case r.failing > 0 && r.healthy == 0:
			return Failing
		case r.healthy > 0 && r.failing == 0:
			return Healthy
		}
		return Unresolved
	}
	switch odds := n.odds(r); {
	case odds >= limit(stepError):
		return Failing
	case odds <= -limit(stepError):
		return Healthy
	}
	return Unresolved
}

func limit(wrong float64) float64 { return math.Log((1 - wrong) / wrong) }

// missing is the least number of further answers that could decide a record.
func (n *noise) missing(r *record, times int, strict bool) int {
	seen := r.healthy + r.failing
	if !n.on {
		return max(0, times-seen)
	}
	bar := limit(stepError)
	if strict {
		bar = limit(finalError)
	}
	odds := n.odds(r)
	switch {
	case math.Abs(odds) >= bar || seen+r.unresolved >= mostAnswers:
		return 0
	case odds < 0:
		return int(math.Ceil((bar + odds) / math.Log((1-background)/(1-n.rate))))
	}
	return int(math.Ceil((bar - odds) / math.Log(n.rate/background)))
}

// calibrate measures the rate of the incident once answers are known to be noisy.
func (r *run) calibrate(ctx context.Context) error {
	if !r.t.noise.on {
		return nil
	}
	q := query{in: r.all, why: "nothing masked"}
	for {
		rec := r.t.record(r.all)
		seen := rec.healthy + rec.failing
		if rec.failing >= rateFailing || seen+rec.unresolved >= rateAnswers {
			if rec.failing > 0 {
				r.t.noise.rate = min(max(leastRate, caution*float64(rec.failing)/float64(seen)), steadyRate)
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
