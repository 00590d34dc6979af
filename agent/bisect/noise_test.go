package bisect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestIntermittent(t *testing.T) {
	for _, told := range []float64{0, 1.0 / 3, 0.5} {
		for _, sizes := range [][]int{{1}, {1, 1}, {2}} {
			found, innocent, healthy, undecided, asks, maxAsks := 0, 0, 0, 0, 0, 0
			for seed := range 300 {
				w := sample(60, sizes, uint64(seed), 0)
				w.rate = 1.0 / 3
				w.workers, w.asked = 4, map[string]int{}
				w.rng = rand.New(rand.NewPCG(uint64(seed), 99))
				r, err := Run(context.Background(), Search{Components: w.components, Workers: 4, Rate: told}, w.ask)
				if err != nil {
					t.Fatal(err)
				}
				bad := false
				for _, c := range r.Culprits {
					ok := false
					for _, cause := range w.causes {
						for _, x := range cause {
							ok = ok || id(x) == c.ID
						}
					}
					bad = bad || !ok
				}
				switch {
				case bad:
					innocent++
					fmt.Printf("%+v\n", r)
				case r.Finding == Found && !w.fails(w.in(off(r))):
					found++
				case r.Finding == HealthyUnmasked:
					healthy++
				default:
					undecided++
					fmt.Printf("seed %d: %d+%d asks %+v\n", seed, r.Probes, r.Repeats, r)
				}
				asks += r.Probes + r.Repeats
				maxAsks = max(maxAsks, r.Probes+r.Repeats)
			}
			fmt.Printf("told %.2f sizes %v: found %d innocent %d healthy %d other %d, asks %d max %d\n", told, sizes, found, innocent, healthy, undecided, asks/300, maxAsks)
		}
	}
}
