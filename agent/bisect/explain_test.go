package bisect

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func (w *world) explained(t *testing.T, s Search) []string {
	t.Helper()
	var events []Event
	w.asked, w.workers = map[string]int{}, s.Workers
	s.Components, s.Progress = w.components, func(e Event) { events = append(events, e) }
	r, err := Run(context.Background(), s, w.ask)
	if err != nil {
		t.Fatal(err)
	}
	return Explain(events, r)
}

func told(t *testing.T, what string, got []string, want string) {
	t.Helper()
	if text := strings.Join(got, "\n"); text != strings.Trim(want, "\n") {
		t.Errorf("%s:\n%s", what, text)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	traced := &world{components: plain(30), causes: [][]int{{17}}}
	traced.components[17].Weight = 300
	told(t, "one, with evidence", traced.explained(t, Search{Workers: 4}), `
1. With everything masked the site is healthy, so a component is at fault.
2. With nothing masked the site fails (2 times of 2): cause 0; that is the failure to be explained.
3. With only plugin:p017 masked the site is healthy (2 times of 2).
4. With only plugin:p017 let in the site fails: cause 0; plugin:p017 is set aside as a candidate; nobody else is suspect.
5. plugin:p017 is at fault by itself: with it masked the site was healthy (2 times of 2), with it let in the site failed (2 times of 2: cause 0).
6. The odds that every verdict on which this rests is right are 99.73 %.
7. It took 4 questions and 2 repeats in 3 rounds.
`)

	two := &world{components: plain(12), causes: [][]int{{3}, {8}}}
	two.components[5].Requires = []string{id(3)}
	told(t, "two and a dependant", two.explained(t, Search{Workers: 1}), `
1. With nothing masked the site fails: cause 0; that is the failure to be explained.
2. With everything masked the site is healthy, so a component is at fault.
3. With 6 of 12 let in the site fails: cause 0; 6 suspects are left.
4. With only plugin:p000, plugin:p001 and plugin:p002 let in the site is healthy; that leaves plugin:p003, plugin:p004 and plugin:p005.
5. With 4 of 12 let in the site fails: cause 0; that leaves plugin:p003.
6. With only plugin:p003 and plugin:p005 masked the site fails: cause 1; plugin:p003 is set aside as a candidate.
7. With 6 of 12 let in the site is healthy; 4 suspects are left.
8. With 8 of 12 let in the site fails: cause 1; that leaves plugin:p008 and plugin:p009.
9. With only plugin:p009 let in the site is healthy.
10. With only plugin:p008 let in the site fails: cause 1; that leaves plugin:p008.
11. With only plugin:p003, plugin:p005 and plugin:p008 masked the site is healthy; plugin:p008 is set aside as a candidate; nobody else is suspect.
12. With only plugin:p005 and plugin:p008 masked the site fails: cause 0.
13. With only plugin:p003 let in the site fails: cause 0.
14. Asked again: with only plugin:p005 and plugin:p008 masked the site fails: cause 0.
15. Asked again: with only plugin:p003 and plugin:p005 masked the site fails: cause 1.
16. Asked again: with only plugin:p003, plugin:p005 and plugin:p008 masked the site is healthy.
17. plugin:p003 is at fault by itself: with it masked the site was healthy (2 times of 2), with it let in the site failed (2 times of 2: cause 0).
18. plugin:p005 cannot do without plugin:p003 and must be off with it.
19. plugin:p008 is at fault by itself: with it masked the site was healthy (2 times of 2), with it let in the site failed (2 times of 2: cause 1).
20. plugin:p008 failed in its way only while plugin:p003 was masked: it may merely need it.
21. The odds that every verdict on which this rests is right are 99.72 %.
22. It took 13 questions and 3 repeats in 16 rounds.
`)

	pair := &world{components: plain(4), causes: [][]int{{0, 2}}}
	told(t, "a conflict", pair.explained(t, Search{Workers: 1}), `
1. With nothing masked the site fails: cause 0; that is the failure to be explained.
2. With everything masked the site is healthy, so a component is at fault.
3. With only plugin:p002 and plugin:p003 masked the site is healthy; that leaves plugin:p002 and plugin:p003.
4. With only plugin:p000, plugin:p001 and plugin:p002 masked the site is healthy.
5. With only plugin:p000, plugin:p001 and plugin:p003 masked the site is healthy.
6. With only plugin:p003 masked the site fails: cause 0; that leaves plugin:p002.
7. With only plugin:p002 masked the site is healthy; plugin:p002 is set aside as a candidate; nobody else is suspect.
8. Asked again: with nothing masked the site fails: cause 0.
9. Asked again: with only plugin:p002 masked the site is healthy.
10. With only plugin:p001 and plugin:p003 masked the site fails: cause 0.
11. Asked again: with nothing masked the site fails: cause 0.
12. Asked again: with only plugin:p001 and plugin:p003 masked the site fails (2 times of 2): cause 0.
13. Asked again: with only plugin:p002 masked the site is healthy (2 times of 2).
14. With only plugin:p001, plugin:p002 and plugin:p003 masked the site is healthy (7 times of 7).
15. With only plugin:p000 masked the site is healthy.
16. plugin:p002 is at fault together with plugin:p000: with it masked the site was healthy (4 times of 4), with it let in the site failed (3 times of 3: cause 0).
17. The odds that every verdict on which this rests is right are 99.99 %.
18. It took 10 questions and 13 repeats in 23 rounds.
`)

	warm := &world{components: plain(6), causes: [][]int{{2}}}
	warming(warm, 1, true)
	told(t, "from the second request on", warm.explained(t, Search{Workers: 1}), `
1. With nothing masked the site failed 6 times of 7 (cause 0); that is the failure to be explained.
2. The first requests were healthy and later ones failed, so from here on a set counts as healthy only after 2 requests.
3. With everything masked the site is healthy (2 times of 2), so a component is at fault.
4. With only plugin:p003, plugin:p004 and plugin:p005 masked the site fails: cause 0; that leaves plugin:p000, plugin:p001 and plugin:p002.
5. With only plugin:p000 let in the site is healthy (2 times of 2); that leaves plugin:p001 and plugin:p002.
6. With only plugin:p002 let in the site fails: cause 0; that leaves plugin:p002.
7. With only plugin:p002 masked the site is healthy (4 times of 4); plugin:p002 is set aside as a candidate; nobody else is suspect.
8. plugin:p002 is at fault by itself: with it masked the site was healthy (4 times of 4), with it let in the site failed (6 times of 7: cause 0).
9. The odds that every verdict on which this rests is right are 99.74 %.
10. It took 6 questions and 11 repeats in 17 rounds.
`)

	well := &world{components: plain(3)}
	told(t, "nothing wrong", well.explained(t, Search{Workers: 1}), `
1. With nothing masked the site is healthy (6 times of 6).
2. With every component let in the site is healthy: none of them is at fault.
3. It took 1 question and 5 repeats in 6 rounds.
`)
	elsewhere := &world{components: plain(3), answer: func([]bool) Answer { return Answer{Verdict: Failing, Signature: "core"} }}
	told(t, "elsewhere", elsewhere.explained(t, Search{Workers: 1}), `
1. With nothing masked the site fails: core; that is the failure to be explained.
2. With everything masked the site fails (2 times of 2): core, so masking components does not heal it by itself.
3. Whatever is masked the site fails: the fault lies outside of these components.
4. It took 2 questions and 1 repeat in 3 rounds.
`)
	mute := &world{components: plain(3), answer: func([]bool) Answer { return Answer{} }}
	told(t, "no answer", mute.explained(t, Search{Workers: 1}), `
1. With nothing masked no answer could be judged (asked 3 times).
2. So the search could not decide and convicts nobody.
3. No answer could be judged with nothing masked (asked 3 times).
4. It took 1 question and 2 repeats in 3 rounds.
`)
	told(t, "nothing asked", Explain(nil, newResult()), `
1. So the search could not decide and convicts nobody.
2. It took 0 questions and 0 repeats in 0 rounds.
`)
}

// What comes and goes is said so, once, and takes few words however often it was asked.
func TestExplainNoise(t *testing.T) {
	t.Parallel()
	w := sample(60, []int{1}, 5, 0)
	w.rate, w.rng = 1.0/3, rand.New(rand.NewPCG(5, 99))
	lines := w.explained(t, Search{Workers: 4, Rate: 1.0 / 3})
	said := 0
	for _, line := range lines {
		if strings.Contains(line, "the failure comes and goes (about ") {
			said++
		}
	}
	if said != 1 || len(lines) > 40 {
		t.Errorf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

// A site's layers are several searches: their events come one after the other.
func TestExplainLayers(t *testing.T) {
	t.Parallel()
	var events []Event
	progress := func(e Event) { events = append(events, e) }
	first := &world{components: plain(4), answer: func([]bool) Answer { return Answer{Verdict: Failing, Signature: "db"} }, asked: map[string]int{}}
	if _, err := Run(context.Background(), Search{Components: first.components, Progress: progress}, first.ask); err != nil {
		t.Fatal(err)
	}
	second := &world{components: plain(2), causes: [][]int{{1}}, asked: map[string]int{}}
	r, err := Run(context.Background(), Search{Components: second.components, Progress: progress}, second.ask)
	if err != nil {
		t.Fatal(err)
	}
	lines := Explain(events, r)
	if !slices.Contains(lines, "3. Next, 2 other components are searched.") {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
}
