package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/agent/history"
	"wpmend/agent/lock"
	"wpmend/agent/site"
)

const (
	problemType = "application/problem+json"
	kindPrefix  = "urn:wpmend:"
)

// Problem is an error as clients see it (RFC 9457).
type Problem struct {
	Type   string       `json:"type" example:"urn:wpmend:not-found" doc:"What went wrong, for programs: urn:wpmend: and a word that does not change."`
	Title  string       `json:"title" example:"Not Found" doc:"The HTTP status in words."`
	Status int          `json:"status" example:"404" minimum:"400" maximum:"599" doc:"The HTTP status."`
	Detail string       `json:"detail" example:"no site \"shop.example.com\" on this host" doc:"What went wrong, for people."`
	Remedy string       `json:"remedy" example:"wpmend sites" doc:"What to do about it: a sentence or a command; empty where nothing is known."`
	Errors []FieldError `json:"errors,omitempty" doc:"Which parts of the request are wrong, where it is the request."`

	wait int // seconds, for Retry-After
}

// FieldError is one fault of a request.
type FieldError struct {
	Location string `json:"location" example:"body.urls[0]" doc:"Where: path, query, header or body, and the way to the value."`
	Message  string `json:"message" example:"expected string" doc:"What is wrong there."`
}

func (p *Problem) Error() string  { return p.Detail }
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders are those that belong to it.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.wait > 0 {
		h.Set("Retry-After", strconv.Itoa(p.wait))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="wpmend"`)
	}
	return h
}

// ContentType is huma's question which type a body has.
func (p *Problem) ContentType(string) string { return problemType }

func problem(kind, detail, remedy string) *Problem {
	status, known := statuses()[kind]
	if !known {
		status = http.StatusInternalServerError
	}
	return &Problem{Type: kindPrefix + kind, Title: http.StatusText(status), Status: status, Detail: detail, Remedy: remedy}
}

// statuses are the kinds of problems with the HTTP status of each. The kinds of
// [agent.Error] are among them.
func statuses() map[string]int {
	return map[string]int{
		"malformed":          http.StatusBadRequest,
		"unauthorized":       http.StatusUnauthorized,
		"not-permitted":      http.StatusForbidden,
		"cross-origin":       http.StatusForbidden,
		"not-found":          http.StatusNotFound,
		"method-not-allowed": http.StatusMethodNotAllowed,
		"timeout":            http.StatusRequestTimeout,

		"busy":        http.StatusConflict,
		"refused":     http.StatusConflict,
		"database":    http.StatusConflict,
		"no-pool":     http.StatusConflict,
		"no-record":   http.StatusConflict,
		"no-shadow":   http.StatusConflict,
		"not-now":     http.StatusConflict,
		"not-off":     http.StatusConflict,
		"not-running": http.StatusConflict,
		"unreadable":  http.StatusConflict,

		"too-large":   http.StatusRequestEntityTooLarge,
		"media-type":  http.StatusUnsupportedMediaType,
		"misdirected": http.StatusMisdirectedRequest,

		"usage":           http.StatusUnprocessableEntity,
		"config":          http.StatusUnprocessableEntity,
		"ceiling":         http.StatusUnprocessableEntity,
		"no-such-user":    http.StatusUnprocessableEntity,
		"idempotency-key": http.StatusUnprocessableEntity,

		"too-many": http.StatusTooManyRequests,
		"failed":   http.StatusInternalServerError,
		"stopping": http.StatusServiceUnavailable,
		"starting": http.StatusServiceUnavailable,
	}
}

// tooMany asks to come back after so many seconds.
func tooMany(wait int, detail string) *Problem {
	p := problem("too-many", detail, "try again later")
	p.wait = max(wait, 1)
	return p
}

// problemOf tells an error as the command line does.
func problemOf(err error) *Problem {
	var (
		own      *Problem
		conf     *config.Error
		notFound *site.NotFoundError
		held     *lock.Held
		advised  *agent.Error
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &notFound):
		return problem("not-found", err.Error(), "GET /v1/sites lists the sites")
	case errors.Is(err, history.ErrUnknown):
		return problem("not-found", err.Error(), "GET /v1/incidents lists the incidents")
	case errors.As(err, &held):
		return problem("busy", err.Error(), "wait until it has ended, then try again")
	case errors.As(err, &conf):
		return problem("config", err.Error(), conf.Remedy)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem("stopping", "it was broken off, since the service ends or it took too long", "try again; `wpmend recover` puts back what may be left")
	case errors.As(err, &advised):
		return problem(advised.Kind, err.Error(), advised.Remedy)
	}
	return problem("failed", err.Error(), "the service's log tells more: journalctl -u wpmend")
}

// problem tells an error without what the caller must not see.
func (c *caller) problem(err error) *Problem {
	p := *problemOf(err)
	if c.blind == nil {
		return &p
	}
	var unknown *site.NotFoundError
	switch {
	case errors.As(err, &unknown) && len(unknown.Matches) == 0:
		// The name that was asked for may be another's site: it reads like any other.
		p.Detail = "no such site on this host"
	case p.Status != http.StatusUnprocessableEntity: // which repeats the caller's own words
		p.Detail, p.Remedy = c.blind.text(p.Detail), c.blind.text(p.Remedy)
	}
	return &p
}

// fromHuma turns what huma says of a request into a problem of ours. Values that were
// sent are not repeated: there may be a cookie among them.
func fromHuma(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	kind := "failed"
	switch m.Status {
	case http.StatusBadRequest:
		kind = "malformed"
	case http.StatusUnprocessableEntity:
		kind = "usage"
	case http.StatusUnsupportedMediaType:
		kind = "media-type"
	case http.StatusRequestEntityTooLarge:
		kind = "too-large"
	case http.StatusRequestTimeout:
		kind = "timeout"
	}
	p := problem(kind, m.Detail, "GET /v1/openapi.json describes what is expected")
	p.Status, p.Title = m.Status, http.StatusText(m.Status)
	for _, e := range m.Errors {
		if e != nil {
			p.Errors = append(p.Errors, FieldError{Location: e.Location, Message: e.Message})
		}
	}
	return p, nil
}
