package feed

import (
	"slices"
	"testing"
)

func ids(events []Event) (list []uint64) {
	for _, e := range events {
		list = append(list, e.ID)
	}
	return list
}

func TestListenersThatComeBackMissNothing(t *testing.T) {
	t.Parallel()
	f := New(4)
	for range 6 {
		f.Publish(Event{Kind: Doing})
	}
	for _, c := range []struct {
		after  uint64
		missed []uint64
		gap    bool
	}{
		{0, nil, false},
		{6, nil, false},
		{4, []uint64{5, 6}, false},
		{2, []uint64{3, 4, 5, 6}, false},
		{1, []uint64{3, 4, 5, 6}, true},
		{9, nil, true}, // of an earlier start
	} {
		l, missed, gap := f.Listen(c.after, 1)
		if !slices.Equal(ids(missed), c.missed) || gap != c.gap {
			t.Errorf("after %d: missed %v, gap %v; want %v, %v", c.after, ids(missed), gap, c.missed, c.gap)
		}
		l.Close()
		l.Close()
	}
	if n := f.Listeners(); n != 0 {
		t.Errorf("%d listeners are left", n)
	}
}

func TestSlowListenersAreDroppedAndNobodyWaits(t *testing.T) {
	t.Parallel()
	f := New(0)
	slow, _, _ := f.Listen(0, 2)
	quick, _, _ := f.Listen(0, 8)
	for range 5 {
		f.Publish(Event{Kind: Doing})
	}
	quick.Close()
	var got, had []Event
	for e := range slow.Events() {
		got = append(got, e)
	}
	for e := range quick.Events() {
		had = append(had, e)
	}
	if len(got) != 2 || len(had) != 5 {
		t.Errorf("the slow one got %v, the quick one %v", ids(got), ids(had))
	}
}

func FuzzListen(f *testing.F) {
	f.Add(uint8(4), uint8(9), uint64(3))
	f.Fuzz(func(t *testing.T, keep, published uint8, after uint64) {
		feed := New(int(keep))
		for range published {
			feed.Publish(Event{})
		}
		_, missed, gap := feed.Listen(after, 1)
		for i, e := range missed {
			if e.ID <= after || i > 0 && e.ID != missed[i-1].ID+1 {
				t.Fatalf("after %d came %v", after, ids(missed))
			}
		}
		whole := after == 0 || after <= uint64(published) && uint64(published)-after == uint64(len(missed))
		if whole == gap {
			t.Fatalf("after %d of %d with %d kept: missed %v, gap %v", after, published, keep, ids(missed), gap)
		}
	})
}
