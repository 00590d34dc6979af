package remedy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"wpmend/agent/journal"
	"wpmend/agent/site"
	"wpmend/wp"
)

// themeYears orders WordPress' own themes: the newest is what it would fall back to
// itself (WP_DEFAULT_THEME).
var themeYears = []string{"twentyten", "twentyeleven", "twentytwelve", "twentythirteen", "twentyfourteen", "twentyfifteen",
	"twentysixteen", "twentyseventeen", "twentynineteen", "twentytwenty", "twentytwentyone", "twentytwentytwo",
	"twentytwentythree", "twentytwentyfour", "twentytwentyfive"}

// defaultTheme: WordPress names them by their years.
var defaultTheme = regexp.MustCompile(`^twenty[a-z]+$`)

// Fallback is the theme to show instead of the present one when these components are
// off: a child's parent, else the newest installed theme of WordPress' own. None
// (false) when there is no other theme.
func Fallback(w site.WordPress, off ...string) (theme string, ok bool) {
	usable := func(name string) bool {
		c, hidden, found := w.Component(wp.KindTheme + ":" + name)
		if !found || hidden || slices.Contains(off, c.ID()) {
			return false
		}
		_, _, parent := w.Component(wp.KindTheme + ":" + c.Parent)
		return c.Parent == "" || parent && !slices.Contains(off, wp.KindTheme+":"+c.Parent)
	}
	if w.Active.Template != w.Active.Stylesheet && usable(w.Active.Template) {
		return w.Active.Template, true
	}
	best, age := "", -1
	for _, c := range w.Components {
		if c.Kind != wp.KindTheme || !defaultTheme.MatchString(c.Name) || !usable(c.Name) {
			continue
		}
		// One that is not known here is newer than all that are.
		year := slices.Index(themeYears, c.Name)
		if year < 0 {
			year = len(themeYears)
		}
		if year > age {
			best, age = c.Name, year
		}
	}
	return best, best != ""
}

// showAnother switches from the present theme to its fallback.
func showAnother(s site.Site, w site.WordPress, themes []string) ([]journal.Step, error) {
	var off []string
	for _, t := range themes {
		if t != w.Active.Stylesheet && t != w.Active.Template {
			return nil, fmt.Errorf("theme:%s is not the theme that %s shows: choose another one in the wp-admin of the blog that shows it", t, s.Domain)
		}
		off = append(off, wp.KindTheme+":"+t)
	}
	if w.Database != nil {
		return nil, fmt.Errorf("%s needs another theme, and its options cannot be written: %w", s.Domain, w.Database)
	}
	other, ok := Fallback(w, off...)
	if !ok {
		return nil, fmt.Errorf("%s has no other theme to show instead of %s: install one of WordPress' own (twenty…) first", s.Domain, strings.Join(off, ", "))
	}
	template := other
	if c, _, _ := w.Component(wp.KindTheme + ":" + other); c.Parent != "" {
		template = c.Parent
	}
	return []journal.Step{journal.SetOption(s.Root, "template", []byte(template)), journal.SetOption(s.Root, "stylesheet", []byte(other))}, nil
}
