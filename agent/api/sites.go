package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/agent/history"
	"wpmend/agent/site"
)

// SiteInfo is one site with how it stands.
type SiteInfo struct {
	ID       string `json:"id" example:"3f2a9c0d1e4b" doc:"Stable for a root folder: twelve hex digits."`
	Domain   string `json:"domain" example:"shop.example.com" doc:"The first name of its vhost, with the subfolder if any."`
	Root     string `json:"root" example:"/home/alice/public_html" doc:"The folder whose index.php answers."`
	Owner    string `json:"owner" example:"alice" doc:"The user that its PHP runs as."`
	Pool     string `json:"pool" example:"alice" doc:"The PHP-FPM pool; empty where there is none."`
	Gateway  string `json:"gateway" example:"nginx"`
	PHP      string `json:"php" example:"/etc/php/8.2/fpm/php-fpm.conf" doc:"The configuration of the pool's master."`
	Version  string `json:"version" example:"6.7.1" doc:"Of WordPress."`
	Running  bool   `json:"running" doc:"The pool's master runs."`
	State    string `json:"state" enum:"healthy,failing,recovering,escalated,unknown" doc:"How it stands by its newest incident: failing and recovering are under way, escalated waits for a person."`
	Incident string `json:"incident" doc:"The id of its newest incident, or empty."`
}

// The states of a site.
const (
	siteHealthy    = "healthy"
	siteFailing    = "failing"
	siteRecovering = "recovering"
	siteEscalated  = "escalated"
	siteUnknown    = "unknown"
)

// urgency sorts the states: what fails first, what is well last.
func urgency(state string) string {
	return strconv.Itoa(slices.Index([]string{siteFailing, siteRecovering, siteEscalated, siteUnknown, siteHealthy}, state))
}

// SiteList is one page of sites.
type SiteList struct {
	Sites []SiteInfo `json:"sites"`
	Next  string     `json:"next" doc:"The cursor of the next page, or empty."`
	Notes []string   `json:"notes" doc:"What could not be read of the host; for administrators."`
}

// SitePath names a site.
type SitePath struct {
	Site string `path:"site" maxLength:"1024" example:"shop.example.com" doc:"An id or a domain."`
}

func (s *Server) describeSites() {
	register(s, route{id: "listSites", method: http.MethodGet, path: "/v1/sites", tag: "sites", summary: "The sites that the caller may see"},
		func(ctx context.Context, c *caller, in *struct {
			Paging
			Sort  string `query:"sort" enum:"domain,state" default:"domain" doc:"By domain, or those in trouble first."`
			Query string `query:"q" maxLength:"256" example:"shop" doc:"Only those whose domain, root folder, owner or id holds this text."`
		}) (*bodied[SiteList], error) {
			if c.unseen != nil {
				return nil, c.unseen
			}
			infos, err := s.infos(c, c.sites)
			if err != nil {
				return nil, err
			}
			q := strings.ToLower(in.Query)
			infos = slices.DeleteFunc(infos, func(i SiteInfo) bool {
				return !slices.ContainsFunc([]string{i.Domain, i.Root, i.Owner, i.ID}, func(t string) bool { return strings.Contains(strings.ToLower(t), q) })
			})
			list, key := "sites", func(i SiteInfo) string { return i.Domain + "\x00" + i.ID }
			if in.Sort == "state" {
				byDomain := key
				list, key = "sites by state", func(i SiteInfo) string { return urgency(i.State) + byDomain(i) }
			}
			slices.SortFunc(infos, func(a, b SiteInfo) int { return cmp.Compare(key(a), key(b)) })
			l := SiteList{Notes: []string{}}
			if l.Sites, l.Next, err = pageOf(in.Paging, list, infos, key, ascending); err != nil {
				return nil, err
			}
			if host, err := s.sight.last(); err == nil && c.role == Admin {
				l.Notes = append(l.Notes, host.Problems...)
			}
			return &bodied[SiteList]{l}, nil
		})
	register(s, route{id: "getSite", method: http.MethodGet, path: "/v1/sites/{site}", tag: "sites", summary: "One site"},
		func(_ context.Context, c *caller, in *SitePath) (*bodied[SiteInfo], error) {
			found, err := c.find(in.Site)
			if err != nil {
				return nil, err
			}
			infos, err := s.infos(c, []site.Site{found})
			if err != nil {
				return nil, err
			}
			return &bodied[SiteInfo]{infos[0]}, nil
		})
}

// infos tells sites with how they stand.
func (s *Server) infos(c *caller, sites []site.Site) ([]SiteInfo, error) {
	briefs, err := s.briefs(c)
	if err != nil {
		return nil, err
	}
	newest := map[string]history.Brief{}
	for _, b := range slices.Backward(briefs) {
		newest[b.Site.ID] = b
		for _, other := range b.Sites {
			newest[other.ID] = b
		}
	}
	infos := []SiteInfo{}
	conf := s.o.Config()
	for _, i := range agent.Sites(site.Host{Sites: sites}).Sites {
		info := SiteInfo{ID: i.ID, Domain: i.Domain, Root: i.Root, Owner: i.Owner, Pool: i.Pool, Gateway: i.Gateway, PHP: i.PHP, Version: i.Version, Running: i.Running}
		b, any := newest[i.ID]
		info.Incident, info.State = b.ID, s.stateOf(b, any, conf.For(i.Root, i.Domain, i.Owner).Mode)
		infos = append(infos, info)
	}
	return infos, nil
}

// stateOf is how a site stands by its newest incident.
func (s *Server) stateOf(b history.Brief, any bool, mode config.Mode) string {
	switch {
	case any && b.State == history.Ongoing && b.Changed:
		return siteRecovering
	case any && b.State == history.Ongoing:
		return siteFailing
	case any && b.State == history.Escalated && b.Over.IsZero():
		return siteEscalated
	case !s.ready.Load() || mode == config.Observe || any && b.State == history.Undone:
		// Nobody has looked since, or nobody would tell.
		return siteUnknown
	}
	return siteHealthy
}
