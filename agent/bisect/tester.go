package bisect

import (
	"context"
	"fmt"
)

// kind tells which share of the cost a question belongs to.
type kind int

const (
	growing    kind = iota // covered by Bound
	acquitting             // is it needed?
	membership             // alone, or with whom?
	detour                 // around an unresolved answer
)

// query wants to know one set.
type query struct {
	in   set // let in
	why  string
	kind kind
	// times is how often the answer must have been seen when answers are taken as
	// certain; 0 means once.
	times int
	// strict asks for the odds of a conviction when answers are noisy.
	strict bool
	more   float64 // log-odds wanted on top of that
	// spare asks only where a round has room.
	spare bool
}

// record is all that was ever answered about one set.
type record struct {
	healthy, failing, unresolved int
	signatures                   map[string]int // of the failing answers
	signature                    string         // the most frequent one, the earliest of equals

	failed int  // the round of the first failing answer, 0 before
	late   int  // healthy answers before it or beside it
	back   bool // healthy again in a later round
}

// tester puts queries to the caller and remembers every answer: no distinct
// question is ever paid twice, except as a repeat that was wanted.
type tester struct {
	graph   *graph
	ask     Ask
	workers int
	noise   *noise
	records map[string]*record
	known   []set  // what was asked, in that order
	aim     string // with it, only this failure is one and any other is as good as health
	left    int    // questions until the search is given up
	slow    bool   // a failing answer hung
	counts  [detour + 1]int
	probes  int
	repeats int
	rounds  int
	tell    func([]Asked)
	accused func(let set, blamed []string)
}

// unresolvedTries is how often a question is put for one answer.
const unresolvedTries = 3

func (t *tester) record(in set) *record {
	if r := t.records[in.key()]; r != nil {
		return r
	}
	return &record{}
}

// verdict is what the answers so far say of a set, Unresolved without any.
func (t *tester) verdict(in set) Verdict { return t.noise.verdict(t.aimed(in)) }

// aimed is a set's record as the aim sees it.
func (t *tester) aimed(in set) *record {
	r := t.record(in)
	if t.aim == "" {
		return r
	}
	a := *r
	a.failing = r.signatures[t.aim]
	a.healthy += r.failing - a.failing
	return &a
}

// strange reports whether a set failed, but never in this way.
func (t *tester) strange(in set, signature string) bool {
	r := t.record(in)
	return r.failing > 0 && r.signatures[signature] == 0
}

// settle asks until every query is decided, in rounds as wide as the workers
// allow; spare queries only fill rounds that are asked anyway. It returns errNoisy
// when answers contradict each other and are judged in another way from now on.
func (t *tester) settle(ctx context.Context, queries ...query) error {
	for {
		round := t.fill(nil, queries, false)
		if len(round) == 0 {
			return nil
		}
		if err := t.put(ctx, t.fill(round, queries, true)); err != nil {
			return err
		}
	}
}

// fill adds to a round what the queries still want.
func (t *tester) fill(round, queries []query, spare bool) []query {
	for _, q := range queries {
		if q.spare != spare {
			continue
		}
		for range t.noise.abreast(t.missing(q)) - count(round, q.in) {
			if len(round) < t.workers {
				round = append(round, q)
			}
		}
	}
	return round
}

func count(round []query, in set) int {
	n := 0
	for _, q := range round {
		if q.in.equal(in) {
			n++
		}
	}
	return n
}

// missing is how many more answers a query wants.
func (t *tester) missing(q query) int {
	r := t.aimed(q.in)
	wanted := t.noise.missing(r, q)
	if r.unresolved > 0 && !t.noise.on {
		return min(1, wanted, max(0, unresolvedTries*(1+r.healthy+r.failing)-r.unresolved))
	}
	return wanted
}

// put asks one round.
func (t *tester) put(ctx context.Context, round []query) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.left -= len(round); t.left < 0 {
		return stuckf("gave up after %d questions: the answers do not lead anywhere", t.probes+t.repeats)
	}
	questions := make([]Question, len(round))
	for i, q := range round {
		questions[i] = Question{Masked: t.graph.ids(t.graph.all.minus(q.in))}
	}
	answers, err := t.ask(ctx, questions)
	t.rounds++
	if err != nil {
		return fmt.Errorf("ask round %d: %w", t.rounds, err)
	}
	if len(answers) != len(round) {
		return fmt.Errorf("ask round %d: %d answers to %d questions", t.rounds, len(answers), len(round))
	}
	asked := make([]Asked, len(round))
	surprise := false
	for i, q := range round {
		asked[i] = Asked{Question: questions[i], Answer: answers[i], Why: q.why, Repeat: t.note(q, answers[i])}
		surprise = t.noise.learn(t.record(q.in)) || surprise
	}
	t.tell(asked)
	if surprise {
		return errNoisy
	}
	return nil
}

// note remembers an answer and reports whether the question was a repeat.
func (t *tester) note(q query, a Answer) bool {
	r, again := t.records[q.in.key()]
	if again {
		t.repeats++
	} else {
		r = &record{signatures: map[string]int{}}
		t.records[q.in.key()] = r
		t.known = append(t.known, q.in)
		t.probes++
		t.counts[q.kind]++
	}
	switch a.Verdict {
	case Healthy:
		r.healthy++
		if r.failed == 0 || r.failed == t.rounds {
			r.late++ // of one round nobody knows which was served first
		} else {
			r.back = true
		}
	case Failing:
		r.failing++
		if r.failed == 0 {
			r.failed = t.rounds
		}
		r.signatures[a.Signature]++
		if r.failing == 1 || r.signatures[a.Signature] > r.signatures[r.signature] {
			r.signature = a.Signature
		}
		t.slow = t.slow || a.Slow
		t.accused(q.in, a.Blamed)
	default:
		r.unresolved++
	}
	return again
}

// reclass counts a question as one of another kind.
func (t *tester) reclass(from, to kind) {
	t.counts[from]--
	t.counts[to]++
}
