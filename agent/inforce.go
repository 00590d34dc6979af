package agent

import (
	"slices"
	"strings"
	"time"

	"wpmend/agent/journal"
)

// InForce is a change of wpmend's that is in effect, and what takes it back.
type InForce struct {
	Change   string    `json:"change"`
	Incident string    `json:"incident"`
	Root     string    `json:"root"` // of the site
	What     string    `json:"what"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"` // when wpmend takes it back by itself; zero: it does not
	Undo     string    `json:"undo"`           // with wpmend; "" where nothing can
	ByHand   []string  `json:"by_hand"`        // without: shell commands and comments

	Reach Reach `json:"-"`
}

// InForce lists what wpmend has changed on this host and what is still so, site by site,
// the oldest first. Records that cannot be read are in the notes.
func (a *Agent) InForce() ([]InForce, []string) {
	changes, err := a.journal.List()
	list := []InForce{}
	for _, c := range changes {
		if !standing(c) {
			continue
		}
		f := InForce{Change: c.ID, Incident: c.Incident, Root: c.SiteRoot, What: c.What, Since: c.Created, Until: c.Until,
			ByHand: strings.Split(strings.TrimRight(c.UndoByHand(), "\n"), "\n")}
		f.Reach.add(c)
		switch component, ok := strings.CutPrefix(c.Why, switchedByHand); {
		case ok:
			f.Undo = "wpmend enable " + c.Site + " " + component
		case c.Actor == byHand:
			f.Undo = byHand + " " + c.Site + " --undo"
		case c.Incident != "":
			f.Undo = "wpmend incidents undo " + c.Incident
		}
		list = append(list, f)
	}
	slices.SortStableFunc(list, func(a, b InForce) int { return strings.Compare(a.Root, b.Root) })
	return list, notes(err)
}

// standing says whether a change is in effect, or may be.
func standing(c journal.Change) bool {
	return c.State != journal.Undone && !(c.State == journal.Refused && c.Untouched) && c.UndoNone == ""
}
