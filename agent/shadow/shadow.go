// Package shadow puts a private copy of a site's pool and the masks together: it
// answers "would this URL work without these components?" without touching the
// live site.
//
// Its invariant: what it starts, ends; a crash of wpmend leaves a folder at the
// most, which Clean removes. It convicts nobody: it reports what happened and
// whom a trace or a fatal names.
package shadow

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/php/errlog"
	"wpmend/php/fpm"
	"wpmend/wp"
)

// Dir holds the shadows' sockets and prepends while they live.
const Dir = "/run/wpmend/shadow"

const (
	// hangFloor is the least time without an answer that may be called a hang, and
	// the least request_slowlog_timeout that FPM knows.
	hangFloor = time.Second
	// hangFactor: a hang takes at least so many times the slowest healthy answer.
	hangFactor = 5
	// unmeasured is the bound before any healthy answer was seen: a cold shadow
	// compiles the whole site (3 s measured with 34 real plugins).
	unmeasured = 4 * time.Second
	// untraced is how much longer a request may take when no trace shows that it
	// stands still (no right to ptrace, or FPM without a slow log).
	untraced = 3 * time.Second
	// longest ends any question.
	longest = 45 * time.Second
	// logLag is how long FPM may take to write down that a worker died.
	logLag = 2 * time.Second
	look   = 40 * time.Millisecond
	// maxLooks is how often a hang that stands in another place each time is asked.
	maxLooks = 4
)

// Shadow is a running private copy of one site's pool.
type Shadow struct {
	site    site.Site
	paths   wp.Paths
	private *fpm.Private
	body    int

	mu      sync.Mutex
	healthy time.Duration  // the slowest healthy answer but the first; 0: none yet
	first   bool           // the first healthy answer, a cold one, has been seen
	frames  map[string]int // how often a hanging request was seen in a frame
}

// Options bounds a shadow.
type Options struct {
	Dir     string // where it keeps its files; Dir by default
	Workers int    // 1 to 4
	Body    int    // bytes read of an answer
}

// Start brings a private copy of the site's pool up.
func Start(ctx context.Context, s site.Site, paths wp.Paths, o Options) (*Shadow, error) {
	if o.Dir == "" {
		o.Dir = Dir
	}
	p, err := fpm.StartPrivate(ctx, s.Master, s.Pool, fpm.PrivateOptions{
		Dir: o.Dir, Prepend: prepend(s.Pool), Workers: o.Workers, SlowlogTimeout: hangFloor})
	if err != nil {
		return nil, fmt.Errorf("start a private copy of pool %s: %w", s.Pool.Name, err)
	}
	return &Shadow{site: s, paths: paths, private: p, body: o.Body, frames: map[string]int{}}, nil
}

// prepend masks, then loads what the live pool would have loaded first.
func prepend(p fpm.Pool) []byte {
	if admin, ok := p.Get("php_admin_value[auto_prepend_file]"); ok {
		return wp.PrependAdmin(admin)
	}
	original, set := p.Get("php_value[auto_prepend_file]")
	if set && original == "" {
		original = "none" // PHP's own word for it: unset would mean php.ini's
	}
	return wp.Prepend(original)
}

// Close ends the copy and removes its files.
func (s *Shadow) Close() error { return s.private.Close() }

// Clean removes what a dead wpmend left; living shadows are left alone.
func Clean(dir string) error { return fpm.CleanPrivates(dir) }

// Answer is the result of one question.
type Answer struct {
	probe.Result
	Blamed []string // ids of the components that a trace or a fatal names, the innermost first
	Hung   bool
}

// Ask requests target with the given components masked. A hang is believed when
// two traces show the same frame, so a new one is asked again: a cold page that
// was merely compiling gets further each time.
func (s *Shadow) Ask(ctx context.Context, target *url.URL, masked []wp.Component) (Answer, error) {
	for try := 1; ; try++ {
		a, frame, err := s.once(ctx, target, masked)
		if err != nil || !a.Hung || frame == "" || s.seenTwice(frame) || try == maxLooks {
			return a, err
		}
	}
}

