package agent

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"wpmend/agent/config"
	"wpmend/agent/site"
)

// settings are a configuration in force, with what it says of each site asked for.
type settings struct {
	config.Config
	sites sync.Map // root → *ofSite
}

// ofSite is what the configuration says of a site that a section knows by these words.
type ofSite struct {
	words string
	config.Config
}

// Reconfigure puts another configuration in force, which must be valid. Work that has begun may still end under the
// earlier one.
func (a *Agent) Reconfigure(c config.Config) { a.settings.Store(&settings{Config: c}) }

func (a *Agent) conf() config.Config { return a.settings.Load().Config }

// confOf is the configuration for one site, with the sections that name its owner or itself. It is asked for at every
// probe, while the sections may be thousands and each login name costs a look into the user database: so it is worked
// out once for a site as long as the same configuration is in force.
func (a *Agent) confOf(s site.Site) config.Config {
	in := a.settings.Load()
	if len(in.Sites) == 0 && len(in.Owners) == 0 {
		return in.Config
	}
	// One entry for each root, so that a site whose names change for months takes no more.
	words := fmt.Sprintf("%d %s\x00%s", s.Owner, s.ID, strings.Join(names(s), "\x00"))
	if known, ok := in.sites.Load(s.Root); ok && known.(*ofSite).words == words {
		return known.(*ofSite).Config
	}
	who := Who(s)
	c := in.Of(who)
	// An owner without a login name may get one.
	if who.Owner != strconv.FormatUint(uint64(s.Owner), 10) {
		in.sites.Store(s.Root, &ofSite{words, c})
	}
	return c
}

// Who is what a section of the configuration may name a site by.
func Who(s site.Site) config.Who {
	return config.Who{Root: s.Root, Names: names(s), ID: s.ID, Owner: s.OwnerName(), UID: s.Owner}
}

func names(s site.Site) []string {
	all := []string{s.Domain}
	for _, v := range s.Vhosts {
		all = append(all, v.Names...)
	}
	return all
}
