package journal

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sys/unix"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(dir string) error
		want    string // with DIR
	}{
		{name: "missing, with its parents"},
		{name: "there", prepare: func(dir string) error { return os.MkdirAll(dir, 0o700) }},
		{name: "others may write", prepare: func(dir string) error { return errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o770)) },
			want: "journal: DIR/a/journal must belong to root, with nobody else allowed to write there; it belongs to uid 0 with mode 0770"},
		{name: "not root's", prepare: func(dir string) error { return errors.Join(os.MkdirAll(dir, 0o700), os.Chown(dir, owner, owner)) },
			want: "journal: DIR/a/journal must belong to root, with nobody else allowed to write there; it belongs to uid 4711 with mode 0700"},
		{name: "others may write above", prepare: func(dir string) error {
			return errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(filepath.Dir(dir), 0o777))
		},
			want: "journal: DIR/a/journal: the folder DIR/a above it is not root's alone (uid 0, mode 0777)"},
		{name: "a file", prepare: func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(dir), 0o700), os.WriteFile(dir, nil, 0o600))
		},
			want: "journal: open DIR/a/journal: not a directory"},
		{name: "a link", prepare: func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(dir), 0o700), os.Symlink("..", dir))
		},
			want: "journal: open DIR/a/journal: not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			dir := filepath.Join(top, "a", "journal")
			if tt.prepare != nil {
				if err := tt.prepare(dir); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Open(dir, Deps{})
			if tt.want != "" {
				if want := strings.ReplaceAll(tt.want, "DIR", top); err == nil || err.Error() != want {
					t.Errorf("error %v, want %s", err, want)
				}
				return
			}
			info, serr := os.Stat(dir)
			if err := errors.Join(err, serr); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%v, %v", info, err)
			}
		})
	}
	if _, err := Open("journal", Deps{}); err == nil || err.Error() != `journal: "journal" is not an absolute path` {
		t.Errorf("error %v", err)
	}
}

