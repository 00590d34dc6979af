package agent

import (
	"encoding/json"
	"slices"

	"wpmend/agent/config"
	"wpmend/agent/history"
	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
)

// Reach is what taking a change back would touch.
type Reach struct {
	Roots []string // of the sites whose files and options
	Host  bool     // also of the host: its configuration, its servers
}

// Reach says what undoing an incident would touch. Records that cannot be read make it
// unknown, which is an error.
func (a *Agent) Reach(incident string) (Reach, error) {
	var r Reach
	changes, err := a.journal.List()
	if err != nil {
		return r, err
	}
	for _, c := range changes {
		if c.Incident == incident && inForce(c) {
			r.add(c)
		}
	}
	return r, nil
}

// inForce says whether a change is in effect and can be taken back.
func inForce(c journal.Change) bool {
	return c.State != journal.Undone && !(c.State == journal.Refused && c.Untouched) && c.UndoNone == ""
}

func (r *Reach) add(c journal.Change) {
	roots := []string{c.SiteRoot}
	for _, s := range c.Steps {
		if s.SiteRoot != "" {
			roots = append(roots, s.SiteRoot)
		}
		// What is started or reloaded serves more than one site.
		if s.Kind == journal.Start || s.Kind == journal.Act && !renews(s) || s.File != nil && s.File.Host {
			r.Host = true
		}
	}
	for _, root := range roots {
		if !slices.Contains(r.Roots, root) {
			r.Roots = append(r.Roots, root)
		}
	}
}

// renews says whether an act does no more than let the idle workers of the site's own pool
// be replaced.
func renews(s journal.Step) bool {
	var act remedy.Act
	return json.Unmarshal(s.Act, &act) == nil && act.Do == remedy.RenewWorkers
}

// IncidentIndex lists the incidents for those who ask often.
func (a *Agent) IncidentIndex() *history.Index { return a.history.Index() }

// Acting says whether an act on a live server is under way, which must be waited for: one
// that was stopped must be started again.
func (a *Agent) Acting() bool { return a.acting.Load() > 0 }

// Configured is the configuration in force.
func (a *Agent) Configured() config.Config { return a.conf() }

// Ref is how a site appears in every report.
func Ref(s site.Site) SiteRef { return ref(s) }
