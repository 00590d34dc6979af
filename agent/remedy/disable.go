package remedy

import (
	"fmt"
	"slices"
	"strings"

	"wpmend/agent/journal"
	"wpmend/agent/site"
	"wpmend/wp"
)

// Disable switches components off, with what can only go along: a plugin with the
// drop-ins that it put there and the must-use loader that fails without it, and each of
// these with the plugin that would put it there again, the plugin always last. What is
// renamed goes out of WordPress' sight, and the lists of active plugins are guarded: wp-admin drops a plugin from them whose
// file is missing (wp-admin/includes/plugin.php, validate_active_plugins), and the
// undo puts it back. A theme is not renamed: another one is shown instead.
func Disable(s site.Site, w site.WordPress, ids []string, incident, why string) (journal.Change, error) {
	all := Company(w, ids)
	c := change(s, "switch off "+strings.Join(all, ", ")+" on "+s.Domain, incident, why)
	return c, plan(&c, s, w, all)
}

// Away is Disable of these components alone, for a question of a search.
func Away(s site.Site, w site.WordPress, ids []string, why string) (journal.Change, error) {
	c := change(s, "put "+strings.Join(ids, ", ")+" of "+s.Domain+" away for a moment", "", why)
	return c, plan(&c, s, w, ids)
}

func change(s site.Site, what, incident, why string) journal.Change {
	return journal.Change{Site: s.ID, SiteRoot: s.Root, Incident: incident, Why: why, Actor: Actor, What: what}
}

// Company adds what must go along. What a plugin put elsewhere comes first: while its
// loader or drop-in is there, the plugin's files must be too.
func Company(w site.WordPress, ids []string) []string {
	var all []string
	for queue := slices.Clone(ids); len(queue) > 0; {
		id := queue[0]
		queue = queue[1:]
		if slices.Contains(all, id) {
			continue
		}
		all = append(all, id)
		for _, c := range w.Components {
			if c.Owner == "" {
				continue
			}
			if c.Owner == id {
				queue = append(queue, c.ID())
			}
			// A plugin that does not run cannot bring its drop-in back.
			if o, _, ok := w.Component(c.Owner); c.ID() == id && ok && o.Active {
				queue = append(queue, c.Owner)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return order(a) - order(b) })
	return all
}

func order(id string) int {
	switch kind, _, _ := strings.Cut(id, ":"); kind {
	case wp.KindDropIn:
		return 0
	case wp.KindMUPlugin:
		return 1
	}
	return 2
}

// plan adds the steps that take these components away.
func plan(c *journal.Change, s site.Site, w site.WordPress, ids []string) error {
	var themes []string
	var files []string
	for _, id := range ids {
		component, err := present(s, w, id)
		if err != nil {
			return err
		}
		switch component.Kind {
		case wp.KindTheme:
			themes = append(themes, component.Name)
			continue
		case wp.KindPrepend:
			return fmt.Errorf("%s is loaded by PHP itself before every request, which fails when the file is missing: take its line out of .user.ini or .htaccess first", id)
		}
		for _, p := range w.Prepends {
			if p.Path != "" && (p.Path == component.Path || strings.HasPrefix(p.Path, component.Path+"/")) {
				return fmt.Errorf("%s holds %s, which PHP loads before every request (%s) and would miss: take that line out first, wait five minutes (user_ini.cache_ttl), then switch it off", id, p.Path, setBy(p))
			}
		}
		from, to := wp.Off(component)
		step, err := journal.PlanRename(s.Root, s.Owner, from, to)
		if err != nil {
			return err
		}
		c.Steps = append(c.Steps, step)
		if component.Kind == wp.KindPlugin {
			files = append(files, component.Files...)
		}
	}
	for _, l := range lists(w, files) {
		c.Steps = append(c.Steps, journal.GuardList(s.Root, l.name, l.files))
	}
	if len(themes) == 0 {
		return nil
	}
	steps, err := showAnother(s, w, themes)
	c.Steps = append(c.Steps, steps...)
	return err
}

// setBy names the file that sets what PHP loads first.
func setBy(p wp.PrependedFile) string {
	if p.From == "" {
		return "by the pool's configuration"
	}
	return "by " + p.From
}

// present finds a component that is not switched off yet.
func present(s site.Site, w site.WordPress, id string) (wp.Component, error) {
	component, off, ok := w.Component(id)
	switch {
	case !ok:
		return component, fmt.Errorf("%s has no component %q: look into its plugins, themes and mu-plugins folders for what there is", s.Domain, id)
	case off:
		return component, fmt.Errorf("%s is switched off already: `wpmend enable %s %s` switches it on", id, s.Domain, id)
	}
	return component, nil
}

// activeList is an option that names active plugins, and those of a few that it names.
type activeList struct {
	name  string
	files []string
}

// lists are the lists of active plugins, of the site or of its network, that name one
// of these files.
func lists(w site.WordPress, files []string) []activeList {
	if w.Database != nil {
		return nil
	}
	var found []activeList
	add := func(name string, active []string) {
		l := activeList{name: name}
		for _, f := range files {
			if slices.Contains(active, f) {
				l.files = append(l.files, f)
			}
		}
		if len(l.files) > 0 {
			found = append(found, l)
		}
	}
	add("active_plugins", w.Active.Plugins)
	add("network:active_sitewide_plugins", w.Active.Network)
	for blog, active := range w.Active.Blogs {
		add(fmt.Sprintf("blog-%d:active_plugins", blog), active)
	}
	slices.SortFunc(found, func(a, b activeList) int { return strings.Compare(a.name, b.name) })
	return found
}
