package bisect

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// asked lists what a search asked, round by round, in the words of its events.
func (w *world) story(t *testing.T, s Search) ([]string, Result) {
	t.Helper()
	var story []string
	w.asked, w.workers = map[string]int{}, s.Workers
	s.Components = w.components
	s.Progress = func(e Event) { story = append(story, e.String()) }
	r, err := Run(context.Background(), s, w.ask)
	if err != nil {
		t.Fatal(err)
	}
	return story, r
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

func TestFourQuestionsWithEvidence(t *testing.T) {
	t.Parallel()
	w := &world{components: plain(30), causes: [][]int{{17}}}
	w.components[17].Weight = 300
	story, r := w.story(t, Search{Workers: 4})
	equal(t, "story", story, []string{
		"round 1: all masked: healthy — 30 suspects",
		"round 2: nothing masked: failing (cause 0); only plugin:p017 masked: healthy; only plugin:p017 let in: failing (cause 0); nothing masked, again: failing (cause 0) — suspect plugin:p017",
		"round 3: only plugin:p017 masked, again: healthy — no suspect left, set aside plugin:p017",
	})
	equal(t, "culprits", r.Culprits, []Culprit{{ID: "plugin:p017", Signature: "cause 0", With: []string{}, Conflicts: [][]string{},
		Dependants: []string{}, Circle: []string{}, OnlyWithout: []string{}}})
	equal(t, "cost", []int{r.Probes, r.Repeats, r.Rounds}, []int{4, 2, 3})

	w = &world{components: w.components, causes: w.causes}
	if _, r := w.story(t, Search{Workers: 1}); r.Probes != 4 || r.Repeats != 2 {
		t.Errorf("one worker: %+v", r)
	}
}

// A hang's own trace names the culprit, and asking side by side saves waiting.
func TestHangWithoutPriorsTakesTwoRounds(t *testing.T) {
	t.Parallel()
	w := &world{components: plain(30), causes: [][]int{{17}}, slow: true, blame: func([]bool) []string { return []string{id(17)} }}
	story, r := w.story(t, Search{Workers: 4})
	equal(t, "story", story, []string{
		"round 1: nothing masked: failing (cause 0); all masked: healthy — 30 suspects",
		"round 2: only plugin:p017 masked: healthy; only plugin:p017 let in: failing (cause 0); nothing masked, again: failing (cause 0); only plugin:p017 masked, again: healthy — suspect plugin:p017",
	})
	equal(t, "cost", []int{r.Probes, r.Repeats, r.Rounds, len(r.Culprits)}, []int{4, 2, 2, 1})
}

func TestHangsWithoutTraceTakeFewRounds(t *testing.T) {
	t.Parallel()
	rounds := tally{}
	for guilty := range 30 {
		w := &world{components: plain(30), causes: [][]int{{guilty}}, slow: true}
		r := w.run(t, 4)
		w.lawful(t, r)
		rounds.add(r.Rounds)
	}
	if rounds.most > 5 || rounds.sum > 135 {
		t.Errorf("one hang among 30, four questions a round: %s rounds (mean/most)", rounds)
	}
	t.Logf("one hang among 30 without evidence, four questions a round: %s rounds (mean/most)", rounds)
	for n := 1; n <= 200; n += 7 {
		for k := 1; k <= 4; k++ {
			for d := 1; d <= min(n, 3); d++ {
				w := sample(n, []int{1, 1, 1}[:d], uint64(n), 0)
				w.slow = true
				r := w.run(t, k)
				w.lawful(t, r)
				// Beyond growing: acquittals, then conviction with whether each fails alone.
				convicting := (d - 1 + k - 1) / k
				convicting += (2*d + 1 + k - 1) / k * 2
				if most := SlowRounds(n, d, k) + d + convicting; r.Rounds > most {
					t.Errorf("n=%d d=%d k=%d: %d rounds exceed %d", n, d, k, r.Rounds, most)
				}
			}
		}
	}
}

func TestFindingsWithoutCulprit(t *testing.T) {
	t.Parallel()
	always := func(a Answer) func([]bool) Answer { return func([]bool) Answer { return a } }
	for name, c := range map[string]struct {
		n           int
		answer      func(in []bool) Answer
		signature   string
		finding     Finding
		explanation string
		probes      int
	}{
		"healthy with everything": {5, always(Answer{Verdict: Healthy}), "", HealthyUnmasked, "", 1},
		"fails with nothing":      {5, always(Answer{Verdict: Failing, Signature: "x"}), "", FailsAllMasked, "", 2},
		"nobody to search, ill":   {0, always(Answer{Verdict: Failing, Signature: "x"}), "", FailsAllMasked, "", 1},
		"nobody to search, well":  {0, always(Answer{Verdict: Healthy}), "", HealthyUnmasked, "", 1},
		"no answer at all": {5, always(Answer{}), "", Undecided,
			"no answer could be judged with nothing masked (asked 3 times)", 1},
		"another failure than the incident's": {5, always(Answer{Verdict: Failing, Signature: "x"}), "y", Undecided,
			`nothing masked fails in another way than the incident: "x" instead of "y"`, 1},
		"fails in another way without components": {5, func(in []bool) Answer {
			if slices.Contains(in, true) {
				return Answer{Verdict: Failing, Signature: "x"}
			}
			return Answer{Verdict: Failing, Signature: "theme"}
		}, "", FailsAllMasked, "with everything masked it fails in another way (theme), and no healthy set was found", 7},
		"another way each time": {1, func() func(in []bool) Answer {
			n := 0
			return func(in []bool) Answer {
				if !in[0] {
					return Answer{Verdict: Healthy}
				}
				n++
				return Answer{Verdict: Failing, Signature: strings.Repeat("x", n)}
			}
		}(), "", Undecided, "with nothing masked the site fails in another way each time, 5 times in a row", 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{components: plain(c.n), answer: c.answer}
			_, r := w.story(t, Search{Workers: 1, Signature: c.signature})
			if r.Finding != c.finding || r.Explanation != c.explanation || r.Probes != c.probes || len(r.Culprits) > 0 {
				t.Errorf("%v, %q, %d probes, culprits %v", r.Finding, r.Explanation, r.Probes, r.Culprits)
			}
		})
	}
}

