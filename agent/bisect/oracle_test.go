package bisect

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// world is a made-up site: it fails iff every member of one of its causes is let in.
type world struct {
	components []Component
	causes     [][]int
	hidden     map[int]int                // component → one that it needs without saying so
	slow       bool                       // failing answers hang
	rate       float64                    // share of failing requests that do fail; 0: all
	rates      map[int]float64            // the same for single causes
	blame      func(in []bool) []string   // what a failing answer names
	answer     func(in []bool) (a Answer) // replaces the causes

	rng     *rand.Rand
	workers int
	asked   map[string]int
	total   int
	rounds  int
	faults  []string // broken laws of asking
}

func id(i int) string { return fmt.Sprintf("plugin:p%03d", i) }

func plain(n int) []Component {
	list := make([]Component, n)
	for i := range list {
		list[i] = Component{ID: id(i), Weight: 1}
	}
	return list
}

func (w *world) index(id string) int {
	i, err := strconv.Atoi(strings.TrimPrefix(id, "plugin:p"))
	if err != nil || i >= len(w.components) {
		return -1
	}
	return i
}

// in turns a mask into what is let in.
func (w *world) in(masked []string) []bool {
	in := make([]bool, len(w.components))
	for i := range in {
		in[i] = true
	}
	for _, id := range masked {
		in[w.index(id)] = false
	}
	return in
}

func (w *world) judge(in []bool) Answer {
	if w.answer != nil {
		return w.answer(in)
	}
	for i := range in { // hidden needs fail at load
		if need, ok := w.hidden[i]; ok && in[i] && !in[need] {
			return Answer{Verdict: Failing, Signature: "fatal: no base for " + id(i), Blamed: []string{id(i)}}
		}
	}
	for k, cause := range w.causes {
		if !slices.ContainsFunc(cause, func(c int) bool { return !in[c] }) {
			if rate := cmp.Or(w.rates[k], w.rate); rate > 0 && w.rng.Float64() >= rate {
				continue
			}
			a := Answer{Verdict: Failing, Signature: fmt.Sprintf("cause %d", k), Slow: w.slow}
			if w.blame != nil {
				a.Blamed = w.blame(in)
			}
			return a
		}
	}
	return Answer{Verdict: Healthy}
}

func (w *world) fails(in []bool) bool {
	rate, rates := w.rate, w.rates
	w.rate, w.rates = 0, nil
	defer func() { w.rate, w.rates = rate, rates }()
	return w.judge(in).Verdict == Failing
}

func (w *world) ask(_ context.Context, round []Question) ([]Answer, error) {
	w.rounds++
	if len(round) > max(1, w.workers) {
		w.faults = append(w.faults, fmt.Sprintf("round of %d questions for %d workers", len(round), w.workers))
	}
	answers := make([]Answer, len(round))
	for i, q := range round {
		if !slices.IsSorted(q.Masked) {
			w.faults = append(w.faults, "mask is not sorted")
		}
		in := w.in(q.Masked)
		for c, component := range w.components {
			for _, need := range component.Requires {
				if k := w.index(need); in[c] && k >= 0 && !in[k] {
					w.faults = append(w.faults, component.ID+" let in without "+need)
				}
			}
		}
		w.asked[strings.Join(q.Masked, " ")]++
		w.total++
		answers[i] = w.judge(in)
	}
	return answers, nil
}

func (w *world) run(t testing.TB, workers int) Result {
	t.Helper()
	w.workers, w.asked, w.total, w.rounds = workers, map[string]int{}, 0, 0
	r, err := Run(context.Background(), Search{Components: w.components, Workers: workers}, w.ask)
	if err != nil {
		t.Fatalf("%v\n%s", err, w)
	}
	return r
}

func (w *world) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "n=%d workers=%d slow=%v causes=%v hidden=%v\n", len(w.components), w.workers, w.slow, w.causes, w.hidden)
	for _, c := range w.components {
		if c.Weight != 1 || len(c.Requires) > 0 {
			fmt.Fprintf(&b, "  %s weight %g requires %v\n", c.ID, c.Weight, c.Requires)
		}
	}
	return b.String()
}

