package agent

import (
	"context"
	"fmt"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/probe"
)

// silence is how long the front may be silent when the search has found out why.
const silence = 10 * time.Second

// impatience is how long the front may be silent before the search starts beside it.
const impatience = time.Second

// askFront sends the first probe. When it is silent for long, the shadow's search
// starts beside it: a hang takes the live site's whole timeout to show.
func (h *healing) askFront(ctx context.Context) probe.Result {
	answer := make(chan probe.Result, 1)
	go func() { answer <- probe.ByFront(ctx, h.site, h.target, h.agent.limits()) }()
	start := time.Now()
	select {
	case r := <-answer:
		return r
	case <-time.After(impatience):
	}
	if !h.startEarly(ctx) {
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
	return probe.Result{Route: probe.Front, URL: h.target.String(), Outcome: probe.GatewayTimeout, Signature: "no answer",
		Start: start, Took: time.Since(start), Detail: fmt.Sprintf("no answer after %.0f s", time.Since(start).Seconds())}
}

// earlySearch runs while the front is still silent.
type earlySearch struct {
	cancel context.CancelFunc
	done   chan struct{}
	found  found
	err    error
}

// startEarly begins the search, where one could convict anybody.
func (h *healing) startEarly(ctx context.Context) bool {
	if h.wp.Database != nil || h.site.Master.Process.PID == 0 {
		return false
	}
	searching, cancel := context.WithCancel(ctx)
	e := &earlySearch{cancel: cancel, done: make(chan struct{})}
	h.early = e
	go func() {
		defer close(e.done)
		e.found, e.err = h.agent.searchShadow(searching, h.look, h.target, nil)
	}()
	return true
}

func (h *healing) stopEarly() {
	if h.early != nil {
		h.early.cancel()
		<-h.early.done
	}
}

// search finds the plugins at fault, or takes what the early search found.
func (h *healing) search(ctx context.Context) (found, error) {
	if h.early != nil {
		<-h.early.done
		if h.early.err == nil {
			return h.early.found, nil
		}
		h.notes = append(h.notes, "search beside the first request: "+h.early.err.Error())
	}
	return h.agent.searchShadow(ctx, h.look, h.target, h.suspects())
}
