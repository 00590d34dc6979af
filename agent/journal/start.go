package journal

import (
	"context"
	"encoding/json"
	"errors"
)

// StartStep describes the start of a process; what says which, in the words of the
// function [Deps].Start.
func StartStep(what json.RawMessage) Step { return Step{Kind: Start, Process: what} }

// starting carries out steps that start a process. They cannot be undone, and the
// disk does not tell whether one was done.
type starting struct{}

func (starting) undoable() bool { return false }

func (starting) check(s Step) error {
	if !json.Valid(s.Process) {
		return errors.New("what to start is not described")
	}
	return nil
}

func (starting) describe(Step) string { return "start PHP-FPM" }

func (starting) byHand(Step, Change) []string { return nil }

func (starting) prepare(_ context.Context, j *Journal, s Step) (Step, error) {
	if j.deps.Start == nil {
		return s, errors.New("nothing is given to start processes with")
	}
	return s, nil
}

func (starting) look(context.Context, *Journal, Step) (standing, error) { return inert, nil }

func (starting) apply(ctx context.Context, w *work, s Step) error {
	return w.deps.Start(ctx, s.Process)
}

func (starting) undo(context.Context, *work, Step) error { return nil }