// off is what a result masks.
func off(r Result) []string {
	var ids []string
	for _, c := range r.Culprits {
		ids = append(append(ids, c.ID), c.Dependants...)
	}
	return ids
}

// growingShare is the part of the questions that Bound covers.
func growingShare(r Result) int {
	return r.Probes - r.Acquittals - r.Memberships - r.Detours - r.Cleared
}

// lawful checks what must hold of every search among deterministic answers in which
// letting more in never heals.
func (w *world) lawful(t testing.TB, r Result) {
	t.Helper()
	n, d := len(w.components), len(r.Culprits)
	bad := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s\n%+v\n%s", fmt.Sprintf(format, args...), r, w)
	}
	if len(w.faults) > 0 {
		bad("%s", w.faults[0])
	}
	if r.Finding != Found {
		bad("finding: %v", r.Finding)
	}
	if w.fails(w.in(off(r))) {
		bad("not healed")
	}
	if who := w.innocent(r); who != "" {
		bad("%s is innocent", who)
	}
	for i, c := range r.Culprits {
		rest := r
		rest.Culprits = append(slices.Clone(r.Culprits[:i]), r.Culprits[i+1:]...)
		in := w.in(off(rest))
		if !in[w.index(c.ID)] {
			bad("%s is a culprit and a dependant", c.ID)
		}
		for _, dep := range c.Dependants {
			in[w.index(dep)] = slices.Contains(c.Circle, dep)
		}
		if !w.fails(in) {
			bad("%s is off needlessly", c.ID)
		}
		w.named(t, r, c)
	}
	if r.Odds < 0.99 || r.Odds > 1 {
		bad("odds %v", r.Odds)
	}
	if len(w.asked) != r.Probes || w.total != r.Probes+r.Repeats || w.rounds != r.Rounds {
		bad("counted %d distinct, %d in all, %d rounds", len(w.asked), w.total, w.rounds)
	}
	aside := d + len(r.Acquitted)
	if r.Acquittals > 2*aside || r.Cleared > mostGraces || r.Detours > 0 {
		bad("acquittals %d, cleared %d, detours %d", r.Acquittals, r.Cleared, r.Detours)
	}
	if !w.slow && growingShare(r) > Bound(n, aside) {
		bad("%d questions exceed the bound %d", growingShare(r), Bound(n, aside))
	}
}

// innocent is a convicted component that belongs to no cause, nor needs, without
// saying so, what is off because of another.
func (w *world) innocent(r Result) string {
	guilty := map[int]bool{}
	for _, cause := range w.causes {
		for _, c := range cause {
			guilty[c] = true
		}
	}
	in := w.in(off(r))
	for _, c := range r.Culprits {
		if !slices.ContainsFunc(append([]string{c.ID}, c.Circle...), func(id string) bool {
			need, hidden := w.hidden[w.index(id)]
			return guilty[w.index(id)] || hidden && !in[need] && len(c.OnlyWithout) > 0
		}) {
			return c.ID
		}
	}
	return ""
}

