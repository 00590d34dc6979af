package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"wpmend/agent/diagnose"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "history"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func begin(t *testing.T, s *Store, domain string) Incident {
	t.Helper()
	i, err := s.Open(Incident{Site: SiteRef{ID: "id-" + domain, Domain: domain, Root: "/srv/" + domain}})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func files(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		data, rerr := os.ReadFile(s.path(e.Name()))
		err = errors.Join(err, rerr)
		fmt.Fprintf(&b, "%s\n%s\n", e.Name(), data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestOneIncident(t *testing.T) {
	t.Parallel()
	s := open(t)
	remedy := diagnose.RemedyDisable
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	i, err := s.Open(Incident{Site: SiteRef{ID: "x", Domain: "example.com"}, Symptom: Symptom{Outcome: "bad-gateway", Status: 502}})
	if err != nil || i.ID == "" || i.State != Ongoing || i.Opened.IsZero() {
		t.Fatalf("%+v, %v", i, err)
	}
	i.Note(when, "seen")
	if err := s.Save(i); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(i.ID); err != nil || got.State != Ongoing || len(got.Timeline) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	i.Causes = []diagnose.Cause{{Cause: diagnose.WorkerCrash, Confidence: 0.9, Remedy: &remedy,
		Evidence: []diagnose.Evidence{{Source: "/var/log/fpm.log", Text: "child exited\n\x1b[31m\xff", Time: when}}}}
	i.Culprits = []Culprit{{Component: "plugin:foo", With: []string{"plugin:bar"}}}
	i.Changes = []Change{{ID: "1", What: "switch off", From: "a", To: "b", Undo: "wpmend incidents undo 1"}}
	i.Probes, i.Seconds, i.State = 7, 1.25, Resolved
	if err := s.Close(i); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(strings.ToLower(i.ID))
	if err != nil || got.Ended.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	i.Causes[0].Evidence[0].Text = "child exited\n\x1b[31m\ufffd" // JSON holds no broken UTF-8
	if diff := cmp.Diff(i, got, cmpopts.IgnoreFields(Incident{}, "Ended"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}

func TestEndedNeverChanges(t *testing.T) {
	t.Parallel()
	s := open(t)
	i := begin(t, s, "example.com")
	for state, want := range map[string]string{"": `incident ID cannot end as ""`, Ongoing: `incident ID cannot end as "open"`} {
		i.State = state
		if err := s.Close(i); err == nil || err.Error() != strings.ReplaceAll(want, "ID", i.ID) {
			t.Errorf("%q: %v", state, err)
		}
	}
	i.State = Escalated
	if err := s.Close(i); err != nil {
		t.Fatal(err)
	}
	before := files(t, s)
	again := i
	again.State = Ongoing
	want := fmt.Sprintf("incident %s has ended (escalated) and is not written again", i.ID)
	if err := s.Save(again); err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
	again.State = Resolved
	if err := s.Close(again); err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
	if err := s.Save(i); err == nil || err.Error() != fmt.Sprintf("incident %s is escalated: it is ended by Close", i.ID) {
		t.Errorf("error %v", err)
	}
	for _, id := range []string{"", "../journal/x", "x"} {
		if err := s.Save(Incident{ID: id, State: Ongoing}); err == nil || err.Error() != fmt.Sprintf("%q is not the id of an incident", id) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if now := files(t, s); now != before {
		t.Errorf("changed to\n%s\nbefore\n%s", now, before)
	}
}

// That an incident was undone is written beside it; the first report of it stays.
func TestUndone(t *testing.T) {
	t.Parallel()
	s := open(t)
	i := begin(t, s, "example.com")
	i.State = Resolved
	if err := s.Close(i); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(s.path(i.ID + suffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range []string{"by a person", "once more"} {
		i, err := s.Get(i.ID)
		if err != nil {
			t.Fatal(err)
		}
		i.State = Undone
		i.Note(time.Now(), why)
		if err := s.Close(i); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Get(i.ID)
	if err != nil || got.State != Undone || len(got.Timeline) != 1 || got.Timeline[0].What != "by a person" {
		t.Errorf("%+v, %v", got, err)
	}
	if after, err := os.ReadFile(s.path(i.ID + suffix)); err != nil || string(after) != string(before) {
		t.Errorf("the incident itself changed: %s, %v", after, err)
	}
	// An open one that is undone at once ends so.
	i = begin(t, s, "example.com")
	i.State = Undone
	if err := s.Close(i); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(Filter{}); err != nil || len(list) != 2 || list[0].State != Undone || list[0].Ended.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestListAndGet(t *testing.T) {
	t.Parallel()
	s := open(t)
	var ids []string
	for n := range 6 {
		i := begin(t, s, []string{"a.example", "b.example"}[n%2])
		ids = append([]string{i.ID}, ids...)
		time.Sleep(2 * time.Millisecond) // ids sort by milliseconds
	}
	for _, tt := range []struct {
		filter Filter
		want   []string
	}{
		{Filter{}, ids},
		{Filter{Limit: 2}, ids[:2]},
		{Filter{Limit: -1, Site: "nobody"}, nil},
		{Filter{Site: "b.example"}, []string{ids[0], ids[2], ids[4]}},
		{Filter{Site: "id-a.example", Limit: 2}, []string{ids[1], ids[3]}},
		{Filter{Site: "/srv/a.example", Limit: 1}, []string{ids[1]}},
	} {
		list, err := s.List(tt.filter)
		var got []string
		for _, i := range list {
			got = append(got, i.ID)
		}
		if err != nil || list == nil || !cmp.Equal(got, tt.want) {
			t.Errorf("%+v: %q, %v", tt.filter, got, err)
		}
	}
	if i, err := s.Get(ids[3]); err != nil || i.ID != ids[3] {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := s.Get("01"); err == nil || err.Error() != `"01" could be any of 6 incidents: give more of the id` {
		t.Errorf("error %v", err)
	}
	for _, none := range []string{"", "zz", "../x"} {
		if _, err := s.Get(none); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", none, err)
		}
	}
}

func TestJunk(t *testing.T) {
	t.Parallel()
	s := open(t)
	good, cut, foreign, undoneJunk := begin(t, s, "good"), begin(t, s, "cut"), begin(t, s, "foreign"), begin(t, s, "undone")
	data, err := os.ReadFile(s.path(good.ID + suffix))
	if err != nil {
		t.Fatal(err)
	}
	undoneJunk.State = Resolved
	if err := s.Close(undoneJunk); err != nil {
		t.Fatal(err)
	}
	junk := map[string]string{"notes.txt": "x", "x.json": "{}", cut.ID + suffix: string(data[:50]), foreign.ID + suffix: string(data),
		undoneJunk.ID + undone: "\x00"}
	for name, text := range junk {
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.path(".tmp-x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := s.List(Filter{})
	if len(list) != 1 || list[0].ID != good.ID {
		t.Errorf("%+v", list)
	}
	var one *JunkError
	if !errors.As(err, &one) {
		t.Fatalf("error %v", err)
	}
	for name := range junk {
		if !strings.Contains(err.Error(), s.path(name)+" is not an incident: ") {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
	if strings.Contains(err.Error(), ".tmp-x") {
		t.Errorf("a temporary file is named: %v", err)
	}
	if _, err := Open("history"); err == nil || err.Error() != `history: "history" is not an absolute path` {
		t.Errorf("error %v", err)
	}
}

// Lists are never null, however little is known.
func TestNoNull(t *testing.T) {
	t.Parallel()
	empty, err := json.Marshal(Incident{Culprits: []Culprit{{}}, Causes: []diagnose.Cause{{}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.ReplaceAll(string(empty), `"remedy":null`, ""); strings.Contains(got, "null") {
		t.Errorf("%s", empty)
	}
	empty, err = json.Marshal(&Incident{})
	if err != nil || strings.Contains(string(empty), "null") {
		t.Errorf("%s, %v", empty, err)
	}
}

func FuzzIncident(f *testing.F) {
	f.Add([]byte(`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","causes":[{"cause":"db-down","evidence":null,"remedy":null}],"culprits":[{"with":null}],"timeline":[{"time":"2026-01-02T03:04:05Z","what":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var i, again Incident
		if json.Unmarshal(data, &i) != nil {
			return
		}
		// What is read is written so that it is read as the same.
		first, err := json.Marshal(i)
		if err != nil {
			return // a year beyond 9999
		}
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatal(err)
		}
		if second, err := json.Marshal(again); err != nil || string(second) != string(first) {
			t.Errorf("%s\nis written again as\n%s\n%v", first, second, err)
		}
	})
}

// An escalated incident can be over later, which is written down once and beside it.
func TestOver(t *testing.T) {
	t.Parallel()
	s := open(t)
	i := begin(t, s, "a.test")
	if err := s.Over(i.ID, "too early"); err == nil {
		t.Error("one that has not ended is over")
	}
	i.State, i.Reason, i.Sites = Escalated, "unsolved", []SiteRef{{ID: "id-b.test", Domain: "b.test", Root: "/srv/b.test"}}
	if err := s.Close(i); err != nil {
		t.Fatal(err)
	}
	before := files(t, s)
	for _, what := range []string{"well again", "once more"} {
		if err := s.Over(i.ID, what); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Get(i.ID)
	if err != nil || got.Over.IsZero() || got.State != Escalated || len(got.Timeline) != 1 || got.Timeline[0].What != "well again" {
		t.Errorf("%+v, %v", got, err)
	}
	if !strings.HasPrefix(files(t, s), before[:len(before)-1]) && !strings.Contains(files(t, s), before) {
		t.Error("what was written was touched")
	}
	for _, name := range []string{"b.test", "id-b.test", "/srv/b.test", "a.test"} {
		if list, err := s.List(Filter{Site: name}); err != nil || len(list) != 1 {
			t.Errorf("%s: %d incidents, %v", name, len(list), err)
		}
	}
	if err := s.Over("01ARZ3NDEKTSV4RRFFQ69G5FAV", ""); err == nil {
		t.Error("an unknown one is over")
	}
	unwritten := Begin(Incident{Site: SiteRef{ID: "c"}})
	if list, err := s.List(Filter{}); err != nil || len(list) != 1 {
		t.Errorf("%d incidents, %v: what was only begun is not written", len(list), err)
	}
	unwritten.State = Resolved
	if err := s.Close(unwritten); err != nil {
		t.Error(err)
	}
}

// Since leaves out what was begun before, and only that.
func TestListSince(t *testing.T) {
	t.Parallel()
	s := open(t)
	var middle time.Time
	for n := range 6 {
		if n == 3 {
			time.Sleep(2 * time.Millisecond)
			middle = time.Now()
		}
		begin(t, s, fmt.Sprint(n))
	}
	list, err := s.List(Filter{Since: middle})
	if err != nil || len(list) != 3 || list[2].Site.Domain != "3" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := s.List(Filter{Since: time.Now().Add(time.Hour)}); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