// A record reads like a note to a person.
func TestRecordIsReadable(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.disabled(t, p.open(t), true)
	data, err := os.ReadFile(filepath.Join(p.journal, c.ID+".json"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(p.journal, c.ID+".json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, line := range []string{
		`  "what": "switch off foo and hello",`,
		`  "why": "test",`,
		`  "state": "verified",`,
		`      "from": "wp-content/plugins/foo",`,
		`      "to": "wp-content/plugins/.foo.off-by-wpmend",`,
		`      "before": "a:3:{i:0;s:11:\"bar/bar.php\";i:1;s:11:\"foo/foo.php\";i:2;s:9:\"hello.php\";}"`,
	} {
		if !strings.Contains(string(data), line+"\n") {
			t.Errorf("no line %s in\n%s", line, data)
		}
	}
}

func TestListAndGet(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	first := p.disabled(t, j, false)
	if err := j.Undo(context.Background(), first.ID, ""); err != nil {
		t.Fatal(err)
	}
	second := p.disabled(t, j, true)
	other := ulid.Make().String()
	good, err := os.ReadFile(filepath.Join(p.journal, first.ID+suffix))
	if err != nil {
		t.Fatal(err)
	}
	junk := map[string]string{
		"notes.txt":        "hello",
		"junk.json":        "\x00\xff",
		other + ".json":    string(good), // another one's id
		"cut.json":         string(good[:100]),
		".tmp-half.json":   "{",
		"deep.json":        strings.Repeat("[", 20000),
		"unknown.json":     `{"id":"unknown","state":"flying"}`,
		"noobject.json":    `null`,
		"huge number.json": `{"id":"huge number","steps":[{"kind":"rename","owners":[4294967296]}]}`,
	}
	for name, text := range junk {
		if err := os.WriteFile(filepath.Join(p.journal, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	big, err := os.Create(filepath.Join(p.journal, "big.json"))
	err = errors.Join(err, big.Truncate(maxRecord+1), big.Close(), unix.Mkfifo(filepath.Join(p.journal, "pipe.json"), 0o600),
		os.Mkdir(filepath.Join(p.journal, "folder.json"), 0o700), os.Symlink("/etc/passwd", filepath.Join(p.journal, "link.json")))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := j.List()
	if len(changes) != 2 || changes[0].ID != first.ID || changes[1].ID != second.ID {
		t.Errorf("%d changes: %+v", len(changes), changes)
	}
	for name := range junk {
		if named := err != nil && strings.Contains(err.Error(), filepath.Join(p.journal, name)); named != !strings.HasPrefix(name, temporary) {
			t.Errorf("%s named: %v", name, named)
		}
	}
	for _, name := range []string{"big", "pipe", "folder", "link"} {
		if !strings.Contains(err.Error(), filepath.Join(p.journal, name+".json")) {
			t.Errorf("%s is not named", name)
		}
	}
	// Junk keeps nobody from recovering the rest.
	if report, err := j.Recover(context.Background()); err == nil || len(report) != 0 {
		t.Errorf("%+v, %v", report, err)
	}

	if c, err := j.Get(strings.ToLower(second.ID[:25])); err != nil && !strings.Contains(err.Error(), "could be any of") || err == nil && c.ID != second.ID {
		t.Errorf("%s: %v, %v", second.ID, c.ID, err)
	}
	if _, err := j.Get(second.ID[:2]); err == nil || err.Error() != `"01" could be any of 3 changes: give more of the id` {
		t.Errorf("error %v", err)
	}
	for _, none := range []string{"", "ZZ", "../x", second.ID + "0"} {
		if _, err := j.Get(none); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %v", none, err)
		}
	}
}

func TestRecoverLeavesTheLiving(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	busy := true
	locked := 0
	d := p.deps()
	d.Lock = func(root string) (func(), error) {
		if root != p.root {
			t.Errorf("locks %s", root)
		}
		if busy {
			return nil, errors.New("pid 1 is at work")
		}
		locked++
		return func() { locked-- }, nil
	}
	j, err := Open(p.journal, d)
	if err != nil {
		t.Fatal(err)
	}
	found := p.snapshot(t)
	c := p.disabled(t, j, false)
	applied := p.snapshot(t)
	report, err := j.Recover(context.Background())
	if err != nil || len(report) != 1 || report[0].Note != "left alone: pid 1 is at work" || report[0].ID != c.ID {
		t.Errorf("%+v, %v", report, err)
	}
	p.same(t, applied)
	busy = false
	report, err = j.Recover(context.Background())
	if err != nil || len(report) != 1 || report[0].Note != "undone: wpmend was interrupted" || report[0].State != Undone || locked != 0 {
		t.Errorf("%+v, %v, %d locks held", report, err, locked)
	}
	p.same(t, found)
	if _, err := (&Journal{dir: p.journal}).Recover(context.Background()); err == nil {
		t.Error("recovered without a lock")
	}
}

// A refused change that a person has put right is closed; nothing else is touched.
func TestRecoverReviewsRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	found := p.snapshot(t)
	j := p.open(t)
	c := p.disabled(t, j, true)
	foo := p.path("wp-content/plugins/foo")
	if err := os.Mkdir(foo, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := j.Undo(context.Background(), c.ID, "test"); err == nil {
		t.Fatal("not refused")
	}
	// The new one is taken away again, but the old one still lies at its new name:
	// perhaps on purpose, so it is not put back unasked.
	if err := os.Remove(foo); err != nil {
		t.Fatal(err)
	}
	report, err := j.Recover(context.Background())
	want := `waits for a person: it is still in effect: "rename wp-content/plugins/foo to wp-content/plugins/.foo.off-by-wpmend"; ` + "`wpmend incidents undo` takes it back"
	if err != nil || len(report) != 1 || report[0].Note != want {
		t.Errorf("%+v, %v", report, err)
	}
	if err := os.Rename(p.path(fooOff), foo); err != nil {
		t.Fatal(err)
	}
	report, err = j.Recover(context.Background())
	if err != nil || len(report) != 1 || report[0].Note != "found put right" || report[0].State != Undone {
		t.Errorf("%+v, %v", report, err)
	}
	p.same(t, found)
}

func TestSave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, text := range []string{"one", "two"} {
		if err := Save(dir, "x.json", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if data, err := Load(dir, "x.json"); err != nil || string(data) != text {
			t.Errorf("%q, %v", data, err)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%v", entries)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","site_root":"/srv/x","state":"applied","steps":[{"kind":"rename","site_root":"/srv/x","from":"a/b","to":"a/.b","object":{"dev":1,"ino":2,"type":"file"}}]}`))
	f.Add([]byte(`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","site_root":"/srv/x","state":"planned","undo_none":"x","steps":[{"kind":"start","process":{"a":[1]}}]}`))
	f.Add([]byte(`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","site_root":"/srv/x","state":"refused","steps":[{"kind":"option","site_root":"/srv/x","name":"active_plugins","plugins":["a/b.php"],"before":{"base64":"/w=="}}]}`))
	f.Add([]byte(`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","site_root":"/srv/x","state":"verified","batch":"b","steps":[{"kind":"setting","site_root":"/srv/x","name":"blog-2:template","before":"one","after":"two"}]}`))
	f.Add([]byte(`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","site_root":"/srv/x","state":"applied","undoing":true,"steps":[{"kind":"deactivate","site_root":"/srv/x","name":"network:active_sitewide_plugins","plugins":["a/b.php"],"before":"a:0:{}"}]}`))
	f.Add([]byte(`{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","site_root":"/srv/x","state":"verified","until":"2026-01-02T03:04:05Z","steps":[{"kind":"act","when":"on-undo","act":{"do":"x","hand":["y"]}},{"kind":"content","site_root":"/srv/x","owners":[7],"file":{"path":"a/.user.ini","mode":{"uid":7,"gid":7,"mode":420},"was":null,"becomes":"YT0xCg=="}},{"kind":"content","file":{"path":"/etc/x","host":true,"mode":{"uid":0,"gid":0,"mode":420},"was":"","becomes":null}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Change
		if json.Unmarshal(data, &c) != nil || c.checkRecord(c.ID) != nil {
			return
		}
		// What is accepted stays below its root, keeps to its lines, and is written as it is read.
		for _, s := range c.Steps {
			for _, rel := range []string{s.From, s.To} {
				if s.Kind == Rename && !filepath.IsLocal(rel) {
					t.Errorf("%q leaves the root", rel)
				}
			}
			if s.Kind == Content && !s.File.Host && !filepath.IsLocal(s.File.Path) {
				t.Errorf("%q leaves the root", s.File.Path)
			}
		}
		c.UndoByHand()
		if said := c.Describe(); len(said) != len(c.Steps) || strings.Contains(strings.Join(said, ""), "\n") {
			t.Errorf("%q for %d steps", said, len(c.Steps))
		}
		first, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var again Change
		if err := json.Unmarshal(first, &again); err != nil {
			t.Fatal(err)
		}
		if second, err := json.Marshal(again); err != nil || string(second) != string(first) {
			t.Errorf("%s\nis written again as\n%s\n%v", first, second, err)
		}
	})
}
