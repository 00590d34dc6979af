package shadow

import (
	"sync"
	"time"

	"wpmend/php/fpm"
)

const (
	// stillFor is how long a worker must have read and written nothing to be said to
	// stand still. Compiling, which a cold page does for seconds, reads one file
	// after the other.
	stillFor = 300 * time.Millisecond
	// idleCPU and busyCPU: a worker that stands still either waits, or has computed
	// for so long without reading anything. In between it may have lacked a processor.
	idleCPU = 20 * time.Millisecond
	busyCPU = 250 * time.Millisecond
	// maxFaults is how many new pages may be touched meanwhile: compiling takes
	// memory, and before PHP 7.4 it maps the files that it reads.
	maxFaults = 32
)

// pulse watches the workers of a copy.
type pulse struct {
	mu      sync.Mutex
	at      time.Time
	workers map[int]*beat
}

// beat is a worker as it was when it last did something, and as it is.
type beat struct {
	since     time.Time
	then, now fpm.Activity
}

// feel takes a look at the workers, unless one was taken just before.
func (p *pulse) feel(v *fpm.Private) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.at) < look/2 {
		return
	}
	// What cannot be read is not known to stand still.
	all, err := v.Activity()
	if err != nil {
		all = nil
	}
	p.note(now, all)
}

func (p *pulse) note(now time.Time, all []fpm.Activity) {
	p.at = now
	workers := make(map[int]*beat, len(all))
	for _, a := range all {
		b, ok := p.workers[a.PID]
		if !ok || a.Bytes != b.then.Bytes || a.Faults > b.then.Faults+maxFaults {
			b = &beat{since: now, then: a}
		}
		b.now = a
		workers[a.PID] = b
	}
	p.workers = workers
}

// still says whether a worker stands still.
func (p *pulse) still(pid int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.workers[pid]
	if !ok || p.at.Sub(b.since) < stillFor {
		return false
	}
	cpu := b.now.CPU - b.then.CPU
	return b.now.Waiting && cpu <= idleCPU || cpu >= busyCPU
}

// quiet says whether no worker has done anything for a while.
func (p *pulse) quiet(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.workers {
		if p.at.Sub(b.since) < d {
			return false
		}
	}
	return len(p.workers) > 0
}
