package bisect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Weights are kept between these, so that no evidence outweighs all that follows.
const (
	leastWeight = 1e-6
	mostWeight  = 1e6
)

// graph is what the components require of each other. Its nodes are units:
// components that require each other in a circle can only be let in together, so
// they are one unit, named after its heaviest member.
type graph struct {
	members [][]string // of each unit, its name first
	weight  []float64
	unit    map[string]int
	up      []set // a unit with all that it requires
	down    []set // a unit with all that require it
	all     set
	rank    []int // of a unit's name in the caller's order
}

func newGraph(components []Component) (*graph, error) {
	index := make(map[string]int, len(components))
	for i, c := range components {
		if _, ok := index[c.ID]; ok {
			return nil, fmt.Errorf("component %q is listed twice", c.ID)
		}
		index[c.ID] = i
	}
	reach := reachable(components, index)
	g := &graph{unit: map[string]int{}}
	unitOf := make([]int, len(components))
	for i := range components {
		var circle []int
		for j := range components {
			if i == j || reach[i].has(j) && reach[j].has(i) {
				circle = append(circle, j)
			}
		}
		if circle[0] < i {
			unitOf[i] = unitOf[circle[0]]
			continue
		}
		unitOf[i] = len(g.members)
		g.add(components, circle)
	}
	for i, c := range components {
		g.unit[c.ID] = unitOf[i]
	}
	g.close(reach, unitOf)
	return g, nil
}

// reachable lists for each component what it requires, at any distance.
func reachable(components []Component, index map[string]int) []set {
	reach := make([]set, len(components))
	for i := range components {
		reach[i] = newSet(len(components))
		for _, id := range components[i].Requires {
			if j, ok := index[id]; ok {
				reach[i] = reach[i].with(j)
			}
		}
	}
	for k := range components {
		for i := range components {
			if reach[i].has(k) {
				reach[i] = reach[i].union(reach[k])
			}
		}
	}
	return reach
}

func (g *graph) add(components []Component, circle []int) {
	slices.SortStableFunc(circle, func(a, b int) int {
		return cmp.Compare(sane(components[b].Weight), sane(components[a].Weight))
	})
	var members []string
	for _, i := range circle {
		members = append(members, components[i].ID)
	}
	g.members = append(g.members, members)
	g.weight = append(g.weight, sane(components[circle[0]].Weight))
	g.rank = append(g.rank, circle[0])
}

func (g *graph) close(reach []set, unitOf []int) {
	n := len(g.members)
	g.all = newSet(n)
	for u := range n {
		g.all = g.all.with(u)
		g.up = append(g.up, newSet(n).with(u))
		g.down = append(g.down, newSet(n).with(u))
	}
	for i := range reach {
		for _, j := range reach[i].items() {
			a, b := unitOf[i], unitOf[j]
			g.up[a] = g.up[a].with(b)
			g.down[b] = g.down[b].with(a)
		}
	}
}

// sane maps any number to a usable weight; nonsense counts as nothing known.
func sane(w float64) float64 {
	if math.IsNaN(w) || w <= 0 {
		return 1
	}
	return min(max(w, leastWeight), mostWeight)
}

// accuse raises the weight of a unit by a factor.
func (g *graph) accuse(u int, factor float64) {
	g.weight[u] = min(g.weight[u]*factor, mostWeight)
}

// order lists a set so that each unit comes after what it requires and otherwise
// the lightest first: any prefix can be let in, and the most suspect come last.
func (g *graph) order(of set) []int {
	waiting := of.items()
	slices.SortStableFunc(waiting, func(a, b int) int {
		return cmp.Or(cmp.Compare(g.weight[a], g.weight[b]), cmp.Compare(g.rank[a], g.rank[b]))
	})
	left := append(set{}, of...)
	list := make([]int, 0, len(waiting))
	for len(waiting) > 0 {
		at := slices.IndexFunc(waiting, func(u int) bool { return g.up[u].intersect(left).len() == 1 })
		u := waiting[at]
		waiting = slices.Delete(waiting, at, at+1)
		left[u/64] &^= 1 << (u % 64)
		list = append(list, u)
	}
	return list
}

// total is the weight of a list of units.
func (g *graph) total(units []int) float64 {
	t := 0.0
	for _, u := range units {
		t += g.weight[u]
	}
	return t
}

// without is everything but some units and what requires them.
func (g *graph) without(off set) set {
	in := g.all
	for _, u := range off.items() {
		in = in.minus(g.down[u])
	}
	return in
}

// ids lists the components of a set, sorted.
func (g *graph) ids(of set) []string {
	return g.named(of.items())
}

// named lists the components of some units, sorted.
func (g *graph) named(units []int) []string {
	list := []string{}
	for _, u := range units {
		list = append(list, g.members[u]...)
	}
	slices.Sort(list)
	return list
}

// name is how people know a unit.
func (g *graph) name(u int) string { return g.members[u][0] }

// describe says in words what is let in.
func (g *graph) describe(in set) string {
	off := g.all.minus(in)
	switch {
	case off.empty():
		return "nothing masked"
	case in.empty():
		return "all masked"
	case off.len() <= 2:
		return "only " + g.words(off) + " masked"
	case in.len() <= 3:
		return "only " + g.words(in) + " let in"
	}
	return fmt.Sprintf("%d of %d let in", in.len(), g.all.len())
}

// words names a set for people, shortly.
func (g *graph) words(of set) string {
	ids := g.ids(of)
	if len(ids) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:3], ", "), len(ids)-3)
	}
	return strings.Join(ids, ", ")
}
