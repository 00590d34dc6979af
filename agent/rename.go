package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/agent/shadow"
	"wpmend/wp"
)

const (
	// revalidation is how long a rename may stay unseen: with
	// opcache.enable_file_override PHP answers file_exists from OPcache, which looks
	// at the disk again after opcache.revalidate_freq, 2 s by default.
	revalidation = 2500 * time.Millisecond
	// inFlight is how long requests that had loaded half of a plugin when it was
	// renamed may still fail.
	inFlight = 250 * time.Millisecond
)

// renaming answers questions on the live site, by renaming what a question masks.
// From one question to the next it renames only what differs.
type renaming struct {
	agent *Agent
	look  *look
	away  map[string]journal.Change // by the components' ids
	moved time.Time                 // of the latest rename
	lag   time.Duration             // how long renames take to be seen; 0: at once, as far as is known
	seen  bool                      // a rename has been seen to change the answer
	live  int
}

// searchRename asks the live site. Visitors lack what is away meanwhile, so it is
// chosen only where no private copy can be had, or by a person.
func (a *Agent) searchRename(ctx context.Context, l *look, weights map[string]float64, rate float64) (f found, err error) {
	leave, denied := a.grant(l.site, 1)
	if denied == nil {
		leave.end() // what it changes is put back within the search
	}
	if err := errors.Join(calm(l), denied); err != nil {
		return found{}, &Error{Kind: "not-now", Err: fmt.Errorf("no search by renaming now: %w", err), Remedy: "wpmend check " + l.site.Domain}
	}
	r := &renaming{agent: a, look: l, away: map[string]journal.Change{}}
	defer func() {
		err = errors.Join(err, r.restore())
		f.live = r.live
	}()
	return a.search(ctx, l, r, weights, rate)
}

func (r *renaming) workers() int { return 1 }

// first: the theme of a live site is exchanged only when no plugin is at fault.
func (r *renaming) first(c wp.Component) bool { return c.Kind == wp.KindPlugin }

// spares: what must not be switched off is not put away for a question either.
func (r *renaming) spares(c wp.Component) string {
	if _, protected := r.agent.confOf(r.look.site).Protects(c.ID()); protected {
		return "the configuration protects it"
	}
	return ""
}

func (r *renaming) untestable(components []wp.Component) (untestable []string, why string) {
	for _, c := range components {
		if c.Kind == wp.KindPrepend {
			untestable = append(untestable, c.ID())
		}
	}
	return untestable, "a file that PHP itself loads first is never renamed: every request would fail"
}

// ask puts away what is masked and no more, and asks the front. A failure right
// after a rename may belong to a request under way, or to a PHP that has not seen
// the rename yet; it counts once it lasts.
func (r *renaming) ask(ctx context.Context, away []wp.Component, _ bool) (shadow.Answer, error) {
	if err := r.move(ctx, away); err != nil {
		return shadow.Answer{}, err
	}
	for {
		answer := r.agent.askFront(ctx, r.look)
		since := time.Since(r.moved)
		switch {
		case ctx.Err() != nil:
			return shadow.Answer{}, ctx.Err()
		case !answer.Outcome.Failing():
			if len(away) > 0 && !r.seen {
				r.seen = true
				if since > inFlight {
					r.lag = revalidation
				}
			}
			if since < r.lag {
				break // it may be the answer of a moment ago
			}
			return shadow.Answer{Result: answer}, nil
		case since >= r.patience():
			return shadow.Answer{Result: answer}, nil
		}
		time.Sleep(min(inFlight/2, max(r.patience()-since, 0)+time.Millisecond))
	}
}

// patience is how long after a rename a failure does not count.
func (r *renaming) patience() time.Duration {
	if r.moved.IsZero() {
		return 0
	}
	if !r.seen {
		return revalidation
	}
	return max(inFlight, r.lag)
}

// move renames what differs between what is away and what shall be.
func (r *renaming) move(ctx context.Context, away []wp.Component) error {
	want := map[string][]string{}
	for _, c := range away {
		key := c.ID()
		if c.Kind == wp.KindTheme {
			key = "theme" // which theme is shown instead depends on all that are away
		}
		want[key] = append(want[key], c.ID())
	}
	if t := want["theme"]; len(t) > 0 {
		slices.Sort(t)
		want["theme:"+fmt.Sprint(t)] = t
		delete(want, "theme")
	}
	var errs []error
	for key, change := range r.away {
		if want[key] == nil {
			errs = append(errs, r.back(key, change))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if _, gone := r.away[key]; gone {
			continue
		}
		if err := r.put(ctx, key, want[key]); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (r *renaming) put(ctx context.Context, key string, ids []string) error {
	if err := calm(r.look); err != nil {
		return err
	}
	change, err := remedy.Away(r.look.site, r.look.wp, ids, fmt.Sprintf("search by renaming on %s", r.look.site.Domain))
	if err != nil {
		return err
	}
	change.Actor = "wpmend bisect"
	if change, err = r.agent.journal.Plan(change); err != nil {
		return fmt.Errorf("write the journal, so nothing was changed: %w", err)
	}
	r.away[key] = change
	r.moved = time.Now()
	r.live++
	return refused(r.agent.journal.Apply(ctx, change.ID))
}

func (r *renaming) back(key string, change journal.Change) error {
	r.moved = time.Now()
	if err := r.agent.undo(change, "the question was answered"); err != nil {
		return err
	}
	delete(r.away, key)
	return nil
}

// restore puts everything back, whatever happened.
func (r *renaming) restore() error {
	var errs []error
	for key, change := range r.away {
		errs = append(errs, r.back(key, change))
	}
	return errors.Join(errs...)
}
