package shadow

import (
	"sync"
	"time"

	"wpmend/php/fpm"
)

// stance is what a worker has been doing of late, as far as the kernel shows it.
type stance int

const (
	works  stance = iota // or nothing is known
	loops                // it reads or writes, but touches no new memory
	stands               // it waits, or computes without reading anything
)

// Compiling, which a cold page does for seconds, reads one file after the other and
// puts each into memory that was not touched before.
const (
	// stillFor is how long a worker must have read and written nothing to stand.
	stillFor = 300 * time.Millisecond
	// idleCPU and busyCPU: one that stands either waits, or has computed for so long.
	// In between it may have lacked a processor.
	idleCPU = 20 * time.Millisecond
	busyCPU = 250 * time.Millisecond
	// loopFor is how long a worker must have touched no new memory to loop.
	loopFor = time.Second
	// maxFaults is how many pages may be new all the same.
	maxFaults = 32
)

// pulse watches the workers of a copy.
type pulse struct {
	mu      sync.Mutex
	at      time.Time
	workers map[int]beat
}

// beat is a worker as it is, and since when it has not gone on.
type beat struct {
	now        fpm.Activity
	still      fpm.Activity // when it last did anything
	stillSince time.Time
	flat       fpm.Activity // when it last touched new memory
	flatSince  time.Time
}

// feel takes a look at the workers, unless one was taken just before.
func (p *pulse) feel(v *fpm.Private) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.at) < look/2 {
		return
	}
	// What cannot be read is not known to stand.
	all, err := v.Activity()
	if err != nil {
		all = nil
	}
	p.note(now, all)
}

func (p *pulse) note(now time.Time, all []fpm.Activity) {
	p.at = now
	workers := make(map[int]beat, len(all))
	for _, a := range all {
		b, ok := p.workers[a.PID]
		if !ok || a.Faults > b.flat.Faults+maxFaults {
			b.flat, b.flatSince = a, now
		}
		if !ok || a.Bytes != b.still.Bytes || a.Faults > b.still.Faults+maxFaults {
			b.still, b.stillSince = a, now
		}
		b.now = a
		workers[a.PID] = b
	}
	p.workers = workers
}

// of says what a worker has been doing, and since when.
func (p *pulse) of(pid int) (stance, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.workers[pid]
	if !ok {
		return works, time.Time{}
	}
	if p.at.Sub(b.stillSince) >= stillFor {
		cpu := b.now.CPU - b.still.CPU
		if b.now.Waiting && cpu <= idleCPU || cpu >= busyCPU {
			return stands, b.stillSince
		}
	}
	if p.at.Sub(b.flatSince) >= loopFor {
		return loops, b.flatSince
	}
	return works, time.Time{}
}

// active counts the workers that have done something of late.
func (p *pulse) active(of time.Duration) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, b := range p.workers {
		if p.at.Sub(b.stillSince) < of {
			n++
		}
	}
	return n
}
