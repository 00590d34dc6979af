package agent

import (
	"context"
	"fmt"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// silence is how long the front may be silent when the search has found out why: no
// visitor waits longer, and a page that merely is slow has answered by then.
const silence = 20 * time.Second

// impatience is how long the front may be silent before the search starts beside it.
const impatience = time.Second

// askFirst sends the first probe. When it is silent for long, the shadow's search
// starts beside it: a hang takes the live site's whole timeout to show.
func (h *healing) askFirst(ctx context.Context) probe.Result {
	answer := make(chan probe.Result, 1)
	go func() { answer <- h.agent.askFront(ctx, h.look) }()
	start := time.Now()
	select {
	case r := <-answer:
		return r
	case <-time.After(impatience):
	}
	if !h.startEarly(ctx, nil) {
		return <-answer
	}
	select {
	case r := <-answer:
		return r
	case <-time.After(silence - impatience):
	}
	select {
	case r := <-answer:
		return r
	case <-h.early.done:
	}
	if h.early.err != nil || h.early.found.Finding != bisect.Found {
		return <-answer
	}
	// The live request stands still, and the shadow knows why: that is proof enough.
	return probe.Result{Route: probe.Front, URL: h.target().String(), Outcome: probe.GatewayTimeout, Signature: "no answer",
		Start: start, Took: time.Since(start), Detail: fmt.Sprintf("no answer after %.0f s", time.Since(start).Seconds())}
}

// earlySearch runs while the front is still silent, or the failure not yet confirmed.
type earlySearch struct {
	cancel context.CancelFunc
	done   chan struct{}
	found  found
	err    error
}

// startEarly begins the search, where one could convict anybody.
func (h *healing) startEarly(ctx context.Context, weights map[string]float64) bool {
	if h.early != nil {
		return true
	}
	if h.unread != nil || h.wp.Database != nil || h.site.Master.Process.PID == 0 {
		return false
	}
	searching, cancel := context.WithCancel(ctx)
	e := &earlySearch{cancel: cancel, done: make(chan struct{})}
	h.early = e
	seen := *h.look // the incident goes on learning meanwhile
	go func() {
		defer close(e.done)
		e.found, e.err = h.agent.searchShadow(searching, &seen, weights, 0)
	}()
	return true
}

func (h *healing) stopEarly() {
	if h.early != nil {
		h.early.cancel()
		<-h.early.done
		h.early = nil
	}
}

// search finds the components at fault, or takes what the early search found.
func (h *healing) search(ctx context.Context) (found, error) {
	if h.early != nil {
		<-h.early.done
		e := h.early
		h.early = nil
		if e.err == nil {
			return e.found, nil
		}
		if ctx.Err() != nil {
			return e.found, ctx.Err()
		}
		h.notes = append(h.notes, "search beside the first request: "+e.err.Error())
	}
	if h.site.Handler == site.ModPHP && h.dry {
		return found{Result: bisect.Result{Explanation: "there is no pool to copy (mod_php), and a dry run does not rename: `wpmend bisect " + h.site.Domain + "` searches by renaming"}}, nil
	}
	if h.site.Handler == site.ModPHP {
		h.event("there is no pool to copy (mod_php): searching by renaming on the live site, each rename put back")
		return h.agent.searchRename(ctx, h.look, h.suspects(), h.rate)
	}
	return h.agent.searchShadow(ctx, h.look, h.suspects(), h.rate)
}
