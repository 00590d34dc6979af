package doctor

import (
	"context"
	"slices"
	"time"

	"wpmend/agent/panel"
)

// panelBound is how long a panel may take to list its domains.
const panelBound = 30 * time.Second

// panels asks the hosting control panel, if there is one, for what it calls its sites.
func (h *host) panels(ctx context.Context) []Finding {
	s := &sheet{area: "panel"}
	p, ok := panel.Detect()
	if !ok {
		s.ok("panel", "no hosting control panel that wpmend knows is installed here")
		return s.findings
	}
	ctx, cancel := context.WithTimeout(ctx, panelBound)
	defer cancel()
	list, err := p.Sites(ctx)
	if err != nil {
		s.warn("panel", "limits of its pools are changed by hand until it answers", "%s is installed, and does not list its sites: %v", p.Title, err)
		return s.findings
	}
	s.ok("panel", "%s, with %s; limits of its pools are set its way", p.Title, count(len(list.Sites), "domain"))
	if !p.Tried {
		s.warn("panel, limits", "wpmend php limits SITE --set NAME=VALUE asks it, when you say so", "how %s takes a limit is known from its documentation alone, so wpmend does not ask it by itself", p.Title)
	}
	if len(list.Notes) > 0 {
		s.warn("panel, left out", "", "%s", few(slices.Clone(list.Notes), 3))
	}
	return s.findings
}
