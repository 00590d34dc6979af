package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// patience is how long a visitor waits for a page.
const patience = 10 * time.Second

// visitors come at a steady rate, whatever happens to those before them.
type visitors struct {
	stage *stage
	fault string
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu    sync.Mutex
	count tally
}

// tally is what became of the visitors of one run.
type tally struct {
	All     int `json:"all"`
	Fault   int `json:"fault"`   // failed as the fault has it, before it was mended
	Failed  int `json:"failed"`  // failed in another way: the search's doing
	Lacking int `json:"lacking"` // got a page that lacks an innocent plugin
}

// harmed are the visitors that the search itself has hurt.
func (t tally) harmed() int { return t.Failed + t.Lacking }

func (s *stage) invite(ctx context.Context, fault string, rate int) *visitors {
	coming, stop := context.WithCancel(ctx)
	v := &visitors{stage: s, fault: fault, stop: stop}
	if rate == 0 {
		return v
	}
	v.wg.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for {
			select {
			case <-coming.Done():
				return
			case <-tick.C:
				v.wg.Go(func() { v.note(s.visit(ctx, patience)) })
			}
		}
	})
	return v
}

func (v *visitors) note(p page) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count.All++
	switch {
	case p.well():
		if len(p.lacks(v.stage.innocent(v.fault))) > 0 {
			v.count.Lacking++
		}
	case slices.Contains(symptoms(v.fault), p.status):
		v.count.Fault++
	default:
		v.count.Failed++
	}
}

// leave lets nobody else come, waits for those who are there and counts.
func (v *visitors) leave() tally {
	v.stop()
	v.wg.Wait()
	return v.count
}
