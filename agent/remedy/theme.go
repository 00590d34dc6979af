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
	return fallback(w, w.Active.Template, w.Active.Stylesheet, off)
}

// fallback is Fallback for a blog that shows this theme.
func fallback(w site.WordPress, template, stylesheet string, off []string) (theme string, ok bool) {
	usable := func(name string) bool {
		c, hidden, found := w.Component(wp.KindTheme + ":" + name)
		if !found || hidden || slices.Contains(off, c.ID()) {
			return false
		}
		_, _, parent := w.Component(wp.KindTheme + ":" + c.Parent)
		return c.Parent == "" || parent && !slices.Contains(off, wp.KindTheme+":"+c.Parent)
	}
	if template != stylesheet && usable(template) {
		return template, true
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

// showAnother switches every blog that shows one of these themes to its fallback.
func showAnother(s site.Site, w site.WordPress, themes []string) ([]journal.Step, error) {
	if w.Database != nil {
		return nil, fmt.Errorf("%s needs another theme, and its options cannot be written: %w", s.Domain, w.Database)
	}
	blogs, err := showing(w, themes)
	if err != nil {
		return nil, fmt.Errorf("find what shows the theme %s of %s: %w", strings.Join(themes, ", "), s.Domain, err)
	}
	var off []string
	for _, t := range themes {
		if !slices.ContainsFunc(blogs, func(b shown) bool { return b.shows(t) }) {
			return nil, fmt.Errorf("theme:%s is not a theme that %s shows: there is nothing to switch off", t, s.Domain)
		}
		off = append(off, wp.KindTheme+":"+t)
	}
	var steps []journal.Step
	for _, b := range blogs {
		other, ok := fallback(w, b.template, b.stylesheet, off)
		if !ok {
			return nil, fmt.Errorf("%s has no other theme to show instead of %s: install one of WordPress' own (twenty…) first", s.Domain, strings.Join(off, ", "))
		}
		c, _, _ := w.Component(wp.KindTheme + ":" + other)
		template, title := other, c.Title
		if c.Parent != "" {
			template = c.Parent
		}
		if title == "" {
			title = other // as WordPress does
		}
		for _, o := range [][2]string{{"template", template}, {"stylesheet", other}, {"current_theme", title}} {
			steps = append(steps, journal.SetOption(s.Root, b.prefix+o[0], []byte(o[1])))
		}
	}
	return steps, nil
}
