package api

import (
	"context"
	"net/http"

	"wpmend/agent"
	"wpmend/agent/site"
)

// ControlRequest says how PHP-FPM is to be reloaded or restarted.
type ControlRequest struct {
	DryRun bool `json:"dry_run,omitempty" doc:"Say what it would cost, and do nothing."`
	Force  bool `json:"force,omitempty" doc:"End all running requests."`
}

func (s *Server) describePools() {
	register(s, route{id: "listPools", method: http.MethodGet, path: "/v1/pools", tag: "host", summary: "The PHP-FPM pools of the host", admin: true,
		description: "The object is that of `wpmend php pools --json`."},
		func(ctx context.Context, c *caller, _ *struct{}) (*bodied[agent.PoolsReport], error) {
			host, err := s.host(c)
			if err != nil {
				return nil, err
			}
			return &bodied[agent.PoolsReport]{s.o.Agent.Pools(ctx, host)}, nil
		})
	control := func(what string, restart bool) {
		register(s, route{id: what + "Pool", method: http.MethodPost, path: "/v1/pools/{pool}/" + what, tag: "host", summary: "A " + what + " of the PHP-FPM master that runs a pool", admin: true, errors: []int{409}, kindOf: kindOf{changes: true},
			description: "With its configuration tested first, and counted what it costs. The object is that of `wpmend php " + what + " --json`."},
			func(_ context.Context, c *caller, in *struct {
				Pool string `path:"pool" maxLength:"1024" example:"www" doc:"A pool (NAME, or MASTER:NAME where several masters have one of that name), a site, or a master by its configuration, unit or process."`
				Body *ControlRequest
			}) (*bodied[agent.ControlReport], error) {
				host, err := s.host(c)
				if err != nil {
					return nil, err
				}
				master, sites, err := agent.MasterOf(host, in.Pool)
				if err != nil {
					return nil, err
				}
				o := agent.ControlOptions{Restart: restart}
				if in.Body != nil {
					o.DryRun, o.Force = in.Body.DryRun, in.Body.Force
				}
				r, err := act(s, func(ctx context.Context) (agent.ControlReport, error) {
					return s.o.Agent.Control(ctx, master, sites, o)
				})
				return &bodied[agent.ControlReport]{r}, err
			})
	}
	control("reload", false)
	control("restart", true)
}

// host is the host as an administrator sees it.
func (s *Server) host(c *caller) (site.Host, error) {
	if c.unseen != nil {
		return site.Host{}, c.unseen
	}
	return s.sight.last()
}
