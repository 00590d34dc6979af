package journal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// forgetTimeout bounds what an object cache may take to forget; a private copy of
// the pool is started for it.
const forgetTimeout = 30 * time.Second

// work is one carrying out, or undoing, of a change, with what it has to say of it.
type work struct {
	*Journal
	change Change
	// again: an earlier undo may have died after it wrote an option and before the
	// object cache was told.
	again bool
	// giving up a change in the midst of its steps, of which some may never have been done.
	giving  bool
	unread  bool // giving up before the act that was to make anybody take notice
	changed bool // a file was put back
	failed  bool // a step could not be undone
	notes   []string
	names   []string // options of which a cache may hold another value than the database
}

// note adds to what the record will say, once.
func (w *work) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(w.notes, n) {
		w.notes = append(w.notes, n)
	}
}

// say joins a reason and the notes to one line.
func (w *work) say(why string) string {
	return strings.Join(slices.DeleteFunc(append([]string{why}, w.notes...), func(s string) bool { return s == "" }), "; ")
}

// stale remembers that a cache may hold another value of a step's option.
func (w *work) stale(s Step) {
	if !slices.Contains(w.names, s.Name) {
		w.names = append(w.names, s.Name)
	}
}

// swap exchanges the value of a step's option.
func (w *work) swap(ctx context.Context, s Step, old, value []byte) (bool, error) {
	if w.deps.Options == nil {
		return false, errNoOptions
	}
	// Stale even after an error: then it is not known whether it was written.
	w.stale(s)
	swapped, err := w.deps.Options.SwapOption(ctx, s.SiteRoot, s.Name, old, value)
	if err != nil {
		return false, fmt.Errorf("write %s: %w", s.Name, err)
	}
	return swapped, nil
}

// forget makes the site's object cache drop what was written to the database.
func (w *work) forget(ctx context.Context) {
	if w.deps.Forget == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	for _, name := range w.names {
		w.deps.Forget(ctx, w.change.SiteRoot, name)
	}
	w.names = nil
}

// begin writes down that an undo is about to write an option which the change itself
// never wrote: who finds the record after a crash then tells the cache once more.
func (w *work) begin() {
	if w.deps.Forget == nil || w.change.Undoing {
		return
	}
	w.change.Undoing = true
	c, err := w.turn(w.change, Applied, "undo begun")
	if err != nil {
		w.note("the record could not be written: %v", err)
		return
	}
	w.change = c
}
