package remedy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/wp"
)

// showing is a site with these themes ("child<parent") that shows one of them.
func showing(stylesheet string, themes ...string) site.WordPress {
	w := site.WordPress{Active: wp.ActiveState{Stylesheet: stylesheet, Template: stylesheet}}
	for _, t := range themes {
		name, parent, _ := strings.Cut(t, "<")
		w.Components = append(w.Components, wp.Component{Kind: wp.KindTheme, Name: name, Parent: parent, Title: "The " + name,
			Path: "wp-content/themes/" + name, Active: name == stylesheet})
		if name == stylesheet && parent != "" {
			w.Active.Template = parent
		}
	}
	return w
}

func TestFallback(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		w    site.WordPress
		off  []string
		want string
	}{
		{"a child's parent", showing("child", "child<astra", "astra", "twentytwentyfive"), []string{"theme:child"}, "astra"},
		{"both are at fault", showing("child", "child<astra", "astra", "twentytwentyfive"), []string{"theme:child", "theme:astra"}, "twentytwentyfive"},
		{"the parent is at fault", showing("child", "child<astra", "astra", "twentytwenty"), []string{"theme:astra"}, "twentytwenty"},
		{"the parent is not there", showing("child", "child<astra", "twentytwenty"), []string{"theme:child"}, "twentytwenty"},
		{"the newest", showing("astra", "astra", "twentytwelve", "twentytwentyfour", "twentynineteen"), []string{"theme:astra"}, "twentytwentyfour"},
		{"one of a year to come", showing("astra", "astra", "twentytwentyfive", "twentytwentynine"), []string{"theme:astra"}, "twentytwentynine"},
		{"the newest is at fault", showing("twentytwentyfive", "twentytwentyfive", "twentytwenty"), []string{"theme:twentytwentyfive"}, "twentytwenty"},
		{"no default theme that is a broken child", showing("astra", "astra", "twentytwenty<gone"), []string{"theme:astra"}, ""},
		{"somebody's theme is no default one", showing("astra", "astra", "twenty-first", "other"), []string{"theme:astra"}, ""},
		{"none", showing("astra", "astra"), []string{"theme:astra"}, ""},
	} {
		if got, ok := remedy.Fallback(tt.w, tt.off...); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}

func TestThemeSteps(t *testing.T) {
	t.Parallel()
	s := site.Site{Root: "/srv/x", Domain: "x.test"}
	c, err := remedy.Disable(s, showing("child", "child<astra", "astra"), []string{"theme:child"}, "", "test")
	var got []string
	for _, step := range c.Steps {
		if step.Kind != journal.Setting {
			t.Errorf("a step is %s", step.Kind)
		}
		got = append(got, step.Name+"="+string(step.After))
	}
	if want := []string{"template=astra", "stylesheet=astra", "current_theme=The astra"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	unread := showing("astra", "astra", "twentytwenty")
	unread.Database = errors.New("the database is down")
	for _, tt := range []struct {
		w    site.WordPress
		id   string
		want string
	}{
		{showing("astra", "astra"), "theme:astra", "x.test has no other theme to show instead of theme:astra: install one of WordPress' own (twenty…) first"},
		{showing("astra", "astra", "idle"), "theme:idle", "theme:idle is not a theme that x.test shows: there is nothing to switch off"},
		{showing("astra", "astra"), "theme:nope", `x.test has no component "theme:nope": look into its plugins, themes and mu-plugins folders for what there is`},
		{unread, "theme:astra", "x.test needs another theme, and its options cannot be written: the database is down"},
	} {
		if _, err := remedy.Disable(s, tt.w, []string{tt.id}, "", "test"); err == nil || err.Error() != tt.want {
			t.Errorf("error\n%v\nwant\n%s", err, tt.want)
		}
	}
}
