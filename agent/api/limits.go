package api

import (
	"context"
	"net/http"
	"time"

	"wpmend/agent"
	"wpmend/php/ini"
)

// LimitSetting is one limit as a person writes it.
type LimitSetting struct {
	Name  string `json:"name" minLength:"1" maxLength:"128" example:"memory_limit"`
	Value string `json:"value" minLength:"1" maxLength:"128" example:"256M"`
}

// LimitsRequest says what is to be set.
type LimitsRequest struct {
	Set    []LimitSetting `json:"set" minItems:"1" maxItems:"16"`
	For    string         `json:"for,omitempty" maxLength:"32" example:"24h" doc:"After which time it is taken back, such as 24h; left out: it stays."`
	DryRun bool           `json:"dry_run,omitempty" doc:"Say what would be set, and do nothing."`
	Force  bool           `json:"force,omitempty" doc:"End running requests where PHP-FPM must be reloaded for it."`
}

func (r LimitsRequest) options() (agent.LimitsOptions, error) {
	o := agent.LimitsOptions{DryRun: r.DryRun, Force: r.Force}
	if r.For != "" {
		var err error
		if o.For, err = time.ParseDuration(r.For); err != nil || o.For <= 0 {
			return o, problem("usage", "\"for\" is no time of more than 0", "write it as 24h or 90m")
		}
	}
	names := map[string]bool{}
	for _, s := range r.Set {
		if names[s.Name] {
			return o, problem("usage", s.Name+" is given twice", "give each limit once")
		}
		names[s.Name] = true
		o.Set = append(o.Set, ini.Setting{Name: s.Name, Value: s.Value})
	}
	return o, nil
}

func (s *Server) describeLimits() {
	const path = "/v1/sites/{site}/limits"
	register(s, route{id: "getLimits", method: http.MethodGet, path: path, tag: "sites", summary: "What bounds a request of a site, as one chain", kindOf: kindOf{heavy: true},
		description: "From PHP to the gateway: each limit, where it is set, what it overrides, and where two do not fit together. The object is that of `wpmend php limits SITE --json`."},
		func(ctx context.Context, c *caller, in *SitePath) (*bodied[agent.LimitsReport], error) {
			found, err := c.find(in.Site)
			if err != nil {
				return nil, err
			}
			return &bodied[agent.LimitsReport]{clean(c.blind, s.o.Agent.Limits(ctx, found))}, nil
		})
	register(s, route{id: "setLimits", method: http.MethodPost, path: path, tag: "sites", summary: "Set limits of a site", admin: true, errors: []int{409}, kindOf: kindOf{changes: true},
		description: "Within the ceilings of the configuration, with all that must follow, proven afterwards, and taken back if the site does not stay as well as it was. The object is that of `wpmend php limits SITE --set … --json`."},
		func(_ context.Context, c *caller, in *struct {
			SitePath
			Body LimitsRequest
		}) (*bodied[agent.LimitsSet], error) {
			found, err := c.find(in.Site)
			if err != nil {
				return nil, err
			}
			o, err := in.Body.options()
			if err != nil {
				return nil, err
			}
			r, err := act(s, func(ctx context.Context) (agent.LimitsSet, error) { return s.o.Agent.SetLimits(ctx, found, o) })
			return &bodied[agent.LimitsSet]{r}, err
		})
	register(s, route{id: "undoLimits", method: http.MethodPost, path: path + "/undo", tag: "sites", summary: "Take back what was set of a site's limits", admin: true, errors: []int{409}, kindOf: kindOf{changes: true}},
		func(_ context.Context, c *caller, in *SitePath) (*bodied[agent.SwitchReport], error) {
			found, err := c.find(in.Site)
			if err != nil {
				return nil, err
			}
			r, err := act(s, func(ctx context.Context) (agent.SwitchReport, error) { return s.o.Agent.UndoLimits(ctx, found) })
			return &bodied[agent.SwitchReport]{r}, err
		})
}