func TestDependants(t *testing.T) {
	t.Parallel()
	make := func(guilty int) *world {
		w := &world{components: plain(20), causes: [][]int{{guilty}}}
		for _, d := range []int{2, 9, 15} {
			w.components[d].Requires = []string{id(4)}
		}
		w.components[16].Requires = []string{id(15), "plugin:unknown"}
		w.lawful(t, w.run(t, 1))
		return w
	}
	r := make(4).run(t, 2)
	equal(t, "base", r.Culprits, []Culprit{{ID: id(4), Signature: "cause 0", With: []string{}, Conflicts: [][]string{},
		Dependants: []string{id(2), id(9), id(15), id(16)}, Circle: []string{}, OnlyWithout: []string{}}})
	r = make(15).run(t, 2)
	equal(t, "dependant", []any{r.Culprits[0].ID, r.Culprits[0].Dependants, len(r.Culprits)}, []any{id(15), []string{id(16)}, 1})
}

func TestCircleIsOne(t *testing.T) {
	t.Parallel()
	w := &world{components: plain(9), causes: [][]int{{5}}}
	w.components[3].Requires, w.components[5].Requires, w.components[7].Requires = []string{id(5)}, []string{id(7)}, []string{id(3)}
	w.components[5].Weight = 20
	r := w.run(t, 1)
	w.lawful(t, r)
	equal(t, "culprit", []any{r.Culprits[0].ID, r.Culprits[0].Circle, len(r.Culprits)}, []any{id(5), []string{id(3), id(7)}, 1})
}

// Plugins that fail without a base, but do not say that they need it.
func TestHiddenDependants(t *testing.T) {
	t.Parallel()
	for n := 8; n < 80; n += 9 {
		innocent := &world{components: plain(n), causes: [][]int{{n / 2}}, hidden: map[int]int{1: n - 1, 3: n - 1}}
		for k := 1; k <= 4; k++ {
			r := innocent.run(t, k)
			equal(t, "culprits", []any{r.Finding, len(r.Culprits)}, []any{Found, 1})
			equal(t, "culprit", []any{r.Culprits[0].ID, r.Culprits[0].OnlyWithout}, []any{id(n / 2), []string{}})
		}
		base := &world{components: plain(n), causes: [][]int{{4}}, hidden: map[int]int{1: 4, 6: 4}}
		r := base.run(t, 1)
		var got []any
		for _, c := range r.Culprits {
			got = append(got, c.ID, c.OnlyWithout)
		}
		equal(t, "culprits", got, []any{id(1), []string{id(4)}, id(4), []string{}, id(6), []string{id(4)}})
		if base.fails(base.in(off(r))) {
			t.Error("not healed")
		}
	}
}

// A theme that is not searched fails without one of the plugins.
func TestSiteThatNeedsAPlugin(t *testing.T) {
	t.Parallel()
	for n := 2; n < 60; n += 3 {
		for need := range n {
			guilty := (need + 1 + n/3) % n
			if guilty == need {
				continue
			}
			w := &world{components: plain(n)}
			w.answer = func(in []bool) Answer {
				switch {
				case !in[need]:
					return Answer{Verdict: Failing, Signature: "theme: no such function"}
				case in[guilty]:
					return Answer{Verdict: Failing, Signature: "cause 0"}
				}
				return Answer{Verdict: Healthy}
			}
			r := w.run(t, 1)
			if r.Finding != Found || len(r.Culprits) != 1 || r.Culprits[0].ID != id(guilty) {
				t.Fatalf("n=%d need=%d guilty=%d: %+v", n, need, guilty, r)
			}
			if most := Bound(n, 1) + 2*log2(n) + 6; r.Probes > most {
				t.Errorf("n=%d need=%d guilty=%d: %d probes exceed %d", n, need, guilty, r.Probes, most)
			}
		}
	}
}

