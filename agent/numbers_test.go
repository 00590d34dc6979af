package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/remedy"
)

// The journal is read again only when it has changed, and then at once: a change that comes
// within the tick of the last reading is seen too.
func TestRecorded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "journal")
	j, err := journal.Open(dir, journal.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	plan := func(c journal.Change) journal.Change {
		t.Helper()
		c.SiteRoot, c.Site, c.What = root, "shop.test", "something"
		c.Steps = []journal.Step{journal.ReplaceFile(root, "x.ini", []byte("x"), nil, journal.FileMode{Mode: 0o644})}
		planned, err := j.Plan(c)
		if err != nil {
			t.Fatal(err)
		}
		return planned
	}
	var r records
	if got := r.read(j, dir, time.Now()); got != (Recorded{}) {
		t.Errorf("an empty journal has %+v", got)
	}
	for i := range 20 { // as fast as they come
		plan(journal.Change{Actor: remedy.Actor})
		if got := r.read(j, dir, time.Now()); got.Records != i+1 || got.InForce != i+1 || got.LastHour != i+1 || got.Terms != 0 || got.Bytes == 0 {
			t.Fatalf("after %d changes: %+v", i+1, got)
		}
	}
	by := plan(journal.Change{Actor: "somebody", Until: time.Now().Add(time.Hour)})
	if got := r.read(j, dir, time.Now()); got.Records != 21 || got.LastHour != 20 || got.Terms != 1 {
		t.Errorf("with one of a person's, for an hour: %+v", got)
	}
	if got := r.read(j, dir, time.Now().Add(time.Hour)); got.LastHour != 0 || got.Records != 21 {
		t.Errorf("an hour later: %+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(by.Record)+".json"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.read(j, dir, time.Now()); got.Unread != 1 || got.Records != 21 {
		t.Errorf("with junk in it: %+v", got)
	}
}
