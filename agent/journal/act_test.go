package journal

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"
)

// An act that fails undoes the change; one that is for the undo runs only if there was
// something to undo.
func TestActs(t *testing.T) {
	t.Parallel()
	p, ini := newTuned(t)
	var acts []string
	fails := ""
	deps := p.deps()
	deps.Act = func(_ context.Context, what json.RawMessage) error {
		var said told
		if err := json.Unmarshal(what, &said); err != nil {
			return err
		}
		acts = append(acts, said.Do+" "+read(t, ini))
		if said.Do == fails {
			return errors.New("it would not")
		}
		return nil
	}
	j, err := Open(p.journal, deps)
	if err != nil {
		t.Fatal(err)
	}
	plan := func(last string) string {
		t.Helper()
		c := p.tune()
		act := func(when When, do string) Step { return ActStep(when, json.RawMessage(`{"do":"`+do+`"}`)) }
		c.Steps = []Step{act(OnUndo, "back"), act(Always, "first"), c.Steps[0], act(Always, "last"), act(OnApply, last)}
		c, err := j.Plan(c)
		if err != nil {
			t.Fatal(err)
		}
		return c.ID
	}
	did := func(what string, err, want error, expect ...string) {
		t.Helper()
		if !slices.Equal(acts, expect) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v, did %q, want %q", what, err, acts, expect)
		}
		acts = nil
	}
	bad := errors.New("an error")
	id := plan("load")
	did("apply", j.Apply(context.Background(), id), nil, "first "+iniBefore, "last "+iniAfter, "load "+iniAfter)
	did("apply again", j.Apply(context.Background(), id), nil)
	did("undo", j.Undo(context.Background(), id, "test"), nil, "last "+iniAfter, "first "+iniBefore, "back "+iniBefore)
	fails = "load"
	id = plan("load")
	did("the last fails", j.Apply(context.Background(), id), bad, "first "+iniBefore, "last "+iniAfter, "load "+iniAfter, "first "+iniBefore, "back "+iniBefore)
	fails = "first"
	id = plan("load")
	did("the first fails", j.Apply(context.Background(), id), bad, "first "+iniBefore)
	if got := p.state(t, j, id); got != Undone {
		t.Errorf("it is %s", got)
	}
	fails = ""
	id = plan("load")
	did("apply", j.Apply(context.Background(), id), nil, "first "+iniBefore, "last "+iniAfter, "load "+iniAfter)
	fails = "back"
	did("the undo's act fails", j.Undo(context.Background(), id, "test"), bad, "last "+iniAfter, "first "+iniBefore, "back "+iniBefore)
	fails = ""
	did("and again", j.Undo(context.Background(), id, "test"), nil, "last "+iniBefore, "first "+iniBefore, "back "+iniBefore)

	// Acts alone, which cannot be taken back.
	c := Change{SiteRoot: p.root, What: "reload", Why: "test", Actor: "test", Steps: []Step{ActStep(OnApply, loads)}}
	if _, err := j.Plan(c); err == nil {
		t.Error("an act without an undo was planned as one that has one")
	}
	c.UndoNone = "it is over"
	if c, err = j.Plan(c); err == nil {
		err = j.Apply(context.Background(), c.ID)
	}
	did("alone", err, nil, "load "+iniBefore)
	c.Steps[0].When = OnUndo
	if _, err := j.Plan(c); err == nil {
		t.Error("an act for the undo of what has none was planned")
	}
}

// What an act says decides what the record says, and whether another act must follow.
func TestActsThatFail(t *testing.T) {
	t.Parallel()
	p, ini := newTuned(t)
	acts, answer := 0, error(nil)
	deps := p.deps()
	deps.Act = func(context.Context, json.RawMessage) error { acts++; return answer }
	j, err := Open(p.journal, deps)
	if err != nil {
		t.Fatal(err)
	}
	busy := &UnbegunError{errors.New("too much is going on")}
	for _, c := range []struct {
		what   string
		answer error
		none   string
		acts   int
		state  State
	}{
		{"a reload that was not begun needs none to follow", busy, "", 1, Undone},
		{"one that went wrong does", errors.New("a pool does not answer"), "", 2, Planned},
		{"what was not begun is not done", busy, "it is over", 1, Undone},
		{"what went wrong was done", errors.New("a pool does not answer"), "it is over", 1, Applied},
	} {
		change := p.tune()
		change.Steps = []Step{ActStep(OnUndo, loads), change.Steps[0], ActStep(OnApply, loads)}
		if c.none != "" {
			change.UndoNone, change.Steps = c.none, change.Steps[2:]
		}
		change, err := j.Plan(change)
		if err != nil {
			t.Fatal(err)
		}
		acts, answer = 0, c.answer
		if err := j.Apply(context.Background(), change.ID); !errors.Is(err, c.answer) {
			t.Errorf("%s: %v", c.what, err)
		}
		if got := p.state(t, j, change.ID); got != c.state || acts != c.acts || read(t, ini) != iniBefore {
			t.Errorf("%s: it is %s after %d acts, and holds %q", c.what, got, acts, read(t, ini))
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	p, _ := newTuned(t)
	j := p.open(t)
	c := p.tune()
	c.Until = time.Now().Add(time.Hour)
	c, err := j.Plan(c)
	if err != nil {
		t.Fatal(err)
	}
	due := func(at time.Time) int {
		t.Helper()
		found, err := j.Due(at)
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if err := j.Apply(context.Background(), c.ID); err != nil || due(c.Until) != 0 {
		t.Errorf("not verified yet: %v, %d", err, due(c.Until))
	}
	if err := j.Verified(c.ID); err != nil || due(c.Until.Add(-1)) != 0 || due(c.Until) != 1 {
		t.Errorf("%v, %d before, %d then", err, due(c.Until.Add(-1)), due(c.Until))
	}
	if err := j.Undo(context.Background(), c.ID, "its term has come"); err != nil || due(c.Until) != 0 {
		t.Errorf("%v, %d after", err, due(c.Until))
	}
	c.UndoNone = "x"
	if _, err := j.Plan(c); err == nil {
		t.Error("a term without an undo was planned")
	}
}
