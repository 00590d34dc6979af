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
)

// Incidents lists what happened, the newest first. Records that cannot be read are
// in the notes.
func (a *Agent) Incidents(limit int) (list []history.Incident, problems []string, err error) {
	list, err = a.history.List(history.Filter{Limit: limit})
	var junk *history.JunkError
	if errors.As(err, &junk) {
		return list, notes(err), nil
	}
	return list, nil, err
}

// Incident returns one incident by its id or its unique beginning.
func (a *Agent) Incident(id string) (history.Incident, error) { return a.history.Get(id) }

// UndoIncident takes back every change of an incident that is still in force, the
// newest first.
func (a *Agent) UndoIncident(ctx context.Context, id string) (SwitchReport, error) {
	inc, err := a.history.Get(id)
	if err != nil {
		return SwitchReport{}, err
	}
	r := SwitchReport{Site: inc.Site, Changes: []ChangeRef{}, Notes: []string{}}
	release, err := a.holdRoot(inc.Site.Root, "undo")
	if err != nil {
		return r, err
	}
	defer release()
	changes, err := a.journal.List()
	r.Notes = append(r.Notes, notes(err)...)
	for _, c := range slices.Backward(changes) {
		if c.Incident != inc.ID || (c.State != journal.Applied && c.State != journal.Verified) {
			continue
		}
		if c.UndoNone != "" {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: not taken back, since %s", c.What, c.UndoNone))
			continue
		}
		if err := a.journal.Undo(ctx, c.ID, "wpmend incidents undo"); err != nil {
			return r, refused(err)
		}
		undone := changeRef(c)
		undone.What, undone.From, undone.To, undone.Undo = "undone: "+c.What, undone.To, undone.From, ""
		r.Changes = append(r.Changes, undone)
	}
	if len(r.Changes) == 0 {
		r.Notes = append(r.Notes, "no change of this incident is in force")
		return r, nil
	}
	inc.State = history.Undone
	inc.Note(time.Now(), "undone by a person")
	return r, a.history.Close(inc)
}

// RecoverReport is what recover found and did.
type RecoverReport struct {
	Clean   bool        `json:"clean"` // nothing is left that a person must see to
	Changes []Recovered `json:"changes"`
}

// Recovered is one change that was neither verified nor undone.
type Recovered struct {
	ID    string `json:"id"`
	What  string `json:"what"`
	State string `json:"state"`
	Note  string `json:"note"`
}

// Recover puts back what an interrupted run left.
func (a *Agent) Recover(ctx context.Context) (RecoverReport, error) {
	r := RecoverReport{Clean: true, Changes: []Recovered{}}
	outcomes, err := a.journal.Recover(ctx)
	for _, o := range outcomes {
		note := o.Note
		if o.Err != nil {
			note = o.Err.Error()
		}
		r.Changes = append(r.Changes, Recovered{ID: o.ID, What: o.What, State: string(o.State), Note: note})
		r.Clean = r.Clean && o.Err == nil && o.State != journal.Refused
	}
	return r, errors.Join(err, a.closeInterrupted())
}

// closeInterrupted ends the incidents whose wpmend died.
func (a *Agent) closeInterrupted() error {
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
		release, err := a.holdRoot(inc.Site.Root, "recover")
		var held *lock.Held
		if errors.As(err, &held) {
			continue // its wpmend lives
		}
		inc.State = history.Escalated
		inc.Note(time.Now(), "wpmend was interrupted; what it had not verified was put back")
		errs = append(errs, a.history.Close(inc))
		if err == nil {
			release()
		}
	}
	return errors.Join(errs...)
}
