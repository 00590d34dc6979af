package policy

import "time"

// The pauses between two attempts at a failure that could not be mended.
const (
	ShortestRest = time.Minute
	LongestRest  = time.Hour
)

// Rest is how long a failure is left alone after an attempt at now, if it was first
// escalated at since: as long as it has lasted, so that the pauses double. A pause is
// never shorter than [ShortestRest], nor longer than [LongestRest].
func Rest(since, now time.Time) time.Duration {
	return min(max(now.Sub(since), ShortestRest), LongestRest)
}

// Resume is when the attempts go on after a restart at now, of which only since is known:
// the next time at which one would have been made without it.
func Resume(since, now time.Time) time.Time {
	next := since.Add(ShortestRest)
	for !next.After(now) {
		pause := next.Sub(since)
		if pause >= LongestRest {
			return next.Add(LongestRest * (1 + now.Sub(next)/LongestRest))
		}
		next = next.Add(pause)
	}
	if latest := now.Add(LongestRest); next.After(latest) {
		return latest // since lies in the future: the clock was set back
	}
	return next
}
