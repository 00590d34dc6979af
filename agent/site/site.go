// Package site joins what runs on the host into sites: the gateway's vhost, the
// PHP-FPM pool behind it and the WordPress root in front of it. It remembers what
// it saw, because when FPM is down nobody is left to ask.
//
// It reads only. Its invariant: a Site is built from the running servers' own
// configuration or from the memory of it, never from a table of paths.
package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"

	"wpmend/agent/gateway"
	"wpmend/php/fpm"
	"wpmend/php/process"
)

// Site is one WordPress installation with all that serves it.
type Site struct {
	ID      string // stable for a root folder: twelve hex digits
	Domain  string // the first name of its first vhost, with the subfolder if any
	Root    string // the folder whose index.php answers, below which everything that may be changed lies
	Core    string // ABSPATH below Root: "", or "wp" with Bedrock and where WordPress has its own folder
	DocRoot string // the vhost's document root
	Base    string // the URL path of Root below DocRoot: "" or "/blog"
	Owner   uint32 // the pool's uid; of a site that no pool serves, its files' owner
	Group   uint32
	Version string

	Vhosts   []gateway.Vhost // every vhost that serves Root, in the order of the gateway's configuration
	Gateway  gateway.Gateway // of the first vhost, without its vhosts
	Handler  string          // FPM or ModPHP
	Location gateway.PHPLocation
	Master   fpm.Master // without its pools; Process is zero when it does not run
	Pool     fpm.Pool
	// Asked is where the gateway asks for PHP in vain: no known pool of this host listens there, so Master and Pool are
	// zero. Zero where a pool serves the site.
	Asked fpm.Address
	// Elsewhere, where Asked is set: the addresses at which this host's pools do listen, those of running masters alone
	// if there are any.
	Elsewhere []fpm.Address
	Candidate Served // of these, the one that seems to be the site's; zero if that cannot be told

	inner []string // the roots of other sites within this one
	login string   // see OwnerName; "" where the site was not discovered
}

// OwnerName is the owner's login name, or the uid when it has none.
func (s Site) OwnerName() string {
	if s.login != "" {
		return s.login
	}
	var nobody *fpm.Users
	return nobody.Login(s.Owner)
}

// Serves reports whether host is one of the site's own names.
func (s Site) Serves(host string) bool {
	return slices.ContainsFunc(s.Vhosts, func(v gateway.Vhost) bool { return v.Serves(host) })
}

// Script is the URL path of the site's front controller.
func (s Site) Script() string { return s.Base + "/index.php" }

// Host is what one look at the machine found.
type Host struct {
	Gateways []gateway.Gateway
	Masters  []fpm.Master
	Sites    []Site   `json:"-"`
	Problems []string `json:"-"` // what could not be read, in words

	unmatched []string // addresses that a vhost asks and where no known pool listens
	eye       *Eye     // that looks; nil: all is looked at each time
}

// Discover asks the running servers and joins their answers with what was
// remembered of servers that do not run now. include limits it to some roots.
func Discover(ctx context.Context, remembered Host, include func(root string) bool) (Host, error) {
	h, _, err := new(Eye).Discover(ctx, remembered, include, "")
	return h, err
}

// discover joins what runs with what is remembered.
func (h *Host) discover(gateways []gateway.Gateway, masters []fpm.Master, remembered Host, include func(root string) bool) {
	h.Gateways = withRemembered(gateways, there(remembered.Gateways, filesOfGateway),
		func(g gateway.Gateway) string { return g.Binary + "\x00" + g.Config + "\x00" + g.Prefix },
		func(g gateway.Gateway) gateway.Gateway { g.Process = process.Process{}; return g })
	config := func(m fpm.Master) string { return m.Config }
	h.Masters = withRemembered(masters, there(remembered.Masters, filesOfMaster), config,
		func(m fpm.Master) fpm.Master { m.Process = process.Process{}; return m })
	asked := len(h.Problems)
	h.join(include)
	if len(h.unmatched) > 0 {
		// Nobody ever saw these pools' master: what packages installed is the next best.
		h.Masters = withRemembered(h.Masters, fpm.Installed(), config, func(m fpm.Master) fpm.Master { return m })
		h.Problems = h.Problems[:asked]
		h.join(include)
	}
	h.Problems = append(h.Problems, h.unmatched...)
}

func filesOfGateway(g gateway.Gateway) []string { return []string{g.Binary, g.Config} }

func filesOfMaster(m fpm.Master) []string { return []string{m.Binary, m.Config} }

// withRemembered adds to running what was remembered and does not run now.
func withRemembered[T any](running, remembered []T, key func(T) string, stopped func(T) T) []T {
	seen := map[string]bool{}
	for _, r := range running {
		seen[key(r)] = true
	}
	for _, r := range remembered {
		if !seen[key(r)] {
			running = append(running, stopped(r))
		}
	}
	return running
}

// there keeps what could be started again: all of its files still exist. An upgrade
// of PHP takes the old one's away.
func there[T any](remembered []T, files func(T) []string) []T {
	return slices.DeleteFunc(slices.Clone(remembered), func(r T) bool {
		return slices.ContainsFunc(files(r), func(file string) bool {
			if file == "" {
				return false
			}
			_, err := os.Stat(file)
			return errors.Is(err, fs.ErrNotExist)
		})
	})
}

