package history

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An index says what a list says, whoever writes beside it.
func TestIndex(t *testing.T) {
	t.Parallel()
	s, err := Open(filepath.Join(t.TempDir(), "history"))
	if err != nil {
		t.Fatal(err)
	}
	x := s.Index()
	want := func(states ...string) {
		t.Helper()
		list, err := x.List()
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.List(Filter{})
		if err != nil || len(all) != len(list) || len(list) != len(states) {
			t.Fatalf("%d in the index, %d in the list: %v", len(list), len(all), err)
		}
		for i, b := range list {
			if b.ID != all[i].ID || b.State != all[i].State || b.State != states[i] || !b.Over.Equal(all[i].Over) || !b.Concerns("aaaa") || b.Changed != (len(all[i].Changes) > 0) {
				t.Errorf("%d: %+v, want %s", i, b, states[i])
			}
		}
	}
	want()
	first, err := s.Open(Incident{Site: SiteRef{ID: "aaaa"}})
	if err != nil {
		t.Fatal(err)
	}
	want(Ongoing)
	first.Changes = []Change{{ID: "c"}}
	if err := s.Save(first); err != nil {
		t.Fatal(err)
	}
	want(Ongoing)
	first.State = Escalated
	if err := s.Close(first); err != nil {
		t.Fatal(err)
	}
	want(Escalated)
	time.Sleep(2 * settling)
	want(Escalated)
	if err := s.Over(first.ID, "well again"); err != nil {
		t.Fatal(err)
	}
	want(Escalated)
	first.State = Undone
	if err := s.Close(first); err != nil {
		t.Fatal(err)
	}
	second, err := s.Open(Incident{Site: SiteRef{ID: "bbbb"}, Sites: []SiteRef{{ID: "aaaa"}}})
	if err != nil {
		t.Fatal(err)
	}
	want(Ongoing, Undone)
	if err := os.WriteFile(filepath.Join(s.dir, "junk.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var junk *JunkError
	if list, err := x.List(); len(list) != 2 || !errors.As(err, &junk) || list[0].ID != second.ID {
		t.Errorf("with junk beside: %d, %v", len(list), err)
	}
}
