package bisect

import "math/bits"

// Bound is the most distinct questions that finding d culprits among n components
// takes when equal questions get equal answers and letting more in never heals:
// 2 + d·(⌈log₂ n⌉ + 1). It covers the baselines and the growing, whatever the
// weights and blames. Result counts apart what comes on top:
//
//   - Acquittals: d − 1 ("is it needed?"; for the last culprit it was asked already)
//   - Memberships: one a culprit that fails alone; for a conflict with p partners at
//     most p·(⌈log₂ n⌉ + 2) more, and three that look for other conflicts
//   - Cleared: only with evidence that was wrong or told of one culprit among several:
//     at most one, and one more for each new failure that masking a suspect uncovered
//   - Detours: only around unresolved answers
//
// So d culprits that fail alone take at most Bound + 2d − 1 questions without evidence:
// 9 for one among 30. No search that ends with both "healthy without it" and "fails
// alone" does better in the worst case.
//
// After a hang, more than one question may be asked a round; see [SlowRounds].
func Bound(n, d int) int {
	if n < 1 {
		return 1
	}
	return 2 + d*(log2(n)+1)
}

// SlowRounds is the most rounds that growing to d culprits among n components takes
// when every failing answer is slow and k questions may be asked side by side:
// 1 + d·(1 + the number of times n can be split into k parts). Each round costs up to k
// questions then, instead of Bound's one: they are bought to wait less often.
func SlowRounds(n, d, k int) int {
	if k < 2 {
		return Bound(n, d)
	}
	rounds := 0
	for m := n; m > 1; m = (m + k - 1) / k {
		rounds++
	}
	return 1 + d*(rounds+1)
}

// log2 is ⌈log₂ n⌉ for n ≥ 1.
func log2(n int) int { return bits.Len(uint(n - 1)) }
