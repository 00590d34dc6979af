package api

import (
	"context"
	"net/http"

	"wpmend/agent"
)

// SwitchRequest says how a component shall stand.
type SwitchRequest struct {
	Enabled bool `json:"enabled" doc:"false switches it off, true switches on again what wpmend switched off."`
}

func (s *Server) describeComponents() {
	register(s, route{id: "listComponents", method: http.MethodGet, path: "/v1/sites/{site}/components", tag: "sites", summary: "What is installed on a site", kindOf: kindOf{heavy: true}, errors: []int{409},
		description: "Plugins, themes, must-use plugins, drop-ins and prepended files, from the site's own files and database."},
		func(ctx context.Context, c *caller, in *SitePath) (*bodied[agent.ComponentsReport], error) {
			found, err := c.find(in.Site)
			if err != nil {
				return nil, err
			}
			r, err := s.o.Agent.Components(ctx, found)
			return &bodied[agent.ComponentsReport]{clean(c.blind, r)}, err
		})
	register(s, route{id: "switchComponent", method: http.MethodPut, path: "/v1/sites/{site}/components/{component}", tag: "sites", summary: "Switch a component off or on", admin: true, errors: []int{409}, kindOf: kindOf{changes: true},
		description: "Whether the site is healthy is not asked. The object is that of `wpmend disable --json`."},
		func(_ context.Context, c *caller, in *struct {
			SitePath
			Component string `path:"component" maxLength:"1024" example:"plugin:akismet" doc:"As the list of components writes it."`
			Body      SwitchRequest
		}) (*bodied[agent.SwitchReport], error) {
			found, err := c.find(in.Site)
			if err != nil {
				return nil, err
			}
			r, err := act(s, func(ctx context.Context) (agent.SwitchReport, error) {
				if in.Body.Enabled {
					return s.o.Agent.Enable(ctx, found, in.Component)
				}
				return s.o.Agent.Disable(ctx, found, in.Component)
			})
			return &bodied[agent.SwitchReport]{r}, err
		})
}
