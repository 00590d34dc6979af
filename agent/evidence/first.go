package evidence

import (
	"errors"
	"slices"
	"sync"
	"time"

	"wpmend/agent/site"
	"wpmend/wp"
)

const (
	// lookBack is how far back the beginning of a trouble is looked for.
	lookBack = 7 * 24 * time.Hour
	// calm without a failure, while others were served well, parts two troubles.
	calm = time.Hour
	// maxVisits bounds the visits remembered for it.
	maxVisits = 100_000
)

// once is what one incident needs to find out a single time, however often its
// evidence is gathered.
type once struct {
	sync.Once
	first time.Time
	core  []wp.CoreFault
	err   error

	slow, walk slowSensors
}

func (o *once) look(s site.Site, now time.Time) {
	var err error
	o.first, err = firstFailure(s, now)
	t, openErr := wp.OpenTree(s.Root, s.Owner)
	if openErr != nil {
		o.err = errors.Join(err, openErr)
		return
	}
	defer t.Close()
	var coreErr error
	o.core, coreErr = wp.CoreCheck(t, s.Core)
	o.err = errors.Join(err, coreErr)
}

// firstFailure is when the trouble that is on at a moment began; zero where the
// logs tell nothing of it.
func firstFailure(s site.Site, now time.Time) (time.Time, error) {
	var failed, well []time.Time
	err := visits(s, now.Add(-lookBack), func(v visit) {
		switch {
		case v.at.After(now) || len(failed)+len(well) == maxVisits:
		case v.failed() && !v.empty:
			failed = append(failed, v.at)
		case v.status >= 200 && v.status < 400 && !v.empty:
			well = append(well, v.at)
		}
	})
	return beginning(failed, well), err
}

// beginning goes back from the last failure to the first of the same trouble.
func beginning(failed, well []time.Time) time.Time {
	if len(failed) == 0 {
		return time.Time{}
	}
	slices.SortFunc(failed, time.Time.Compare)
	slices.SortFunc(well, time.Time.Compare)
	i := len(failed) - 1
	for ; i > 0 && (failed[i].Sub(failed[i-1]) <= calm || !between(well, failed[i-1], failed[i])); i-- {
	}
	return failed[i]
}

// between reports whether any of the sorted times lies between two others.
func between(sorted []time.Time, after, before time.Time) bool {
	i, _ := slices.BinarySearchFunc(sorted, after, time.Time.Compare)
	for ; i < len(sorted) && sorted[i].Equal(after); i++ {
	}
	return i < len(sorted) && sorted[i].Before(before)
}
