package agent

import (
	"context"
	"time"
)

// headStart is how long the front may take before the search starts beside it.
const headStart = 200 * time.Millisecond

// searchAsked asks the live site what it is asked for, and searches by a method. The
// live site's own answer orders the suspects and may show that another URL is meant; a
// shadow does not wait for it when it hangs.
func (a *Agent) searchAsked(ctx context.Context, l *look, method string) (found, error) {
	asking, cancel := context.WithTimeout(ctx, impatience)
	defer cancel()
	if method == MethodRename {
		a.priors(asking, l)
		return a.searchRename(ctx, l, l.suspects(), 0)
	}
	sh := a.startSoon(ctx, l.site, l.wp.Paths)
	defer a.end(l.site, sh)
	seen := *l
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		a.priors(asking, &seen)
	}()
	select {
	case <-heard:
		*l = seen
		return a.searchIn(ctx, l, sh, l.suspects(), 0)
	case <-time.After(headStart):
	}
	type result struct {
		found found
		err   error
	}
	searching, stop := context.WithCancel(ctx)
	defer stop()
	early, done := *l, make(chan result, 1)
	go func() {
		f, err := a.searchIn(searching, &early, sh, nil, 0)
		done <- result{f, err}
	}()
	select {
	case r := <-done:
		cancel()
		<-heard
		*l = seen
		l.requests = early.requests
		return r.found, r.err
	case <-heard:
	}
	*l = seen
	if l.target() == early.target() {
		r := <-done
		return r.found, r.err
	}
	// The page is slow and well; the logs name another that fails.
	stop()
	<-done
	return a.searchIn(ctx, l, sh, l.suspects(), 0)
}

// priors asks the live site for one failing request and gathers what its logs say.
func (a *Agent) priors(ctx context.Context, l *look) {
	l.front = a.askFront(ctx, l)
	if !l.front.Outcome.Failing() && ctx.Err() == nil {
		a.askLogs(ctx, l)
	}
	a.explain(ctx, l)
}
