package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// When says in which direction of a change an act is carried out.
type When string

// The directions. Steps are done in order and undone backwards, so what must follow
// the replacing of a file both ways stands once behind it (OnApply) and once before it
// (OnUndo).
const (
	OnApply When = "on-apply"
	OnUndo  When = "on-undo"
	Always  When = "always"
)

// actTimeout bounds one act of an undo. [Deps].Act has bounds of its own, which are
// shorter: a reload of PHP-FPM waits for its process_control_timeout, of some minutes on
// some hosts, and one that is given up before leaves the undo without an end.
const actTimeout = 20 * time.Minute

// UnbegunError is an error of [Deps].Act that came before anything was set going. After
// any other the act may have been done.
type UnbegunError struct{ Err error }

func (e *UnbegunError) Error() string { return e.Err.Error() }

func (e *UnbegunError) Unwrap() error { return e.Err }

// begun tells whether, after an error in the step failed, some act of a change may have
// been done.
func (c Change) begun(failed int, why error) bool {
	isAct := func(s Step) bool { return s.Kind == Act && s.When != OnUndo }
	var unbegun *UnbegunError
	return slices.ContainsFunc(c.Steps[:failed], isAct) || failed < len(c.Steps) && isAct(c.Steps[failed]) && !errors.As(why, &unbegun)
}

// ActStep describes something that is set going, such as a reload; what says what, for
// the function [Deps].Act. Of what, the journal reads no more than the fields "do" and
// "words" (in which it is described) and "hand" (shell commands to do it by hand).
func ActStep(when When, what json.RawMessage) Step { return Step{Kind: Act, When: when, Act: what} }

// acting carries out steps that set something going. The disk does not tell whether
// one was done, so after a crash it is done once more rather than not at all.
type acting struct{}

// told is what the journal reads of an act.
type told struct {
	Do    string   `json:"do"`
	Words string   `json:"words"`
	Hand  []string `json:"hand"`
}

func (s Step) told() (t told) {
	if err := json.Unmarshal(s.Act, &t); err != nil {
		return told{}
	}
	if t.Words == "" {
		t.Words = t.Do
	}
	return t
}

func (acting) undoable() bool { return false }

func (acting) check(s Step) error {
	if !slices.Contains([]When{OnApply, OnUndo, Always}, s.When) {
		return fmt.Errorf("when to act is %q", s.When)
	}
	if !json.Valid(s.Act) || s.told().Words == "" {
		return errors.New("what to do is not described")
	}
	return nil
}

func (acting) describe(s Step) string {
	words := shown([]byte(s.told().Words))
	switch s.When {
	case OnUndo:
		return words + ", when this is undone"
	case Always:
		return words + ", also when this is undone"
	}
	return words
}

func (acting) byHand(s Step, _ Change) []string {
	t := s.told()
	switch {
	case s.When == OnApply:
		return nil
	case len(t.Hand) == 0:
		return []string{"# then: " + shown([]byte(t.Words))}
	}
	return t.Hand
}

func (acting) prepare(_ context.Context, j *Journal, s Step) (Step, error) {
	if j.deps.Act == nil {
		return s, errors.New("nothing is given to act with")
	}
	return s, nil
}

func (acting) look(context.Context, *Journal, Step) (standing, error) { return inert, nil }

func (acting) apply(ctx context.Context, w *work, s Step) error {
	// A change that is applied already has been acted for.
	if s.When == OnUndo || w.change.State == Applied {
		return nil
	}
	return w.act(ctx, s)
}

// undo acts only if something was taken back, or may have been by an earlier call: a
// reload for nothing may cost visitors their requests.
func (acting) undo(ctx context.Context, w *work, s Step) error {
	if s.When == OnApply || w.unread || !w.changed && !w.again && (w.giving || w.failed) {
		return nil
	}
	return w.act(ctx, s)
}

func (w *work) act(ctx context.Context, s Step) error {
	if w.deps.Act == nil {
		return errors.New("nothing is given to act with")
	}
	if err := w.disk.call("act", func() error { return w.deps.Act(ctx, s.Act) }); err != nil {
		return fmt.Errorf("%s: %w", s.told().Words, err)
	}
	return nil
}

// timeout bounds the undo of a step.
func (s Step) timeout() time.Duration {
	if s.Kind == Act {
		return actTimeout
	}
	return optionTimeout
}
