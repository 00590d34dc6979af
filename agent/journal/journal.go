package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sys/unix"
)

// Deps is what the journal needs of others.
type Deps struct {
	// Options reads and writes a site's options; needed for steps about options.
	Options Options
	// Forget makes the site's persistent object cache drop an option that was written
	// to the database; it may be nil. Whether that worked shows when the site is
	// verified.
	Forget func(ctx context.Context, siteRoot, name string)
	// Start starts what a step made by [StartStep] describes.
	Start func(ctx context.Context, what json.RawMessage) error
	// Act carries out what a step made by [ActStep] describes. It may be called again
	// after a crash.
	Act func(ctx context.Context, what json.RawMessage) error
	// Lock takes the lock of a site, for [Journal.Recover] alone. An error means that
	// somebody is at work on it, and says who.
	Lock func(siteRoot string) (unlock func(), err error)
}

// Journal is the durable record of the changes of one host. Several processes may
// use one folder; nothing is kept in memory.
type Journal struct {
	dir  string
	deps Deps
	disk seam
}

// Open opens the journal in a folder, an absolute path, and makes it if it is
// missing (0700). It refuses a folder that is not root's, or that lies where others
// could exchange it.
func Open(dir string, d Deps) (*Journal, error) {
	if err := Prepare(dir); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return &Journal{dir: dir, deps: d}, nil
}

// Plan writes down a change with all that its undo needs, and gives it an id.
// Nothing else happens. Guards come first, whatever their place, so that they are
// undone last, when the plugins lie at their places again.
func (j *Journal) Plan(c Change) (Change, error) {
	slices.SortStableFunc(c.Steps, func(a, b Step) int { return rank(a) - rank(b) })
	if err := c.check(); err != nil {
		return c, fmt.Errorf("plan %q: %w", c.What, err)
	}
	for i, s := range c.Steps {
		k, err := kindOf(s.Kind)
		if err == nil {
			c.Steps[i], err = k.prepare(context.Background(), j, s)
		}
		if err != nil {
			return c, fmt.Errorf("plan %q: %w", c.What, err)
		}
	}
	c.Steps = slices.DeleteFunc(c.Steps, func(s Step) bool { return !s.effective() })
	if !slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Kind != Act || c.UndoNone != "" }) {
		return c, fmt.Errorf("plan %q: it is so already", c.What)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	if c.Created.IsZero() {
		c.Created = now
	}
	c.ID, c.State, c.Log = ulid.Make().String(), Planned, []Entry{{Time: now, State: Planned}}
	c.Record = filepath.Join(j.dir, c.ID+suffix)
	if err := j.write(c, unix.RENAME_NOREPLACE); err != nil {
		return c, fmt.Errorf("plan %q: nothing was changed, since it could not be written down first: %w", c.What, err)
	}
	return c, nil
}

func rank(s Step) int {
	if s.Kind == Option {
		return 0
	}
	return 1
}

// Apply does every step of a planned change. On an error what it had done is undone
// before it returns; a step that does not fit the disk gives a [*RefusedError].
func (j *Journal) Apply(ctx context.Context, id string) error {
	c, err := j.read(id)
	if err != nil {
		return err
	}
	switch {
	case c.State == Verified:
		return nil
	case c.State != Planned && c.State != Applied || c.Undoing:
		return fmt.Errorf("change %s cannot be applied: it is %s", c.ID, c.State)
	case c.State == Applied && c.UndoNone != "":
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &work{Journal: j, change: c}
	for i, s := range c.Steps {
		k, err := kindOf(s.Kind)
		if err == nil {
			err = k.apply(ctx, w, s)
		}
		if err != nil {
			return errors.Join(err, j.giveUp(c, i, err))
		}
	}
	w.forget(ctx)
	if c.State == Applied {
		return nil
	}
	if applied, err := j.turn(c, Applied, w.say("")); err != nil {
		return errors.Join(err, j.giveUp(applied, len(c.Steps), err))
	}
	return nil
}

// giveUp leaves the site as found after Apply failed in one step.
func (j *Journal) giveUp(c Change, failed int, why error) error {
	note := "not applied: " + why.Error()
	if c.UndoNone != "" {
		to := Undone
		if c.begun(failed, why) {
			to, note = Applied, "done, or begun, with an error: "+why.Error()
		}
		_, err := j.turn(c, to, note)
		return err
	}
	var refused *RefusedError
	var unbegun *UnbegunError
	if !errors.As(why, &refused) {
		unread := errors.As(why, &unbegun) && !c.begun(failed, why)
		return (&work{Journal: j, change: c, giving: true, unread: unread}).takeBack(note)
	}
	// A step that is refused has no effect; to look at it once more would only bring
	// the same refusal. All others must be seen to have none.
	others := slices.Delete(slices.Clone(c.Steps), failed, failed+1)
	w := &work{Journal: j, change: c, giving: true}
	err := w.undoSteps(context.Background(), others)
	c = w.change
	c.Untouched = err == nil
	_, werr := j.turn(c, Refused, w.say(note))
	return errors.Join(err, werr)
}

// Undo takes a change back, whatever its state; why goes into the record. It may be
// called again, also after an error: what the disk shows as undone is left alone. After
// a refusal it looks anew, and takes what is not there any more for put right.
func (j *Journal) Undo(ctx context.Context, id, why string) error {
	c, err := j.read(id)
	if err != nil {
		return err
	}
	switch {
	case c.UndoNone != "":
		return fmt.Errorf("change %s cannot be undone: %s", c.ID, c.UndoNone)
	case c.State == Undone:
		return nil
	case c.State == Refused && c.Untouched:
		_, err := j.turn(c, Undone, why)
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	again := c.Undoing
	if c.State == Verified {
		// A crash in mid-undo must not leave half of it as "verified".
		c.Undoing = true
		if c, err = j.turn(c, Applied, "undo begun: "+why); err != nil {
			return err
		}
	}
	return (&work{Journal: j, change: c, again: again}).takeBack(why)
}

// takeBack undoes a change and records how that ended. A cancelled caller does not
// stop it.
func (w *work) takeBack(why string) error {
	err := w.undoSteps(context.Background(), w.change.Steps)
	c := w.change
	var refused *RefusedError
	switch {
	case err == nil:
		c.Undoing = false
		_, err = w.turn(c, Undone, w.say(why))
		return err
	case errors.As(err, &refused):
		_, werr := w.turn(c, Refused, w.say(err.Error()))
		return errors.Join(err, werr)
	}
	// The record stays as it is, so that recovery tries again.
	return err
}

// undoSteps undoes steps backwards, each for itself: one that is refused does not keep
// the others from being as found.
func (w *work) undoSteps(ctx context.Context, steps []Step) error {
	var problems []error
	if w.again {
		for _, s := range steps {
			if s.Name != "" {
				w.stale(s)
			}
		}
	}
	for _, s := range slices.Backward(steps) {
		k, err := kindOf(s.Kind)
		if err == nil {
			limited, cancel := context.WithTimeout(ctx, s.timeout())
			err = k.undo(limited, w, s)
			cancel()
		}
		w.failed = w.failed || err != nil
		problems = append(problems, err)
	}
	w.forget(ctx)
	return errors.Join(problems...)
}
