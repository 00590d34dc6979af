package shadow

import (
	"context"
	"strings"
	"time"

	"wpmend/agent/probe"
	"wpmend/php/errlog"
	"wpmend/php/fcgi"
	"wpmend/wp"
)

// request is one request on its way.
type request struct {
	shadow  *Shadow
	copy    *copied
	nonce   string
	url     string
	start   time.Time
	head    time.Duration // how long it had begun by then, see [fcgi.Begun]
	results chan probe.Result
	cancel  context.CancelFunc

	// What its trace shows, from traced on.
	traced time.Time
	pid    int
	frames []errlog.Frame
}

// send asks q of a copy, over a request that has begun before if there is one, but
// not longer than head ago.
func (s *Shadow) send(ctx context.Context, c *copied, q Question, head time.Duration) *request {
	u := probe.Uncached(q.Target)
	r := &request{shadow: s, copy: c, nonce: probe.Nonce(u), url: u.String(), start: time.Now(), results: make(chan probe.Result, 1)}
	// It ends with its worker, not with its asker: see dismiss.
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if begun := c.occupy(head); begun != nil {
		r.head = begun.Age()
		ctx = fcgi.WithBegun(ctx, begun)
	}
	s.asking.Go(func() {
		defer c.vacate()
		r.results <- probe.ByShadowRequest(ctx, s.site, probe.Request{Target: u, Method: q.Method, Cookie: q.Cookie}, c.private.Socket(),
			map[string]string{wp.MaskParam: q.Mask.Encode()}, probe.Limits{Timeout: longest, Body: s.body})
	})
	return r
}

// trace looks for the request's trace: FPM's log names the worker and the query, its
// slow log the worker and the stack.
func (r *request) trace() error {
	if !r.traced.IsZero() || time.Since(r.start)+r.head < hangFloor {
		return nil
	}
	records, err := r.copy.private.Log()
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Slow != nil && strings.Contains(rec.Slow.URI, r.nonce) {
			r.pid = rec.Slow.PID
		}
	}
	if r.pid == 0 {
		return nil
	}
	traces, err := r.copy.private.Traces()
	if err != nil {
		return err
	}
	for i := len(traces) - 1; i >= 0; i-- {
		if traces[i].PID == r.pid && len(traces[i].Frames) > 0 {
			r.traced, r.frames = time.Now(), traces[i].Frames
			break
		}
	}
	return nil
}

// hangs says what the request's worker has been doing, and whether the trace shows
// that: one that was taken before shows what is past.
func (r *request) hangs() (how stance, shown bool) {
	how, since := r.copy.pulse.of(r.pid)
	return how, !r.traced.IsZero() && r.traced.After(since.Add(look))
}

// answer is the answer if it has come.
func (r *request) answer() (probe.Result, bool) {
	select {
	case result := <-r.results:
		return result, true
	default:
		return probe.Result{}, false
	}
}

// end ends the request's worker, if it is known, and waits for what has come by then.
func (r *request) end() (probe.Result, error) {
	var err error
	if r.pid != 0 {
		err = r.copy.end(r.pid)
	}
	r.cancel()
	return <-r.results, err
}

// dismiss leaves a request whose answer is of no use any more. Closing the connection
// does not stop PHP, so a worker that hangs is ended as soon as it is known.
func (r *request) dismiss() {
	r.shadow.asking.Go(func() {
		defer r.cancel()
		for deadline := time.Now().Add(dismissal); time.Now().Before(deadline); {
			select {
			case <-r.results:
				return
			case <-r.copy.private.Ended():
				return
			case <-time.After(look):
			}
			if err := r.trace(); err == nil && r.pid != 0 {
				// One that cannot be ended is left to FPM's own limit.
				_, _ = r.end()
				return
			}
		}
	})
}
