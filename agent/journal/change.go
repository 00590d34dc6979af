// Package journal does what the remedies describe, and undoes it. It knows how to
// carry out each kind of step, how to write it down before it happens, and how to
// tell from the disk what of it is in effect. It refuses to know why a change is
// wanted and whether it helped.
//
// It is the only room that changes anything live. Its invariant: nothing changes
// before its undo is durable, and what is found on the disk is believed before what
// was written down; where the two do not fit together nothing is touched and a
// person is asked.
//
// The record is one JSON file a change, readable with cat when wpmend itself is
// broken. Callers of [Journal.Apply], [Journal.Verified] and [Journal.Undo] hold the
// site's lock; [Journal.Recover] takes it itself.
package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"
)

// State is how far a change has come.
type State string

// The states of a change. A change whose undo is "none" rests in Applied.
const (
	Planned  State = "planned"  // written down; perhaps begun
	Applied  State = "applied"  // every step done, its use not proven; or its undo begun
	Verified State = "verified" // the site was proven well: recovery leaves it
	Undone   State = "undone"   // nothing of it is in effect
	Refused  State = "refused"  // the disk does not fit the record: a person must look
)

// maxSteps bounds one change: more than any site has components.
const maxSteps = 4096

// Change is one intended change of a live system: all of its steps, or none.
type Change struct {
	ID       string    `json:"id"` // ULID
	Site     string    `json:"site,omitempty"`
	SiteRoot string    `json:"site_root"` // absolute
	Incident string    `json:"incident,omitempty"`
	What     string    `json:"what"`
	Why      string    `json:"why"`
	Actor    string    `json:"actor"`
	Created  time.Time `json:"created"`
	State    State     `json:"state"`
	// UndoNone says why the change cannot be taken back; "" means that it can.
	UndoNone string `json:"undo_none,omitempty"`
	// Undoing: the undo of a verified change was begun, and must be brought to its end.
	Undoing bool `json:"undoing,omitempty"`
	// Batch joins the changes that [Journal.VerifiedAll] proved together.
	Batch string `json:"batch,omitempty"`
	// Untouched: refused before anything had changed.
	Untouched bool `json:"untouched,omitempty"`
	// Steps are done in order and undone backwards.
	Steps []Step `json:"steps"`
	// Until is when a verified change is to be taken back ("tuned until"); zero: it stays.
	Until time.Time `json:"until,omitzero"`
	Log   []Entry   `json:"log"`
	// Record is the file that holds this record.
	Record string `json:"-"`
}

// Entry is one transition of a change.
type Entry struct {
	Time  time.Time `json:"time"`
	State State     `json:"state"`
	Note  string    `json:"note,omitempty"`
}

// Note is what was said at the last transition.
func (c Change) Note() string {
	if len(c.Log) == 0 {
		return ""
	}
	return c.Log[len(c.Log)-1].Note
}

// Describe says in plain words what the change does, a line a step.
func (c Change) Describe() []string {
	lines := make([]string, 0, len(c.Steps))
	for _, s := range c.Steps {
		if k, err := kindOf(s.Kind); err == nil {
			lines = append(lines, k.describe(s))
		}
	}
	return lines
}

// UndoByHand gives shell commands that take the change back without wpmend, one a
// line, "" if it cannot be taken back. Pasting them twice does no harm.
func (c Change) UndoByHand() string {
	var text strings.Builder
	if c.UndoNone != "" {
		return ""
	}
	for _, s := range slices.Backward(c.Steps) {
		if k, err := kindOf(s.Kind); err == nil {
			for _, line := range k.byHand(s, c) {
				text.WriteString(line + "\n")
			}
		}
	}
	return text.String()
}

// check refuses a change that could not be done or undone as it is written.
func (c Change) check() error {
	switch {
	case !filepath.IsAbs(c.SiteRoot) || filepath.Clean(c.SiteRoot) != c.SiteRoot || strings.ContainsRune(c.SiteRoot, 0) || !utf8.ValidString(c.SiteRoot):
		return fmt.Errorf("site root %q is not a clean absolute path", c.SiteRoot)
	case len(c.Steps) == 0:
		return errors.New("the change has no steps")
	case len(c.Steps) > maxSteps:
		return fmt.Errorf("the change has %d steps, more than %d", len(c.Steps), maxSteps)
	}
	if c.UndoNone != "" && !c.Until.IsZero() {
		return errors.New("a change that cannot be taken back has a term")
	}
	for i, s := range c.Steps {
		k, err := kindOf(s.Kind)
		if err == nil {
			err = k.check(s)
		}
		if err == nil {
			err = c.fits(s, k.undoable())
		}
		if err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.Kind, err)
		}
	}
	if c.UndoNone == "" && !slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Kind != Act }) {
		return errors.New("what only sets something going cannot be taken back: it needs undo_none")
	}
	return nil
}

// fits refuses a step that does not go together with the change. Acts go with both
// kinds of changes.
func (c Change) fits(s Step, undoable bool) error {
	switch {
	case s.Kind == Act && c.UndoNone != "" && s.When != OnApply:
		return errors.New("a change that cannot be taken back has something to do for its undo")
	case s.Kind == Act:
	case undoable == (c.UndoNone != ""):
		return errors.New("a change is taken back as a whole or not at all: steps without an undo need undo_none, and a change of their own")
	case undoable && s.SiteRoot != c.SiteRoot && (s.File == nil || !s.File.Host):
		return fmt.Errorf("site root %q differs from the change's %q", s.SiteRoot, c.SiteRoot)
	}
	return nil
}

// checkRecord refuses a record that this version did not write.
func (c Change) checkRecord(id string) error {
	if _, err := ulid.ParseStrict(c.ID); err != nil || c.ID != id {
		return fmt.Errorf("its id is %q", c.ID)
	}
	switch c.State {
	case Planned, Applied, Verified, Undone, Refused:
	default:
		return fmt.Errorf("unknown state %q", c.State)
	}
	return c.check()
}
