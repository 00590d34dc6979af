package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
)

func ids(changes []Change) []string {
	var found []string
	for _, c := range changes {
		found = append(found, c.ID)
	}
	return found
}

// aged gives a change's record, and each of its transitions, an earlier date.
func aged(t *testing.T, j *Journal, c Change, age time.Duration) Change {
	t.Helper()
	c, err := j.read(c.ID)
	old := filepath.Join(j.dir, c.ID+suffix)
	then := time.Now().Add(-age).UTC()
	u, uerr := ulid.New(ulid.Timestamp(then), ulid.DefaultEntropy())
	c.ID, c.Created = u.String(), then
	for i := range c.Log {
		c.Log[i].Time = then
	}
	if err := errors.Join(err, uerr, j.write(c, 0), os.Remove(old)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSinceAndPrune(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	change := func(state State, age time.Duration) string {
		t.Helper()
		c := p.disabled(t, j, true)
		if err := j.Undo(context.Background(), c.ID, ""); err != nil {
			t.Fatal(err)
		}
		c = aged(t, j, c, age)
		c.State = state
		if err := j.write(c, 0); err != nil {
			t.Fatal(err)
		}
		return c.ID
	}
	ancient := change(Undone, 50*time.Hour)
	kept := []string{change(Verified, 49*time.Hour), change(Refused, 48*time.Hour), change(Applied, 47*time.Hour), change(Planned, 46*time.Hour)}
	recent := change(Undone, 30*time.Minute)
	late := change(Undone, 45*time.Hour)
	// It was undone only just now.
	c, err := j.read(late)
	c.Log = append(c.Log, Entry{Time: time.Now(), State: Undone})
	if err := errors.Join(err, j.write(c, 0)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"junk.json", ulid.MustNew(ulid.Timestamp(time.Now().Add(-60*time.Hour)), ulid.DefaultEntropy()).String() + suffix} {
		if err := os.WriteFile(filepath.Join(p.journal, name), []byte("junk"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	// What is old and cannot be read does not matter for what is new.
	got, err := j.Since(time.Now().Add(-time.Hour))
	if err != nil || !slices.Equal(ids(got), []string{recent}) {
		t.Errorf("%q, %v; want %s", ids(got), err, recent)
	}
	n, err := j.Prune(time.Now().Add(-24 * time.Hour))
	if n != 1 || err == nil || !strings.Contains(err.Error(), "is not a record of a change") {
		t.Errorf("%d, %v", n, err)
	}
	left, _ := j.List()
	if want := append(slices.Clone(kept), late, recent); !slices.Equal(ids(left), want) {
		t.Errorf("%q are left, want %q; %s should be gone", ids(left), want, ancient)
	}
	force, _ := j.InForce(p.root)
	if !slices.Equal(ids(force), kept) {
		t.Errorf("%q are in force, want %q", ids(force), kept)
	}
	if other, _ := j.InForce(p.root + "2"); len(other) != 0 {
		t.Errorf("%q are in force elsewhere", ids(other))
	}
	if n, _ := j.Prune(time.Now().Add(-24 * time.Hour)); n != 0 {
		t.Errorf("%d more are pruned", n)
	}
}

// A record that is removed between the look at the folder and the reading is no problem.
func TestListWhilePruned(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	c := p.disabled(t, j, true)
	changes, err := j.listed(func(name string) bool {
		return os.Remove(filepath.Join(p.journal, name)) == nil
	})
	if err != nil || len(changes) != 0 {
		t.Errorf("%q, %v", ids(changes), err)
	}
	if _, err := j.Get(c.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

func TestVerifiedAll(t *testing.T) {
	t.Parallel()
	s := sceneOf("a batch")
	p := s.new(t)
	j := p.open(t)
	if err := s.do(p, j, false); err != nil {
		t.Fatal(err)
	}
	changes, err := j.List()
	if err != nil {
		t.Fatal(err)
	}
	// One that is not in effect keeps all from being verified.
	if err := p.options.put("stylesheet", "new"); err != nil {
		t.Fatal(err)
	}
	want := "change " + changes[2].ID + ` is not in effect: somebody undid "set the option stylesheet from one to two"`
	if err := j.VerifiedAll(ids(changes)); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if left := Interrupted(must(j.List())); len(left) != 3 {
		t.Errorf("%d changes are left half-done, want 3", len(left))
	}
	if err := p.options.put("stylesheet", "two"); err != nil {
		t.Fatal(err)
	}
	// The first record can be written, no other: that proves them all.
	verified := 0
	j.disk.hook = func(op string) error {
		if op == "before write" {
			if verified++; verified > 4 {
				return errors.New("the disk is full")
			}
		}
		return nil
	}
	if err := j.VerifiedAll(ids(changes)); err != nil {
		t.Fatal(err)
	}
	j.disk.hook = nil
	now := must(j.List())
	if now[0].State != Verified || now[1].State != Applied || len(Interrupted(now)) != 0 {
		t.Errorf("%s, %s, %d half-done", now[0].State, now[1].State, len(Interrupted(now)))
	}
	report, err := j.Recover(context.Background())
	if err != nil || len(report) != 2 || report[0].Note != "proven together with another change" || !all(must(j.List()), Verified) {
		t.Errorf("%+v, %v", report, err)
	}
	if err := errors.Join(j.VerifiedAll(ids(changes)), j.VerifiedAll(nil), s.fixed(p)); err != nil {
		t.Error(err)
	}
}

// A start that stands, verified, proves nothing of a later change of its incident.
func TestStartProvesNothing(t *testing.T) {
	t.Parallel()
	started := Change{ID: "1", Incident: "x", State: Verified, UndoNone: "others need it"}
	change := Change{ID: "2", Incident: "x", State: Applied}
	if left := Interrupted([]Change{started, change}); !slices.Equal(ids(left), []string{"2"}) {
		t.Errorf("half-done are %q", ids(left))
	}
	started.UndoNone = ""
	if left := Interrupted([]Change{started, change}); len(left) != 0 {
		t.Errorf("half-done are %q", ids(left))
	}
}

// What a person saw to after a refusal can be undone: nothing of the change is left.
func TestUndoAfterRefusal(t *testing.T) {
	t.Parallel()
	const foo = "wp-content/plugins/foo"
	for _, tt := range []struct {
		name   string
		before func(p place) error // leads to the refusal
		after  func(p place) error // what a person does then
		there  []string            // in the end
		gone   []string
		note   string
		undone bool
	}{
		{"the new one is kept", func(p place) error { return os.Mkdir(p.path(foo), 0o755) }, func(p place) error { return os.RemoveAll(p.path(fooOff)) },
			[]string{foo}, []string{fooOff}, "test; " + fooOff + " is gone, what is at " + foo + " stays", true},
		{"the old one is kept", func(p place) error { return os.Mkdir(p.path(foo), 0o755) }, func(p place) error { return os.Remove(p.path(foo)) },
			[]string{foo, foo + "/inc/more.php"}, []string{fooOff}, "test", true},
		{"removed on purpose", func(p place) error { return os.RemoveAll(p.path(fooOff)) }, nil,
			nil, []string{foo, fooOff}, "test; " + fooOff + " is gone, what is at " + foo + " stays", true},
		{"both are there still", func(p place) error { return os.Mkdir(p.path(foo), 0o755) }, nil,
			[]string{foo, fooOff}, nil, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			j := p.open(t)
			c := p.disabled(t, j, true)
			if err := tt.before(p); err != nil {
				t.Fatal(err)
			}
			var refused *RefusedError
			if err := j.Undo(context.Background(), c.ID, "test"); !errors.As(err, &refused) {
				t.Fatalf("error %v", err)
			}
			if force, err := j.InForce(p.root); err != nil || len(force) != 1 {
				t.Errorf("%d changes are in force, %v", len(force), err)
			}
			if tt.after != nil {
				if err := tt.after(p); err != nil {
					t.Fatal(err)
				}
			}
			err := j.Undo(context.Background(), c.ID, "test")
			if (err == nil) != tt.undone {
				t.Errorf("undo: %v", err)
			}
			if c, err = j.Get(c.ID); err != nil || (c.State == Undone) != tt.undone || tt.undone && c.Note() != tt.note {
				t.Errorf("state %s, note %q, %v", c.State, c.Note(), err)
			}
			for _, rel := range tt.there {
				if _, err := os.Lstat(p.path(rel)); err != nil {
					t.Error(err)
				}
			}
			for _, rel := range tt.gone {
				if _, err := os.Lstat(p.path(rel)); err == nil {
					t.Errorf("%s is there", rel)
				}
			}
		})
	}
}
