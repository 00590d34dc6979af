package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// recovery is how long a mended site may take until its first healthy answer:
// workers that hang are freed only when the pool ends them.
const recovery = 30 * time.Second

// settling is how long quick failures right after a change do not count: requests
// that had loaded half of a plugin when it was renamed still end in a fatal.
const settling = 2 * time.Second

// apply makes a change, verifies the site by the front route, and undoes the
// change when the site is not well. verified says which of the two happened.
func (a *Agent) apply(ctx context.Context, l *look, change journal.Change) (applied journal.Change, verified bool, err error) {
	change, err = a.journal.Plan(change)
	if err != nil {
		return change, false, fmt.Errorf("write the journal, so nothing was changed: %w", err)
	}
	if err := a.journal.Apply(ctx, change.ID); err != nil {
		return change, false, errors.Join(fmt.Errorf("%s: %w", change.What, err), a.undo(change.ID, "it could not be made whole"))
	}
	a.say(l.site, "verifying")
	if !a.verify(ctx, l) {
		why := "the site did not get well"
		if ctx.Err() != nil {
			why = "interrupted before the site was proven well"
		}
		return change, false, errors.Join(ctx.Err(), a.undo(change.ID, why))
	}
	if err := a.journal.Verified(change.ID); err != nil {
		return change, false, errors.Join(err, a.undo(change.ID, "it could not be recorded as verified"))
	}
	change, err = a.journal.Get(change.ID)
	return change, err == nil, err
}

// undo runs to its end even when the caller was interrupted.
func (a *Agent) undo(id, why string) error {
	change, err := a.journal.Get(id)
	if err != nil {
		return err
	}
	if change.UndoNone != "" {
		return nil
	}
	if err := a.journal.Undo(context.Background(), id, why); err != nil {
		return fmt.Errorf("undo %s: %w", id, err)
	}
	return nil
}

// verify wants a row of healthy answers by the front route.
func (a *Agent) verify(ctx context.Context, l *look) bool {
	start := time.Now()
	for row := 0; row < a.config.Probe.Verify; {
		r := probe.ByFront(ctx, l.site, l.target, a.limits())
		waited := time.Since(start)
		switch {
		case ctx.Err() != nil:
			return false
		case r.Outcome == probe.Healthy:
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

// budget refuses a change when too many were made within the last hour.
func (a *Agent) budget(s site.Site) error {
	changes, _ := a.journal.List()
	since := time.Now().Add(-time.Hour)
	ofSite, ofHost := 0, 0
	for _, c := range changes {
		if c.Created.Before(since) || c.Actor != actor {
			continue
		}
		ofHost++
		if c.Site == s.ID {
			ofSite++
		}
	}
	switch {
	case ofSite >= a.config.Budget.Site:
		return fmt.Errorf("%d changes were made to %s within the last hour, the budget is %d (budget.site): wpmend only watches it now", ofSite, s.Domain, a.config.Budget.Site)
	case ofHost >= a.config.Budget.Host:
		return fmt.Errorf("%d changes were made on this host within the last hour, the budget is %d (budget.host): wpmend only watches now", ofHost, a.config.Budget.Host)
	}
	return nil
}

// actor marks the changes that wpmend decided on itself.
const actor = "wpmend"

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
