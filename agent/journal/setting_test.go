package journal

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// What somebody has chosen since stays whole: never half of his theme and half of the
// one that was shown before.
func TestThemeUndo(t *testing.T) {
	t.Parallel()
	s := sceneOf("themes")
	main := []string{"template", "stylesheet", "current_theme"}
	for _, tt := range []struct {
		name      string
		meanwhile map[string]string
		want      []string // of main
		note      string
	}{
		{"nobody came", nil, []string{"one", "one-child", "One's Child"}, "test"},
		{"a child of what was shown", map[string]string{"stylesheet": "two-child", "current_theme": "Two's Child"},
			[]string{"two", "two-child", "Two's Child"}, "test; somebody chose another theme since, which stays: stylesheet is two-child"},
		{"the former one's parent", map[string]string{"template": "one", "stylesheet": "one", "current_theme": "One"},
			[]string{"one", "one", "One"}, "test; somebody chose another theme since, which stays: stylesheet is one"},
		{"another one", map[string]string{"template": "new", "stylesheet": "new", "current_theme": "New"},
			[]string{"new", "new", "New"}, "test; somebody chose another theme since, which stays: template is new"},
		{"the former one itself", map[string]string{"template": "one", "stylesheet": "one-child", "current_theme": "One's Child"},
			[]string{"one", "one-child", "One's Child"}, "test"},
		{"the title alone", map[string]string{"current_theme": "My own"},
			[]string{"one", "one-child", "My own"}, "test; somebody has set current_theme to My own since, which stays"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := s.new(t)
			j := p.open(t)
			if err := s.do(p, j, true); err != nil {
				t.Fatal(err)
			}
			for name, value := range tt.meanwhile {
				if err := p.options.put(name, value); err != nil {
					t.Fatal(err)
				}
			}
			if err := undoAll(j); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, name := range main {
				got = append(got, p.options.value(name))
			}
			changes, err := j.List()
			if err != nil || !slices.Equal(got, tt.want) || changes[0].State != Undone || changes[0].Note() != tt.note {
				t.Errorf("%q with the note %q, want %q with %q (%v)", got, changes[0].Note(), tt.want, tt.note, err)
			}
			// Blog 2 is another matter.
			if got := p.options.value("blog-2:stylesheet"); got != "one" {
				t.Errorf("blog 2 shows %s", got)
			}
		})
	}
}

// While the options are being written, somebody switches from the child to its parent:
// he writes the stylesheet alone. What was ours is taken back beside it.
func TestThemeChosenAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := sceneOf("themes")
	p := s.new(t)
	j := p.open(t)
	p.options.meddle = func(o *fileOptions) {
		if o.value("template") == "two" {
			o.put("stylesheet", "one")
		}
	}
	var refused *RefusedError
	if err := s.do(p, j, true); !errors.As(err, &refused) || !strings.HasPrefix(refused.What, "the option stylesheet of "+p.root+" is one now, not one-child") {
		t.Fatalf("error %v", err)
	}
	if got := p.options.value("template") + " " + p.options.value("stylesheet"); got != "one one" {
		t.Errorf("the site shows %s", got)
	}
	changes, err := j.List()
	if err != nil || changes[0].State != Refused || !changes[0].Untouched {
		t.Errorf("%+v, %v", changes, err)
	}
}

// A blog that is deleted meanwhile has nothing to be put back into.
func TestBlogIsGone(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]string{"themes": "blog-2:stylesheet", "a network's plugins": "blog-2:active_plugins"} {
		s := sceneOf(name)
		p := s.new(t)
		j := p.open(t)
		err := errors.Join(s.do(p, j, true), os.Remove(p.options.file(option)), os.RemoveAll(p.options.file("blog-2:template")), undoAll(j))
		changes, lerr := j.List()
		if err := errors.Join(err, lerr); err != nil || changes[0].State != Undone || !strings.Contains(changes[0].Note(), "is gone with its blog") {
			t.Errorf("%s: %+v, %v", name, changes, err)
		}
	}
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	s := sceneOf("themes")
	p := s.new(t)
	j := p.open(t)
	if err := p.options.put("blog-3:template", "\xff"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, value, want string }{
		{"siteurl", "http://x", `step 1 (setting): the option "siteurl" is not one that is set`},
		{"blog-2:siteurl", "http://x", `step 1 (setting): the option "blog-2:siteurl" is not one that is set`},
		{"network:template", "x", `step 1 (setting): the option "network:template" is not one that is set`},
		{"template", "", `step 1 (setting): 0 bytes are no value for the option "template"`},
		{"template", strings.Repeat("x", 4097), `step 1 (setting): 4097 bytes are no value for the option "template"`},
		{"template", "one", "it is so already"},
		{"blog-2:current_theme", "Two", "it is so already"}, // there is none
		{"blog-3:template", "two", "the option blog-3:template is not valid UTF-8"},
		{"blog-4:template", "two", `read blog-4:template: no such option: "blog-4:template"`},
	} {
		_, err := j.Plan(Change{SiteRoot: p.root, What: "x", Steps: []Step{SetOption(p.root, tt.name, []byte(tt.value))}})
		if want := `plan "x": ` + tt.want; err == nil || err.Error() != want {
			t.Errorf("%s: error\n%v\nwant\n%s", tt.name, err, want)
		}
	}
	if list, err := j.List(); err != nil || len(list) != 0 {
		t.Errorf("something was written: %+v, %v", list, err)
	}
}

// Whoever must do it without wpmend reads what to set where.
func TestOptionsByHand(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"themes":      "# then set the option template to one again, if it is still two: wp-admin, Appearance, or `wp option update`\n",
		"deactivated": "# then activate in wp-admin, Plugins: foo/foo.php\n",
	} {
		s := sceneOf(name)
		p := s.new(t)
		changes, err := s.plan(p)
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.open(t).Plan(changes[0])
		if err != nil {
			t.Fatal(err)
		}
		if text := c.UndoByHand(); !strings.Contains(text, want) {
			t.Errorf("%s does not hold %s", text, want)
		}
		if lines := c.Describe(); len(lines) != len(c.Steps) {
			t.Errorf("%q", lines)
		}
	}
}

// A refused deactivation is not taken for put right while the plugin is off the list.
func TestReviewOfOptions(t *testing.T) {
	t.Parallel()
	s := sceneOf("deactivated")
	p := s.new(t)
	found := p.snapshot(t)
	j := p.open(t)
	list := `a:2:{i:0;s:11:"bar/bar.php";i:2;s:9:"hello.php";}`
	if err := errors.Join(s.do(p, j, true), p.options.set("junk")); err != nil {
		t.Fatal(err)
	}
	var refused *RefusedError
	if err := undoAll(j); !errors.As(err, &refused) {
		t.Fatalf("error %v", err)
	}
	if err := p.options.set(list); err != nil {
		t.Fatal(err)
	}
	report, err := j.Recover(context.Background())
	if err != nil || len(report) != 1 || report[0].State != Refused || !strings.HasPrefix(report[0].Note, "waits for a person: it is still in effect: \"take off active_plugins: foo/foo.php\"") {
		t.Errorf("%+v, %v", report, err)
	}
	if err := undoAll(j); err != nil {
		t.Fatal(err)
	}
	p.same(t, found)
}
