package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wpmend/agent/history"
	"wpmend/agent/journal"
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
// newest first. What cannot be taken back is in the notes, and Left counts it.
func (a *Agent) UndoIncident(ctx context.Context, id string) (SwitchReport, error) {
	inc, err := a.history.Get(id)
	if err != nil {
		return SwitchReport{}, err
	}
	r := SwitchReport{Site: inc.Site, Changes: []ChangeRef{}, Notes: []string{}}
	release, err := a.holdRoot(ctx, inc.Site.Root, "undo")
	if err != nil {
		return r, err
	}
	defer release()
	changes, err := a.journal.List()
	r.Notes = append(r.Notes, notes(err)...)
	for _, c := range slices.Backward(changes) {
		if c.Incident != inc.ID || c.State == journal.Undone || c.State == journal.Refused && c.Untouched {
			continue
		}
		if c.UndoNone != "" {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: not taken back, since %s", c.What, c.UndoNone))
			continue
		}
		if err := a.journal.Undo(ctx, c.ID, "wpmend incidents undo"); err != nil {
			r.Left++
			r.Notes = append(r.Notes, c.What+": "+err.Error())
			if advice := (*journal.RefusedError)(nil); errors.As(err, &advice) {
				r.Notes = append(r.Notes, advice.Do)
			}
			continue
		}
		r.Changes = append(r.Changes, undone(c))
		r.Notes = append(r.Notes, a.saidOf(c, "wpmend incidents undo")...)
	}
	if len(r.Changes) == 0 {
		r.Already = r.Left == 0 && inc.State == history.Undone
		switch {
		case r.Already:
			r.Notes = append(r.Notes, "it was undone already")
		case r.Left == 0:
			r.Notes = append(r.Notes, "no change of this incident is in force")
		}
		return r, nil
	}
	if r.Left == 0 {
		inc.State = history.Undone
		inc.Note(time.Now(), "undone by a person")
		err = a.told(inc, a.history.Close(inc))
	}
	return r, err
}

// saidOf is what the journal noted of an undo beside its reason: that an owner's later
// choice stays, for one.
func (a *Agent) saidOf(c journal.Change, why string) []string {
	c, err := a.journal.Get(c.ID)
	if err != nil || c.Note() == why {
		return notes(err)
	}
	return []string{c.Note()}
}

// undone is a change as it appears in a report after it was taken back.
func undone(c journal.Change) ChangeRef {
	r := changeRef(c)
	r.What, r.From, r.To, r.Undo = "undone: "+c.What, r.To, r.From, ""
	return r
}

// RecoverReport is what recover found and did.
type RecoverReport struct {
	Clean   bool        `json:"clean"` // nothing is left that a person must see to
	Changes []Recovered `json:"changes"`
	Notes   []string    `json:"notes"` // records that could not be read

	// unread says that a record of the journal is among these: what is in effect on this host is not known.
	unread bool
}

// Recovered is one change that was neither verified nor undone.
type Recovered struct {
	ID    string `json:"id"`
	What  string `json:"what"`
	State string `json:"state"`
	Note  string `json:"note"`
}

// Recover puts back what an interrupted run left. What it could not read does not
// keep it from the rest.
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
	r.unread = err != nil
	r.Notes = notes(err, a.history.Clean(), a.closeInterrupted(ctx))
	r.Clean = r.Clean && len(r.Notes) == 0
	return r, ctx.Err()
}
