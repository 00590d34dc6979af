package bisect

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
)

// FuzzRun asks an oracle that follows no rule: the law is that the search ends, and
// that nobody is convicted without both answers of the final context.
func FuzzRun(f *testing.F) {
	f.Add(uint8(30), uint8(1), uint8(0), []byte{1, 2, 3})
	f.Add(uint8(5), uint8(4), uint8(3), []byte("contradiction"))
	f.Add(uint8(0), uint8(0), uint8(1), []byte{})
	f.Add(uint8(64), uint8(2), uint8(7), []byte{0xff, 0, 0xff, 7})
	f.Fuzz(func(t *testing.T, size, workers, mode uint8, data []byte) {
		at := func(i int) byte {
			if len(data) == 0 {
				return 0
			}
			return data[i%len(data)]
		}
		n := int(size) % 70
		components := plain(n)
		for i := range components {
			components[i].Weight = float64(int(at(i)) - 20)
			if at(3*i)%4 == 1 && n > 1 {
				components[i].Requires = []string{id(int(at(2*i)) % (n + 1))}
			}
		}
		seen := map[string]map[Verdict]int{}
		total, calls := 0, 0
		ask := func(_ context.Context, round []Question) ([]Answer, error) {
			answers := make([]Answer, len(round))
			for i, q := range round {
				calls++
				h := fnv.New64a()
				key := strings.Join(q.Masked, " ")
				fmt.Fprint(h, key, at(1), at(2), at(5), len(data))
				if mode&1 > 0 { // contradictory: another answer each time
					fmt.Fprint(h, calls)
				}
				x := h.Sum64()
				verdict := []Verdict{Failing, Healthy, Failing, Healthy, Unresolved}[x%(4+uint64(mode>>1&1))]
				switch { // mostly a sensible pair of baselines
				case len(q.Masked) == 0 && x>>8%8 > 0:
					verdict = Failing
				case len(q.Masked) == n && x>>8%8 > 0:
					verdict = Healthy
				}
				answers[i] = Answer{Verdict: verdict, Signature: fmt.Sprint(x >> 16 % (1 + uint64(mode>>2&3))), Slow: x>>24%3 == 0}
				if n > 0 {
					answers[i].Blamed = []string{id(int(x >> 32 % uint64(n))), "nobody"}
				}
				if seen[key] == nil {
					seen[key] = map[Verdict]int{}
				}
				seen[key][verdict]++
				total++
			}
			return answers, nil
		}
		r, err := Run(context.Background(), Search{Components: components, Workers: int(workers) % 6, Rate: float64(mode>>4) / 10}, ask)
		if err != nil {
			t.Fatal(err)
		}
		if total != r.Probes+r.Repeats || len(seen) != r.Probes || total > mostQuestions(n)+6 {
			t.Fatalf("%d questions, %d distinct, counted %d and %d", total, len(seen), r.Repeats, r.Probes)
		}
		if (r.Finding == Found) != (len(r.Culprits) > 0) || r.Finding == Undecided && r.Explanation == "" {
			t.Fatalf("%+v", r)
		}
		masked := off(r)
		slices.Sort(masked)
		for i, c := range r.Culprits {
			rest := r
			rest.Culprits = append(slices.Clone(r.Culprits[:i]), r.Culprits[i+1:]...)
			let := off(rest)
			for _, d := range c.Dependants {
				if !slices.Contains(c.Circle, d) {
					let = append(let, d)
				}
			}
			slices.Sort(let)
			without, with := seen[strings.Join(slices.Compact(masked), " ")], seen[strings.Join(slices.Compact(let), " ")]
			if without[Healthy] < 2 || with[Failing] < 2 {
				t.Fatalf("%s convicted on %v without it and %v with it\n%+v", c.ID, without, with, r)
			}
		}
	})
}
