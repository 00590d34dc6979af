package evidence

import (
	"context"
	"slices"
	"strconv"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

const (
	// standstill is how long a busy worker must have stood still to count as stuck. Slow remote hosts and databases let a
	// healthy request wait for seconds; WordPress' own requests to others end after 5 s, or 10 s where updates are asked for.
	standstill = 10 * time.Second
	// idling is the processor time a second of a worker that only waits and looks at its watch meanwhile: curl wakes once
	// a second. Whoever reads what trickles in, or asks the database in a loop, uses more.
	idling = 100 * time.Microsecond
	// measured is of how many workers the memory is measured: it takes the kernel some hundred microseconds each.
	measured = 16
	// testTime bounds php-fpm -t.
	testTime = 2 * time.Second
)

// sighting is what the workers of a pool did at one moment.
type sighting struct {
	at      time.Time
	workers []fpm.Worker
}

// look notes what the site's pool is doing. An incident begins with one, so that what stands still can be told from
// what works when its evidence is gathered.
func look(s site.Site) sighting {
	if s.Pool.Name == "" {
		return sighting{}
	}
	m, up := running(s.Master)
	if !up {
		return sighting{}
	}
	workers, err := m.Workers(s.Pool.Name)
	if err != nil {
		return sighting{}
	}
	return sighting{time.Now(), workers}
}

// running is a master as it runs now; somebody may have restarted it since it was discovered.
func running(m fpm.Master) (fpm.Master, bool) {
	if m.Process.PID != 0 && m.Process.Alive() {
		return m, true
	}
	if m.Config == "" {
		return m, false
	}
	now, up, err := m.Running()
	return now, up && err == nil
}

// pool says what the pool that serves the site is doing, since before. Of a site that no pool serves it is the one that
// seems to be meant, if any, and where the others listen.
func pool(ctx context.Context, s site.Site, before sighting) diagnose.Pool {
	master, of := s.Master, s.Pool
	var p diagnose.Pool
	if s.Asked.Addr != "" {
		master, of = s.Candidate.Master, s.Candidate.Pool
		for _, a := range s.Elsewhere {
			p.Elsewhere = append(p.Elsewhere, a.Addr)
		}
		p.Candidate = of.Listen().Addr
	}
	if of.Name == "" {
		return p
	}
	p.Name, p.Config, p.Unit = of.Name, master.Config, master.Unit
	p.TerminateTimeout = of.Duration("request_terminate_timeout")
	p.Manager, _ = of.Get("pm")
	p.MaxChildren = number(of, "pm.max_children")
	for _, d := range of.Directives {
		if d.Key == "listen" {
			p.File, p.Line = d.File, d.Line
		}
	}
	if state, err := fpm.StateOf(ctx, master.Unit); err == nil {
		p.State = diagnose.UnitState(state)
	}
	m, up := running(master)
	if !up {
		ctx, cancel := context.WithTimeout(ctx, testTime)
		defer cancel()
		if err := m.Test(ctx); ctx.Err() == nil {
			p.Test = err
		}
		return p
	}
	p.PID = m.Process.PID
	p.ControlTimeout = m.ControlTimeout()
	p.Workers = workers(ctx, m, of, before)
	return p
}

// workers puts together what the kernel, the status page and the look before say.
func workers(ctx context.Context, m fpm.Master, p fpm.Pool, before sighting) []diagnose.Worker {
	seen, err := m.Workers(p.Name)
	if len(seen) == 0 {
		return nil
	}
	now := time.Now()
	busy := 0
	for _, w := range seen {
		if w.Busy {
			busy++
		}
	}
	var told map[int]fpm.WorkerStatus
	if err != nil || busy > 0 {
		told = status(ctx, p, err == nil && busy < len(seen))
	}
	var came map[uint64]time.Duration
	if busy > 0 {
		came = received(p.Listen())
	}
	found := make([]diagnose.Worker, len(seen))
	for i, w := range seen {
		d := diagnose.Worker{PID: w.PID, Age: w.Age, Busy: w.Busy}
		if i < measured {
			d.RSS = fpm.OwnMemory(w.PID)
		} else {
			d.RSS = fpm.RoughMemory(w.PID)
		}
		page, known := told[w.PID]
		if err != nil && known {
			d.Busy = !page.Idle() // the kernel does not say
		}
		if d.Busy {
			still := stood(w, before, now)
			d.Since = max(still, since(w, before, now), came[w.Conn])
			if known && !page.Idle() {
				d.Since, d.Script, d.URI = max(d.Since, page.Request), page.Script, page.URI
			}
			d.Since = min(d.Since, d.Age)
			d.Stuck, d.Asleep = still >= standstill, w.Activity.Waiting
			if w.Cwd != "/" && w.Cwd != m.Process.Cwd {
				d.Dir = w.Cwd
			}
		}
		found[i] = d
	}
	return found
}

// status asks the status page where somebody is free to answer it.
func status(ctx context.Context, p fpm.Pool, free bool) map[int]fpm.WorkerStatus {
	if listen, _ := p.Get("pm.status_listen"); listen == "" && !free {
		return nil
	}
	s, err := fpm.Status(ctx, p)
	if err != nil {
		return nil
	}
	told := map[int]fpm.WorkerStatus{}
	for _, w := range s.Workers {
		told[w.PID] = w
	}
	return told
}

// same finds a worker in an earlier sighting, at the same request.
func same(w fpm.Worker, before sighting) (fpm.Worker, bool) {
	i := slices.IndexFunc(before.workers, func(b fpm.Worker) bool { return b.PID == w.PID && b.Start == w.Start })
	if i < 0 || !w.Busy || !before.workers[i].Busy {
		return fpm.Worker{}, false
	}
	b := before.workers[i]
	return b, w.Conn != 0 && w.Conn == b.Conn || w.Conn == b.Conn && w.Ran == b.Ran
}

// since is how long a worker has been seen at its request.
func since(w fpm.Worker, before sighting, now time.Time) time.Duration {
	if _, ok := same(w, before); !ok {
		return 0
	}
	return now.Sub(before.at)
}

// stood is for how long a busy worker is known to have stood still: it had no processor at all (the kernel's word), or
// since the look before next to none, and has read, written and touched nothing.
func stood(w fpm.Worker, before sighting, now time.Time) time.Duration {
	if !w.Busy || !w.Activity.Waiting && w.Still == 0 {
		return 0 // it runs, or would if a processor were free
	}
	still := w.Still
	b, ok := same(w, before)
	over := now.Sub(before.at)
	if ok && b.Activity.Bytes == w.Activity.Bytes && b.Activity.Faults == w.Activity.Faults && (w.Ran-b.Ran).Seconds() <= over.Seconds()*idling.Seconds() {
		still = max(still, over+b.Still)
	}
	return min(still, w.Age)
}

// number is a directive's number, 0 where it is none.
func number(p fpm.Pool, key string) int {
	v, _ := p.Get(key)
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
