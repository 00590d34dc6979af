package site

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"wpmend/agent/gateway"
	"wpmend/php/account"
)

// Who runs a site's PHP, Site.Handler.
const (
	FPM    = "fpm"     // a pool: Master and Pool say which
	ModPHP = "mod_php" // Apache's children: Master, Pool and Location are zero
)

// modPHPSites lists the WordPress roots that Apache itself runs for v.
func (h *Host) modPHPSites(g gateway.Gateway, v gateway.Vhost, roots map[docroot]*looked) []Site {
	if !v.ModPHP {
		return nil
	}
	if err := runsAsUser(g); err != nil {
		h.Problems = append(h.Problems, fmt.Sprintf("%s:%d: %s is left out: %v", v.File, v.Line, domain(v), err))
		return nil
	}
	dir, err := plainly(v.Root, g.User)
	if err != nil {
		h.Problems = append(h.Problems, err.Error())
		return nil
	}
	var sites []Site
	for _, root := range h.look(dir, g.User, roots) {
		base := strings.TrimSuffix(strings.TrimPrefix(root, strings.TrimSuffix(dir, "/")), "/")
		if !plain.MatchString(base) {
			h.Problems = append(h.Problems, fmt.Sprintf("%q is left out: its name could be taken for a command where it is shown", root))
			continue
		}
		s := Site{ID: ID(root), Root: root, DocRoot: dir, Base: base, Owner: g.User, Group: g.Group,
			Domain: domain(v) + base, Handler: ModPHP}
		if !v.RunsModPHP(s.Script()) {
			continue
		}
		sites = append(sites, s)
	}
	return sites
}

// runsAsUser refuses an Apache whose children are root, since no site's code runs as root here: they are where User is
// root, and where its number has no entry in the user database (mod_unixd says AH02155 and goes on; seen with 2.4.71).
func runsAsUser(g gateway.Gateway) error {
	if g.User == 0 {
		return fmt.Errorf("%s runs PHP as root: set User in %s", filepath.Base(g.Binary), g.Config)
	}
	if _, err := account.LookupID(strconv.FormatUint(uint64(g.User), 10)); err != nil {
		return fmt.Errorf("%s runs PHP as root, because its User has no name: %w", filepath.Base(g.Binary), err)
	}
	return nil
}
