package bisect

import "math"

// strong is the share of the weight from which evidence may be tried at the risk of
// one question more than Bound: trying costs one, finding it right saves about log₂ n.
const strong = 0.3

// cut says where to split a list of units in the order in which they are let in: a
// number of units to let in, 1 to len-1. It halves the weight, but leaves no more on
// either side than the questions left can tell apart, so that no evidence, however
// forged, makes the search longer than its budget.
func (g *graph) cut(order []int, budget int) int {
	n := len(order)
	most := n - 1
	if b := max(budget-1, 0); b < 30 {
		most = min(most, 1<<b)
	}
	low, high := max(1, n-most), max(1, most)
	if low > high {
		low, high = n/2, n/2
	}
	half, sum := g.total(order)/2, 0.0
	best, off := low, math.Inf(1)
	for at := 1; at <= high; at++ {
		sum += g.weight[order[at-1]]
		if at < low {
			continue
		}
		miss, closer := math.Abs(sum-half), abs(2*at-n) < abs(2*best-n)
		if miss < off-1e-9*half || miss < off+1e-9*half && closer {
			best, off = at, miss
		}
	}
	return best
}

// within reports whether n units can be told apart in so many questions.
func within(n, budget int) bool { return budget > 30 || budget >= 0 && n <= 1<<budget }

// suspect finds the one unit at which evidence points by at least a share of the
// weight: its place in the order, after which come only it and what requires it.
func (g *graph) suspect(order []int, share float64) (at int, ok bool) {
	for i, u := range order {
		if g.weight[u] > g.weight[order[at]] {
			at = i
		}
	}
	if at == 0 {
		return 0, false
	}
	w, all := g.weight[order[at]], g.total(order)
	others := (all - w) / float64(len(order)-1)
	return at, w >= share*all && w >= 3*others
}

// spread cuts a list into k+1 parts of like size, or k parts and one more cut where
// evidence points: the places for k questions side by side.
func (g *graph) spread(order []int, k int) []int {
	n, parts := len(order), k+1
	at, ok := g.suspect(order, strong)
	if ok {
		parts = k
	}
	var cuts []int
	for i := 1; i < parts; i++ {
		// Rounded up at the far end, so that no part exceeds ⌈n/parts⌉.
		if c := (i*n + parts - 1) / parts; c < n && (len(cuts) == 0 || cuts[len(cuts)-1] < c) {
			cuts = append(cuts, c)
		}
	}
	if ok {
		cuts = insert(cuts, at)
	}
	return cuts
}

// insert puts a number into an ascending list that has it once.
func insert(list []int, x int) []int {
	var out []int
	for _, y := range list {
		if y > x && (len(out) == 0 || out[len(out)-1] < x) {
			out = append(out, x)
		}
		out = append(out, y)
	}
	if len(out) == 0 || out[len(out)-1] < x {
		out = append(out, x)
	}
	return out
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}
