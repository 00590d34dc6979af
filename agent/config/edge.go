package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Edge says whether wpmend may look at a site from outside.
type Edge struct {
	// Ask allows two things that leave the host: a question to a name server for the
	// site's own name, and a plain GET of its front page at the addresses that it
	// gives. Both only for a site that is well on this host, or in a check.
	Ask bool `toml:"ask" json:"ask"`
	// Resolver is the name server that is asked, an IP address with an optional port;
	// empty: the first of /etc/resolv.conf. One that is set here is trusted to give
	// private addresses too, such as those of a proxy within the network.
	Resolver string `toml:"resolver" json:"resolver"`
}

func resolver(v any) (string, error) {
	s, err := text(v)
	if err != nil || s == "" {
		return s, err
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, "53"
	}
	n, perr := strconv.ParseUint(port, 10, 16)
	if _, err := netip.ParseAddr(host); err != nil || perr != nil || n == 0 {
		return "", fmt.Errorf("%s is no IP address, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"", quoted(s))
	}
	return s, nil
}
