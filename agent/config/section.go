package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Site is a [[site]] section: settings for the sites that Match means.
type Site struct {
	// Match is the site's root folder, one of its domains, or its id.
	Match string
	set   []setting
	at    Origin
}

// Owner is an [[owner]] section: settings for all sites of one user.
type Owner struct {
	// User is the owner's login name or uid.
	User string
	set  []setting
	at   Origin
}

// Origin is where the section begins.
func (s Site) Origin() Origin { return s.at }

// Origin is where the section begins.
func (o Owner) Origin() Origin { return o.at }

// setting is one key's value, of the type that its field has.
type setting struct {
	key   key
	value any
	at    Origin
}

// Who is what a section may name a site by.
type Who struct {
	Root  string
	Names []string // its domains
	ID    string
	Owner string // the login name
	UID   uint32
}

// For is [Config.Of] for a site of which only this is known; owner is a login name or a uid.
func (c Config) For(root, domain, owner string) Config {
	w := Who{Root: root, Names: []string{domain}, Owner: owner, UID: noUID}
	if uid, err := strconv.ParseUint(owner, 10, 32); err == nil {
		w.UID = uint32(uid)
	}
	return c.Of(w)
}

// noUID is a uid that the kernel gives to nobody: it means "leave as is" in chown(2).
const noUID = ^uint32(0)

// Of is the configuration for one site: the [[owner]] sections that name its owner over what holds for all, the [[site]]
// sections that name it over both, each in their order. What is set in a section is what is set there as a whole: a list
// is replaced. The result has no sections.
func (c Config) Of(w Who) Config {
	owners, sites := c.Owners, c.Sites
	c.Owners, c.Sites = []Owner{}, []Site{}
	w = w.lower()
	for _, o := range owners {
		if o.names(w) {
			c.apply(o.set)
		}
	}
	for _, s := range sites {
		if s.names(w) {
			c.apply(s.set)
		}
	}
	return c
}

// lower writes the names as a section's Match is written.
func (w Who) lower() Who {
	names := make([]string, len(w.Names))
	for i, name := range w.Names {
		names[i] = strings.ToLower(name)
	}
	w.Names = names
	return w
}

func (c *Config) apply(set []setting) {
	for _, s := range set {
		s.key.set(c, s.value)
	}
	c.applied = append(slices.Clip(c.applied), set...)
}

func (o Owner) names(w Who) bool {
	return o.User == w.Owner || w.UID != noUID && o.User == strconv.FormatUint(uint64(w.UID), 10)
}

// names expects w.Names in lower case.
func (s Site) names(w Who) bool {
	if filepath.IsAbs(s.Match) {
		return s.Match == w.Root
	}
	return s.Match == w.ID || slices.Contains(w.Names, s.Match)
}
