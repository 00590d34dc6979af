package bisect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// warming makes a world that fails only from the request after so many on: of the same
// set, or of any with the cause in it, as one warm cache shared by all would have it.
func warming(w *world, after int, shared bool) {
	sound, seen := *w, map[string]int{}
	w.answer = func(in []bool) Answer {
		a := sound.judge(in)
		if a.Verdict != Failing {
			return a
		}
		key := a.Signature
		if !shared {
			var let []string
			for i, x := range in {
				if x {
					let = append(let, id(i))
				}
			}
			key = strings.Join(let, " ")
		}
		if seen[key]++; seen[key] <= after {
			return Answer{Verdict: Healthy}
		}
		return a
	}
}

func TestFailsFromTheSecondRequestOn(t *testing.T) {
	t.Parallel()
	for after := 1; after <= 4; after++ {
		for _, shared := range []bool{false, true} {
			for told := 0; told <= 1; told++ {
				for seed := range 30 {
					rng := rand.New(rand.NewPCG(uint64(seed), 6))
					sizes := [][]int{{1}, {1, 1}, {2}}[seed%3]
					w := sample(60, sizes, uint64(seed), 0)
					guilty := slices.Concat(w.causes...)
					w.asked, w.workers = map[string]int{}, 1+rng.IntN(4)
					warming(w, after, shared)
					s := Search{Components: w.components, Workers: w.workers, Signature: "cause 0", Repeat: told * (after + 1)}
					r, err := Run(context.Background(), s, w.ask)
					if err != nil {
						t.Fatal(err)
					}
					want := len(sizes)
					if r.Finding != Found || len(r.Culprits) != want || r.Odds < 0.99 || r.Repeat < 2 || r.Repeat > after+1 || r.Rate != 0 {
						t.Fatalf("after %d, shared %v, told %d, seed %d, %d workers: %+v\n%s", after, shared, told, seed, w.workers, r, w)
					}
					for _, c := range r.Culprits {
						if !slices.Contains(guilty, w.index(c.ID)) {
							t.Fatalf("%s is innocent", c.ID)
						}
					}
					if most := (Bound(60, want) + 2*want + 20) * (after + 1) * 3; r.Probes+r.Repeats > most {
						t.Errorf("%d requests exceed %d: %+v", r.Probes+r.Repeats, most, r)
					}
				}
			}
		}
	}
}

// A failure may look different in each company, as a trace through other plugins' hooks
// does. Who is at fault is at fault; only whom it needs cannot be told.
func TestFailsInAnotherWayInEachCompany(t *testing.T) {
	t.Parallel()
	for n := 2; n < 120; n += 13 {
		for k := 1; k <= 4; k++ {
			w := &world{components: plain(n), causes: [][]int{{n / 3}}}
			sound := *w
			w.answer = func(in []bool) Answer {
				a := sound.judge(in)
				if a.Verdict == Failing {
					a.Signature = "fatal beside " + fmt.Sprint(in)
				}
				return a
			}
			r := w.run(t, k)
			if r.Finding != Found || len(r.Culprits) != 1 || r.Culprits[0].ID != id(n/3) || r.Probes > Bound(n, 1)+(mostCompany+1)*(log2(n)+2) {
				t.Errorf("n=%d: %+v", n, r)
			}
		}
	}
}
