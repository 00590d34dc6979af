package main

import (
	"time"
)

// The shapes of wpmend's JSON as others rely on them, written down here once more:
// a field that is renamed in the product must fail a test.

type siteJSON struct {
	ID     string `json:"id"`
	Domain string `json:"domain"`
	Root   string `json:"root"`
	Owner  string `json:"owner"`
	Pool   string `json:"pool"`
}

type causeJSON struct {
	Cause      string  `json:"cause"`
	Confidence float64 `json:"confidence"`
	Evidence   []struct {
		Source string    `json:"source"`
		Text   string    `json:"text"`
		Time   time.Time `json:"time"`
	} `json:"evidence"`
	Remedy    *string `json:"remedy"`
	Component string  `json:"component"`
	Advice    string  `json:"advice"`
}

type culpritJSON struct {
	Component  string   `json:"component"`
	Version    string   `json:"version"`
	Signature  string   `json:"signature"`
	With       []string `json:"with"`
	Dependants []string `json:"dependants"`
}

type changeJSON struct {
	ID   string `json:"id"`
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
	Undo string `json:"undo"`
}

type sitesJSON struct {
	Sites []struct {
		siteJSON
		Gateway string `json:"gateway"`
		Version string `json:"version"`
		Running bool   `json:"running"`
	} `json:"sites"`
}

type checkJSON struct {
	Site    siteJSON    `json:"site"`
	Healthy bool        `json:"healthy"`
	Outcome string      `json:"outcome"`
	Causes  []causeJSON `json:"causes"`
}

type checkAllJSON struct {
	Sites []checkJSON `json:"sites"`
}

type bisectJSON struct {
	Site        siteJSON      `json:"site"`
	URL         string        `json:"url"`
	Method      string        `json:"method"`
	Outcome     string        `json:"outcome"`
	Finding     string        `json:"finding"`
	Culprits    []culpritJSON `json:"culprits"`
	Components  int           `json:"components"`
	Probes      int           `json:"probes"`
	Repeats     int           `json:"repeats"`
	Rounds      int           `json:"rounds"`
	LiveChanges int           `json:"live_changes"`
	Seconds     float64       `json:"seconds"`
	Fixed       bool          `json:"fixed"`
	Incident    string        `json:"incident"`
	Changes     []changeJSON  `json:"changes"`
}

type healJSON struct {
	Incident string        `json:"incident"`
	Site     siteJSON      `json:"site"`
	State    string        `json:"state"`
	Causes   []causeJSON   `json:"causes"`
	Culprits []culpritJSON `json:"culprits"`
	Changes  []changeJSON  `json:"changes"`
	Advice   []string      `json:"advice"`
	Probes   int           `json:"probes"`
	Seconds  float64       `json:"seconds"`
}

type switchJSON struct {
	Site    siteJSON     `json:"site"`
	Changes []changeJSON `json:"changes"`
}

type incidentJSON struct {
	ID       string        `json:"id"`
	Site     siteJSON      `json:"site"`
	State    string        `json:"state"`
	Causes   []causeJSON   `json:"causes"`
	Culprits []culpritJSON `json:"culprits"`
	Changes  []changeJSON  `json:"changes"`
	Probes   int           `json:"probes"`
	Rounds   int           `json:"rounds"`
	Timeline []struct {
		Time time.Time `json:"time"`
		What string    `json:"what"`
	} `json:"timeline"`
}

type incidentsJSON struct {
	Incidents []incidentJSON `json:"incidents"`
}

type recoverJSON struct {
	Clean   bool `json:"clean"`
	Changes []struct {
		ID    string `json:"id"`
		State string `json:"state"`
	} `json:"changes"`
}

type errorJSON struct {
	Error struct {
		Kind    string  `json:"kind"`
		Message string  `json:"message"`
		Remedy  *string `json:"remedy"`
	} `json:"error"`
}

// heal calls `wpmend heal` on the first site.
func (s *stage) heal(code int) (healJSON, result) {
	s.t.Helper()
	var h healJSON
	r := s.json("heal", s.domain()).exits(code)
	r.into(&h)
	return h, r
}

// bisect calls `wpmend bisect` on the first site.
func (s *stage) bisect(code int, flags ...string) (bisectJSON, result) {
	s.t.Helper()
	var b bisectJSON
	r := s.json(append([]string{"bisect", s.domain()}, flags...)...).exits(code)
	r.into(&b)
	return b, r
}

// fails calls wpmend and wants one error object of this kind.
func (s *stage) fails(code int, kind string, args ...string) errorJSON {
	s.t.Helper()
	var e errorJSON
	r := s.json(args...).exits(code)
	r.into(&e)
	if e.Error.Kind != kind || e.Error.Message == "" || e.Error.Remedy == nil {
		s.t.Errorf("error %+v, want kind %q with a message and a remedy: %s", e.Error, kind, r)
	}
	return e
}