func TestUnresolvedAnswers(t *testing.T) {
	t.Parallel()
	// No answer while an odd number of the first four is let in.
	w := &world{components: plain(30)}
	w.answer = func(in []bool) Answer {
		odd := false
		for _, x := range in[:4] {
			odd = odd != x
		}
		switch {
		case odd:
			return Answer{}
		case in[20]:
			return Answer{Verdict: Failing, Signature: "cause 0", Slow: true}
		}
		return Answer{Verdict: Healthy}
	}
	var r Result
	for k := 1; k <= 4; k++ {
		r = w.run(t, k)
		equal(t, "around", []any{r.Finding, len(r.Culprits)}, []any{Found, 1})
		if r.Detours > mostDetours || growingShare(r) > Bound(30, 1)+8*(k-1) {
			t.Errorf("%d workers: %+v", k, r)
		}
	}

	// No answer ever with the guilty one or its neighbour alone masked.
	w.answer = func(in []bool) Answer {
		switch {
		case in[20] && in[21]:
			return Answer{Verdict: Failing, Signature: "cause 0", Slow: true}
		case in[20] || in[21]:
			return Answer{}
		}
		return Answer{Verdict: Healthy}
	}
	for k := range 4 {
		r = w.run(t, k)
		equal(t, "stuck", []any{r.Finding, len(r.Culprits), r.Odds}, []any{Undecided, 0, 0.0})
	}
	if r.Explanation != "no answer could be judged with plugin:p021, plugin:p022, plugin:p023 and 6 more masked (asked 3 times)" {
		t.Errorf("explanation: %s", r.Explanation)
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	culprits := func(causes ...[]int) [][]any {
		w := &world{components: plain(60), causes: causes}
		r := w.run(t, 1)
		w.lawful(t, r)
		var list [][]any
		for _, c := range r.Culprits {
			list = append(list, []any{c.ID, c.Conflicts})
		}
		return list
	}
	equal(t, "of two", culprits([]int{7, 40}), [][]any{{id(40), [][]string{{id(7)}}}})
	equal(t, "of three", culprits([]int{7, 22, 40}), [][]any{{id(40), [][]string{{id(7), id(22)}}}})
	equal(t, "one in two conflicts", culprits([]int{7, 40}, []int{22, 40}), [][]any{{id(40), [][]string{{id(7)}, {id(22)}}}})
	// Either 40 and 41 go, or 7 alone: the fewest win.
	equal(t, "one instead of two", culprits([]int{7, 40}, []int{7, 41}), [][]any{{id(7), [][]string{{id(40)}, {id(41)}}}})
	equal(t, "beside a lone one", culprits([]int{7, 40}, []int{13}), [][]any{{id(13), [][]string{}}, {id(40), [][]string{{id(7)}}}})
}

func TestEndsOfASearch(t *testing.T) {
	t.Parallel()
	broken := errors.New("the shadow is gone")
	w := &world{components: plain(30), causes: [][]int{{3}}, asked: map[string]int{}}
	s := Search{Components: w.components}
	rounds := 0
	r, err := Run(context.Background(), s, func(ctx context.Context, round []Question) ([]Answer, error) {
		if rounds++; rounds == 4 {
			return nil, broken
		}
		return w.ask(ctx, round)
	})
	if !errors.Is(err, broken) || err.Error() != "search among 30 components: ask round 4: the shadow is gone" {
		t.Errorf("error: %v", err)
	}
	equal(t, "partial result", []any{r.Finding, r.Probes, r.Rounds, r.Culprits, r.Signature}, []any{Undecided, 3, 4, []Culprit{}, "cause 0"})

	ctx, cancel := context.WithCancel(context.Background())
	_, err = Run(ctx, s, func(ctx context.Context, round []Question) ([]Answer, error) {
		cancel()
		return w.ask(ctx, round)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	_, err = Run(context.Background(), s, func(context.Context, []Question) ([]Answer, error) { return nil, nil })
	equal(t, "too few answers", err.Error(), "search among 30 components: ask round 1: 0 answers to 1 questions")
	_, err = Run(context.Background(), Search{Components: append(plain(2), plain(1)...)}, w.ask)
	equal(t, "twice", err.Error(), `component "plugin:p000" is listed twice`)
	_, err = Run(context.Background(), s, nil)
	equal(t, "no ask", err.Error(), "no way to ask was given")
}

func TestSameAnswersSameQuestions(t *testing.T) {
	t.Parallel()
	for seed := range 200 {
		once, first := repeatable(t, uint64(seed))
		again, second := repeatable(t, uint64(seed))
		equal(t, "story", again, once)
		equal(t, "result", second, first)
	}
}

func repeatable(t *testing.T, seed uint64) ([]string, Result) {
	t.Helper()
	w := random(rand.New(rand.NewPCG(seed, 7)))
	return w.story(t, Search{Workers: int(seed%4) + 1})
}
