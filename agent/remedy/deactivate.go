package remedy

import (
	"fmt"
	"strings"

	"wpmend/agent/journal"
	"wpmend/agent/site"
	"wpmend/wp"
)

// Deactivate switches plugins off by taking them off the lists of active ones, for
// hosts whose customers' files must not be renamed. The drop-ins that they put there
// are renamed first, as [Disable] does.
func Deactivate(s site.Site, w site.WordPress, ids []string, incident, why string) (journal.Change, error) {
	c := change(s, "deactivate "+strings.Join(Company(w, ids), ", ")+" on "+s.Domain, incident, why)
	var others, files []string
	for _, id := range Company(w, ids) {
		component, err := present(s, w, id)
		if err != nil {
			return c, err
		}
		if component.Kind == wp.KindPlugin {
			files = append(files, component.Files...)
		} else {
			others = append(others, id)
		}
	}
	if err := plan(&c, s, w, others); err != nil {
		return c, err
	}
	listed := lists(w, files)
	if len(listed) == 0 {
		return c, fmt.Errorf("%s is in no list of active plugins of %s that can be read", strings.Join(ids, ", "), s.Domain)
	}
	for _, l := range listed {
		c.Steps = append(c.Steps, journal.DeactivatePlugins(s.Root, l.name, l.files))
	}
	return c, nil
}
