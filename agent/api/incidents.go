package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/oklog/ulid/v2"

	"wpmend/agent"
	"wpmend/agent/history"
)

// IncidentList is one page of incidents.
type IncidentList struct {
	Incidents []history.Incident `json:"incidents"`
	Next      string             `json:"next" doc:"The cursor of the next page, or empty."`
	Notes     []string           `json:"notes" doc:"Records that cannot be read; for administrators."`
}

// IncidentPath names an incident.
type IncidentPath struct {
	ID string `path:"id" maxLength:"64" example:"01KB2M6Q7T9S3V5X8Y0Z1A2B3C" doc:"The whole id; an administrator may cut it short while it is unique."`
}

// ChangeList is what is in effect.
type ChangeList struct {
	Changes []agent.InForce `json:"changes"`
	Notes   []string        `json:"notes" doc:"Records that cannot be read; for administrators."`
}

func (s *Server) describeIncidents() {
	register(s, route{id: "listIncidents", method: http.MethodGet, path: "/v1/incidents", tag: "incidents", summary: "What happened, newest first", kindOf: kindOf{heavy: true}},
		func(_ context.Context, c *caller, in *struct {
			Paging
			Site  string `query:"site" maxLength:"1024" doc:"Only those of this site: an id, a domain or a root folder."`
			State string `query:"state" enum:"open,resolved,transient,escalated,undone" doc:"Only those that stand so."`
		}) (*bodied[IncidentList], error) {
			l, err := s.incidentList(c, in.Paging, in.Site, in.State)
			return &bodied[IncidentList]{l}, err
		})
	register(s, route{id: "getIncident", method: http.MethodGet, path: "/v1/incidents/{id}", tag: "incidents", summary: "One incident, whole"},
		func(_ context.Context, c *caller, in *IncidentPath) (*bodied[history.Incident], error) {
			i, err := s.incident(c, in.ID)
			return &bodied[history.Incident]{i}, err
		})
	s.describeReport()
	register(s, route{id: "undoIncident", method: http.MethodPost, path: "/v1/incidents/{id}/undo", tag: "incidents", summary: "Take back what was changed in one incident", errors: []int{409}, kindOf: kindOf{changes: true, heavy: true},
		description: "Every change of it that is still in force, the newest first. What was broken before may break again: the site is not probed. What an incident changed of the host (a pool's limits, a gateway's), which serves others too, an owner cannot take back. The object is that of `wpmend incidents undo --json`."},
		func(_ context.Context, c *caller, in *IncidentPath) (*bodied[agent.SwitchReport], error) {
			id, err := s.undoable(c, in.ID)
			if err != nil {
				return nil, err
			}
			r, err := act(s, func(ctx context.Context) (agent.SwitchReport, error) { return s.o.Agent.UndoIncident(ctx, id) })
			return &bodied[agent.SwitchReport]{clean(c.blind, r)}, err
		})
	register(s, route{id: "listChanges", method: http.MethodGet, path: "/v1/changes", tag: "incidents", summary: "What wpmend has changed and is still so, with the way back", kindOf: kindOf{heavy: true}},
		func(_ context.Context, c *caller, _ *struct{}) (*bodied[ChangeList], error) {
			list, notes := s.o.Agent.InForce()
			l := ChangeList{Changes: []agent.InForce{}, Notes: []string{}}
			for _, f := range list {
				if c.seesChange(f) {
					l.Changes = append(l.Changes, clean(c.blind, f))
				}
			}
			if c.role == Admin {
				l.Notes = append(l.Notes, notes...)
			}
			return &bodied[ChangeList]{l}, nil
		})
}

func (s *Server) describeReport() {
	type file struct {
		ContentType string `header:"Content-Type"`
		Policy      string `header:"Content-Security-Policy" hidden:"true"`
		Body        []byte
	}
	schema := func(what string) *huma.MediaType {
		return &huma.MediaType{Schema: &huma.Schema{Type: "string", Description: what}}
	}
	register(s, route{id: "getReport", method: http.MethodGet, path: "/v1/incidents/{id}/report", tag: "incidents", summary: "One incident, for somebody else to read", kindOf: kindOf{heavy: true},
		description: "For a plugin's author or the host's support, without passwords, keys, cookies, the values of queries and visitors' addresses.",
		content: map[string]*huma.MediaType{"application/json": {Schema: s.api.OpenAPI().Components.Schemas.Schema(reportType(), true, "")},
			"text/html": schema("One page with nothing beside it."), "text/plain": schema("For a mail or a ticket.")}},
		func(ctx context.Context, c *caller, in *struct {
			IncidentPath
			Format string `query:"format" enum:"json,html,text" default:"json"`
		}) (*file, error) {
			i, err := s.incident(c, in.ID)
			if err != nil {
				return nil, err
			}
			r := s.o.Agent.ReportOf(ctx, i)
			switch in.Format {
			case "html":
				var page bytes.Buffer
				err := r.HTML(&page)
				return &file{"text/html; charset=utf-8", reportPolicy(page.Bytes()), page.Bytes()}, err
			case "text":
				return &file{ContentType: "text/plain; charset=utf-8", Body: []byte(r.Text())}, nil
			}
			data, err := json.Marshal(r)
			return &file{ContentType: "application/json", Body: data}, err
		})
}

