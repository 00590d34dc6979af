package api

import (
	"context"
	"maps"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// document is what the OpenAPI document says beside the routes.
func document() huma.Config {
	c := huma.DefaultConfig("wpmend", "1")
	// Our own routes serve the document; there are no links to schemas in answers.
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	c.Transformers = []huma.Transformer{fromHuma}
	c.RejectUnknownQueryParameters = true
	c.Info.Description = about
	c.Info.License = &huma.License{Name: "See LICENSE in wpmend's package"}
	c.Servers = []*huma.Server{{URL: "http://localhost", Description: "at the unix socket /run/wpmend/api.sock, or at the loopback address of api.listen"}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "At the loopback address only: the text of the file that api.token_file names. At the unix socket nothing is sent: the kernel says who connects."},
	}
	c.Security = []map[string][]string{{}, {"token": {}}}
	c.Tags = []*huma.Tag{
		{Name: "service", Description: "The service itself."},
		{Name: "sites", Description: "The WordPress sites of this host."},
		{Name: "work", Description: "What the service can be asked to do: it runs as a job, which is waited for, followed and cancelled."},
		{Name: "incidents", Description: "What happened, why, what was done about it, and back again."},
		{Name: "events", Description: "What happens, as it happens."},
		{Name: "host", Description: "PHP-FPM's pools, the configuration, recovery. For administrators."},
	}
	return c
}

const about = `What wpmend knows of the WordPress sites of a host, and what it can do about them.

**Where.** A unix socket, /run/wpmend/api.sock, to which everybody may connect; where it is configured, a loopback address too.

    curl --unix-socket /run/wpmend/api.sock http://localhost/v1/sites

**Who.** At the socket the kernel says who connects. Root and the members of the group api.group are *admin*: they may do all. A user who owns sites is *owner*: it sees its own sites with their incidents, changes, jobs, events and limits, may check them, search them (in a private copy: neither "fix" nor "as_user" nor the method "rename"), and undo incidents of them. What is another's does not exist for it (404). Everybody else gets 403. At the loopback address the token of api.token_file makes an admin.

**Errors** are problems of RFC 9457 (application/problem+json). "type" is urn:wpmend: and a word for programs; "detail" and "remedy" are for people. A request that is no HTTP, or whose headers are larger than 16 kB, gets a plain 400 or 431.

**Doing things twice.** Who sends an Idempotency-Key (a new UUID for each thing to be done) with a request that changes something may send it again when the answer was lost: it gets the same answer, for 24 hours, and nothing is done twice. The same key with another request is a 422. Requests that failed are not remembered.

**Lists** take limit and cursor; "next" of an answer is the cursor of the following one, empty at the end.

**Events** are server-sent events: "id" is a number that grows, "event" the kind (doing, search, incident, job), "data" an object (schema FeedEvent). A comment comes every 15 seconds. Who comes back with Last-Event-ID gets what it missed; "event: gap" says that some of it is lost, so that the lists must be read anew.

**Stability.** Within /v1 nothing is taken away; answers may get more fields, and words more values.`

// schemaName tells types of one name apart by their package.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	switch path.Base(t.PkgPath()) {
	case "feed", "config", "report":
		prefix := path.Base(t.PkgPath())
		if prefix = strings.ToUpper(prefix[:1]) + prefix[1:]; name != prefix {
			return prefix + name
		}
	case "history":
		if name == "Event" {
			return "TimelineEvent"
		}
	}
	return name
}

// route is one thing that can be asked for.
type route struct {
	id, method, path, tag string
	summary, description  string
	admin                 bool  // only administrators may
	status                int   // of success; 0 means 200
	errors                []int // beyond those of every route
	kindOf
	content map[string]*huma.MediaType // of success, where it is not JSON
}

// register adds a route to the mux and to the document.
func register[I, O any](s *Server, r route, handle func(ctx context.Context, c *caller, in *I) (*O, error)) {
	op := huma.Operation{OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Description: r.description, Tags: []string{r.tag},
		DefaultStatus: r.status, MaxBodyBytes: -1, BodyReadTimeout: -1, Responses: map[string]*huma.Response{}}
	// Paths and bodies are bounded before.
	if r.admin {
		op.Description = strings.TrimSpace(op.Description + "\n\nFor administrators.")
	}
	s.describeErrors(&op, r)
	if r.content != nil {
		op.Responses["200"] = &huma.Response{Description: "OK", Content: r.content}
	}
	if r.changes {
		op.Parameters = append(op.Parameters, &huma.Param{Name: keysHeader, In: "header", Description: "A new UUID for each thing to be done. The same request with the same key is answered from memory for 24 hours.",
			Schema: &huma.Schema{Type: "string", MinLength: new(1), MaxLength: new(mostKey), Pattern: "^[!-~]+$"}, Example: "5a1f4d0e-6c1b-4e0a-9d6e-0c2b8f3f1a77"})
	}
	s.routes[r.method+" "+r.path] = r.kindOf
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		c := callerOf(ctx)
		if c.role == Nobody || r.admin && c.role != Admin {
			return nil, problem("not-permitted", "only an administrator may do this", "ask root, or a member of the group that api.group names")
		}
		out, err := handle(ctx, c, in)
		if err != nil {
			return nil, s.tell(c, r, err)
		}
		return out, nil
	})
}

