package bisect

import (
	"fmt"
	"testing"
)

// BenchmarkSearch is the search's own time: its questions are answered at once.
func BenchmarkSearch(b *testing.B) {
	for _, n := range []int{30, 200} {
		for _, c := range []struct {
			name     string
			sizes    []int
			evidence int
		}{{"one", []int{1}, 0}, {"one-traced", []int{1}, 1}, {"three", []int{1, 1, 1}, 0}, {"conflict-of-3", []int{3}, 0}} {
			b.Run(fmt.Sprintf("n=%d/%s", n, c.name), func(b *testing.B) {
				probes := 0
				for i := range b.N {
					b.StopTimer()
					w := sample(n, c.sizes, uint64(i%50), c.evidence)
					b.StartTimer()
					probes += w.run(b, 1).Probes
				}
				b.ReportMetric(float64(probes)/float64(b.N), "probes/op")
			})
		}
	}
}
