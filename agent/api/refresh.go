package api

import (
	"context"
	"net/http"
)

// Refreshed says that the host is looked at.
type Refreshed struct {
	Sites int `json:"sites" doc:"How many sites were known before."`
}

func (s *Server) describeRefresh() {
	register(s, route{id: "refresh", method: http.MethodPost, path: "/v1/refresh", tag: "host", summary: "Look for new, changed and removed sites at once", admin: true, status: http.StatusAccepted, kindOf: kindOf{changes: true},
		description: "For the hooks of control panels; without it the service looks once a minute (watch.discover). It answers at once; what is found is watched within seconds."},
		func(_ context.Context, c *caller, _ *struct{}) (*bodied[Refreshed], error) {
			s.o.Agent.Refresh()
			return &bodied[Refreshed]{Refreshed{Sites: len(c.sites)}}, nil
		})
}
