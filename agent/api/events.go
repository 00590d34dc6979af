package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"wpmend/agent"
	"wpmend/agent/feed"
)

const (
	// lag is how many events a listener may be behind before it is dropped.
	lag = 128
	// comments keep connections alive that proxies would end.
	comments = 15 * time.Second
	// takeWithin is how long a client may take to take an event.
	takeWithin = 10 * time.Second
	// rereading is how often it is asked anew which sites a listener owns.
	rereading = 10 * time.Second
)

// streamed is an answer that goes on.
type streamed struct {
	Body func(huma.Context)
}

// LastEvent is where a stream goes on.
type LastEvent struct {
	Last string `header:"Last-Event-ID" maxLength:"20" pattern:"^[0-9]*$" doc:"The id of the last event that came; what was missed comes first."`
}

func (l LastEvent) id() uint64 {
	id, err := strconv.ParseUint(l.Last, 10, 64)
	if err != nil {
		return 0 // longer than any id, or empty
	}
	return id
}

func (s *Server) describeEvents() {
	content := func(what string) map[string]*huma.MediaType {
		s.api.OpenAPI().Components.Schemas.Schema(eventType(), true, "")
		return map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string", Description: what + " The data of each is a FeedEvent (#/components/schemas/FeedEvent)."},
			Example: "id: 41\nevent: doing\ndata: {\"id\":41,\"time\":\"2026-11-23T12:00:00Z\",\"kind\":\"doing\",\"site\":{…},\"text\":\"asking http://shop.example.com/\"}\n\n"}}
	}
	register(s, route{id: "followEvents", method: http.MethodGet, path: "/v1/events", tag: "events", summary: "What happens on the sites that the caller may see", kindOf: kindOf{stream: true},
		description: "Server-sent events. It goes on until the client closes it. A client that is too slow is dropped, and comes back with Last-Event-ID.",
		content:     content("Server-sent events.")},
		func(ctx context.Context, c *caller, in *struct {
			LastEvent
			Site string `query:"site" maxLength:"1024" doc:"Only those of this site: an id or a domain."`
		}) (*streamed, error) {
			only := ""
			if in.Site != "" {
				found, err := c.find(in.Site)
				if err != nil {
					return nil, err
				}
				only = found.ID
			}
			return &streamed{func(h huma.Context) { s.follow(ctx, h, c, in.id(), only) }}, nil
		})
	register(s, route{id: "followJob", method: http.MethodGet, path: "/v1/jobs/{id}/events", tag: "work", summary: "What a job does, from its beginning to its end", kindOf: kindOf{stream: true},
		description: "Server-sent events, those that have come already first. It ends with the job, whose last event is of kind job.",
		content:     content("Server-sent events.")},
		func(ctx context.Context, c *caller, in *struct {
			JobPath
			LastEvent
		}) (*streamed, error) {
			j, err := s.jobOf(c, in.ID)
			if err != nil {
				return nil, err
			}
			return &streamed{func(h huma.Context) { s.followJob(ctx, h, c, j, in.id()) }}, nil
		})
}

// stream writes server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newStream(h huma.Context) *stream {
	_, w := humago.Unwrap(h)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would keep them
	return &stream{w, http.NewResponseController(w)}
}

// write sends one piece; an error says that the client has gone, or takes nothing.
func (s *stream) write(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(takeWithin)); err != nil {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

func (s *stream) event(e feed.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, data))
}

func (s *stream) gap() error {
	return s.write("event: gap\ndata: {\"text\":\"some events are lost: read the lists anew\"}\n\n")
}

// follow sends what happens until the client goes, or is too slow.
func (s *Server) follow(ctx context.Context, h huma.Context, c *caller, after uint64, only string) {
	listener, missed, gap := s.o.Feed.Listen(after, lag)
	defer listener.Close()
	out := newStream(h)
	if out.write(": wpmend\n\n") != nil || gap && out.gap() != nil {
		return
	}
	send := func(e feed.Event) error {
		e, sees := c.event(e, only)
		if !sees {
			return nil
		}
		return out.event(e)
	}
	for _, e := range missed {
		if send(e) != nil {
			return
		}
	}
	quiet := time.NewTicker(comments)
	defer quiet.Stop()
	read := time.Now()
	for {
		select {
		case e, ok := <-listener.Events():
			if !ok || send(e) != nil {
				return // too slow, or gone
			}
		case <-quiet.C:
			if out.write(":\n\n") != nil {
				return
			}
		case <-ctx.Done():
			return
		}
		if c.role != Admin && time.Since(read) > rereading {
			read = time.Now()
			if c = s.again(c); c.role != Owner {
				return
			}
		}
	}
}

// again is an owner by what was last seen of the host.
func (s *Server) again(c *caller) *caller {
	host, err := s.sight.last()
	if err != nil {
		return c
	}
	return c.among(host.Sites)
}

// followJob sends what a job did and does, until its end.
func (s *Server) followJob(ctx context.Context, h huma.Context, c *caller, j *job, after uint64) {
	out := newStream(h)
	if out.write(": wpmend\n\n") != nil {
		return
	}
	quiet := time.NewTicker(comments)
	defer quiet.Stop()
	for {
		events, gap, changed, ended := j.after(after)
		if gap && out.gap() != nil {
			return
		}
		for _, e := range events {
			after = e.ID
			if e, sees := c.event(e, ""); sees && out.event(e) != nil {
				return
			}
		}
		if ended {
			return
		}
		select {
		case <-changed:
		case <-quiet.C:
			if out.write(":\n\n") != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// event is one as the caller may see it; only is the site that it asked for.
func (c *caller) event(e feed.Event, only string) (feed.Event, bool) {
	if only != "" && e.Site.ID != only && !(e.Incident != nil && slices.ContainsFunc(e.Incident.Sites, func(r agent.SiteRef) bool { return r.ID == only })) {
		return e, false
	}
	if c.role == Admin {
		return e, true
	}
	if !c.owns(e.Site) {
		if e.Incident == nil || !slices.ContainsFunc(e.Incident.Sites, c.owns) {
			return e, false
		}
		i := c.seen(*e.Incident)
		return feed.Event{ID: e.ID, Time: e.Time, Kind: e.Kind, Site: i.Site, Text: "incident of several sites: " + i.State, Incident: &i}, true
	}
	e.Text = c.blind.text(e.Text)
	if e.Search != nil {
		e.Search = clean(c.blind, e.Search)
	}
	if e.Incident != nil {
		i := c.seen(*e.Incident)
		e.Incident = &i
	}
	return e, true
}
