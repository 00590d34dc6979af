package agent

import "time"

// A panel tells of an account before its pool and vhost are in force: HestiaCP and cPanel reload the servers seconds
// later. So one look follows another for a while.
const (
	hurryFor   = 20 * time.Second
	hurryEvery = 4 * time.Second
)

// Refresh lets a running [Agent.Run] look at the host at once: sites have come, changed or gone. It returns at once, and
// many calls cost no more than one.
func (a *Agent) Refresh() {
	select {
	case a.nudged <- struct{}{}:
	default: // one is on its way
	}
}

// hurry makes the next discovery due. One that is under way may have looked too early.
func (w *watching) hurry(now time.Time) {
	if now.After(w.hurried) {
		w.next = now
	}
	w.hurried = now.Add(hurryFor)
}

// after is when the discovery after one that ended now is due.
func (w *watching) after(now time.Time) time.Time {
	every := time.Duration(w.agent.conf().Watch.Discover)
	if now.Before(w.hurried) {
		every = min(every, hurryEvery)
	}
	return now.Add(every)
}
