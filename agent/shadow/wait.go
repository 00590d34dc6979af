package shadow

import (
	"context"
	"fmt"
	"time"

	"wpmend/agent/probe"
)

// wait is a question without an answer yet.
type wait struct {
	shadow   *Shadow
	copy     *copied
	question Question
	request  *request
	twin     *request // the same, sent a little later

	renewed  bool
	counted  bool // the request's trace is among the looks
	seconded bool // the twin's is
	believed bool
	place    string
	pid      int
	blamed   []string
	detail   string
}

// look says whether the request hangs.
func (w *wait) look(ctx context.Context) (hung bool, err error) {
	s, waited := w.shadow, time.Since(w.request.start)
	if waited < twinAfter {
		return false, nil
	}
	w.copy.pulse.feel(w.copy.private)
	still, known, working := s.sight.patience()
	w.second(ctx, waited, working)
	if !w.renewed && waited > renewAt {
		w.renewed = true
		w.copy.begin(ctx, freshAge)
	}
	if waited < known {
		return false, nil
	}
	trace, pid, err := w.request.trace()
	if err != nil {
		return false, err
	}
	w.pid = pid
	if trace == nil {
		// Where it stands is not to be known here: asking again would not help.
		w.believed = true
		return waited >= working+untraced, nil
	}
	if w.place == "" && len(trace.Frames) > 0 {
		w.place, w.blamed = s.sight.look(trace.Frames)
		f := trace.Frames[0]
		// FPM's slow log shows where a function was called, not where it stands.
		w.detail = fmt.Sprintf(", standing in %s(), called at %s:%d", f.Func, f.File, f.Line)
	}
	bound := working
	if w.copy.pulse.still(pid) {
		bound = still
		if s.sight.known(w.place) {
			bound = known
		}
	}
	if waited < bound {
		return false, nil
	}
	return w.enough()
}

// second sends the request once more when it seems to hang, if nothing is known yet.
func (w *wait) second(ctx context.Context, waited, working time.Duration) {
	if w.twin != nil || w.shadow.sight.anyKnown() {
		return
	}
	if (w.copy.pulse.quiet(twinAfter) || waited > working-traceTime) && w.copy.free() {
		w.twin = w.shadow.send(ctx, w.copy, w.question)
	}
}

// enough counts the looks at this hang. It is so when the place is known, or when
// nothing more can be seen of it.
func (w *wait) enough() (bool, error) {
	if w.place == "" {
		w.believed = true
		return true, nil
	}
	if !w.counted {
		w.counted = true
		w.believed = w.shadow.sight.seen(w.place)
	}
	if w.believed || w.twin == nil {
		return true, nil
	}
	if r, ok := w.twin.answer(); ok {
		// The same request has an answer: this one is looked at alone.
		w.twin.results <- r
		return true, nil
	}
	trace, _, err := w.twin.trace()
	if err != nil {
		return false, err
	}
	if trace == nil || len(trace.Frames) == 0 {
		return time.Since(w.twin.start) > traceTime, nil
	}
	if !w.seconded {
		w.seconded = true
		place, _ := w.shadow.sight.look(trace.Frames)
		w.believed = w.shadow.sight.seen(place) && place == w.place || w.shadow.sight.known(w.place)
	}
	return true, nil
}

// hung ends the stuck worker and describes the hang. An answer that came meanwhile
// counts.
func (w *wait) hung() (Answer, error) {
	start := w.request.start
	r, ok := w.request.answer()
	if !ok {
		var err error
		if r, err = w.request.end(w.pid); err != nil {
			return Answer{}, err
		}
		ok = r.Answered()
	}
	if ok {
		w.believed = true
		return w.shadow.answered(w.copy, r, start)
	}
	took := time.Since(start)
	return Answer{Hung: true, Blamed: w.blamed, Result: probe.Result{Route: probe.Shadow, URL: w.request.url, Outcome: probe.GatewayTimeout,
		Signature: "hang", Start: start, Took: took,
		Detail: fmt.Sprintf("no answer after %.1f s", took.Seconds()) + w.detail}}, nil
}
