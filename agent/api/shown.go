package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"reflect"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"wpmend/agent"
	"wpmend/agent/feed"
	"wpmend/agent/report"
)

func reportType() reflect.Type { return reflect.TypeFor[report.Report]() }
func eventType() reflect.Type  { return reflect.TypeFor[feed.Event]() }

func reports() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[agent.CheckReport](), reflect.TypeFor[agent.BisectReport](), reflect.TypeFor[agent.HealReport]()}
}

var styles = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

// reportPolicy lets a report have its own style, and nothing else.
func reportPolicy(page []byte) string {
	hashes := []string{}
	for _, m := range styles.FindAllSubmatch(page, -1) {
		h := sha256.Sum256(m[1])
		hashes = append(hashes, "'sha256-"+base64.StdEncoding.EncodeToString(h[:])+"'")
	}
	if len(hashes) == 0 {
		hashes = append(hashes, "'none'")
	}
	return "default-src 'none'; sandbox; frame-ancestors 'none'; style-src " + strings.Join(hashes, " ")
}

// servePage adds the page and the metrics.
func (s *Server) servePage() {
	register(s, route{id: "getMetrics", method: http.MethodGet, path: "/metrics", tag: "service", summary: "Numbers for Prometheus", admin: true,
		content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string", Description: "In Prometheus' text format."}}}},
		func(context.Context, *caller, *struct{}) (*streamed, error) {
			if s.o.Metrics == nil {
				return nil, problem("not-found", "this service has no metrics", "")
			}
			return &streamed{func(h huma.Context) {
				r, w := humago.Unwrap(h)
				s.o.Metrics.ServeHTTP(w, r)
			}}, nil
		})
	if s.o.Page == nil {
		return
	}
	for _, at := range []string{"GET /{$}", "GET /assets/"} {
		s.mux.Handle(at, s.o.Page)
		s.routes[at] = kindOf{page: true}
	}
}
