package remedy

import (
	"fmt"
	"slices"
	"strings"

	"wpmend/agent/journal"
	"wpmend/agent/site"
	"wpmend/wp"
)

// Disable switches components off by renaming them out of WordPress' sight, and
// guards active_plugins: wp-admin drops a plugin from it whose file is missing
// (wp-admin/includes/plugin.php, validate_active_plugins), and the undo puts it back.
func Disable(s site.Site, w site.WordPress, ids []string, incident, why string) (journal.Change, error) {
	c := journal.Change{Site: s.ID, SiteRoot: s.Root, Incident: incident, Why: why, Actor: Actor,
		What: "switch off " + strings.Join(ids, ", ") + " on " + s.Domain}
	var active []string
	for _, id := range ids {
		component, off, ok := w.Component(id)
		switch {
		case !ok:
			return journal.Change{}, fmt.Errorf("%s has no component %q: `wpmend sites` and the site's plugins folder show what there is", s.Domain, id)
		case off:
			return journal.Change{}, fmt.Errorf("%s is switched off already: `wpmend enable %s %s` switches it on", id, s.Domain, id)
		case component.Kind != "plugin":
			return journal.Change{}, fmt.Errorf("%s: only plugins can be switched off by this version", id)
		}
		from, to := wp.Off(component)
		step, err := journal.PlanRename(s.Root, s.Owner, from, to)
		if err != nil {
			return journal.Change{}, err
		}
		c.Steps = append(c.Steps, step)
		for _, file := range component.Files {
			if slices.Contains(w.Active.Plugins, file) {
				active = append(active, file)
			}
		}
	}
	if len(active) > 0 && w.Database == nil {
		c.Steps = append(c.Steps, journal.GuardPlugins(s.Root, active))
	}
	return c, nil
}
