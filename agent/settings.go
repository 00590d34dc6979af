package agent

import (
	"wpmend/agent/config"
	"wpmend/agent/site"
)

// Reconfigure puts another configuration in force, which must be valid. Work that has begun may still end under the
// earlier one.
func (a *Agent) Reconfigure(c config.Config) { a.settings.Store(&c) }

func (a *Agent) conf() config.Config { return *a.settings.Load() }

// confOf is the configuration for one site, with the sections that name its owner or itself.
func (a *Agent) confOf(s site.Site) config.Config {
	c := a.settings.Load()
	if len(c.Sites) == 0 && len(c.Owners) == 0 {
		return *c // the owner's name costs a look into the user database
	}
	return c.Of(Who(s))
}

// Who is what a section of the configuration may name a site by.
func Who(s site.Site) config.Who {
	names := []string{s.Domain}
	for _, v := range s.Vhosts {
		names = append(names, v.Names...)
	}
	return config.Who{Root: s.Root, Names: names, ID: s.ID, Owner: s.OwnerName(), UID: s.Owner}
}
