package doctor

import (
	"context"
	"slices"
	"strings"

	"wpmend/agent/gateway"
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
		why, do := missing(h.found.Gateways, len(h.excluded))
		s.warn("sites", do, "no WordPress site was found on this host: %s", why)
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

// missing says where the way from a gateway to a site breaks off, and what to do.
func missing(gateways []gateway.Gateway, excluded int) (why, do string) {
	all := 0
	var roots []string
	for _, g := range gateways {
		all += len(g.Vhosts)
		for _, v := range g.Vhosts {
			if (len(v.PHP) > 0 || v.ModPHP) && v.Root != "" && !slices.Contains(roots, v.Root) {
				roots = append(roots, v.Root)
			}
		}
	}
	switch {
	case excluded > 0:
		return "the configuration leaves all of them out", "`only` in wpmend.toml, or --only, says which folders count"
	case len(gateways) == 0:
		return "no gateway could be asked", "see the gateway above"
	case len(roots) == 0:
		return "none of " + count(all, "vhost") + " leads to PHP", "a site needs a vhost with a PHP location (fastcgi_pass; Apache's proxy:fcgi or mod_php). Is that of another server behind this one, that server has to be nginx or Apache on this host"
	}
	return "none of the roots with PHP holds WordPress: " + few(roots, 4), "it is known by wp-config.php and wp-includes in the root, a folder of it, or as Bedrock lays it out: ls -la of the root"
}
