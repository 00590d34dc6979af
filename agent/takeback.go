package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// TakenBack is what became of one change whose term had come.
type TakenBack struct {
	ID     string    `json:"id"`
	Site   string    `json:"site"`
	What   string    `json:"what"`
	Undone bool      `json:"undone"`
	Until  time.Time `json:"until,omitzero"` // its new term, where the site needs it still
	Note   string    `json:"note"`           // in words
}

// TakeBack undoes the verified changes whose term has come ("tuned until"), each under
// its site's lock, and asks the site once afterwards. A site that fails without the
// change gets it back for another term. A site that fails before, or that somebody is at
// work on, is left as it is until the next call, and so is a file that a later change has
// replaced again. The error holds what could not be read
// or undone.
func (a *Agent) TakeBack(ctx context.Context) ([]TakenBack, error) {
	return a.takeBackOf(ctx, func(site.Site) bool { return true })
}

// takeBackOf is TakeBack for the sites that may be changed now.
func (a *Agent) takeBackOf(ctx context.Context, may func(site.Site) bool) ([]TakenBack, error) {
	due, err := a.journal.Due(time.Now())
	problems := []error{err}
	taken := []TakenBack{}
	for _, c := range slices.Backward(due) { // the newest first: an older one may lie below it
		if ctx.Err() != nil {
			break
		}
		t, err := a.takeBack(ctx, c, may)
		if err != nil {
			problems = append(problems, fmt.Errorf("take back %s (%s): %w", c.ID, c.What, err))
		}
		if t != nil {
			taken = append(taken, *t)
			a.log.Info("the term of a change has come", "site", c.SiteRoot, "what", c.What, "note", t.Note)
		}
	}
	return taken, errors.Join(append(problems, ctx.Err())...)
}

// takeBack ends the term of one change; nil: not now.
func (a *Agent) takeBack(ctx context.Context, c journal.Change, may func(site.Site) bool) (*TakenBack, error) {
	s, err := a.siteAt(ctx, c.SiteRoot)
	if err != nil || !may(s) {
		return nil, err
	}
	release, err := a.holdRoot(ctx, c.SiteRoot, "take back")
	if err != nil {
		return nil, err
	}
	defer release()
	// Whoever held the lock until now may have ended it.
	if c, err = a.journal.Get(c.ID); err != nil || c.State != journal.Verified || c.Until.After(time.Now()) {
		return nil, err
	}
	if a.covered(c) {
		return nil, nil
	}
	targets := a.concerns(s, c)
	if a.asked(ctx, s, targets).Outcome.Failing() {
		return nil, nil
	}
	t := &TakenBack{ID: c.ID, Site: s.Domain, What: c.What}
	if err := a.journal.Undo(ctx, c.ID, "its term has come"); err != nil {
		t.Note = "it could not be taken back: " + err.Error()
		return t, err
	}
	t.Undone, t.Note = true, "its term has come; the site is as well without it"
	after := a.asked(ctx, s, targets)
	if !after.Outcome.Failing() || ctx.Err() != nil {
		return t, ctx.Err()
	}
	again, err := a.putBack(ctx, s, c, targets)
	if err != nil {
		t.Note = fmt.Sprintf("its term has come, but without it the site answers %s, and it could not be put back: %v", after.Signature, err)
		return t, err
	}
	t.Undone, t.Until = false, again.Until
	t.Note = fmt.Sprintf("without it the site answers %s, so it is in force again, as %s, until %s", after.Signature, again.ID, again.Until.Format(time.RFC3339))
	return t, nil
}

// covered: a later change that is in force, perhaps of another site of the same pool, has
// replaced a file that this one had replaced. It must go first: this one could only be
// refused, and the undo of the later one would bring it back for good.
func (a *Agent) covered(c journal.Change) bool {
	later, err := a.journal.Since(c.Created)
	if err != nil {
		a.log.Warn("some records of the journal cannot be read", "err", err)
	}
	return slices.ContainsFunc(later, func(l journal.Change) bool {
		return l.ID > c.ID && l.UndoNone == "" && l.State != journal.Undone && !l.Untouched && slices.ContainsFunc(l.Steps, func(over journal.Step) bool {
			return over.File != nil && slices.ContainsFunc(c.Steps, func(s journal.Step) bool {
				return s.File != nil && s.SiteRoot == over.SiteRoot && s.File.Host == over.File.Host && s.File.Path == over.File.Path
			})
		})
	})
}

// concerns are the pages that a change is about: the front page, and what failed when it
// was made.
func (a *Agent) concerns(s site.Site, c journal.Change) []*url.URL {
	targets := []*url.URL{probe.Home(s)}
	inc, err := a.history.Get(c.Incident)
	if err != nil || c.Incident == "" {
		return targets
	}
	if failed, err := probe.Resolve(s, inc.Symptom.URL); err == nil && failed.String() != targets[0].String() {
		targets = append(targets, failed)
	}
	return targets
}

// asked is the first answer of a site's pages that fails, or the last one. A failure
// within the first moment after a change may belong to a request that was under way, so
// it must last.
func (a *Agent) asked(ctx context.Context, s site.Site, targets []*url.URL) (r probe.Result) {
	start := time.Now()
	for _, target := range targets {
		for {
			r = a.askOne(ctx, s, probe.Request{Target: target})
			if !r.Outcome.Failing() {
				break
			}
			if time.Since(start) > settling || ctx.Err() != nil {
				return r
			}
			time.Sleep(settling / 20)
		}
	}
	return r
}

// putBack makes a change that was undone once more, for as long a term as it had.
func (a *Agent) putBack(ctx context.Context, s site.Site, c journal.Change, targets []*url.URL) (journal.Change, error) {
	term := max(c.Until.Sub(c.Created), time.Minute)
	again := journal.Change{Site: c.Site, SiteRoot: c.SiteRoot, Incident: c.Incident, What: c.What, Actor: c.Actor, Steps: c.Steps,
		Why: "the site failed without it when its term had come; " + c.Why, Until: time.Now().Add(term).UTC().Truncate(time.Second)}
	again, err := a.journal.Plan(again)
	if err == nil {
		err = a.journal.Apply(ctx, again.ID)
	}
	if err != nil {
		return again, err
	}
	if r := a.asked(ctx, s, targets); r.Outcome.Failing() {
		return again, errors.Join(fmt.Errorf("with it the site answers %s as well", r.Signature), a.undo(again, "it does not help any more"))
	}
	return again, a.journal.Verified(again.ID)
}
