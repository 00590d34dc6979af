package api

import (
	"context"
	"net/http"
	"time"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/agent/history"
)

// ServiceInfo says what answers, and to whom.
type ServiceInfo struct {
	Version       string    `json:"version" example:"1.4.0" doc:"Of wpmend."`
	Mode          string    `json:"mode" enum:"heal,suggest,observe" doc:"What it does by itself about a site that fails."`
	Started       time.Time `json:"started"`
	Ready         bool      `json:"ready" doc:"It has looked at the host and watches its sites."`
	Sites         int       `json:"sites" doc:"How many the caller may see."`
	IncidentsOpen int       `json:"incidents_open" doc:"How many of them are under way."`
	JobsRunning   int       `json:"jobs_running"`
	Role          Role      `json:"role" enum:"admin,owner" doc:"What the caller may do."`
	User          string    `json:"user" example:"alice" doc:"The caller: a login name, or \"token\"."`
}

// Settings are the configuration in force.
type Settings struct {
	Site *agent.SiteRef `json:"site,omitempty"`
	config.Config
	Origins map[string]string `json:"origins" doc:"Where each value comes from: built in, FILE:LINE or a flag."`
}

type bodied[T any] struct{ Body T }

func (s *Server) describeService() {
	register(s, route{id: "getService", method: http.MethodGet, path: "/v1/service", tag: "service", summary: "The service, and who the caller is to it"},
		func(_ context.Context, c *caller, _ *struct{}) (*bodied[ServiceInfo], error) {
			b, err := s.briefs(c)
			if err != nil {
				return nil, err
			}
			i := ServiceInfo{Version: s.o.Version, Mode: string(s.o.Config().Mode), Started: s.started, Ready: s.ready.Load(), Sites: len(c.sites), Role: c.role, User: c.name}
			for _, brief := range b {
				if brief.State == history.Ongoing {
					i.IncidentsOpen++
				}
			}
			for _, j := range s.jobsOf(c) {
				if state, _ := j.standing(); state == running {
					i.JobsRunning++
				}
			}
			return &bodied[ServiceInfo]{i}, nil
		})
	register(s, route{id: "getConfig", method: http.MethodGet, path: "/v1/config", tag: "host", summary: "The configuration in force", admin: true,
		description: "With site: what holds for that site, its owner's section and its own over the rest. The object is that of `wpmend config show --origin --json`."},
		func(_ context.Context, c *caller, in *struct {
			Site string `query:"site" doc:"An id, a domain or a root folder."`
		}) (*bodied[Settings], error) {
			v := Settings{Config: s.o.Config()}
			if in.Site != "" {
				site, err := c.find(in.Site)
				if err != nil {
					return nil, err
				}
				ref := agent.Ref(site)
				v.Site, v.Config = &ref, v.Config.Of(agent.Who(site))
			}
			v.Origins = v.Config.Origins()
			return &bodied[Settings]{v}, nil
		})
	register(s, route{id: "recover", method: http.MethodPost, path: "/v1/recover", tag: "host", summary: "Put back what an interrupted run left", admin: true, errors: []int{409}, kindOf: kindOf{changes: true},
		description: "What a living process is at work on is left alone. The object is that of `wpmend recover --json`."},
		func(_ context.Context, _ *caller, _ *struct{}) (*bodied[agent.RecoverReport], error) {
			r, err := act(s, s.o.Agent.Recover)
			return &bodied[agent.RecoverReport]{r}, err
		})
}
