// Package api serves what wpmend knows and can do to control panels, to the page and to the
// owners of sites: HTTP and JSON on a unix socket, described by an OpenAPI document that is
// made from this code. It knows who may see and do what; it refuses to decide anything
// about a site, which the agent does.
//
// Its invariant: the kernel says who is at the other end of the socket, and to somebody
// who owns sites all others do not exist: they are in no list, count, event or error. What
// an owner can have done as root is a check, a search in a private copy, and to take back
// what wpmend did to the owner's own site.
package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/agent/feed"
	"wpmend/agent/history"
)

// Options are what the server is made of.
type Options struct {
	Agent   *agent.Agent
	Feed    *feed.Feed
	Log     *slog.Logger
	Version string
	Config  func() config.Config                // in force now
	Metrics http.Handler                        // nil: none
	Counted func(all http.Handler) http.Handler // counts the requests; nil: nobody does
	Worked  func(kind, state string)            // is told of each job that begins ("running") and ends; nil: nobody is
	Page    http.Handler                        // nil: none
}

// Server answers requests.
type Server struct {
	o       Options
	mux     *http.ServeMux
	api     huma.API
	routes  map[string]kindOf // by the mux' pattern
	jobs    jobs
	sight   sight
	index   *history.Index
	groups  groups
	limits  limiter
	keys    keyring
	token   token
	started time.Time
	ready   atomic.Bool
	work    sync.WaitGroup  // changes that a request asked for
	ctx     context.Context // of these
	end     context.CancelFunc
}

// kindOf says how a route is answered.
type kindOf struct {
	page    bool // needs no rights
	stream  bool // goes on for as long as somebody listens
	heavy   bool // reads much, or asks PHP
	waits   bool // may wait long and costs nothing meanwhile
	changes bool // takes an Idempotency-Key
}

// New makes a server; it listens nowhere yet.
func New(o Options) *Server {
	s := &Server{o: o, mux: http.NewServeMux(), routes: map[string]kindOf{}, index: o.Agent.IncidentIndex(), started: time.Now().UTC()}
	s.o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	s.sight.look = o.Agent.Discover
	s.jobs.agent, s.jobs.feed, s.jobs.log, s.jobs.worked = o.Agent, o.Feed, s.o.Log, o.Worked
	if s.jobs.worked == nil {
		s.jobs.worked = func(string, string) {}
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.api = humago.New(s.mux, document())
	s.describeService()
	s.describeSites()
	s.describeComponents()
	s.describeWork()
	s.describeJobs()
	s.describeIncidents()
	s.describeLimits()
	s.describePools()
	s.describeRefresh()
	s.describeEvents()
	s.describeDocument()
	s.servePage()
	s.polish()
	return s
}

// Ready says that the service's first look at the host is done.
func (s *Server) Ready() { s.ready.Store(true) }

// Handler answers requests; who asks is what the connection's context says, see
// [Server.Serve]. Without it is a client of the loopback address, who must know the token.
func (s *Server) Handler() http.Handler {
	if s.o.Counted == nil {
		return http.HandlerFunc(s.serve)
	}
	return s.o.Counted(http.HandlerFunc(s.serve))
}

// act does something that changes a site to its end, whether or not the client still
// waits for it; the service's end breaks it off.
func act[T any](s *Server, do func(ctx context.Context) (T, error)) (r T, err error) {
	if s.ctx.Err() != nil {
		return r, problem("stopping", "the service ends", "try again when it runs again")
	}
	s.work.Add(1)
	defer s.work.Done()
	return do(s.ctx)
}
