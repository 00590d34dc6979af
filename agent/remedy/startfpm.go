package remedy

import (
	"encoding/json"
	"fmt"
	"strings"

	"wpmend/agent/journal"
	"wpmend/agent/site"
)

// StartFPM starts the site's PHP-FPM master again, outside of wpmend's own
// process tree. It cannot be undone: stopping it would take every site of the
// master down.
func StartFPM(s site.Site, incident, why string) (journal.Change, error) {
	if err := s.Unserved(); err != nil {
		return journal.Change{}, err
	}
	argv, how, err := s.Master.StartPlan()
	if err != nil {
		return journal.Change{}, fmt.Errorf("PHP-FPM with %s does not run, and how to start it is not known: %w", s.Master.Config, err)
	}
	master, err := json.Marshal(s.Master)
	if err != nil {
		return journal.Change{}, fmt.Errorf("describe the start of %s: %w", s.Master.Config, err)
	}
	return journal.Change{Site: s.ID, SiteRoot: s.Root, Incident: incident, Why: why, Actor: Actor,
		What:     fmt.Sprintf("start PHP-FPM (%s): %s", how, strings.Join(argv, " ")),
		Steps:    []journal.Step{journal.StartStep(master)},
		UndoNone: "stopping PHP-FPM would take down every site that it serves"}, nil
}