// tell makes a problem of an error, without what the caller must not see.
func (s *Server) tell(c *caller, r route, err error) *Problem {
	p := c.problem(err)
	if p.Status == http.StatusInternalServerError {
		s.o.Log.Error("a request cannot be answered", "route", r.id, "err", err)
	}
	return p
}

// describeErrors says with which problems a route may answer.
func (s *Server) describeErrors(op *huma.Operation, r route) {
	components := s.api.OpenAPI().Components
	if components.Responses == nil {
		components.Responses = map[string]*huma.Response{}
	}
	for _, code := range append([]int{400, 401, 403, 404, 408, 413, 415, 421, 422, 429, 500, 503}, r.errors...) {
		name := strings.ReplaceAll(http.StatusText(code), " ", "")
		if components.Responses[name] == nil {
			components.Responses[name] = s.errorResponse(code)
		}
		op.Responses[strconv.Itoa(code)] = &huma.Response{Ref: "#/components/responses/" + name}
	}
}

func (s *Server) errorResponse(code int) *huma.Response {
	kinds := []string{}
	for _, kind := range slices.Sorted(maps.Keys(statuses())) {
		if statuses()[kind] == code {
			kinds = append(kinds, kind)
		}
	}
	words := errorWords()[code]
	response := &huma.Response{Description: words + " Types: " + strings.Join(kinds, ", ") + ".",
		Content: map[string]*huma.MediaType{problemType: {
			Schema:  s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem"),
			Example: problem(kinds[0], words, ""),
		}}}
	if code == http.StatusTooManyRequests {
		response.Headers = map[string]*huma.Param{"Retry-After": {Description: "After how many seconds to try again.", Schema: &huma.Schema{Type: "integer"}}}
	}
	return response
}

func errorWords() map[int]string {
	return map[int]string{
		400: "The request cannot be read.",
		401: "At the loopback address: the token is missing or wrong.",
		403: "The caller may not do this.",
		404: "There is no such thing, or it is another's.",
		405: "The method is not one of this path; Allow names those that are.",
		408: "The body did not come in time.",
		409: "It cannot be done as things stand.",
		413: "The body is larger than 64 kB.",
		415: "The body is not JSON.",
		421: "The Host is not one of wpmend's.",
		422: "The request can be read and makes no sense.",
		429: "Too much at once; try again after Retry-After.",
		500: "wpmend itself failed.",
		503: "The service ends, or has not looked at the host yet.",
	}
}

// polish makes the schemas say what is so: lists are never null, and answers may get more
// fields.
func (s *Server) polish() {
	requests := map[string]bool{}
	for _, item := range s.api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Post, item.Put} {
			if op != nil && op.RequestBody != nil {
				requests[strings.TrimPrefix(op.RequestBody.Content["application/json"].Schema.Ref, "#/components/schemas/")] = true
			}
		}
	}
	for name, schema := range s.api.OpenAPI().Components.Schemas.Map() {
		if !requests[name] {
			schema.AdditionalProperties = nil
		}
		describe(name, schema)
		plain(schema)
	}
}

// plain takes the null out of lists.
func plain(s *huma.Schema) {
	if s.Type == huma.TypeArray {
		s.Nullable = false
	}
	if s.Items != nil {
		plain(s.Items)
	}
	for _, p := range s.Properties {
		plain(p)
	}
}

func (s *Server) describeDocument() {
	type file struct {
		ContentType string `header:"Content-Type"`
		Body        []byte
	}
	serve := func(id, name, contentType, what string, written func() ([]byte, error)) {
		written = sync.OnceValues(written)
		register(s, route{id: id, method: http.MethodGet, path: "/v1/" + name, tag: "service", summary: "This document, " + what,
			content: map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: "string", Description: "An OpenAPI 3.1 document."}}}},
			func(context.Context, *caller, *struct{}) (*file, error) {
				data, err := written()
				return &file{contentType, data}, err
			})
	}
	serve("getDocument", "openapi.json", "application/vnd.oai.openapi+json", "as JSON", func() ([]byte, error) { return s.api.OpenAPI().MarshalJSON() })
	serve("getDocumentYAML", "openapi.yaml", "application/vnd.oai.openapi", "as YAML", func() ([]byte, error) { return s.api.OpenAPI().YAML() })
}
