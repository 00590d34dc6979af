package bisect

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestBoundTable prints what searches cost beside the bound.
func TestBoundTable(t *testing.T) {
	kinds := []struct {
		name  string
		sizes []int
	}{{"1 culprit", []int{1}}, {"2 culprits", []int{1, 1}}, {"3 culprits", []int{1, 1, 1}}, {"conflict of 2", []int{2}}, {"conflict of 3", []int{3}}}
	fmt.Println("distinct questions, mean/most of 100 searches; growing: what the bound covers; all: with acquittals and partners")
	fmt.Printf("%4s  %-14s %5s | %-12s %-12s | %-12s %-12s | %-12s\n", "n", "at fault", "bound", "growing", "all", "with a trace", "all", "wrong trace")
	for _, n := range []int{1, 2, 5, 10, 30, 60, 120, 200} {
		for _, kind := range kinds {
			members := 0
			for _, s := range kind.sizes {
				members += s
			}
			if members > n {
				continue
			}
			bound := Bound(n, len(kind.sizes))
			var cells [3][2]tally
			for evidence := range 3 {
				for seed := range 100 {
					w := sample(n, kind.sizes, uint64(seed), evidence)
					r := w.run(t, 1)
					w.lawful(t, r)
					if d := len(kind.sizes); growingShare(r) > bound || members == d && r.Probes > bound+2*d-1+r.Cleared {
						t.Errorf("n=%d %s: %d questions, %d of them growing", n, kind.name, r.Probes, growingShare(r))
					}
					if evidence == 1 && len(kind.sizes) == 1 && members == 1 && r.Probes > 4 {
						t.Errorf("n=%d: %d questions with a trace", n, r.Probes)
					}
					cells[evidence][0].add(growingShare(r))
					cells[evidence][1].add(r.Probes)
				}
			}
			fmt.Printf("%4d  %-14s %5d | %-12s %-12s | %-12s %-12s | %-12s\n", n, kind.name, bound,
				cells[0][0], cells[0][1], cells[1][0], cells[1][1], cells[2][1])
		}
	}
}

type tally struct{ sum, most, count int }

func (t *tally) add(x int) { t.sum, t.most, t.count = t.sum+x, max(t.most, x), t.count+1 }

func (t tally) String() string {
	return fmt.Sprintf("%.1f/%d", float64(t.sum)/float64(t.count), t.most)
}

// sample is a world with causes of the given sizes. evidence: 0 none, 1 each failing
// answer names a guilty one, 2 a trace names an innocent.
func sample(n int, sizes []int, seed uint64, evidence int) *world {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	w := &world{components: plain(n), rng: rng}
	pick := rng.Perm(n)
	for _, s := range sizes {
		w.causes = append(w.causes, pick[:s])
		pick = pick[s:]
	}
	switch evidence {
	case 1:
		w.components[w.causes[0][0]].Weight = 300
		w.blame = func(in []bool) []string {
			for _, cause := range w.causes {
				holds := true
				for _, c := range cause {
					holds = holds && in[c]
				}
				if holds {
					return []string{id(cause[0])}
				}
			}
			return nil
		}
	case 2:
		if len(pick) > 0 {
			w.components[pick[0]].Weight = 300
		}
	}
	return w
}
