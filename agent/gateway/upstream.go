package gateway

import (
	"fmt"
	"strings"

	"wpmend/php/fpm"
)

// upstream is an `upstream` group.
type upstream struct {
	peers, backups []fpm.Address
	unknown        string
}

func (c *reader) upstream(b *directive) {
	var u upstream
	block, err := c.flat(b.block)
	if err != nil {
		u.unknown = err.Error()
	}
	for _, d := range block {
		if d.name != "server" || d.isBlock {
			continue
		}
		down, backup := false, false
		for _, option := range d.args[min(1, len(d.args)):] {
			down = down || option == "down"
			backup = backup || option == "backup"
		}
		if down {
			continue
		}
		a, err := peer(d.arg(0), "80")
		switch {
		case err != nil:
			c.problems.add(d.where(), "a server of upstream %q: %v", b.arg(0), err)
		case backup:
			u.backups = append(u.backups, a)
		default:
			u.peers = append(u.peers, a)
		}
	}
	if u.peers == nil && u.unknown == "" {
		u.unknown = fmt.Sprintf("upstream %q at %s has no server that is up", b.arg(0), b.where())
		if u.backups != nil {
			u.peers, u.backups, u.unknown = u.backups, nil, ""
		}
	}
	c.upstreams[strings.ToLower(b.arg(0))] = u
}

// pass finds the peers of a fastcgi_pass: a group, or one address.
func (s *scope) pass(l *PHPLocation, d *directive) {
	target := d.arg(0)
	if strings.Contains(target, "$") {
		known, err := s.static(target, l.Sets, l.Maps)
		if err != nil {
			l.Unknown = fmt.Sprintf("fastcgi_pass %s at %s: %v", target, d.where(), err)
			return
		}
		target = known
	}
	if u, ok := s.upstreams[strings.ToLower(target)]; ok {
		l.Peers, l.Backups, l.Unknown = u.peers, u.backups, u.unknown
		return
	}
	a, err := peer(target, "")
	if err != nil {
		l.Unknown = fmt.Sprintf("fastcgi_pass %s at %s: %v", target, d.where(), err)
		return
	}
	l.Peers = []fpm.Address{a}
}
