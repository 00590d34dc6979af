package watch

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func ids(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("site-%d", i))
	}
	return list
}

func TestEverySiteOnceARound(t *testing.T) {
	t.Parallel()
	s := NewSchedule(10 * time.Second)
	s.Set(ids(500), noon)
	seen := map[string]int{}
	busiest := 0
	for tick := range 30 * 10 {
		due := s.Due(noon.Add(time.Duration(tick+1) * 100 * time.Millisecond))
		busiest = max(busiest, len(due))
		for _, id := range due {
			seen[id]++
		}
	}
	for _, id := range ids(500) {
		if seen[id] != 3 {
			t.Errorf("%s was due %d times in three rounds", id, seen[id])
		}
	}
	if busiest > 25 {
		t.Errorf("%d of 500 sites fell into one hundredth of a round", busiest)
	}
}

func TestDiscoveryKeepsPlaces(t *testing.T) {
	t.Parallel()
	s := NewSchedule(10 * time.Second)
	s.Set(ids(20), noon)
	before := map[string]time.Time{}
	for id, at := range s.due {
		before[id] = at
	}
	s.Set(append(ids(10), "new"), noon.Add(3*time.Second))
	for _, id := range ids(10) {
		if !s.due[id].Equal(before[id]) {
			t.Errorf("%s moved from %s to %s", id, before[id], s.due[id])
		}
	}
	if len(s.due) != 11 {
		t.Errorf("%d sites are scheduled, want 11", len(s.due))
	}
}

func TestAfterASleepDueOnce(t *testing.T) {
	t.Parallel()
	s := NewSchedule(10 * time.Second)
	s.Set([]string{"a"}, noon)
	later := noon.Add(time.Hour)
	if got := s.Due(later); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("due: %v", got)
	}
	if got := s.Due(later); len(got) != 0 {
		t.Errorf("due again at the same moment: %v", got)
	}
	if next, ok := s.Next(); !ok || !next.After(later) || next.Sub(later) > 10*time.Second {
		t.Errorf("next at %s, %v", next, ok)
	}
}

func TestNoSite(t *testing.T) {
	t.Parallel()
	if _, ok := NewSchedule(time.Second).Next(); ok {
		t.Error("an empty schedule has no next probe")
	}
}
