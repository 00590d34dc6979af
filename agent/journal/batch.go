package journal

import (
	"context"
	"fmt"
	"slices"

	"github.com/oklog/ulid/v2"
)

// Verified records that the site was proven well with the change in effect; from now
// on recovery leaves it. It is an error if the change is not in effect.
func (j *Journal) Verified(id string) error { return j.VerifiedAll([]string{id}) }

// VerifiedAll is Verified for changes that were proven together: all of them or none.
// Each record first gets the name of the batch, so that the first one that is written
// down as verified speaks for all; if wpmend dies then, or cannot write on, recovery
// completes the others.
func (j *Journal) VerifiedAll(ids []string) error {
	var changes []Change
	for _, id := range ids {
		c, err := j.read(id)
		switch {
		case err != nil:
			return err
		case c.State == Verified:
			continue
		case c.State != Applied || c.Undoing:
			return fmt.Errorf("change %s cannot be verified: it is %s", c.ID, c.State)
		}
		if err := j.inEffect(c); err != nil {
			return err
		}
		changes = append(changes, c)
	}
	batch := ""
	if len(changes) > 1 {
		batch = ulid.Make().String()
		for i := range changes {
			changes[i].Batch = batch
			if err := j.write(changes[i], 0); err != nil {
				return err
			}
		}
	}
	for i, c := range changes {
		if _, err := j.turn(c, Verified, ""); err != nil {
			if i > 0 {
				break
			}
			return err
		}
	}
	return nil
}

func (j *Journal) inEffect(c Change) error {
	for _, s := range c.Steps {
		k, err := kindOf(s.Kind)
		if err != nil {
			return err
		}
		if at, err := k.look(context.Background(), j, s); err != nil {
			return fmt.Errorf("change %s is not in effect: %w", c.ID, err)
		} else if at == notDone {
			return fmt.Errorf("change %s is not in effect: somebody undid %q", c.ID, k.describe(s))
		}
	}
	return nil
}

// provenWith tells whether a change was proven by another one's verification: one of
// its batch. Without a batch the changes of one incident count as one: they are applied
// together and verified one after the other.
func provenWith(c Change, changes []Change) bool {
	if c.State != Applied || c.Undoing {
		return false
	}
	return slices.ContainsFunc(changes, func(o Change) bool {
		if o.State != Verified || o.Batch != c.Batch {
			return false
		}
		return c.Batch != "" || c.Incident != "" && o.Incident == c.Incident && o.UndoNone == ""
	})
}
