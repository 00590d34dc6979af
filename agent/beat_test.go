package agent

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A slot that moves is enough; only when all are held by what does not move nothing goes on.
func TestSlotsStanding(t *testing.T) {
	t.Parallel()
	s := newSlots(2, time.Minute)
	now, later := time.Now(), time.Now().Add(2*time.Minute)
	first, ok := s.take(context.Background())
	if !ok || s.standing(later) {
		t.Errorf("taken %v, standing %v: one slot of two is free", ok, s.standing(later))
	}
	second, ok := s.try()
	if !ok || s.standing(now) || !s.standing(later) {
		t.Errorf("taken %v, standing now %v, later %v: want true, false, true", ok, s.standing(now), s.standing(later))
	}
	if _, ok := s.try(); ok {
		t.Error("a third slot of two")
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok := s.take(ended); ok {
		t.Error("a slot after the end")
	}
	first()
	if s.standing(later) {
		t.Error("a slot has become free, and all stand still")
	}
	third, ok := s.try()
	if !ok {
		t.Fatal("what was released cannot be taken")
	}
	second()
	third()
	if len(s.since) != 0 || len(s.free) != 0 {
		t.Errorf("%d holders, %d slots in use after the last was released", len(s.since), len(s.free))
	}
}

// The watchdog hears of a loop that turns, not too often, and of none whose work stands still.
func TestBeat(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	beats := 0
	w := &watching{agent: &Agent{core: &core{log: slog.New(slog.NewTextHandler(&said, nil))}}, options: RunOptions{Beat: func() { beats++ }, BeatEvery: time.Second},
		probes: newSlots(1, probeStands), visits: newSlots(1, probeStands), incidents: newSlots(1, incidentStands)}
	now := time.Now()
	turn := func(after time.Duration, want int) {
		t.Helper()
		now = now.Add(after)
		if w.beat(now); beats != want {
			t.Errorf("%d beats, want %d", beats, want)
		}
	}
	turn(0, 1)
	turn(time.Millisecond, 1)
	turn(time.Second, 2)
	w.began = now
	turn(discoveryBound, 3)
	turn(2*discoveryBound, 3)
	turn(time.Second, 3)
	if n := strings.Count(said.String(), "stands still"); n != 1 || !strings.Contains(said.String(), "the discovery") {
		t.Errorf("said %d times that the discovery stands still:\n%s", n, said.String())
	}
	w.began = time.Time{}
	turn(time.Second, 4)
	for _, s := range []*slots{w.probes, w.visits, w.incidents} {
		release, _ := s.try()
		turn(time.Second, beats+1)
		before := now
		turn(2*s.stands, beats)
		release()
		now = before
		w.beaten = before
		turn(time.Second, beats+1)
	}
}
