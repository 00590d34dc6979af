package site

import (
	"fmt"
	"path/filepath"
	"strings"
)

// NotFoundError says that a name given by the user is no site of this host, or
// more than one.
type NotFoundError struct {
	Name    string
	Matches []string // more than one: all of them
}

func (e *NotFoundError) Error() string {
	if len(e.Matches) > 0 {
		return fmt.Sprintf("%q could be any of %s: name one by its root folder or id", e.Name, strings.Join(e.Matches, ", "))
	}
	return fmt.Sprintf("no site %q on this host: `wpmend sites` lists them", e.Name)
}

// Find returns the one site that name means: a domain (any of the vhost's names),
// a root folder by any of its paths, its core's folder, or an id or its unique
// beginning of at least four digits.
func Find(sites []Site, name string) (Site, error) {
	given := identify(name)
	for _, match := range []func(Site) bool{
		func(s Site) bool { return s.Domain == name || s.ID == name },
		func(s Site) bool { return strings.HasPrefix(name, "/") && s.Root == filepath.Clean(name) },
		func(s Site) bool {
			return strings.HasPrefix(name, "/") && (identify(s.Root) == given || identify(filepath.Join(s.Root, s.Core)) == given)
		},
		func(s Site) bool { host, base := split(name); return s.Base == base && s.Serves(host) },
		func(s Site) bool { return len(name) >= 4 && strings.HasPrefix(s.ID, name) },
	} {
		var found []Site
		for _, s := range sites {
			if match(s) {
				found = append(found, s)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			e := &NotFoundError{Name: name}
			for _, s := range found {
				e.Matches = append(e.Matches, s.Root)
			}
			return Site{}, e
		}
	}
	return Site{}, &NotFoundError{Name: name}
}

// split takes "example.com/blog" apart.
func split(name string) (host, base string) {
	host, base, found := strings.Cut(strings.TrimSuffix(name, "/"), "/")
	if found {
		base = "/" + base
	}
	return host, base
}
