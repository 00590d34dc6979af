package remedy

import (
	"fmt"
	"strings"

	"wpmend/agent/gateway"
	"wpmend/agent/journal"
	"wpmend/agent/site"
)

// Purge drops the errors that the gateway's caches hold for a site's vhosts.
func Purge(s site.Site, caches []gateway.Cache, incident, why string) (journal.Change, error) {
	zones := make([]string, len(caches))
	for i, c := range caches {
		zones[i] = c.Zone + " (" + c.Path + ")"
	}
	what := fmt.Sprintf("drop the cached errors of %s from %s", s.Domain, strings.Join(zones, ", "))
	step, err := Act{Do: PurgeCache, Words: what, Caches: caches}.Step(journal.OnApply)
	if err != nil {
		return journal.Change{}, err
	}
	return journal.Change{Site: s.ID, SiteRoot: s.Root, Incident: incident, Why: why, Actor: Actor, What: what,
		Steps: []journal.Step{step}, UndoNone: "a cache fills itself again"}, nil
}
