package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/config"
	"wpmend/agent/remedy"
	"wpmend/agent/shadow"
	"wpmend/agent/site"
	"wpmend/wp"
)

// shadowWorkers is how many questions of a round a shadow answers side by side.
const shadowWorkers = 4

// shadowed answers questions in a private copy of the site's pool.
type shadowed struct {
	look   *look
	shadow *shadow.Shadow
	meter  Meter
	hold   bool // the site's own outgoing requests
}

func (a *Agent) startShadow(ctx context.Context, s site.Site, paths wp.Paths) (*shadow.Shadow, error) {
	if err := s.Unserved(); err != nil {
		return nil, &Error{Kind: "no-pool", Err: err, Remedy: "wpmend check " + s.Domain}
	}
	a.say(s, "starting a private copy of pool %s", s.Pool.Name)
	sh, err := shadow.Start(ctx, s, paths, shadow.Options{Workers: shadowWorkers, Body: a.confOf(s).Probe.Body})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &Error{Kind: "no-shadow", Err: err,
			Remedy: "wpmend bisect " + s.Domain + " --method rename searches on the live site instead"}
	}
	return sh, nil
}

func (a *Agent) closeShadow(s site.Site, sh *shadow.Shadow) {
	if err := sh.Close(); err != nil {
		a.log.Warn("cannot end the shadow", "site", s.Domain, "err", err)
	}
}

// soon is a shadow that is being started.
type soon struct {
	ready  chan struct{}
	shadow *shadow.Shadow
	err    error
}

// startSoon starts a shadow beside other work; whoever asks for it ends it by end.
func (a *Agent) startSoon(ctx context.Context, s site.Site, paths wp.Paths) *soon {
	f := &soon{ready: make(chan struct{})}
	go func() {
		defer close(f.ready)
		f.shadow, f.err = a.startShadow(ctx, s, paths)
	}()
	return f
}

func (a *Agent) end(s site.Site, f *soon) {
	if <-f.ready; f.err == nil {
		a.closeShadow(s, f.shadow)
	}
}

// searchShadow looks for the components at fault in a private copy of the pool of
// its own.
func (a *Agent) searchShadow(ctx context.Context, l *look, weights map[string]float64, rate float64) (found, error) {
	sh := a.startSoon(ctx, l.site, l.wp.Paths)
	defer a.end(l.site, sh)
	return a.searchIn(ctx, l, sh, weights, rate)
}

// searchIn looks for the components at fault in a private copy that is being started.
func (a *Agent) searchIn(ctx context.Context, l *look, sh *soon, weights map[string]float64, rate float64) (f found, err error) {
	before, err := a.rawOptions(ctx, l.site)
	if err != nil {
		return found{}, fmt.Errorf("read the options before the search: %w", err)
	}
	if <-sh.ready; sh.err != nil {
		return found{}, sh.err
	}
	defer func() { f.changed = a.changedOptions(ctx, l.site, before) }()
	most := steadySearch
	if rate > 0 {
		most = rareSearch
	}
	searching, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	f, err = a.search(searching, l, &shadowed{look: l, shadow: sh.shadow, meter: a.meter, hold: a.confOf(l.site).Search.Outgoing == config.HoldOutgoing}, weights, rate)
	if err != nil && ctx.Err() == nil && searching.Err() != nil {
		f.Finding, f.Explanation = bisect.Undecided, fmt.Sprintf("the search did not come to an end within %s: its answers contradict each other", most)
		f.Culprits, err = []bisect.Culprit{}, nil
	}
	return f, err
}

// How long a search may take: of a site that always fails, and of one that fails now and
// then, where many answers are needed for the odds.
const (
	steadySearch = 3 * time.Minute
	rareSearch   = 30 * time.Minute
)

// rawOptions is a digest of each stored option. The private copy of the pool refuses
// every write of the site's code; whether any got round that is looked at afterwards.
func (a *Agent) rawOptions(ctx context.Context, s site.Site) (digests map[string]string, err error) {
	db, err := (options{a}).open(ctx, s.Root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.RawOptions(ctx)
}

// changedOptions says which options are not as they were. They are not put back: the
// owner, or the live site, may have changed them.
func (a *Agent) changedOptions(ctx context.Context, s site.Site, before map[string]string) string {
	after, err := a.rawOptions(ctx, s)
	if err != nil {
		return "whether options changed during the search could not be seen: " + err.Error()
	}
	var names []string
	for name, digest := range after {
		if before[name] != digest {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, kept := after[name]; !kept {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "options that changed during the search, by the live site or its owner: " + strings.Join(names[:min(len(names), 10)], ", ")
}

func (s *shadowed) workers() int { return shadowWorkers }

func (s *shadowed) first(c wp.Component) bool { return wp.Filterable(c) }

func (s *shadowed) spares(wp.Component) string { return "" }

func (s *shadowed) untestable(c []wp.Component) ([]string, string) { return s.shadow.Untestable(c) }

// ask requests each URL until one fails.
func (s *shadowed) ask(ctx context.Context, away []wp.Component, cache bool) (answer shadow.Answer, err error) {
	fallback, _ := remedy.Fallback(s.look.wp, ids(away)...) // none: the prepend shows a page of its own
	mask := wp.Mask{Components: away, Fallback: fallback, ObjectCache: cache, HoldHTTP: s.hold}
	for _, r := range s.look.requests {
		mask.AsUser = r.user
		answer, err = s.shadow.Put(ctx, shadow.Question{Target: r.Target, Method: r.Method, Cookie: r.Cookie, Mask: mask})
		if nobody := (*shadow.NoUserError)(nil); errors.As(err, &nobody) {
			return answer, &Error{Kind: "no-such-user", Remedy: "wp-admin, Users, lists the logins", Err: nobody}
		}
		if err == nil {
			s.meter.Probed(answer.Result)
		}
		if err != nil || verdict(answer.Outcome) != bisect.Healthy {
			break
		}
	}
	return answer, err
}

// inspect asks WordPress itself where its parts lie, as the site's own user.
func (a *Agent) inspect(ctx context.Context, s site.Site) (wp.Inspection, error) {
	sh, err := a.startShadow(ctx, s, wp.Paths{})
	if err != nil {
		return wp.Inspection{}, err
	}
	defer a.closeShadow(s, sh)
	i, err := sh.Inspect(ctx)
	if err != nil {
		return wp.Inspection{}, fmt.Errorf("ask WordPress itself in a private copy of pool %s: %w", s.Pool.Name, err)
	}
	return i, nil
}