// once asks a single time; frame is where a hanging request stood, "" unknown.
func (s *Shadow) once(ctx context.Context, target *url.URL, masked []wp.Component) (Answer, string, error) {
	u := probe.Uncached(target)
	start := time.Now()
	results := make(chan probe.Result, 1)
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		results <- probe.ByShadow(asking, s.site, u, s.private.Socket(),
			map[string]string{wp.MaskParam: wp.EncodeMask(masked)}, probe.Limits{Timeout: longest, Body: s.body})
	}()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case r := <-results:
			if err := ctx.Err(); err != nil {
				return Answer{}, "", err
			}
			return s.answered(r, start), "", nil
		case <-tick.C:
		}
		waited := time.Since(start)
		if waited < s.patience() {
			continue
		}
		trace, pid, err := s.standing(probe.Nonce(u))
		if err != nil {
			return Answer{}, "", err
		}
		if trace == nil && waited < s.patience()+untraced {
			continue
		}
		return s.hung(u, start, trace, pid, cancel, results)
	}
}

// patience is how long an answer may take before it can be called a hang.
func (s *Shadow) patience() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.first {
		return unmeasured
	}
	return max(hangFloor, hangFactor*s.healthy)
}

func (s *Shadow) seenTwice(frame string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frames[frame] >= 2
}

// standing finds the trace of the request with this nonce: FPM's log names the
// worker and the query, its slow log the worker and the stack.
func (s *Shadow) standing(nonce string) (*errlog.SlowTrace, int, error) {
	records, err := s.private.Log()
	if err != nil {
		return nil, 0, err
	}
	pid := 0
	for _, r := range records {
		if r.Slow != nil && strings.Contains(r.Slow.URI, nonce) {
			pid = r.Slow.PID
		}
	}
	if pid == 0 {
		return nil, 0, nil
	}
	traces, err := s.private.Traces()
	if err != nil {
		return nil, pid, err
	}
	for i := len(traces) - 1; i >= 0; i-- {
		if traces[i].PID == pid {
			return &traces[i], pid, nil
		}
	}
	return nil, pid, nil
}

// hung ends the stuck worker and describes the hang.
func (s *Shadow) hung(u *url.URL, start time.Time, trace *errlog.SlowTrace, pid int, cancel func(), results <-chan probe.Result) (Answer, string, error) {
	a := Answer{Hung: true, Result: probe.Result{Route: probe.Shadow, URL: u.String(), Outcome: probe.GatewayTimeout,
		Signature: "hang", Start: start, Took: time.Since(start),
		Detail: fmt.Sprintf("no answer after %.1f s", time.Since(start).Seconds())}}
	frame := ""
	if trace != nil {
		a.Blamed = s.blamed(trace.Frames)
		if len(trace.Frames) > 0 {
			f := trace.Frames[0]
			frame = fmt.Sprintf("%s() %s:%d", f.Func, f.File, f.Line)
			// FPM's slow log shows where a function was called, not where it stands.
			a.Detail += fmt.Sprintf(", standing in %s(), called at %s:%d", f.Func, f.File, f.Line)
			// A loop stands on another line at each look; the component is what repeats.
			if len(a.Blamed) > 0 {
				frame = a.Blamed[0]
			}
			s.mu.Lock()
			s.frames[frame]++
			s.mu.Unlock()
		}
	}
	var err error
	if pid != 0 {
		if err = s.private.EndWorker(pid); err != nil {
			err = fmt.Errorf("end the stuck worker of the shadow: %w", err)
		}
	}
	cancel()
	<-results
	return a, frame, err
}

// answered completes a result with what the shadow's own log says of it.
func (s *Shadow) answered(r probe.Result, start time.Time) Answer {
	a := Answer{Result: r}
	switch {
	case r.Outcome == probe.Healthy:
		s.mu.Lock()
		if s.first {
			s.healthy = max(s.healthy, r.Took)
		}
		s.first = true
		s.mu.Unlock()
	case r.Signature == "worker died":
		if exit := s.exit(start); exit != nil {
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
			a.Blamed = append(a.Blamed, s.blamed(append([]errlog.Frame{{File: e.File, Line: e.Line}}, e.Frames...))...)
		}
	}
	return a
}

// exit waits a moment for the record of a worker's end since start.
func (s *Shadow) exit(start time.Time) *errlog.Exit {
	for deadline := time.Now().Add(logLag); ; time.Sleep(look / 4) {
		records, err := s.private.Log()
		if err != nil {
			return nil
		}
		for i := len(records) - 1; i >= 0; i-- {
			// FPM writes whole seconds.
			if records[i].Exit != nil && !records[i].Time.Before(start.Truncate(time.Second)) {
				return records[i].Exit
			}
		}
		if time.Now().After(deadline) {
			return nil
		}
	}
}

func (s *Shadow) blamed(frames []errlog.Frame) []string {
	var ids []string
	seen := map[string]bool{}
	for _, f := range frames {
		if id, ok := wp.Blame(f.File, s.paths, s.site.Roots()...); ok && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}
