package site

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"wpmend/agent/gateway"
	"wpmend/php/fpm"
)

// Served is a pool with the master that runs it, or would.
type Served struct {
	Master fpm.Master // without its pools
	Pool   fpm.Pool
}

// UnservedError says why nothing can be asked of a site's pool: it has none.
type UnservedError struct {
	Domain string
	Asked  fpm.Address
}

func (e *UnservedError) Error() string {
	return fmt.Sprintf("no PHP-FPM pool serves %s: the gateway asks at %s, where no known pool listens", e.Domain, e.Asked)
}

// Unserved is nil for a site that a pool or Apache itself serves, and otherwise an *UnservedError.
func (s Site) Unserved() error {
	if s.Asked.Addr == "" {
		return nil
	}
	return &UnservedError{Domain: s.Domain, Asked: s.Asked}
}

// Address is where the site's PHP is asked for: its pool's, or the one that no pool has. Zero with mod_php.
func (s Site) Address() fpm.Address {
	if s.Asked.Addr != "" {
		return s.Asked
	}
	return s.Pool.Listen()
}

// missing says in words that no pool answers a vhost's PHP location.
func missing(v gateway.Vhost, l gateway.PHPLocation) string {
	if len(l.Peers) == 0 {
		return fmt.Sprintf("%s:%d: which pool serves %s is not known: %s", l.File, l.Line, domain(v), l.Unknown)
	}
	return fmt.Sprintf("%s:%d: %s asks PHP-FPM at %s, where no known pool listens", l.File, l.Line, domain(v), l.Peers[0])
}

// poolOf is the pool that a location's requests go to: of a group's peers the first whose master runs, since the gateway
// goes on to the next where one does not answer; the backups come last.
func poolOf(l gateway.PHPLocation, pools map[fpm.Address]Served) (found Served, ok bool) {
	for _, peer := range slices.Concat(l.Peers, l.Backups) {
		p, known := pools[peer]
		switch {
		case known && p.Master.Process.PID != 0:
			return p, true
		case known && !ok:
			found, ok = p, true
		}
	}
	return found, ok
}

// asksHere tells whether a location asks on this host. A pool on another machine, or in a container with an address of
// its own, is nothing that we know about.
func asksHere(l gateway.PHPLocation) bool {
	if len(l.Peers) == 0 {
		return false
	}
	a := l.Peers[0]
	if a.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(a.Addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return false
	}
	own, err := net.InterfaceAddrs()
	return ip.IsLoopback() || err == nil && slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(ip)
	})
}

// user is whom a site belongs to: its pool's user, or without a pool whoever owns its files.
func (h *Host) user(p Served, dir string) (uid, gid uint32, err error) {
	if p.Pool.Name != "" {
		if uid, gid, err = p.Pool.UserOf(h.users()); err != nil {
			err = fmt.Errorf("pool %s of %s: %w", p.Pool.Name, p.Master.Config, err)
		}
		return uid, gid, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return 0, 0, err
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("owner of %s: unknown", dir)
	}
	return sys.Uid, sys.Gid, nil
}

// unserved fills in what is known of a site that no pool serves.
func (h *Host) unserved(s *Site) {
	s.Asked = s.Location.Peers[0]
	var running, stopped []Served
	for _, m := range h.Masters {
		bare := m
		bare.Pools = nil
		for _, p := range m.Pools {
			if a := p.Listen(); a.Addr == "" {
				continue
			}
			if m.Process.PID != 0 {
				running = append(running, Served{bare, p})
			} else {
				stopped = append(stopped, Served{bare, p})
			}
		}
	}
	if len(running) == 0 {
		running = stopped
	}
	for _, p := range running {
		s.Elsewhere = append(s.Elsewhere, p.Pool.Listen())
	}
	s.Candidate = candidate(*s, running, h.users())
	if uid, gid, err := s.Candidate.Pool.UserOf(h.users()); s.Owner == 0 && s.Candidate.Pool.Name != "" && err == nil {
		s.Owner, s.Group = uid, gid // root's own files, as a package or a deploy leaves them
	}
}

// What speaks for a pool being a site's, the strongest first.
const (
	namesRoot = 8 // one of its settings names the site's folder
	sameName  = 4 // its address is the one asked, but for a version: php8.1-fpm.sock, php8.2-fpm.sock
	ownsFiles = 2 // its user owns the site's files
	sameDir   = 1 // its socket lies where the one asked would
)

// candidate is the pool that most speaks for, if no other is its equal.
func candidate(s Site, pools []Served, users *fpm.Users) Served {
	var best Served
	most, equals := 0, 0
	for _, p := range pools {
		points := 0
		uid, _, err := p.Pool.UserOf(users)
		if err != nil {
			continue // a pool of root's is nobody's
		}
		if uid == s.Owner {
			points += ownsFiles
		}
		listen := p.Pool.Listen()
		if s.Asked.Network == "unix" && (unversioned(s.Asked.Addr) == unversioned(listen.Addr) || namedAfter(s.Asked.Addr, p.Pool.Name)) {
			points += sameName
		}
		if slices.ContainsFunc(p.Pool.Directives, func(d fpm.Directive) bool { return names(d, s) }) {
			points += namesRoot
		}
		if points > 0 && s.Asked.Network == "unix" && filepath.Dir(s.Asked.Addr) == filepath.Dir(listen.Addr) {
			points += sameDir
		}
		switch {
		case points > most:
			best, most, equals = p, points, 1
		case points == most:
			equals++
		}
	}
	if most == 0 || equals > 1 {
		return Served{}
	}
	return best
}

var version = regexp.MustCompile(`[0-9]+(?:[.-]?[0-9]+)*`)

// unversioned takes the numbers out of a socket's name.
func unversioned(address string) string { return version.ReplaceAllString(address, "#") }

// namedAfter: the socket that is asked carries the pool's name, as in /run/php/shop.sock. Debian's "www" is everybody's.
func namedAfter(socket, pool string) bool {
	if len(pool) < 3 || pool == "www" {
		return false
	}
	name := filepath.Base(socket)
	words := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("-_.", r) })
	return slices.Contains(words, pool) || strings.TrimSuffix(name, ".sock") == pool
}

// names: a setting of the pool's holds the site's folder or one in it.
func names(d fpm.Directive, s Site) bool {
	if d.Key == "listen" {
		return false
	}
	return slices.ContainsFunc(strings.FieldsFunc(d.Value, func(r rune) bool { return strings.ContainsRune(": \t,;\"'", r) }), func(word string) bool {
		if !strings.HasPrefix(word, "/") {
			return false
		}
		word = filepath.Clean(word)
		return within(word, s.Root) || within(word, s.DocRoot)
	})
}
