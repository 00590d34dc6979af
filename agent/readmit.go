package agent

import (
	"fmt"

	"wpmend/agent/journal"
	"wpmend/agent/remedy"
)

// offers says what wpmend has switched off on a site and the owner has changed since: it
// may be well now.
func (a *Agent) offers(l *look) []string {
	changes, err := a.journal.InForce(l.site.Root)
	lines := notes(err)
	for _, c := range changes {
		if c.State != journal.Verified {
			continue
		}
		now, err := remedy.Readmit(l.site, l.wp, c)
		lines = append(lines, notes(err)...)
		switch now.Standing {
		case remedy.Changed:
			back := "wpmend incidents undo " + c.Incident
			if c.Incident == "" {
				back = "wpmend enable " + l.site.Domain + " COMPONENT"
			}
			lines = append(lines, fmt.Sprintf("%s: %s, so it may be well now: `%s` lets it in again", c.What, now.What, back))
		case remedy.Reinstalled:
			lines = append(lines, fmt.Sprintf("%s: %s; once the new one works, the old one can be removed", c.What, now.What))
		}
	}
	return lines
}
