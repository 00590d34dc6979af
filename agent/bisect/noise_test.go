package bisect

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
)

// A fault that shows in one request of three, whether the caller knows it or not:
// nobody innocent is ever convicted, and one who knows finds the culprits.
func TestIntermittent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		rate     float64 // told to the search
		sizes    []int
		found    int // of the runs, at least
		together bool
	}{
		{"one", 0.33, []int{1}, 200, false},
		{"two", 0.33, []int{1, 1}, 197, false},
		{"conflict", 0.33, []int{2}, 200, false},
		{"one, rate overrated", 0.6, []int{1}, 200, false},
		{"one, not told", 0, []int{1}, 170, false},
		{"two, not told", 0, []int{1, 1}, 180, false},
		{"conflict, not told", 0, []int{2}, 170, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found := 0
			for seed := range 200 {
				w := sample(60, c.sizes, uint64(seed), 0)
				w.rate, w.workers, w.asked = 1.0/3, 4, map[string]int{}
				w.rng = rand.New(rand.NewPCG(uint64(seed), 99))
				r, err := Run(context.Background(), Search{Components: w.components, Workers: 4, Rate: c.rate}, w.ask)
				if err != nil {
					t.Fatal(err)
				}
				guilty := slices.Concat(w.causes...)
				for _, culprit := range r.Culprits {
					if !slices.Contains(guilty, w.index(culprit.ID)) {
						t.Errorf("seed %d: %s is innocent: %+v", seed, culprit.ID, r)
					}
				}
				if r.Finding == Found && r.Odds < 0.99 {
					t.Errorf("seed %d: odds %v", seed, r.Odds)
				}
				if r.Finding == Found && !w.fails(w.in(off(r))) {
					found++
				}
			}
			if found < c.found {
				t.Errorf("found %d of 200", found)
			}
		})
	}
}

// The answers about a healthy set are as noisy as the model allows.
func TestBackgroundNoise(t *testing.T) {
	t.Parallel()
	for seed := range 200 {
		w := sample(30, []int{1}, uint64(seed), 0)
		rng := rand.New(rand.NewPCG(uint64(seed), 5))
		guilty := w.causes[0][0]
		w.answer = func(in []bool) Answer {
			if in[guilty] || rng.Float64() < background {
				return Answer{Verdict: Failing, Signature: "cause 0"}
			}
			return Answer{Verdict: Healthy}
		}
		w.asked, w.workers = map[string]int{}, 2
		r, err := Run(context.Background(), Search{Components: w.components, Workers: 2}, w.ask)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Culprits {
			if c.ID != id(guilty) {
				t.Errorf("seed %d: %s is innocent", seed, c.ID)
			}
		}
		if r.Finding != Found && r.Finding != FailsAllMasked {
			t.Errorf("seed %d: %+v", seed, r)
		}
	}
}

func TestRateOfWald(t *testing.T) {
	t.Parallel()
	n := &noise{on: true, rate: 1.0 / 3}
	for _, c := range []struct {
		healthy, failing int
		want             Verdict
	}{{0, 0, Unresolved}, {0, 2, Unresolved}, {0, 3, Failing}, {20, 0, Unresolved}, {28, 0, Healthy}, {28, 1, Unresolved}, {28, 5, Failing}} {
		if got := n.verdict(&record{healthy: c.healthy, failing: c.failing}); got != c.want {
			t.Errorf("%d healthy, %d failing: %v, want %v", c.healthy, c.failing, got, c.want)
		}
	}
}
