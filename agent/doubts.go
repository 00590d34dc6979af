package agent

import (
	"sync/atomic"

	"wpmend/agent/config"
)

// doubts are what looks like a mistake in a valid configuration.
type doubts struct {
	in    *settings // that were looked through last
	look  int       // with the sites of this discovery
	busy  atomic.Bool
	noted map[string]bool // belongs to who is busy
}

// doubt logs them where the configuration or the sites are others than the last time, beside the loop: a directory of
// users may let it wait.
func (w *watching) doubt(d discovery) {
	in := w.agent.settings.Load()
	another := in != w.doubts.in
	if !another && d.look == w.doubts.look || !w.doubts.busy.CompareAndSwap(false, true) {
		return // who is busy now is followed by the next discovery
	}
	w.doubts.in, w.doubts.look = in, d.look
	w.work.Go(func() {
		defer w.doubts.busy.Store(false)
		who := []config.Who{}
		if len(in.Sites) > 0 {
			for _, s := range d.host.Sites {
				who = append(who, Who(s))
			}
		}
		notes := in.Notes(who)
		for _, n := range notes {
			if another || !w.doubts.noted[n] {
				w.agent.log.Warn("the configuration may hold a mistake", "note", n)
			}
		}
		w.doubts.noted = set(notes)
	})
}
