package evidence

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/wp"
)

// Ask says what Gather asks beyond what a failure itself calls for. The zero value
// asks nothing that leaves the host.
type Ask struct {
	// Everything: a walk through all layers, whether or not they can matter.
	Everything bool
	// Edge: the site's name and its public address may be asked. It is done for a site
	// that is well on this host, and in a walk: a heal does not wait for it.
	Edge     bool
	Resolver string // see config.Edge
	// Others are sites of the host; up to three of the same pool are asked for comparison.
	Others []site.Site
	// Unread is why the site's files could not be read.
	Unread error
}

// Asking is the same marks, with what Gather asks.
func (m Marks) Asking(a Ask) Marks {
	m.ask = a
	return m
}

const (
	// slow is a failure that visitors wait for: it is not asked for again without need.
	slow = 2 * time.Second
	// senseTimeout bounds what is asked side by side.
	senseTimeout = 2500 * time.Millisecond
)

// kept is an answer that holds for a while: the evidence of one incident is gathered
// many times a second until it tells something.
type kept[T any] struct {
	mu    sync.Mutex
	at    time.Time
	value T
}

func (k *kept[T]) get(holds time.Duration, ask func() T) T {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at.IsZero() || time.Since(k.at) > holds {
		k.value = ask()
		k.at = time.Now()
	}
	return k.value
}

// slowSensors are the answers that cost a process, a request or a large log.
type slowSensors struct {
	server   kept[diagnose.Server]
	settings kept[settingsAnswer]
	filters  kept[filtersAnswer]
	visitor  kept[probe.Result]
	edge     kept[diagnose.Edge]
	visits   kept[diagnose.Visits]
	next     kept[diagnose.Neighbours]
	lint     kept[lintAnswer]
	database kept[error]
}

type settingsAnswer struct {
	fpm.Settings
	err error
}

type filtersAnswer struct {
	rules  []string
	unread string
}

type lintAnswer struct {
	faults []diagnose.LintFault
	err    error
}

// sense fills in the facts, all sensors side by side: each writes fields of its own.
func (m Marks) sense(parent context.Context, f *diagnose.Facts, s site.Site, w site.WordPress) error {
	ctx, cancel := context.WithTimeout(parent, senseTimeout)
	defer cancel()
	failing, all, front := f.Front.Outcome.Failing(), m.ask.Everything, f.Front
	cache := &m.once.slow
	if all {
		cache = &m.once.walk
	}
	var logErr, updateErr error
	var settings settingsAnswer
	var group sync.WaitGroup
	group.Go(func() { logErr = m.logs(f, s) })
	group.Go(func() {
		if s.Handler != site.ModPHP {
			f.Pool, f.Socket = pool(ctx, s, m.pool), socket(s)
		}
	})
	group.Go(func() {
		f.Server = cache.server.get(slow/4, func() diagnose.Server { return server(ctx, s, all) })
	})
	group.Go(func() {
		settings = cache.settings.get(time.Minute, func() settingsAnswer { return phpSettings(ctx, s) })
		f.Limits = limitChain(s, settings.Settings, settings.err).Facts()
		f.Host = host()
		f.Host.Disks = disks(places(s, settings.of(s), databases()))
	})
	group.Go(func() {
		f.Visits = cache.visits.get(5*time.Second, func() diagnose.Visits { return traffic(s, time.Now()) })
	})
	group.Go(func() {
		f.Maintenance, f.ThemeMissing = maintenance(s), themeMissing(s, w)
		f.Updating, updateErr = Updating(s, w.Paths)
		if errors.Is(w.Database, wp.ErrUnknown) {
			f.NoCredentials = w.Database
			return
		}
		f.Database = cache.database.get(slow, func() error { return database(ctx, w, front) })
	})
	if limit := visitorTimeout(front, failing, all); limit > 0 {
		group.Go(func() {
			f.Visitor = cache.visitor.get(slow, func() probe.Result { return visitor(ctx, s, front, limit) })
		})
	}
	switch {
	case m.ask.Edge && (all || !failing):
		group.Go(func() {
			f.Edge = cache.edge.get(time.Minute, func() diagnose.Edge { return Outside(ctx, s, m.ask.Resolver) })
		})
	case all:
		f.Edge.NotAsked = "it is switched off: [edge] ask = false"
	}
	if failing && pooled(front.Outcome) || all {
		group.Go(func() {
			f.Next = cache.next.get(5*time.Second, func() diagnose.Neighbours { return neighbours(ctx, s, m.ask.Others) })
		})
	}
	group.Wait()

	// What follows depends on what was just found.
	since := m.since
	if !f.FirstFailure.IsZero() && f.FirstFailure.Before(since) {
		since = f.FirstFailure
	}
	f.Host.Kernel = kernel(s, since.Add(-kernelBefore))
	if ports := suspectPorts(f.Server, f.Socket); len(ports) > 0 || all {
		if len(ports) == 0 {
			ports = allPorts(f.Server, f.Socket)
		}
		got := cache.filters.get(5*time.Second, func() (a filtersAnswer) {
			a.rules, a.unread = filters(parent, ports)
			return a
		})
		f.Host.Filters, f.Host.FiltersUnread = got.rules, got.unread
	}
	var lintErr error
	// A page that is blank with a status of 200 has ended in order: code that does not parse gives a 500.
	if front.Outcome == probe.Fatal || all || f.Unread != nil {
		got := cache.lint.get(time.Minute, func() lintAnswer {
			return linted(parent, s, w, *f, settings, all)
		})
		f.Lint, lintErr = got.faults, got.err
	}
	return errors.Join(logErr, updateErr, lintErr)
}

