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

	renewed  time.Time
	counted  bool // the request's trace is among the looks
	believed bool // it is known to hang, or nothing more can be known
	place    string
	blamed   []string
}

// look says whether the request hangs.
func (w *wait) look(ctx context.Context) (hung bool, err error) {
	s, r, waited := w.shadow, w.request, time.Since(w.request.start)
	if waited < twinAfter {
		return false, nil
	}
	w.copy.pulse.feel(w.copy.private)
	w.prepare(ctx, waited)
	if err := r.trace(); err != nil {
		return false, err
	}
	how, shown := r.hangs()
	if r.traced.IsZero() {
		// Where it stands is not to be known here: asking again would not help.
		w.believed = waited >= s.sight.patience(how, false)+untraced
		return w.believed, nil
	}
	if w.place == "" {
		w.place, w.blamed = s.sight.look(r.frames)
	}
	if waited < s.sight.patience(how, shown && s.sight.known(w.place)) {
		return false, nil
	}
	if !shown {
		// It hangs elsewhere than its only trace shows: it must be asked again.
		return true, nil
	}
	return w.enough(how)
}

// prepare sends the request once more when it seems to hang and nothing is known yet,
// and has requests begun for what is asked next.
func (w *wait) prepare(ctx context.Context, waited time.Duration) {
	sight := w.shadow.sight
	needed := w.twin == nil && !sight.anyKnown()
	if needed && w.copy.hasFree() && (waited > twinAfter*2 && w.copy.busyBut(w.copy.pulse.active(twinAfter)) || waited > sight.patience(works, false)-traceTime) {
		w.twin = w.shadow.send(ctx, w.copy, w.question, twinStart)
		needed = false
	}
	if !needed && waited > renewAt && time.Since(w.renewed) > headStart {
		w.renewed = time.Now()
		w.copy.begin(ctx, freshAge)
	}
}

// enough counts the looks at this hang. It is so when the place is known, or when
// nothing more is to be seen of it.
func (w *wait) enough(how stance) (bool, error) {
	sight := w.shadow.sight
	if !w.counted {
		w.counted = true
		w.believed = sight.seen(w.place)
	}
	if w.believed || w.twin == nil {
		return true, nil
	}
	if r, ok := w.twin.answer(); ok {
		// The same request has an answer: this one is looked at alone.
		w.twin.results <- r
		return true, nil
	}
	if err := w.twin.trace(); err != nil {
		return false, err
	}
	if w.twin.traced.IsZero() {
		return time.Since(w.twin.start) > traceTime, nil
	}
	// Both have to do the same in the same place.
	if does, shown := w.twin.hangs(); shown && does >= how {
		place, _ := sight.look(w.twin.frames)
		sight.seen(place)
		w.believed = sight.known(w.place)
		return true, nil
	}
	return time.Since(w.twin.start) > traceTime, nil
}

// hung ends the stuck worker and describes the hang. An answer that came meanwhile
// counts.
func (w *wait) hung() (Answer, error) {
	r, ok := w.request.answer()
	if !ok {
		var err error
		if r, err = w.request.end(); err != nil {
			return Answer{}, err
		}
		ok = r.Answered()
	}
	if ok {
		w.believed = true
		return w.shadow.answered(w.copy, r, w.request.start)
	}
	took := time.Since(w.request.start)
	detail := fmt.Sprintf("no answer after %.1f s", took.Seconds())
	if len(w.request.frames) > 0 {
		f := w.request.frames[0]
		// FPM's slow log shows where a function was called, not where it stands.
		detail += fmt.Sprintf(", standing in %s(), called at %s:%d", f.Func, f.File, f.Line)
	}
	return Answer{Hung: true, Blamed: w.blamed, Result: probe.Result{Route: probe.Shadow, URL: w.request.url, Outcome: probe.GatewayTimeout,
		Signature: "hang", Start: w.request.start, Took: took, Detail: detail}}, nil
}
