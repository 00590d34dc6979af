package bisect

import "math/bits"

// set holds units by their index. Sets are values: no operation changes its operands.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (a set) has(i int) bool { return a[i/64]&(1<<(i%64)) != 0 }

func (a set) with(i int) set {
	b := append(set{}, a...)
	b[i/64] |= 1 << (i % 64)
	return b
}

func (a set) union(b set) set {
	c := append(set{}, a...)
	for i := range b {
		c[i] |= b[i]
	}
	return c
}

func (a set) minus(b set) set {
	c := append(set{}, a...)
	for i := range b {
		c[i] &^= b[i]
	}
	return c
}

func (a set) intersect(b set) set {
	c := append(set{}, a...)
	for i := range b {
		c[i] &= b[i]
	}
	return c
}

func (a set) within(b set) bool { return a.minus(b).empty() }

func (a set) empty() bool { return a.len() == 0 }

func (a set) equal(b set) bool { return a.within(b) && b.within(a) }

func (a set) len() int {
	n := 0
	for _, w := range a {
		n += bits.OnesCount64(w)
	}
	return n
}

// items lists the members in ascending order.
func (a set) items() []int {
	list := make([]int, 0, a.len())
	for i, w := range a {
		for ; w != 0; w &= w - 1 {
			list = append(list, i*64+bits.TrailingZeros64(w))
		}
	}
	return list
}

// key makes a set usable as a map key.
func (a set) key() string {
	b := make([]byte, 0, 8*len(a))
	for _, w := range a {
		for range 8 {
			b = append(b, byte(w))
			w >>= 8
		}
	}
	return string(b)
}
