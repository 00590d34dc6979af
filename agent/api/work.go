package api

import (
	"context"
	"net/http"
	"slices"

	"wpmend/agent"
	"wpmend/agent/site"
)

// CheckRequest says what a check asks; nothing at all is a question too.
type CheckRequest struct {
	URLs   []string `json:"urls,omitempty" maxItems:"8" maxLength:"2048" example:"[\"/shop/\"]" doc:"URLs or paths of the site; none: its front page, or what the logs say failed."`
	Method string   `json:"method,omitempty" enum:"GET,HEAD,POST" doc:"Of HTTP; GET where it is left out."`
	Cookie string   `json:"cookie,omitempty" maxLength:"8192" doc:"A Cookie header, such as a visitor's with a full cart."`
	Walk   bool     `json:"walk,omitempty" doc:"Look at every layer, from outside in."`
}

// BisectRequest says what a search asks and how.
type BisectRequest struct {
	URLs          []string `json:"urls,omitempty" maxItems:"8" maxLength:"2048" example:"[\"/shop/\"]" doc:"URLs or paths of the site; none: its front page, or what the logs say failed."`
	RequestMethod string   `json:"request_method,omitempty" enum:"GET,HEAD,POST" doc:"Of HTTP; GET where it is left out."`
	Cookie        string   `json:"cookie,omitempty" maxLength:"8192" doc:"A Cookie header."`
	AsUser        string   `json:"as_user,omitempty" maxLength:"256" doc:"Ask as this login of the site, without its password. For administrators."`
	Method        string   `json:"method,omitempty" enum:"auto,shadow,rename" doc:"shadow asks a private copy of the site's pool; rename asks the live site, for administrators; auto, where it is left out, takes the private copy where there can be one."`
	Fix           bool     `json:"fix,omitempty" doc:"Switch the culprits off and prove the site well. For administrators."`
}

// HealRequest says how far a repair may go.
type HealRequest struct {
	URLs   []string `json:"urls,omitempty" maxItems:"8" maxLength:"2048" doc:"URLs or paths of the site; none: its front page, or what the logs say failed."`
	DryRun bool     `json:"dry_run,omitempty" doc:"Say what would be done, and do nothing."`
}

// accepted is the answer to who begins a job.
type accepted struct {
	Location string `header:"Location" doc:"Where the job is."`
	Body     Job
}

// work describes one kind of job; may says whether an owner may ask so.
func work[B any](s *Server, kind, summary, description string, admin bool, may func(B) string,
	do func(ctx context.Context, a *agent.Agent, c *caller, at site.Site, b B) (any, error)) {
	register(s, route{id: kind + "Site", method: http.MethodPost, path: "/v1/sites/{site}/" + kind + "s", tag: "work", summary: summary, description: description, admin: admin,
		status: http.StatusAccepted, errors: []int{409}, kindOf: kindOf{changes: true}},
		func(_ context.Context, c *caller, in *struct {
			SitePath
			Body *B
		}) (*accepted, error) {
			found, err := c.find(in.Site)
			if err != nil {
				return nil, err
			}
			var b B
			if in.Body != nil {
				b = *in.Body
			}
			if c.role != Admin {
				if what := may(b); what != "" {
					return nil, problem("not-permitted", what+" is for administrators", "leave it out, or ask an administrator")
				}
				if p := s.limits.begin(c); p != nil {
					return nil, p
				}
			}

			j, err := s.jobs.begin(c, kind, found, func(ctx context.Context, a *agent.Agent) (any, error) { return do(ctx, a, c, found, b) })
			if err != nil {
				return nil, err
			}
			return &accepted{"/v1/jobs/" + j.id, s.show(c, j)}, nil
		})
}

func (s *Server) describeWork() {
	work(s, "check", "Find out how a site is, and why", "The result is that of `wpmend check --json`. Nothing is changed.", false,
		func(CheckRequest) string { return "" },
		func(ctx context.Context, a *agent.Agent, _ *caller, at site.Site, b CheckRequest) (any, error) {
			return a.Check(ctx, at, agent.Question{URLs: b.URLs, Method: b.Method, Cookie: b.Cookie, Walk: b.Walk})
		})
	work(s, "bisect", "Search for the components at fault", "The result is that of `wpmend bisect --json`. Without \"fix\" and the method \"rename\" nothing is changed on the live site.", false,
		func(b BisectRequest) string {
			switch {
			case b.Fix:
				return "\"fix\""
			case b.AsUser != "":
				return "\"as_user\""
			case b.Method == agent.MethodRename:
				return "the method \"rename\""
			}
			return ""
		},
		func(ctx context.Context, a *agent.Agent, c *caller, at site.Site, b BisectRequest) (any, error) {
			method := b.Method
			if method == "" {
				method = agent.MethodAuto
			}
			if c.role != Admin {
				// Where there is no pool to copy, "auto" would rename on the live site.
				method = agent.MethodShadow
			}
			return a.Bisect(ctx, at, agent.BisectOptions{Question: agent.Question{URLs: b.URLs, Method: b.RequestMethod, Cookie: b.Cookie, AsUser: b.AsUser}, Method: method, Fix: b.Fix})
		})
	work(s, "heal", "Mend a site: find the cause, undo it, prove it", "The result is that of `wpmend heal --json`.", true,
		func(HealRequest) string { return "" },
		func(ctx context.Context, a *agent.Agent, _ *caller, at site.Site, b HealRequest) (any, error) {
			return a.Heal(ctx, at, agent.HealOptions{URLs: slices.Clone(b.URLs), DryRun: b.DryRun})
		})
}
