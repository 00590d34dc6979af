package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"wpmend/wp"
)

// The guard puts back what wp-admin dropped, and keeps what the owner did meanwhile.
func TestGuard(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		found     string
		meanwhile string
		want      string
	}{
		{"nobody came", threeActive, threeActive, threeActive},
		{"an admin opened Plugins", threeActive, `a:1:{i:0;s:11:"bar/bar.php";}`, threeActive},
		{"only one was dropped", threeActive, `a:2:{i:0;s:11:"bar/bar.php";i:1;s:11:"foo/foo.php";}`, threeActive},
		{"dropped with its key left out", threeActive, `a:1:{i:7;s:11:"bar/bar.php";}`, threeActive},
		{"the list was not sorted", `a:3:{i:0;s:9:"hello.php";i:1;s:11:"foo/foo.php";i:5;s:11:"bar/bar.php";}`, `a:1:{i:5;s:11:"bar/bar.php";}`,
			`a:3:{i:0;s:9:"hello.php";i:1;s:11:"foo/foo.php";i:5;s:11:"bar/bar.php";}`},
		{"the owner activated another one", threeActive, `a:2:{i:0;s:11:"bar/bar.php";i:1;s:11:"new/new.php";}`,
			`a:4:{i:0;s:11:"bar/bar.php";i:1;s:11:"foo/foo.php";i:2;s:9:"hello.php";i:3;s:11:"new/new.php";}`},
		{"the owner deactivated another one", threeActive, `a:0:{}`, `a:2:{i:0;s:11:"foo/foo.php";i:1;s:9:"hello.php";}`},
		{"one was not active then", `a:2:{i:0;s:11:"bar/bar.php";i:1;s:11:"foo/foo.php";}`, `a:1:{i:0;s:11:"bar/bar.php";}`,
			`a:2:{i:0;s:11:"bar/bar.php";i:1;s:11:"foo/foo.php";}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if err := p.options.set(tt.found); err != nil {
				t.Fatal(err)
			}
			j := p.open(t)
			c := p.disabled(t, j, true)
			if got := p.options.get(); got != tt.found {
				t.Errorf("renaming alone changed the option to %s", got)
			}
			if err := p.options.set(tt.meanwhile); err != nil {
				t.Fatal(err)
			}
			if err := j.Undo(context.Background(), c.ID, "test"); err != nil {
				t.Fatal(err)
			}
			if got := p.options.get(); got != tt.want {
				t.Errorf("the option is\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// A network's plugins come back with the times at which they were activated, and an
// owner's later activation keeps its own.
func TestGuardOfNetwork(t *testing.T) {
	t.Parallel()
	s := sceneOf("a network's plugins")
	for _, tt := range []struct{ name, meanwhile, want string }{
		{"another one was activated", `a:2:{s:7:"z/z.php";i:1700000003;s:7:"n/n.php";i:1800000000;}`,
			`a:3:{s:7:"z/z.php";i:1700000003;s:7:"n/n.php";i:1800000000;s:11:"foo/foo.php";i:1700000001;}`},
		{"one was activated anew", `a:2:{s:7:"z/z.php";i:1800000000;s:11:"bar/bar.php";i:1700000002;}`,
			`a:3:{s:7:"z/z.php";i:1800000000;s:11:"bar/bar.php";i:1700000002;s:11:"foo/foo.php";i:1700000001;}`},
		{"nothing else", `a:2:{s:7:"z/z.php";i:1700000003;s:11:"bar/bar.php";i:1700000002;}`, networkList},
	} {
		p := s.new(t)
		j := p.open(t)
		if err := errors.Join(s.do(p, j, true), p.options.put(networkPlugins, tt.meanwhile), undoAll(j)); err != nil {
			t.Fatal(err)
		}
		if got := p.options.value(networkPlugins); got != tt.want {
			t.Errorf("%s: the list is\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// A plugin whose folder did not come back is not made active: it is not there.
func TestGuardWaitsForTheRenaming(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	c := p.disabled(t, j, true)
	if err := errors.Join(os.RemoveAll(p.path(fooOff)), p.options.set(`a:0:{}`)); err != nil {
		t.Fatal(err)
	}
	var refused *RefusedError
	if err := j.Undo(context.Background(), c.ID, "test"); !errors.As(err, &refused) {
		t.Fatalf("error %v", err)
	}
	if got, want := p.options.get(), `a:1:{i:0;s:9:"hello.php";}`; got != want {
		t.Errorf("the option is %s, want %s", got, want)
	}
}

func TestGuardAgainstOtherWriters(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	c := p.disabled(t, j, true)
	if err := p.options.set(`a:0:{}`); err != nil {
		t.Fatal(err)
	}
	writes := 0
	p.options.meddle = func(o *fileOptions) {
		if writes++; writes == 1 {
			o.set(`a:1:{i:0;s:9:"now/n.php";}`)
		}
	}
	if err := j.Undo(context.Background(), c.ID, "test"); err != nil {
		t.Fatal(err)
	}
	if got, want := p.options.get(), `a:3:{i:0;s:11:"foo/foo.php";i:1;s:9:"hello.php";i:2;s:9:"now/n.php";}`; got != want {
		t.Errorf("the option is %s, want %s", got, want)
	}

	c = p.disabled(t, j, true)
	if err := p.options.set(`a:0:{}`); err != nil {
		t.Fatal(err)
	}
	p.options.meddle = func(o *fileOptions) {
		writes++
		o.set(fmt.Sprintf(`a:1:{i:%d;s:5:"z.php";}`, writes))
	}
	err := j.Undo(context.Background(), c.ID, "test")
	if want := "active_plugins was changed by somebody else each of 5 times: try again"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	// The files are back, and recovery brings it to its end.
	p.options.meddle = nil
	if report, err := j.Recover(context.Background()); err != nil || len(report) != 1 || report[0].State != Undone {
		t.Errorf("%+v, %v", report, err)
	}
	if list, err := wp.PluginList([]byte(p.options.get())); err != nil || !slices.Equal(list, []string{"foo/foo.php", "hello.php", "z.php"}) {
		t.Errorf("%q, %v", list, err)
	}
}

func TestGuardWithoutDatabase(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	found := p.snapshot(t)
	c := p.disabled(t, j, true)
	p.options.err = errors.New("the database does not answer")
	if err := j.Undo(context.Background(), c.ID, "test"); err == nil || err.Error() != "read active_plugins: the database does not answer" {
		t.Errorf("error %v", err)
	}
	// The plugins are back at once; the list waits for the database.
	p.same(t, found)
	planned, err := p.disable()
	if err == nil {
		_, err = j.Plan(planned)
	}
	if want := `plan "switch off foo and hello": read active_plugins: the database does not answer`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	p.options.err = nil
	report, err := j.Recover(context.Background())
	if err != nil || len(report) != 1 || report[0].State != Undone {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := (&Journal{dir: p.journal}).Plan(planned); err == nil || !strings.HasSuffix(err.Error(), "nothing is given to read options with") {
		t.Errorf("error %v", err)
	}
}

// A value that is no list of plugins is not guarded, and never overwritten.
func TestGuardOfJunk(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	j := p.open(t)
	c := p.disabled(t, j, true)
	const junk = `a:1:{i:0;O:8:"stdClass"`
	if err := p.options.set(junk); err != nil {
		t.Fatal(err)
	}
	want := "refused: the option active_plugins of " + p.root + " cannot be read (list of plugins: broken serialised value: at byte "
	if err := j.Undo(context.Background(), c.ID, "test"); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "; see in wp-admin, Plugins, that these are active: foo/foo.php, hello.php") {
		t.Errorf("error %v, want %s", err, want)
	}
	if got := p.options.get(); got != junk {
		t.Errorf("the option is %s", got)
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a:0:{}": `"a:0:{}"`, "": `""`, "\xff\x00": `{"base64":"/wA="}`} {
		data, err := json.Marshal(raw(in))
		var back raw
		if err := errors.Join(err, json.Unmarshal(data, &back)); err != nil || string(data) != want || string(back) != in {
			t.Errorf("%q is %s and back %q: %v", in, data, back, err)
		}
	}
}
