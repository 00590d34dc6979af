package agent

import (
	"context"
	"sync"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/probe"
	"wpmend/agent/shadow"
	"wpmend/wp"
)

// oracle answers a search's questions about one site: in a private copy of its
// pool, or by renaming on the live site.
type oracle interface {
	// ask requests the incident's URLs with these components away. cache lets the
	// persistent object cache in, where the method can keep it out.
	ask(ctx context.Context, away []wp.Component, cache bool) (shadow.Answer, error)
	// first is what the first layer of the search may hold; the second holds the rest.
	first(wp.Component) bool
	// untestable are the ids among these that it cannot take away, and why.
	untestable([]wp.Component) (ids []string, why string)
	// spares says why a component is left out of every question; "" it is not.
	spares(wp.Component) string
	// workers is how many questions it answers side by side.
	workers() int
}

// Asked is one question of a search with its answer, as reports show it.
type Asked struct {
	Why       string        `json:"why"`
	Masked    []string      `json:"masked"`
	Outcome   probe.Outcome `json:"outcome"`
	Signature string        `json:"signature"`
	Verdict   string        `json:"verdict"`
	MS        int64         `json:"ms"`
	Repeat    bool          `json:"repeat"`
}

// questions puts one layer's questions to the oracle and keeps what was answered.
type questions struct {
	oracle oracle
	layer  []wp.Component // what is searched
	away   []wp.Component // what is away in every question
	cache  bool

	outcome probe.Outcome // with nothing of the layer masked, the latest failing one before others
	details map[string]string
	asked   []Asked
	round   []Asked // the latest round, to which the search adds its reasons
}

func (q *questions) ask(ctx context.Context, round []bisect.Question) ([]bisect.Answer, error) {
	raw := make([]shadow.Answer, len(round))
	errs := make([]error, len(round))
	took := make([]time.Duration, len(round))
	var wg sync.WaitGroup
	for i, question := range round {
		wg.Go(func() {
			start := time.Now()
			raw[i], errs[i] = q.oracle.ask(ctx, q.masked(question), q.cache)
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	if err := notFirst(errs); err != nil {
		return nil, err
	}
	answers := make([]bisect.Answer, len(round))
	q.round = q.round[:0]
	for i, question := range round {
		answers[i] = q.judge(question, raw[i])
		q.round = append(q.round, Asked{Masked: append([]string{}, question.Masked...), Outcome: raw[i].Outcome,
			Signature: raw[i].Signature, Verdict: answers[i].Verdict.String(), MS: took[i].Milliseconds()})
	}
	return answers, nil
}

// heard adds the search's reasons to the round that it asked last.
func (q *questions) heard(e bisect.Event) {
	for i, a := range e.Asked {
		if i < len(q.round) {
			q.round[i].Why, q.round[i].Repeat = a.Why, a.Repeat
		}
	}
	q.asked = append(q.asked, q.round...)
}

func (q *questions) masked(question bisect.Question) []wp.Component {
	masked := append([]wp.Component{}, q.away...)
	hidden := map[string]bool{}
	for _, id := range question.Masked {
		hidden[id] = true
	}
	for _, c := range q.layer {
		if hidden[c.ID()] {
			masked = append(masked, c)
		}
	}
	return masked
}

// judge reads an answer as a verdict. A refusal (403, 404) comes from PHP here, so
// PHP ran well; what could not be judged decides nothing.
func (q *questions) judge(question bisect.Question, a shadow.Answer) bisect.Answer {
	answer := bisect.Answer{Verdict: verdict(a.Outcome), Signature: a.Signature, Blamed: a.Blamed, Slow: a.Hung}
	if len(question.Masked) == 0 && (q.outcome == "" || !q.outcome.Failing()) {
		q.outcome = a.Outcome
	}
	if id := q.suspect(question, a); id != "" && a.Detail != "" && answer.Verdict == bisect.Failing {
		q.details[id] = a.Detail
	}
	return answer
}

// verdict: a site that is closed on purpose, or whose database is gone, convicts nobody.
func verdict(o probe.Outcome) bisect.Verdict {
	switch {
	case o == probe.Unknown, o == probe.Maintenance, o == probe.Unavailable, o == probe.DBError:
		return bisect.Unresolved
	case o.Failing():
		return bisect.Failing
	}
	return bisect.Healthy
}

// suspect is the one component that a failing answer speaks of: the only one let
// in, or the one that its trace names.
func (q *questions) suspect(question bisect.Question, a shadow.Answer) string {
	if len(question.Masked) == len(q.layer)-1 {
		hidden := map[string]bool{}
		for _, id := range question.Masked {
			hidden[id] = true
		}
		for _, c := range q.layer {
			if !hidden[c.ID()] {
				return c.ID()
			}
		}
	}
	if len(a.Blamed) > 0 {
		return a.Blamed[0]
	}
	return ""
}

func notFirst(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
