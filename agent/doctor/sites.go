package doctor

import (
	"context"
	"slices"
	"strings"
)

// sites says which were found, and which were left out and why.
func (h *host) sites(context.Context) []Finding {
	s := &sheet{area: "sites"}
	if h.failed != nil {
		s.bad("sites", "wpmend sites", "they cannot be looked for: %v", h.failed)
		return s.findings
	}
	if h.memory != nil {
		s.warn("sites, seen earlier", "the next discovery of the service writes it anew", "what was remembered of this host cannot be read, so a server that is down now is not known: %v", h.memory)
	}
	if n := len(h.found.Sites); n > 0 {
		names := make([]string, n)
		for i, x := range h.found.Sites {
			names[i] = x.Domain
		}
		s.ok("sites", "%s: %s", count(n, "WordPress site"), few(names, 5))
	} else {
		do := "wpmend finds a site by a vhost whose PHP location leads to a pool and whose root holds WordPress; the notes below say where that broke off"
		if len(h.excluded) > 0 {
			do = "`only` in wpmend.toml, or --only, leaves all of them out"
		}
		s.bad("sites", do, "no WordPress site was found on this host")
	}
	if len(h.excluded) > 0 {
		slices.Sort(h.excluded)
		s.ok("sites, left out by the configuration", "%s: %s%s", count(len(h.excluded), "site"), few(h.excluded, 5), from(h.config, "only"))
	}
	var unserved []string
	for _, x := range h.found.Sites {
		if err := x.Unserved(); err != nil {
			unserved = append(unserved, err.Error())
		}
	}
	if len(unserved) > 0 {
		s.bad("sites without PHP", "wpmend check names the cause", "%s", few(unserved, 3))
	}
	elsewhere := map[string]bool{} // what the servers said stands with them
	for _, err := range append(slices.Clone(h.asked), h.read...) {
		elsewhere[unnumbered(err.Error())] = true
	}
	var notes []string
	for _, p := range h.found.Problems {
		if !strings.Contains(p, " configuration: ") && !elsewhere[unnumbered(p)] && !slices.Contains(unserved, p) {
			notes = append(notes, p)
		}
	}
	if len(notes) > 0 {
		s.warn("sites, left out", "wpmend sites --json lists all notes", "%s", few(notes, 4))
	}
	return s.findings
}

// unnumbered makes two texts equal that differ by processes and times.
func unnumbered(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}