// join makes the sites out of the gateways' vhosts and the masters' pools.
func (h *Host) join(include func(string) bool) {
	h.Sites, h.unmatched = nil, nil
	pools := map[fpm.Address]Served{}
	for _, m := range h.Masters {
		bare := m
		bare.Pools = nil
		for _, p := range m.Pools {
			if _, taken := pools[p.Listen()]; !taken || m.Process.PID != 0 {
				pools[p.Listen()] = Served{bare, p}
			}
		}
	}
	// Two users' sites are two, even if one has made a link to the other's: what his pool answers says nothing of it.
	type owned struct {
		folder
		owner uint32
	}
	byRoot := map[owned]*Site{}
	var order []*Site
	roots := map[docroot]*looked{}
	for _, g := range h.Gateways {
		bare := g
		bare.Vhosts = nil
		for i, v := range g.Vhosts {
			if len(v.PHP) == 0 && !v.ModPHP || v.Root == "" {
				continue
			}
			for _, s := range append(h.sitesOf(v, pools, roots), h.modPHPSites(g, v, roots)...) {
				here := owned{identify(s.Root), s.Owner}
				if known := byRoot[here]; known != nil {
					known.meet(s, v)
					continue
				}
				if include != nil && !include(s.Root) {
					continue
				}
				s.Core, s.Version = h.core(s, roots)
				s.Gateway, s.Vhosts = bare, g.Vhosts[i:i+1:i+1]
				byRoot[here] = &s
				order = append(order, &s)
			}
		}
	}
	order = h.ofOwners(order)
	nest(order)
	h.Sites = make([]Site, 0, len(order))
	for _, s := range order {
		s.login = h.users().Login(s.Owner)
		h.Sites = append(h.Sites, *s)
	}
	sort.SliceStable(h.Sites, func(i, j int) bool { return h.Sites[i].Domain < h.Sites[j].Domain })
}

// meet joins a site that another vhost serves with the same one. Of two names of its
// root the one through a link is kept: the releases behind it come and go.
func (s *Site) meet(other Site, v gateway.Vhost) {
	if other.Root != s.Root && linked(other.Root) && !linked(s.Root) {
		s.Root, s.ID = other.Root, other.ID
	}
	if last := s.Vhosts[len(s.Vhosts)-1]; last.File != v.File || last.Line != v.Line || !slices.Equal(last.Names, v.Names) {
		s.Vhosts = append(s.Vhosts, v)
	}
}

// sitesOf lists the WordPress roots that v serves through FastCGI.
func (h *Host) sitesOf(v gateway.Vhost, pools map[fpm.Address]Served, roots map[docroot]*looked) []Site {
	loc, ok := v.Location("/index.php")
	if !ok {
		return nil
	}
	dir := v.Root
	if loc.Root != "" {
		dir = loc.Root
	}
	p, ok := poolOf(loc, pools)
	if !ok {
		h.unmatched = append(h.unmatched, missing(v, loc))
		if !asksHere(loc) {
			return nil
		}
	}
	uid, gid, err := h.user(p, dir)
	if err == nil {
		dir, err = plainly(dir, uid)
	}
	if err != nil {
		h.Problems = append(h.Problems, err.Error())
		return nil
	}
	var sites []Site
	for _, root := range h.look(dir, uid, roots) {
		base := strings.TrimSuffix(strings.TrimPrefix(root, strings.TrimSuffix(dir, "/")), "/")
		if !plain.MatchString(base) {
			h.Problems = append(h.Problems, fmt.Sprintf("%q is left out: its name could be taken for a command where it is shown", root))
			continue
		}
		s := Site{ID: ID(root), Root: root, DocRoot: dir, Base: base, Owner: uid, Group: gid,
			Domain: domain(v) + base, Handler: FPM, Location: loc, Master: p.Master, Pool: p.Pool}
		if inner, ok := v.Location(s.Script()); ok && inner.Match != loc.Match {
			q, known := poolOf(inner, pools)
			if !known && !asksHere(inner) {
				continue
			}
			s.Location, s.Master, s.Pool = inner, q.Master, q.Pool
			if s.Owner, s.Group, err = h.user(q, root); err != nil {
				h.Problems = append(h.Problems, err.Error())
				continue
			}
		}
		if s.Pool.Name == "" {
			h.unserved(&s)
		}
		sites = append(sites, s)
	}
	return sites
}

// plain are the folder names that can stand in a command for pasting: a customer
// chooses them.
var plain = regexp.MustCompile(`^[A-Za-z0-9._/-]*$`)

// look lists the WordPress roots in a document root.
func (h *Host) look(dir string, owner uint32, roots map[docroot]*looked) []string {
	d := docroot{dir, owner}
	l := roots[d]
	if l == nil {
		l = h.eye.folder(dir, owner)
		roots[d] = l
		if l.err != nil {
			h.Problems = append(h.Problems, fmt.Sprintf("look for WordPress in %s: %v", dir, l.err))
		}
	}
	return l.roots
}

// core finds where the site's core lies, and its version.
func (h *Host) core(s Site, roots map[docroot]*looked) (dir, version string) {
	d := docroot{s.DocRoot, s.Owner}
	if roots[d] == nil { // the pool that serves the root is another than the document root's
		roots[d] = h.eye.folder(d.dir, d.owner)
	}
	c := roots[d].core(s.Root, s.Owner)
	if c.problem != "" {
		h.Problems = append(h.Problems, c.problem)
	}
	return c.dir, c.version
}

// domain is the vhost's first plain name; a vhost without one is named after its file.
func domain(v gateway.Vhost) string {
	for _, n := range v.Names {
		if n != "" && n != "_" && !strings.ContainsAny(n, "*~") && !strings.HasPrefix(n, ".") {
			return n
		}
	}
	for _, n := range v.Names {
		if strings.HasPrefix(n, ".") {
			return n[1:]
		}
		if strings.HasPrefix(n, "*.") {
			return n[2:]
		}
	}
	return filepath.Base(v.Root)
}
