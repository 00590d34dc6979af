package bisect

import (
	"context"
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

func TestExplain(t *testing.T) {
	t.Parallel()
	one := &world{components: plain(30), causes: [][]int{{17}}}
	hang := &world{components: plain(30), causes: [][]int{{17}}, slow: true}
	pair := &world{components: plain(12), causes: [][]int{{3, 8}}}
	two := &world{components: plain(12), causes: [][]int{{3}, {8}}}
	two.components[5].Requires = []string{id(3)}
	warm := &world{components: plain(6), causes: [][]int{{2}}}
	warming(warm, 1, true)
	for name, c := range map[string][]string{
		"one":  one.explained(t, Search{Workers: 1}),
		"hang": hang.explained(t, Search{Workers: 4}),
		"pair": pair.explained(t, Search{Workers: 1}),
		"two":  two.explained(t, Search{Workers: 2}),
		"warm": warm.explained(t, Search{Workers: 1}),
	} {
		t.Logf("%s\n%s", name, strings.Join(c, "\n"))
	}
}
