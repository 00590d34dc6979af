package agent

import (
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/policy"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// What reports share with the history has one shape everywhere.
type (
	// SiteRef is how a site appears in every report.
	SiteRef = history.SiteRef
	// Culprit is a component that was convicted.
	Culprit = history.Culprit
	// ChangeRef is one change to the live system, as reports show it.
	ChangeRef = history.Change
)

func ref(s site.Site) SiteRef {
	return SiteRef{ID: s.ID, Domain: s.Domain, Root: s.Root, Owner: s.OwnerName(), Pool: s.Pool.Name}
}

// CheckReport is what one look at a site found.
type CheckReport struct {
	Site    SiteRef          `json:"site"`
	URL     string           `json:"url"`
	FromLog bool             `json:"from_log"` // the URL is one that failed by the gateway's log; the front page is well
	Healthy bool             `json:"healthy"`  // the answer is, and nothing else is wrong
	Outcome probe.Outcome    `json:"outcome"`
	Status  int              `json:"status"`
	Detail  string           `json:"detail,omitempty"`
	Seconds float64          `json:"seconds"`
	Causes  []diagnose.Cause `json:"causes"`
	Layers  []diagnose.Layer `json:"layers"` // from outside in; empty unless a walk was asked for
	Notes   []string         `json:"notes"`  // what could not be read
}

// BisectReport is the result of one search.
type BisectReport struct {
	Site        SiteRef       `json:"site"`
	URL         string        `json:"url"`
	FromLog     bool          `json:"from_log"` // the URL is one that failed by the gateway's log
	Method      string        `json:"method"`
	Outcome     probe.Outcome `json:"outcome"` // of the site with nothing masked
	Signature   string        `json:"signature"`
	Verdict     string        `json:"verdict"` // found, healthy, elsewhere or undecided
	Finding     string        `json:"finding"` // in words
	Culprits    []Culprit     `json:"culprits"`
	Components  int           `json:"components"` // how many were searched
	Odds        float64       `json:"odds"`       // that every verdict is right
	Probes      int           `json:"probes"`
	Repeats     int           `json:"repeats"`
	Rounds      int           `json:"rounds"`
	LiveChanges int           `json:"live_changes"`
	Seconds     float64       `json:"seconds"`
	Fixed       bool          `json:"fixed"`
	Incident    string        `json:"incident,omitempty"`
	Changes     []ChangeRef   `json:"changes"`
	Asked       []Asked       `json:"asked"`       // every question, in order
	Explanation []string      `json:"explanation"` // the reasoning, step by step
	Notes       []string      `json:"notes"`
}

// State is how an incident ended.
type State string

// The ends of an incident.
const (
	StateHealthy   State = "healthy"   // there was none
	StateTransient State = "transient" // gone by itself
	StateResolved  State = "resolved"  // mended and verified
	StateEscalated State = "escalated" // as found; a person must act
	StatePlanned   State = "planned"   // a dry run: what would be done
)

// HealReport is one incident, whole.
type HealReport struct {
	Incident string           `json:"incident"`
	Site     SiteRef          `json:"site"`
	State    State            `json:"state"`
	URL      string           `json:"url"`
	FromLog  bool             `json:"from_log"` // the URL is one that failed by the gateway's log; the front page is well
	Left     []ChangeRef      `json:"left"`     // changes that are in effect although they could not be proven: a person must look
	Outcome  probe.Outcome    `json:"outcome"`
	Causes   []diagnose.Cause `json:"causes"`
	Culprits []Culprit        `json:"culprits"`
	Changes  []ChangeRef      `json:"changes"`
	Advice   []string         `json:"advice"`
	Probes   int              `json:"probes"`
	Repeats  int              `json:"repeats"`
	Rounds   int              `json:"rounds"`
	Seconds  float64          `json:"seconds"`
	Notes    []string         `json:"notes"`
	// Reason is why it was escalated, as a word; Until is when time alone may change that.
	Reason policy.Reason `json:"reason,omitempty"`
	Until  time.Time     `json:"until,omitzero"`
	// Sites are the others of the same PHP-FPM pool that failed of the same cause.
	Sites []SiteRef `json:"sites,omitempty"`
}

// SiteInfo is one line of the list of sites.
type SiteInfo struct {
	SiteRef
	Gateway string `json:"gateway"`
	PHP     string `json:"php"` // the pool's master: its configuration file
	Version string `json:"version"`
	Running bool   `json:"running"` // the pool's master runs
}

// SitesReport is what a look at the host found.
type SitesReport struct {
	Sites []SiteInfo `json:"sites"`
	Notes []string   `json:"notes"`
}

// Sites makes the report of a discovery.
func Sites(h site.Host) SitesReport {
	r := SitesReport{Sites: []SiteInfo{}, Notes: append([]string{}, h.Problems...)}
	for _, s := range h.Sites {
		r.Sites = append(r.Sites, SiteInfo{SiteRef: ref(s), Gateway: s.Gateway.Kind, PHP: s.Master.Config,
			Version: s.Version, Running: s.Master.Process.PID != 0})
	}
	return r
}
