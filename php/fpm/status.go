package fpm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"wpmend/php/fcgi"
)

// ErrNoStatus says that a pool has no status page (pm.status_path).
var ErrNoStatus = errors.New("the pool has no status page: pm.status_path is not set")

const (
	// statusDeadline bounds a status page; a worker that is free gives it within milliseconds.
	statusDeadline = 500 * time.Millisecond
	// maxStatus is enough for some thousand workers.
	maxStatus = 4 << 20
)

// PoolStatus is what a pool's status page says. Its queue is left out: of a unix socket FPM always gives 0 there.
type PoolStatus struct {
	Pool       string
	Manager    string // static, dynamic or ondemand
	Accepted   int64  // requests since the pool's start
	Idle       int
	Active     int
	Total      int
	MaxActive  int   // the most that were ever at work at once
	MaxReached int64 // how often pm.max_children was reached
	Slow       int64 // requests that took longer than request_slowlog_timeout
	Workers    []WorkerStatus
}

// WorkerStatus is a worker of a status page. Script and URI are a visitor's words.
type WorkerStatus struct {
	PID     int // in the master's PID namespace
	State   string
	Request time.Duration // how long its request takes already; of an idle worker how long its last one took
	Method  string
	URI     string
	Script  string
}

// Idle workers wait for a request. Of a worker with any other State the request runs (fpm_request.c).
func (w WorkerStatus) Idle() bool { return w.State == "Idle" }

// Status asks for a pool's status page: at pm.status_listen where that is set, which answers however busy the pool is,
// else at the pool's own socket. There a worker has to answer, so it counts as a request, is answered last if the pool
// is full, and should be asked only while a worker is free. It waits half a second at most.
func Status(ctx context.Context, p Pool) (PoolStatus, error) {
	path, _ := p.Get("pm.status_path")
	if path == "" {
		return PoolStatus{}, ErrNoStatus
	}
	at := p.Listen()
	if listen, ok := p.Get("pm.status_listen"); ok && listen != "" {
		var err error
		if at, err = ParseAddress(listen); err != nil {
			return PoolStatus{}, fmt.Errorf("status of pool %s: %w", p.Name, err)
		}
	}
	if at.Addr == "" {
		return PoolStatus{}, fmt.Errorf("status of pool %s: it has no usable listen address", p.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, statusDeadline)
	defer cancel()
	// Without REQUEST_METHOD FPM drops the request.
	r, err := fcgi.Do(ctx, at.Network, at.Addr, fcgi.Request{Params: map[string]string{
		"SCRIPT_NAME": path, "SCRIPT_FILENAME": path, "REQUEST_METHOD": "GET", "REQUEST_URI": path + "?json&full",
		"QUERY_STRING": "json&full", "SERVER_PROTOCOL": "HTTP/1.1"}}, fcgi.Limits{Header: 16 << 10, Body: maxStatus})
	if err != nil {
		return PoolStatus{}, fmt.Errorf("status of pool %s: %w", p.Name, err)
	}
	if r.Status != 200 || r.Truncated {
		return PoolStatus{}, fmt.Errorf("status of pool %s: the answer has status %d and %d bytes", p.Name, r.Status, len(r.Body))
	}
	s, err := parseStatus(r.Body)
	if err != nil {
		return PoolStatus{}, fmt.Errorf("status of pool %s: %w", p.Name, err)
	}
	if !strings.EqualFold(s.Pool, p.Name) {
		return PoolStatus{}, fmt.Errorf("status of pool %s: pool %q answers", p.Name, s.Pool)
	}
	return s, nil
}

// page is the JSON of the status page (fpm_status.c).
type page struct {
	Pool       string        `json:"pool"`
	Manager    string        `json:"process manager"`
	Accepted   int64         `json:"accepted conn"`
	Idle       int           `json:"idle processes"`
	Active     int           `json:"active processes"`
	Total      int           `json:"total processes"`
	MaxActive  int           `json:"max active processes"`
	MaxReached int64         `json:"max children reached"`
	Slow       int64         `json:"slow requests"`
	Processes  []pageProcess `json:"processes"`
}

type pageProcess struct {
	PID      int    `json:"pid"`
	State    string `json:"state"`
	Duration int64  `json:"request duration"` // µs
	Method   string `json:"request method"`
	URI      string `json:"request uri"`
	Script   string `json:"script"`
}

// parseStatus reads the page. Versions before 8 write the URI as the visitor sent it, quotes and all: then only what
// stands before the first process is believed.
func parseStatus(text []byte) (PoolStatus, error) {
	var p page
	if err := json.Unmarshal(text, &p); err != nil {
		head, _, cut := bytes.Cut(text, []byte(`"processes":`))
		p = page{}
		if !cut || json.Unmarshal(append(bytes.TrimRight(head, ", \t\r\n"), '}'), &p) != nil {
			return PoolStatus{}, fmt.Errorf("it is not the status page's JSON: %w", err)
		}
	}
	if p.Pool == "" || p.Manager == "" {
		return PoolStatus{}, errors.New("it is not the status page's JSON: it names no pool")
	}
	s := PoolStatus{Pool: p.Pool, Manager: strings.ToLower(p.Manager), Accepted: p.Accepted, Idle: p.Idle, Active: p.Active, Total: p.Total,
		MaxActive: p.MaxActive, MaxReached: p.MaxReached, Slow: p.Slow}
	if len(p.Processes) != p.Total {
		return s, nil // a visitor's quotes made a worker up
	}
	for _, w := range p.Processes {
		if w.PID <= 0 {
			continue
		}
		took := time.Duration(max(0, min(w.Duration, int64(365*24*time.Hour/time.Microsecond)))) * time.Microsecond
		s.Workers = append(s.Workers, WorkerStatus{PID: w.PID, State: w.State, Request: took,
			Method: known(w.Method), URI: known(w.URI), Script: known(w.Script)})
	}
	return s, nil
}

// known drops the dash that FPM writes for what there is not.
func known(s string) string {
	if s == "-" {
		return ""
	}
	return s
}
