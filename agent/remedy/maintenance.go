package remedy

import (
	"fmt"
	"path"

	"wpmend/agent/journal"
	"wpmend/agent/site"
)

// EndMaintenance moves a forgotten .maintenance file aside. The new name ends in .php
// within a hidden folder: it is code, and must not be served as text.
func EndMaintenance(s site.Site, incident, why string) (journal.Change, error) {
	from := path.Join(s.Core, ".maintenance")
	step, err := journal.PlanRename(s.Root, s.Owner, from, from+".off-by-wpmend/maintenance.php")
	if err != nil {
		return journal.Change{}, fmt.Errorf("end the maintenance of %s: %w", s.Domain, err)
	}
	return journal.Change{Site: s.ID, SiteRoot: s.Root, Incident: incident, Why: why, Actor: Actor,
		What: "move " + from + " aside, which no update needs any more", Steps: []journal.Step{step}}, nil
}