// named checks the partners of a culprit: with each conflict it is one of the causes,
// or with its circles fails with no member to spare; who has none is guilty alone.
func (w *world) named(t testing.TB, r Result, c Culprit) {
	t.Helper()
	let := func(members []string) []bool {
		in := make([]bool, len(w.components))
		var let func(id string)
		let = func(id string) {
			if i := w.index(id); i >= 0 && !in[i] {
				in[i] = true
				for _, need := range w.components[i].Requires {
					let(need)
				}
			}
		}
		for _, m := range members {
			let(m)
		}
		return in
	}
	fails := func(members []string) bool { return w.fails(let(members)) }
	if len(c.Conflicts) == 0 && !fails([]string{c.ID}) || len(c.Conflicts) > 0 && w.alone(c.ID) {
		t.Fatalf("%s fails alone: %v, but with %v\n%+v\n%s", c.ID, len(c.Conflicts) > 0, c.With, r, w)
	}
	if _, hidden := w.hidden[w.index(c.ID)]; len(c.Conflicts) == 0 && len(c.Circle) == 0 && !w.alone(c.ID) && (!hidden || len(c.OnlyWithout) == 0) {
		if !slices.ContainsFunc(w.causes, func(cause []int) bool { // all others may come along as requirements
			return !slices.ContainsFunc(cause, func(i int) bool { return !let([]string{c.ID})[i] })
		}) {
			t.Fatalf("no partner of %s is named\n%+v\n%s", c.ID, r, w)
		}
	}
	var all []string
	for _, conflict := range c.Conflicts {
		all = append(all, conflict...)
		if w.cause(append([]string{c.ID}, conflict...)) {
			continue
		}
		if !fails(append([]string{c.ID}, conflict...)) {
			t.Fatalf("%s does not fail with %v\n%+v\n%s", c.ID, conflict, r, w)
		}
		for i := range conflict {
			less := append(append([]string{c.ID}, conflict[:i]...), conflict[i+1:]...)
			if !let(less)[w.index(conflict[i])] && fails(less) {
				t.Fatalf("%s needs not all of %v\n%+v\n%s", c.ID, conflict, r, w)
			}
		}
	}
	slices.Sort(all)
	if !slices.Equal(slices.Compact(all), c.With) && len(all)+len(c.With) > 0 {
		t.Fatalf("conflicts %v, with %v", c.Conflicts, c.With)
	}
}

// alone reports whether a component fails by itself.
func (w *world) alone(id string) bool { return w.cause([]string{id}) }

// cause reports whether some components are one of the causes.
func (w *world) cause(members []string) bool {
	var set []int
	for _, m := range members {
		set = append(set, w.index(m))
	}
	slices.Sort(set)
	return slices.ContainsFunc(w.causes, func(c []int) bool { return slices.Equal(slices.Sorted(slices.Values(c)), set) })
}

// random makes a lawful world.
func random(rng *rand.Rand) *world {
	n := 1 + rng.IntN([]int{5, 30, 60, 200}[rng.IntN(4)])
	w := &world{components: plain(n), rng: rng, slow: rng.IntN(4) == 0}
	pick := rng.Perm(n)
	for range 1 + rng.IntN(3) {
		size := 1
		if rng.IntN(3) == 0 {
			size = 2 + rng.IntN(2)
		}
		cause := make([]int, 0, size)
		for range size {
			if rng.IntN(4) == 0 {
				cause = append(cause, pick[rng.IntN(min(n, 6))]) // overlapping causes
			} else {
				cause = append(cause, rng.IntN(n))
			}
		}
		slices.Sort(cause)
		w.causes = append(w.causes, slices.Compact(cause))
	}
	if rng.IntN(2) == 0 { // requirements, circles among them
		for range rng.IntN(n) {
			i := rng.IntN(n)
			w.components[i].Requires = append(w.components[i].Requires, id(rng.IntN(n+n/10+1)))
		}
	}
	switch rng.IntN(4) {
	case 0: // any weight, for anybody
		for i := range w.components {
			w.components[i].Weight = []float64{0, -1, 1, 2, 20, 300, 1e9, 1e-9}[rng.IntN(8)]
		}
	case 1: // one strong suspect, guilty or not
		w.components[rng.IntN(n)].Weight = 300
	case 2: // a good one
		w.components[w.causes[0][0]].Weight = 300
	}
	switch rng.IntN(3) {
	case 0: // honest: who belongs to the first cause that holds
		w.blame = func(in []bool) []string {
			for _, cause := range w.causes {
				if !slices.ContainsFunc(cause, func(c int) bool { return !in[c] }) {
					return []string{id(cause[0])}
				}
			}
			return nil
		}
	case 1: // hostile: an innocent, another each time
		seed := rng.Uint64()
		w.blame = func(in []bool) []string {
			seed = seed*6364136223846793005 + 1442695040888963407
			return []string{id(int(seed>>33) % n), "plugin:unknown", id(int(seed>>40) % n)}
		}
	}
	return w
}

func TestRandomWorlds(t *testing.T) {
	t.Parallel()
	count := 3000
	if testing.Short() {
		count = 500
	}
	for seed := range count {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		w := random(rng)
		r := w.run(t, 1+rng.IntN(4))
		w.lawful(t, r)
	}
}
