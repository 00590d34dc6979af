package agent

import (
	"context"
	"slices"
	"strings"
	"time"

	"wpmend/agent/site"
	"wpmend/wp"
)

// ComponentInfo is one component of a site.
type ComponentInfo struct {
	Component string    `json:"component"`
	Version   string    `json:"version"`
	Title     string    `json:"title"`
	Active    bool      `json:"active"`    // WordPress loads it for visitors
	Off       bool      `json:"off"`       // wpmend has switched it off
	Protected bool      `json:"protected"` // by the configuration: wpmend does not switch it off by itself
	Changed   time.Time `json:"changed"`   // the newest change of its main files
}

// ComponentsReport lists the components of a site.
type ComponentsReport struct {
	Site       SiteRef         `json:"site"`
	Components []ComponentInfo `json:"components"`
	Notes      []string        `json:"notes"`
}

// Components lists what is installed on a site, by kind and name; it changes nothing.
func (a *Agent) Components(ctx context.Context, s site.Site) (ComponentsReport, error) {
	r := ComponentsReport{Site: ref(s), Components: []ComponentInfo{}, Notes: []string{}}
	l := &look{site: s}
	if err := a.read(ctx, l); err != nil {
		return r, &Error{Kind: "unreadable", Err: err, Remedy: "wpmend check " + s.Domain}
	}
	r.Notes = append(r.Notes, notes(l.wp.Database)...)
	conf := a.confOf(s)
	add := func(c wp.Component, off bool) {
		_, protected := conf.Protects(c.ID())
		r.Components = append(r.Components, ComponentInfo{Component: c.ID(), Version: c.Version, Title: c.Title,
			Active: c.Active && !off, Off: off, Protected: protected, Changed: c.ModTime.UTC()})
	}
	for _, c := range l.wp.Components {
		add(c, false)
	}
	for _, c := range l.wp.Switched {
		add(c, true)
	}
	slices.SortStableFunc(r.Components, func(a, b ComponentInfo) int { return strings.Compare(a.Component, b.Component) })
	return r, nil
}
