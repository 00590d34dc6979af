package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Recovered is what recovery did with one change.
type Recovered struct {
	Change
	Note string // in words
	Err  error  // why it is not as found yet
}

// Recover puts back what an interrupted run left: every change that is not verified
// is undone, under its site's lock. Changes of a living actor are left alone. Only
// changes that it did something with, or that wait for a person, are in the result;
// the error holds what could not be read.
func (j *Journal) Recover(ctx context.Context) ([]Recovered, error) {
	if j.deps.Lock == nil {
		return nil, errors.New("recover: nothing is given to lock sites with")
	}
	problem := j.disk.clean(j.dir)
	changes, err := j.List()
	problem = errors.Join(problem, err)
	report := []Recovered{}
	locked := map[string]error{}
	for _, c := range slices.Backward(changes) { // the newest first: an older one may lie below it
		if c.State == Verified || c.State == Undone || c.State == Applied && c.UndoNone != "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return report, errors.Join(problem, err)
		}
		busy, tried := locked[c.SiteRoot]
		var unlock func()
		if !tried {
			unlock, busy = j.deps.Lock(c.SiteRoot)
			if busy != nil {
				locked[c.SiteRoot] = busy
			}
		}
		if busy != nil {
			report = append(report, Recovered{Change: c, Note: "left alone: " + busy.Error(), Err: busy})
			continue
		}
		var r Recovered
		var touched bool
		if provenWith(c, changes) {
			r, touched = Recovered{Change: c, Note: "proven together with another change"}, true
			r.Err = j.Verified(c.ID)
			r.State = Verified
		} else {
			r, touched = j.settle(c.ID)
		}
		unlock()
		if touched {
			report = append(report, r)
		}
	}
	return report, problem
}

// Interrupted are the changes that a wpmend which died would have left half-done: those
// begun, neither verified nor undone, that can be taken back. One that was proven
// together with a verified one is not among them.
func Interrupted(changes []Change) []Change {
	var left []Change
	for _, c := range changes {
		if c.UndoNone == "" && (c.State == Planned || c.State == Applied) && !provenWith(c, changes) {
			left = append(left, c)
		}
	}
	return left
}

// settle brings one change to an end. It reads it again: whoever held the lock until
// now may have ended it.
func (j *Journal) settle(id string) (r Recovered, touched bool) {
	c, err := j.read(id)
	r.Change = c
	switch {
	case err != nil:
		r.Note, r.Err = "cannot be read any more", err
	case c.State == Verified, c.State == Undone, c.State == Applied && c.UndoNone != "", c.State == Refused && c.Untouched:
		return r, false
	case c.UndoNone != "":
		r.Note = "interrupted; whether it was done is not known, and it cannot be undone: " + c.UndoNone
		r.Change, r.Err = j.turn(c, Applied, r.Note)
	case c.State == Refused:
		return j.review(c)
	default:
		r.Note = "undone: wpmend was interrupted"
		if r.Err = (&work{Journal: j, change: c, again: true}).takeBack("wpmend was interrupted"); r.Err != nil {
			r.Note = "not undone: " + r.Err.Error()
		}
		if c, err := j.read(id); err == nil {
			r.Change = c
		}
	}
	return r, true
}

// review looks whether a person has put a refused change right; it touches nothing.
func (j *Journal) review(c Change) (Recovered, bool) {
	for _, s := range c.Steps {
		k, err := kindOf(s.Kind)
		var at standing
		if err == nil {
			at, err = k.look(context.Background(), j, s)
		}
		if err == nil && at == done {
			err = fmt.Errorf("it is still in effect: %q; `wpmend incidents undo` takes it back", k.describe(s))
		}
		if err != nil {
			return Recovered{Change: c, Note: "waits for a person: " + err.Error(), Err: err}, true
		}
	}
	c, err := j.turn(c, Undone, "found put right")
	return Recovered{Change: c, Note: "found put right", Err: err}, true
}
