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

func nobody(string, time.Time) bool { return false }

func places(s *Schedule) map[string]time.Time {
	all := map[string]time.Time{}
	for _, t := range s.queue {
		all[t.id] = t.at
	}
	return all
}

// run takes every moment of so many tenths of a second and counts who is due.
func (s *Schedule) run(from time.Time, tenths int, well func(string, time.Time) bool) (seen map[string][]time.Time, busiest int) {
	seen = map[string][]time.Time{}
	second := 0
	for tick := range tenths {
		if tick%10 == 0 {
			second = 0
		}
		now := from.Add(time.Duration(tick+1) * 100 * time.Millisecond)
		due := s.Due(now, well)
		second += len(due)
		busiest = max(busiest, second)
		for _, id := range due {
			seen[id] = append(seen[id], now)
		}
	}
	return seen, busiest
}

// However many sites there are, there are no more probes a second than are allowed,
// and every site has its turn within the bound; while the host is short of processors,
// within four times as long.
func TestRate(t *testing.T) {
	t.Parallel()
	for _, strained := range []bool{false, true} {
		s := NewSchedule(10*time.Second, 5)
		s.Set(ids(300), noon)
		s.Strain(strained)
		bound, most := s.Round(), 5
		if bound != time.Minute || s.Slowest() != 4*time.Minute {
			t.Fatalf("the round takes %s, %s under load", bound, s.Slowest())
		}
		if strained {
			bound, most = s.Slowest(), 2
		}
		seen, busiest := s.run(noon, 10*60*20, nobody)
		if busiest > most+1 { // one may come late
			t.Errorf("strained %v: %d probes in a second", strained, busiest)
		}
		for _, id := range ids(300) {
			last := noon
			for _, at := range append(seen[id], noon.Add(20*time.Minute)) {
				if wait := at.Sub(last); wait > 2*bound {
					t.Errorf("strained %v: %s waited %s, more than twice %s", strained, id, wait, bound)
				}
				last = at
			}
		}
	}
}

// A site whose visitors are well is probed in one of six rounds, and the others no later.
func TestVisitorsSpareProbes(t *testing.T) {
	t.Parallel()
	s := NewSchedule(10*time.Second, 1000)
	s.Set(ids(20), noon)
	visited := func(id string, since time.Time) bool { return id == "site-3" }
	seen, _ := s.run(noon, 10*120, visited)
	if n := len(seen["site-3"]); n != 2 {
		t.Errorf("probed %d times in 120 s, want 2", n)
	}
	if n := len(seen["site-4"]); n != 12 {
		t.Errorf("its neighbour was probed %d times in 120 s, want 12", n)
	}
}

// With fewer sites the rounds are shorter at once.
func TestFewerSites(t *testing.T) {
	t.Parallel()
	s := NewSchedule(10*time.Second, 1)
	s.Set(ids(1000), noon)
	s.Set(ids(5), noon)
	if next, _ := s.Next(); next.Sub(noon) > 10*time.Second {
		t.Errorf("the first of five is due in %s", next.Sub(noon))
	}
}

func TestEverySiteOnceARound(t *testing.T) {
	t.Parallel()
	s := NewSchedule(10*time.Second, 1000)
	s.Set(ids(500), noon)
	seen := map[string]int{}
	busiest := 0
	for tick := range 30 * 10 {
		due := s.Due(noon.Add(time.Duration(tick+1)*100*time.Millisecond), nobody)
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
	s := NewSchedule(10*time.Second, 1000)
	s.Set(ids(20), noon)
	before := places(s)
	s.Set(append(ids(10), "new"), noon.Add(3*time.Second))
	after := places(s)
	for _, id := range ids(10) {
		if !after[id].Equal(before[id]) {
			t.Errorf("%s moved from %s to %s", id, before[id], after[id])
		}
	}
	if len(after) != 11 {
		t.Errorf("%d sites are scheduled, want 11", len(after))
	}
}

func TestAfterASleepDueOnce(t *testing.T) {
	t.Parallel()
	s := NewSchedule(10*time.Second, 1000)
	s.Set([]string{"a"}, noon)
	later := noon.Add(time.Hour)
	if got := s.Due(later, nobody); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("due: %v", got)
	}
	if got := s.Due(later, nobody); len(got) != 0 {
		t.Errorf("due again at the same moment: %v", got)
	}
	if next, ok := s.Next(); !ok || !next.After(later) || next.Sub(later) > 10*time.Second {
		t.Errorf("next at %s, %v", next, ok)
	}
}

func TestNoSite(t *testing.T) {
	t.Parallel()
	if _, ok := NewSchedule(time.Second, 1).Next(); ok {
		t.Error("an empty schedule has no next probe")
	}
}
