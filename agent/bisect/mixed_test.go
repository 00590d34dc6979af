package bisect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// mixture is which troubles a made-up world has together.
type mixture struct {
	n         int
	alone     int   // culprits that fail by themselves
	conflicts []int // sizes of conflicts
	declared  bool  // a base with three dependants that say so, one of the four guilty
	hidden    bool  // a base with three dependants that do not say so, one of the four guilty at times
	evidence  int   // 0 none, 1 honest, 2 hostile
	mute      float64
}

func (m mixture) String() string {
	return fmt.Sprintf("n=%d, %d alone, conflicts of %v, declared %v, hidden %v, evidence %d, mute %g",
		m.n, m.alone, m.conflicts, m.declared, m.hidden, m.evidence, m.mute)
}

func mixed(rng *rand.Rand) mixture {
	m := mixture{n: 20 + rng.IntN(181), alone: rng.IntN(4), declared: rng.IntN(2) == 0, hidden: rng.IntN(2) == 0, evidence: rng.IntN(3)}
	for range rng.IntN(3) {
		m.conflicts = append(m.conflicts, 2+rng.IntN(2))
	}
	if m.alone+len(m.conflicts) == 0 {
		m.alone = 1
	}
	return m
}

// world makes the mixture of components that have nothing else to do with each other.
func (m mixture) world(rng *rand.Rand) *world {
	w := &world{components: plain(m.n), rng: rng, hidden: map[int]int{}, slow: rng.IntN(4) == 0}
	pick := rng.Perm(m.n)
	take := func(k int) []int {
		var some []int
		some, pick = pick[:k:k], pick[k:]
		return some
	}
	for range m.alone {
		w.causes = append(w.causes, take(1))
	}
	for _, size := range m.conflicts {
		w.causes = append(w.causes, take(size))
	}
	if m.declared {
		four := take(4)
		for _, i := range four[1:] {
			w.components[i].Requires = []string{id(four[0])}
		}
		w.causes = append(w.causes, four[rng.IntN(4):][:1])
	}
	if m.hidden {
		four := take(4)
		for _, i := range four[1:] {
			w.hidden[i] = four[0]
		}
		if rng.IntN(2) == 0 {
			w.causes = append(w.causes, four[rng.IntN(4):][:1])
		}
	}
	last := take(3)
	w.components[last[0]].Requires = []string{id(last[1]), "plugin:unknown"}
	w.components[last[1]].Requires = []string{id(last[2])}
	rng.Shuffle(len(w.causes), func(i, j int) { w.causes[i], w.causes[j] = w.causes[j], w.causes[i] })
	switch m.evidence {
	case 1:
		w.components[w.causes[0][0]].Weight = 300
		w.blame = w.honest
	case 2:
		w.components[last[0]].Weight = 300
		w.blame = func([]bool) []string { return []string{id(last[1]), "plugin:unknown", id(rng.IntN(m.n))} }
	}
	return w
}

// honest names a member of the first cause that holds.
func (w *world) honest(in []bool) []string {
	for _, cause := range w.causes {
		if !slices.ContainsFunc(cause, func(c int) bool { return !in[c] }) {
			return []string{id(cause[0])}
		}
	}
	return nil
}

// TestMixedWorlds holds the laws where everything comes together, with answers that
// can be trusted.
func TestMixedWorlds(t *testing.T) {
	t.Parallel()
	count := 4000
	if testing.Short() {
		count = 400
	}
	for seed := range count {
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		m := mixed(rng)
		w := m.world(rng)
		r := w.run(t, 1+rng.IntN(4))
		func() {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d: %s", seed, m)
				}
			}()
			w.lawful(t, r)
		}()
	}
}

var _ = context.Background
