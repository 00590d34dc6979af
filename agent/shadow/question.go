package shadow

import (
	"context"
	"fmt"
	"strings"
	"time"

	"wpmend/agent/probe"
	"wpmend/php/errlog"
)

const (
	// hangFloor is the least time without an answer that may be called a hang, and
	// the least request_slowlog_timeout that FPM knows.
	hangFloor = time.Second
	// hangFactor: a hang takes at least so many times the slowest healthy answer.
	hangFactor = 5
	// knownFloor is the least time for a request that stands where others were seen
	// hanging: nothing new is believed then.
	knownFloor = 600 * time.Millisecond
	// loopFloor is the least time for a request that reads or writes on and on.
	loopFloor = 2 * time.Second
	// workFloor is the least time for a request that goes on: a cold copy compiles the
	// whole site (3 s measured with 34 real plugins).
	workFloor = 15 * time.Second
	// untraced is how much longer a request may take when no trace shows where it
	// stands (no right to ptrace, or FPM without a slow log).
	untraced = 3 * time.Second
	// longest ends any question.
	longest = 45 * time.Second
	// logLag is how long FPM may take to write down that a worker died.
	logLag = 2 * time.Second
	look   = 30 * time.Millisecond
	// maxLooks is how often a hang that stands in another place each time is asked.
	maxLooks = 4

	// FPM traces a request once, at the first of its heartbeats (each third of a
	// second, fpm_conf.c) at which it is a second old.
	traceTime = hangFloor + hangFloor/3 + 4*look
	// twinAfter: when fewer workers than there are requests did anything for so long,
	// the request is taken for a hanging one and sent once more, so that two looks cost
	// one wait.
	twinAfter = 90 * time.Millisecond
	// renewAt is when a hanging request has requests begun for what is asked next: by
	// then they are about half a second old.
	renewAt = 650 * time.Millisecond
	// dismissal is how long a request is watched whose answer is of no use any more.
	dismissal = 2 * traceTime
)

// put asks a question of a copy. A hang is believed when two traces show the same
// place, so a new one is asked again.
func (s *Shadow) put(ctx context.Context, c *copied, q Question) (Answer, error) {
	for try := 1; ; try++ {
		a, believed, err := s.once(ctx, c, q)
		if err != nil || !a.Hung || believed || try == maxLooks {
			return a, err
		}
	}
}

// once asks a single time; a hang may have been believed by then.
func (s *Shadow) once(ctx context.Context, c *copied, q Question) (a Answer, believed bool, err error) {
	w := &wait{shadow: s, copy: c, question: q, request: s.send(ctx, c, q, headStart)}
	c.begin(ctx, headStart)
	defer func() {
		if w.twin != nil {
			w.twin.dismiss()
		}
	}()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case r := <-w.request.results:
			a, err := s.answered(c, r, w.request.start)
			return a, true, err
		case <-ctx.Done():
			w.request.dismiss()
			return Answer{}, false, ctx.Err()
		case <-c.private.Ended():
			w.request.cancel()
			return Answer{}, false, fmt.Errorf("%w: its master has ended", errDead)
		case <-tick.C:
		}
		hung, err := w.look(ctx)
		if err != nil {
			w.request.dismiss()
			return Answer{}, false, err
		}
		if hung {
			a, err := w.hung()
			return a, w.believed, err
		}
	}
}

// answered completes a result with what the copy's own log says of it.
func (s *Shadow) answered(c *copied, r probe.Result, start time.Time) (Answer, error) {
	if c.ended() || strings.HasPrefix(r.Signature, "connect:") {
		return Answer{}, fmt.Errorf("%w: %s", errDead, r.Detail)
	}
	a := Answer{Result: r}
	switch {
	case r.Outcome == probe.Healthy:
		if c.warmed() {
			s.sight.wellDone(r.Took)
		}
	case r.Signature == "worker died":
		exit := c.exit(start)
		if c.ended() {
			return Answer{}, fmt.Errorf("%w: its master ended during the request", errDead)
		}
		if exit != nil {
			a.Signature = "worker died: " + exit.SignalName
			a.Detail = fmt.Sprintf("the PHP worker ended by signal %d (%s)", exit.Signal, exit.SignalName)
			if exit.Signal == 0 {
				a.Signature = fmt.Sprintf("worker died: exit code %d", exit.Code)
				a.Detail = fmt.Sprintf("the PHP worker ended with exit code %d", exit.Code)
			}
		}
	}
	for _, e := range r.Errors {
		if strings.HasSuffix(strings.ToLower(e.Kind), "error") {
			a.Blamed = append(a.Blamed, s.sight.blamed(append([]errlog.Frame{{File: e.File, Line: e.Line}}, e.Frames...))...)
		}
	}
	return a, nil
}

// exit waits a moment for the record of a worker's end since start, of one that was
// not ended from here.
func (c *copied) exit(start time.Time) *errlog.Exit {
	for deadline := time.Now().Add(logLag); ; time.Sleep(look / 3) {
		records, err := c.private.Log()
		if err != nil {
			return nil
		}
		for _, r := range records {
			// FPM writes whole seconds, and each end is of one request: the one before
			// this one may have died in the same second, of something else.
			if e := r.Exit; e != nil && !r.Time.Before(start.Truncate(time.Second)) && c.claim(e.PID) {
				return e
			}
		}
		if c.ended() || time.Now().After(deadline) {
			return nil
		}
	}
}
