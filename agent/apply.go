package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/probe"
)

// recovery is how long a mended site may take until its first healthy answer:
// workers that hang are freed only when the pool ends them.
const recovery = 30 * time.Second

// settling is how long quick failures right after a change do not count: requests
// that had loaded half of a plugin when it was renamed still end in a fatal.
const settling = 2 * time.Second

// apply makes changes, verifies the site by the front route once, and undoes them
// all when the site is not well; leave was granted for all of them. verified says which of the two happened.
func (a *Agent) apply(ctx context.Context, l *look, leave *grant, changes []journal.Change) (applied []journal.Change, verified bool, err error) {
	l.keep = a.wellBefore(ctx, l)
	for _, c := range changes {
		if c, err = leave.plan(c); err != nil {
			return applied, false, errors.Join(fmt.Errorf("write the journal: %w", err), a.undoAll(applied, "the next change could not be written down"))
		}
		applied = append(applied, c)
		if err = a.journal.Apply(ctx, c.ID); err != nil {
			return applied, false, errors.Join(fmt.Errorf("%s: %w", c.What, err), a.undoAll(applied, "it could not be made whole"))
		}
	}
	a.say(l.site, "verifying")
	if !a.verify(ctx, l) {
		why := "the site did not get well"
		if ctx.Err() != nil {
			why = "interrupted before the site was proven well"
		}
		return applied, false, errors.Join(ctx.Err(), a.undoAll(applied, why))
	}
	ids := make([]string, len(applied))
	for i, c := range applied {
		ids[i] = c.ID
	}
	if err = a.journal.VerifiedAll(ids); err != nil {
		return applied, false, errors.Join(err, a.undoAll(applied, "it could not be recorded as verified"))
	}
	return applied, true, nil
}

// undoAll takes changes back, the last first; what cannot be undone stays.
func (a *Agent) undoAll(changes []journal.Change, why string) error {
	var errs []error
	for _, c := range slices.Backward(changes) {
		errs = append(errs, a.undo(c, why))
	}
	return errors.Join(errs...)
}

// undo runs to its end even when the caller was interrupted.
func (a *Agent) undo(c journal.Change, why string) error {
	if c.UndoNone != "" {
		return nil
	}
	if err := a.journal.Undo(context.Background(), c.ID, why); err != nil {
		return fmt.Errorf("undo %s: %w", c.ID, err)
	}
	return nil
}

// wellBefore is the front page, where another URL fails and this one is well: a cure
// must not cost it.
func (a *Agent) wellBefore(ctx context.Context, l *look) []request {
	home := request{Request: probe.Request{Target: probe.Home(l.site)}}
	if slices.ContainsFunc(l.requests, func(r request) bool { return r.Target.String() == home.Target.String() }) {
		return nil
	}
	if r := a.askOne(ctx, l.site, home.Request); r.Outcome != probe.Healthy {
		return nil
	}
	return []request{home}
}

// verify wants a row of healthy answers by the front route; where the front says
// nothing of PHP, the pool must answer well instead.
func (a *Agent) verify(ctx context.Context, l *look) bool {
	start := time.Now()
	for row := 0; row < max(a.confOf(l.site).Probe.Verify, l.verify); {
		r := a.askAll(ctx, l, append(slices.Clone(l.requests), l.keep...))
		waited := time.Since(start)
		switch {
		case ctx.Err() != nil:
			return false
		case r.Outcome == probe.Healthy, r.Route == probe.Pool && r.Answered():
			row++
			continue
		case waited > recovery, waited > settling && r.Took < slow:
			a.log.Info("the site is not well", "site", l.site.Domain, "outcome", r.Outcome, "signature", r.Signature)
			return false
		}
		row = 0
		time.Sleep(settling / 20)
	}
	return true
}

func changeRef(c journal.Change) ChangeRef {
	ref := ChangeRef{ID: c.ID, What: c.What}
	for _, step := range c.Steps {
		if step.Kind == journal.Rename {
			ref.From, ref.To = step.From, step.To
			break
		}
	}
	if c.UndoNone == "" && c.Incident != "" {
		ref.Undo = "wpmend incidents undo " + c.Incident
	}
	return ref
}
