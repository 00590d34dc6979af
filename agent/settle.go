package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wpmend/agent/history"
	"wpmend/agent/journal"
	"wpmend/agent/lock"
	"wpmend/agent/policy"
)

// leftOn are the changes to a site that a wpmend which died left half-done. The
// caller holds the site's lock, so nobody lives who would still finish them.
func (a *Agent) leftOn(root string) []journal.Change {
	changes, err := a.journal.List()
	if err != nil {
		a.log.Warn("some records of the journal cannot be read", "err", err)
	}
	left := journal.Interrupted(changes)
	return slices.DeleteFunc(left, func(c journal.Change) bool { return c.SiteRoot != root })
}

// settle takes back what leftOn found, and ends the incidents that it belonged to.
func (a *Agent) settle(left []journal.Change) error {
	for _, c := range slices.Backward(left) {
		if err := a.undo(c, "wpmend was interrupted before it was verified"); err != nil {
			return refused(fmt.Errorf("an earlier wpmend was interrupted, and what it left cannot be put back: %w", err))
		}
		a.log.Warn("put back what an interrupted wpmend left", "change", c.ID, "what", c.What)
	}
	var errs []error
	for _, c := range left {
		if c.Incident != "" {
			errs = append(errs, a.closeDead(c.Incident))
		}
	}
	return errors.Join(errs...)
}

// closeInterrupted ends the incidents whose wpmend died.
func (a *Agent) closeInterrupted(ctx context.Context) error {
	list, err := a.history.List(history.Filter{})
	var junk *history.JunkError
	if err != nil && !errors.As(err, &junk) {
		return err
	}
	var errs []error
	for _, inc := range list {
		if inc.State != history.Ongoing {
			continue
		}
		release, err := a.holdRoot(ctx, inc.Site.Root, "recover")
		var held *lock.Held
		if errors.As(err, &held) {
			continue // its wpmend lives
		}
		errs = append(errs, a.closeDead(inc.ID))
		if err == nil {
			release()
		}
	}
	return errors.Join(errs...)
}

// closeDead ends one incident as the journal tells: a fix that was verified stands.
func (a *Agent) closeDead(id string) error {
	inc, err := a.history.Get(id)
	if errors.Is(err, history.ErrUnknown) {
		return nil
	}
	if err != nil || inc.State != history.Ongoing {
		return err
	}
	changes, err := a.journal.List()
	if err != nil {
		a.log.Warn("some records of the journal cannot be read", "err", err)
	}
	inc.State, inc.Reason = history.Escalated, string(policy.Stopped)
	for _, c := range changes {
		if c.Incident == inc.ID && c.State == journal.Verified {
			inc.State, inc.Reason = history.Resolved, ""
			inc.Changes = append(inc.Changes, changeRef(c))
		}
	}
	what := "wpmend was interrupted; what it had not verified was put back"
	if inc.State == history.Resolved {
		what = "wpmend was interrupted after it had verified the site"
	}
	inc.Note(time.Now(), what)
	return a.told(inc, a.history.Close(inc))
}
