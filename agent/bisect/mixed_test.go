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
}

func (m mixture) String() string {
	return fmt.Sprintf("n=%d, %d alone, conflicts of %v, declared %v, hidden %v, evidence %d",
		m.n, m.alone, m.conflicts, m.declared, m.hidden, m.evidence)
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
		w.causes = append(w.causes, slices.Concat(four[rng.IntN(4):][:1], take(rng.IntN(2))))
	}
	if m.hidden {
		four := take(4)
		for _, i := range four[1:] {
			w.hidden[i] = four[0]
		}
		if rng.IntN(2) == 0 {
			w.causes = append(w.causes, slices.Concat(four[rng.IntN(4):][:1], take(rng.IntN(2))))
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
	count := 1200
	if testing.Short() {
		count = 400
	}
	var rows [4][5]tally // by culprits
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
		aside := len(r.Culprits) + len(r.Acquitted)
		for i, x := range []int{Bound(m.n, aside), growingShare(r), r.Acquittals, r.Memberships, r.Cleared} {
			if !w.slow {
				rows[min(len(r.Culprits), len(rows)-1)][i].add(x)
			}
		}
	}
	fmt.Println("mixed worlds of 20 to 200 components, questions: mean/most; the bound counts who was acquitted, too")
	fmt.Printf("%8s %6s | %-12s %-12s | %-12s %-12s %-12s\n", "culprits", "worlds", "bound", "growing", "acquittals", "partners", "wrong traces")
	for d, row := range rows[1:] {
		name := fmt.Sprint(d + 1)
		if d == len(rows)-2 {
			name += " or more"
		}
		fmt.Printf("%-9s %5d | %-12s %-12s | %-12s %-12s %-12s\n", name, row[0].count, row[0], row[1], row[2], row[3], row[4])
	}
}

// TestMixedNoise mixes a fault that shows in one request of three with all the rest:
// nobody innocent is ever convicted, whoever is convicted rests on odds of 99 % and
// more, and the culprits are found as surely.
func TestMixedNoise(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		mixture  mixture
		told     float64
		found    int // of the runs, at least
		workers  int
		evidence int
	}{
		{"one of 200", mixture{n: 200, alone: 1}, 1.0 / 3, 198, 4, 0},
		{"one of 200, traced", mixture{n: 200, alone: 1}, 1.0 / 3, 198, 4, 1},
		{"one of 60, forged traces", mixture{n: 60, alone: 1}, 1.0 / 3, 198, 4, 2},
		{"one of 60 among dependants", mixture{n: 60, alone: 1, declared: true}, 1.0 / 3, 198, 4, 0},
		{"one of 60 among hidden dependants", mixture{n: 60, alone: 1, hidden: true}, 1.0 / 3, 198, 4, 0},
		{"a conflict of three among 60", mixture{n: 60, conflicts: []int{3}}, 1.0 / 3, 198, 4, 0},
		{"one and a conflict among 60, with everything", mixture{n: 60, alone: 1, conflicts: []int{2}, declared: true, hidden: true}, 1.0 / 3, 190, 4, 0},
		{"the same, not told", mixture{n: 60, alone: 1, conflicts: []int{2}, declared: true, hidden: true}, 0, 150, 4, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found, probes, repeats := 0, 0, 0
			for seed := range 200 {
				rng := rand.New(rand.NewPCG(uint64(seed), 3))
				c.mixture.evidence = c.evidence
				w := c.mixture.world(rng)
				w.rate, w.workers, w.asked = 1.0/3, c.workers, map[string]int{}
				r, err := Run(context.Background(), Search{Components: w.components, Workers: c.workers, Rate: c.told}, w.ask)
				if err != nil {
					t.Fatal(err)
				}
				if who := w.innocent(r); who != "" {
					t.Errorf("seed %d: %s is innocent\n%+v\n%s", seed, who, r, w)
				}
				if r.Finding == Found && (r.Odds < 0.99 || r.Rate == 0 && r.Repeat == 1 && c.told > 0) {
					t.Errorf("seed %d: odds %v, rate %v, repeat %d", seed, r.Odds, r.Rate, r.Repeat)
				}
				if r.Finding == Found && !w.fails(w.in(off(r))) {
					found, probes, repeats = found+1, probes+r.Probes, repeats+r.Repeats
				}
			}
			if found < c.found {
				t.Errorf("found %d of 200", found)
			}
			t.Logf("found %d of 200, with %d questions and %d repeats on average", found, probes/max(1, found), repeats/max(1, found))
		})
	}
}

// TestMixedUnresolved adds answers that nobody can judge: one request in ten, and one
// set in forty for good. A search may end undecided then, but never wrong.
func TestMixedUnresolved(t *testing.T) {
	t.Parallel()
	found, count := 0, 400
	for seed := range count {
		rng := rand.New(rand.NewPCG(uint64(seed), 4))
		m := mixed(rng)
		w := m.world(rng)
		sound, mute := *w, map[string]bool{}
		w.answer = func(in []bool) Answer {
			key := fmt.Sprint(in)
			if _, known := mute[key]; !known {
				mute[key] = rng.IntN(40) == 0
			}
			if mute[key] || rng.IntN(10) == 0 {
				return Answer{}
			}
			return sound.judge(in)
		}
		r := w.run(t, 1+rng.IntN(4))
		if who := sound.innocent(r); who != "" {
			t.Errorf("seed %d: %s is innocent\n%+v\n%s", seed, who, r, w)
		}
		switch {
		case r.Finding == Found && sound.fails(sound.in(off(r))):
			t.Errorf("seed %d: not healed\n%+v\n%s", seed, r, w)
		case r.Finding == Found:
			found++
		case r.Finding != Undecided || r.Explanation == "":
			t.Errorf("seed %d: %+v", seed, r)
		}
	}
	if found < count*7/10 {
		t.Errorf("found %d of %d", found, count)
	}
	t.Logf("found %d of %d", found, count)
}