// briefs are the incidents that the caller may see, the newest first.
func (s *Server) briefs(c *caller) ([]history.Brief, error) {
	list, err := s.index.List()
	var junk *history.JunkError
	if err != nil && !errors.As(err, &junk) {
		return nil, err
	}
	if c.role == Admin {
		return list, nil
	}
	own := []history.Brief{}
	for _, b := range list {
		if c.owns(b.Site) || slices.ContainsFunc(b.Sites, c.owns) {
			own = append(own, b)
		}
	}
	return own, nil
}

func (s *Server) incidentList(c *caller, p Paging, at, state string) (l IncidentList, err error) {
	l = IncidentList{Incidents: []history.Incident{}, Notes: []string{}}
	briefs, err := s.briefs(c)
	if err != nil {
		return l, err
	}
	if at != "" {
		if found, err := c.find(at); err == nil {
			at = found.ID
		}
	}
	briefs = slices.DeleteFunc(slices.Clone(briefs), func(b history.Brief) bool {
		return state != "" && b.State != state || at != "" && !c.concerns(b, at)
	})
	page, next, err := pageOf(p, "incidents", briefs, func(b history.Brief) string { return b.ID }, descending)
	if err != nil {
		return l, err
	}
	l.Next = next
	for _, b := range page {
		i, err := s.o.Agent.Incident(b.ID)
		if err != nil {
			if c.role == Admin {
				l.Notes = append(l.Notes, err.Error())
			}
			continue
		}
		l.Incidents = append(l.Incidents, c.seen(i))
	}
	return l, nil
}

// concerns says whether an incident is of a site, which must be one that the caller sees.
func (c *caller) concerns(b history.Brief, at string) bool {
	is := func(r agent.SiteRef) bool { return c.owns(r) && slices.Contains([]string{r.ID, r.Domain, r.Root}, at) }
	return is(b.Site) || slices.ContainsFunc(b.Sites, is)
}

// incident finds one that the caller may see. To an owner one of others is like none.
func (s *Server) incident(c *caller, id string) (history.Incident, error) {
	unknown := problem("not-found", "the history has no such incident", "GET /v1/incidents lists the incidents")
	whole, parseErr := ulid.ParseStrict(strings.ToUpper(id))
	if c.role != Admin {
		if parseErr != nil {
			return history.Incident{}, unknown
		}
		briefs, err := s.briefs(c)
		if err != nil {
			return history.Incident{}, err
		}
		if !slices.ContainsFunc(briefs, func(b history.Brief) bool { return b.ID == whole.String() }) {
			return history.Incident{}, unknown
		}
	}
	i, err := s.o.Agent.Incident(id)
	var junk *history.JunkError
	if err != nil && !errors.As(err, &junk) {
		return i, problem("not-found", err.Error(), unknown.Remedy)
	}
	return c.seen(i), err
}

// seen is an incident as the caller may see it: of one that is another's and names a site
// of the caller's, no more than that.
func (c *caller) seen(i history.Incident) history.Incident {
	if c.role == Admin {
		return i
	}
	others := slices.DeleteFunc(slices.Clone(i.Sites), func(r agent.SiteRef) bool { return !c.owns(r) })
	if c.owns(i.Site) {
		i.Sites = others
		return clean(c.blind, i)
	}
	seen := history.Incident{ID: i.ID, State: i.State, Opened: i.Opened, Ended: i.Ended, Over: i.Over, Seconds: i.Seconds, Reason: i.Reason,
		Symptom: history.Symptom{Outcome: i.Symptom.Outcome, Status: i.Symptom.Status}}
	if len(others) > 0 {
		seen.Site, seen.Sites = others[0], others[1:]
	}
	for _, cause := range i.Causes {
		cause.Evidence, cause.Component, cause.Advice = nil, "", ""
		seen.Causes = append(seen.Causes, cause)
	}
	seen.Note(i.Opened, "several sites of the same PHP-FPM failed, and this one with them; the incident is that of another")
	return seen
}

// undoable says whether the caller may undo an incident, and gives its whole id.
func (s *Server) undoable(c *caller, id string) (string, error) {
	i, err := s.incident(c, id)
	if err != nil || c.role == Admin {
		return i.ID, err
	}
	whole, err := s.o.Agent.Incident(i.ID)
	if err != nil {
		return "", err
	}
	if whole.State == history.Ongoing {
		return "", problem("busy", "the incident is under way", "wait until it has ended, then try again")
	}
	reach, err := s.o.Agent.Reach(i.ID)
	if err != nil {
		return "", err
	}
	if !c.owns(whole.Site) || !c.reaches(reach) || slices.ContainsFunc(whole.Sites, func(r agent.SiteRef) bool { return !c.owns(r) }) {
		return "", problem("not-permitted", "what this incident changed concerns more than your site", "ask an administrator to take it back")
	}
	return i.ID, nil
}

// reaches says whether all that a change touches is the caller's.
func (c *caller) reaches(r agent.Reach) bool {
	return c.role == Admin || !r.Host && !slices.ContainsFunc(r.Roots, func(root string) bool { return !c.hasRoot(root) })
}

func (c *caller) hasRoot(root string) bool {
	for _, s := range c.sites {
		if s.Root == root {
			return true
		}
	}
	return false
}

// seesChange says whether a change in effect is one of the caller's own sites.
func (c *caller) seesChange(f agent.InForce) bool {
	return c.role == Admin || c.hasRoot(f.Root) && c.reaches(f.Reach)
}
