// Package agent makes the decisions: it takes one site's incident from its first
// symptom to its end. It reads like this: confirm that the site fails, gather
// evidence, rank the causes, search for the component at fault, apply a remedy
// through the journal, verify, report.
//
// Its invariant: nothing live changes without the site's lock, without a journal
// entry, and without a conviction; what did not help is undone.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/history"
	"wpmend/agent/journal"
	"wpmend/agent/lock"
	"wpmend/agent/probe"
	"wpmend/agent/shadow"
	"wpmend/agent/site"
)

// DefaultState is where the journal, the history and the memory of the host live.
const DefaultState = "/var/lib/wpmend"

// Options are what a command or the service gives the agent.
type Options struct {
	Config   config.Config
	State    string
	Log      *slog.Logger
	Progress func(Progress) // nil: nobody watches
	Meter    Meter          // nil: nobody counts
}

// Agent works on the sites of one host.
type Agent struct {
	*core
	progress func(Progress)
}

// core is what all that work on one host share.
type core struct {
	settings atomic.Pointer[settings]
	acting   atomic.Int32 // acts on live servers under way
	state    string
	log      *slog.Logger
	journal  *journal.Journal
	history  *history.Store
	sight    sight
	spending spending
	sites    sync.Map // root → *site.Site, as seen last
	configs  sync.Map // root → wp.Config, of the sites whose files alone do not tell it
	meter    Meter
	seen     seen
	records  records
	nudged   chan struct{} // somebody knows that the host has changed
}

// Watched is the same agent, whose steps are told to somebody else.
func (a *Agent) Watched(progress func(Progress)) *Agent {
	return &Agent{core: a.core, progress: progress}
}

// Error is a failure with a kind that programs may rely on and a remedy for people.
type Error struct {
	Kind   string
	Remedy string
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// refused gives the journal's refusals their kind and their remedy.
func refused(err error) error {
	var r *journal.RefusedError
	if errors.As(err, &r) {
		return &Error{Kind: "refused", Remedy: r.Do, Err: err}
	}
	return err
}

// Open prepares the state folder and removes what a dead wpmend's shadows left.
func Open(o Options) (*Agent, error) {
	if err := journal.Prepare(o.State); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	a := &Agent{core: &core{state: o.State, log: o.Log, meter: o.Meter, nudged: make(chan struct{}, 1)}, progress: o.Progress}
	a.Reconfigure(o.Config)
	if a.progress == nil {
		a.progress = func(Progress) {}
	}
	if a.meter == nil {
		a.meter = unmetered{}
	}
	var err error
	if a.journal, err = journal.Open(filepath.Join(o.State, "journal"), a.journalDeps()); err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	if a.history, err = history.Open(filepath.Join(o.State, "history")); err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	if err := shadow.Clean(shadow.Dir); err != nil {
		a.log.Warn("cannot remove what an earlier shadow left", "err", err)
	}
	return a, nil
}

// hold takes the locks of a site: of its folder, and of the database and prefix
// that copies of it may share.
func (a *Agent) hold(s site.Site, identity, doing string) (release func(), err error) {
	root, err := lock.Folder(s.Root)
	if err != nil {
		return nil, err
	}
	keys := []lock.Key{root}
	if identity != "" {
		keys = append(keys, lock.Database(identity))
	}
	return a.acquire(keys, doing+" "+s.Domain)
}

// holdRoot locks the site at root, and its database as far as it can be asked, for
// callers that know nothing else of it.
func (a *Agent) holdRoot(ctx context.Context, root, doing string) (release func(), err error) {
	key, err := lock.Folder(root)
	if err != nil {
		return nil, err
	}
	keys := []lock.Key{key}
	if db, err := (options{a}).open(ctx, root); err == nil {
		keys = append(keys, lock.Database(db.Identity()))
		if err := db.Close(); err != nil {
			a.log.Warn("cannot leave a database", "site", root, "err", err)
		}
	}
	return a.acquire(keys, doing+" "+root)
}

func (a *Agent) acquire(keys []lock.Key, doing string) (release func(), err error) {
	held, err := lock.Acquire(lock.Dir, keys, "wpmend "+doing)
	if err != nil {
		return nil, err
	}
	return func() {
		if err := held.Release(); err != nil {
			a.log.Warn("cannot release a lock", "doing", doing, "err", err)
		}
	}, nil
}

func (a *Agent) say(s site.Site, format string, args ...any) {
	doing := fmt.Sprintf(format, args...)
	a.log.Debug(doing, "site", s.Domain)
	a.progress(Progress{Site: ref(s), Doing: doing})
}

func (a *Agent) limits(s site.Site) probe.Limits {
	p := a.confOf(s).Probe
	return probe.Limits{Timeout: time.Duration(p.Timeout), Body: p.Body}
}

// notes turns a joined error into lines.
func notes(errs ...error) []string {
	lines := []string{}
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			lines = append(lines, notes(joined.Unwrap()...)...)
		} else if err != nil {
			lines = append(lines, err.Error())
		}
	}
	return lines
}
