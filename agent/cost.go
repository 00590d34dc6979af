package agent

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/evidence"
	"wpmend/agent/watch"
)

// usage is what some work cost: processor time of this process and of the programs that
// it ran, and the time that went by.
type usage struct{ cpu, wall time.Duration }

// used is what was used until now.
func used() usage {
	u := usage{wall: time.Duration(time.Now().UnixNano())}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if syscall.Getrusage(who, &r) == nil {
			u.cpu += time.Duration(r.Utime.Nano() + r.Stime.Nano())
		}
	}
	return u
}

func (u usage) less(before usage) usage { return usage{u.cpu - before.cpu, u.wall - before.wall} }

// garbage is how much may lie around before it is collected, in percent of what is in
// use. Nearly all of that is what is known of the sites, and little is thrown away while
// all is well: a fifth of Go's usual share costs nothing that could be measured.
const garbage = 20

// thrifty has this process keep little memory for later.
func thrifty() { debug.SetGCPercent(garbage) }

// spent says what a discovery cost, for those who measure, and gives the memory back
// that it needed: a dump of 5,000 vhosts takes more for a second than all that is kept.
func (w *watching) spent(d discovery) {
	if d.look != w.look {
		debug.FreeOSMemory()
	}
	w.agent.log.Debug("discovered", "sites", len(d.host.Sites), "unchanged", d.look == w.look, "took", d.took.wall.Round(time.Microsecond),
		"cpu", d.took.cpu.Round(time.Microsecond), "goroutines", runtime.NumGoroutine())
}

// strain has fewer sites probed while the host is at its limit.
func (w *watching) strain() {
	w.schedule.Strain(evidence.Pressed())
}

func newSchedule(c config.Watch) *watch.Schedule {
	return watch.NewSchedule(time.Duration(c.Every), c.Rate)
}

func set(texts []string) map[string]bool {
	all := make(map[string]bool, len(texts))
	for _, t := range texts {
		all[t] = true
	}
	return all
}