// pooled outcomes may be those of a whole pool.
func pooled(o probe.Outcome) bool {
	switch o {
	case probe.BadGateway, probe.GatewayTimeout, probe.Unavailable, probe.Incomplete, probe.Blank:
		return true
	}
	return false
}

// visitorTimeout is how long to wait for what a visitor gets, 0: it is not asked. A
// failure that takes long is not brought about once more, unless everything is asked.
func visitorTimeout(front probe.Result, failing, all bool) time.Duration {
	switch {
	case front.Route != probe.Front && front.Route != "":
		return 0
	case all, !failing:
		return slow
	case front.Took >= slow, front.Start.IsZero():
		return 0
	}
	return max(slow/8, 2*front.Took)
}

func visitor(ctx context.Context, s site.Site, front probe.Result, limit time.Duration) probe.Result {
	target, err := url.Parse(front.URL)
	if err != nil || target.Host == "" || !s.Serves(target.Hostname()) {
		target = probe.Home(s)
	}
	return probe.AsVisitor(ctx, s, target, probe.Limits{Timeout: limit, Body: publicBody})
}

// linted looks at the code where no error of PHP's says already what is wrong with it.
func linted(ctx context.Context, s site.Site, w site.WordPress, f diagnose.Facts, settings settingsAnswer, all bool) lintAnswer {
	since := f.FirstFailure
	if since.IsZero() {
		since = time.Now()
	}
	said := false
	for _, e := range f.PHP {
		said = said || e.Record.Fatal()
	}
	short := settings.of(s)("short_open_tag")
	faults, err := lints(ctx, linting{site: s, wp: w, errors: f.PHP, unread: f.Unread, first: since,
		short: short == "1" || short == "On", changed: all || !said})
	return lintAnswer{faults, err}
}

// phpSettings asks the pool's PHP for its settings; Apache's cannot be asked.
func phpSettings(ctx context.Context, s site.Site) settingsAnswer {
	if s.Handler == site.ModPHP || s.Master.Binary == "" {
		return settingsAnswer{}
	}
	known, err := s.Master.Settings(ctx)
	return settingsAnswer{known, err}
}

// of gives a setting of PHP's as the pool has it.
func (a settingsAnswer) of(s site.Site) func(name string) string {
	g := gathering{site: s}
	return func(name string) string { return g.setting(a.Settings, name) }
}
