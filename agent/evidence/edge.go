package evidence

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

const (
	// publicTimeout bounds the question to the public address.
	publicTimeout = 2 * time.Second
	// publicBody is enough to see whether a page came whole.
	publicBody = 2 << 20
	// logLag is how long a server may take to write its access log.
	logLag = 500 * time.Millisecond
)

// Outside looks at the site from outside, as far as a host can: what the name leads
// to, and what is answered there.
//
// Whoever owns the site's name chooses the address, so little is sent there: one
// plain GET of the front page for that name, at port 80 or 443, that only follows a
// redirect within the site. Addresses that are not public are only asked if they are
// this host's own, or if the administrator named the resolver; those of a link, where
// clouds keep their metadata, never.
func Outside(ctx context.Context, s site.Site, resolver string) diagnose.Edge {
	home := probe.Home(s)
	var e diagnose.Edge
	var err error
	if e.Resolver, err = nameServer(resolver); err != nil {
		e.NotAsked = err.Error()
		return e
	}
	if _, err := netip.ParseAddr(home.Hostname()); err == nil {
		e.NotAsked = home.Hostname() + " is an address, not a name"
		return e
	}
	if resolver == "" && private(home.Hostname()) {
		e.NotAsked = home.Hostname() + " is a name that public name servers never know"
		return e
	}
	found, err := lookup(ctx, e.Resolver, home.Hostname())
	e.Addresses = found.addresses
	if err != nil {
		e.Lookup, e.Missing, e.NotAsked = err, errors.Is(err, errNoName), "the name leads nowhere"
		return e
	}
	own := ownAddresses()
	e.Here = slices.ContainsFunc(e.Addresses, func(a netip.Addr) bool { return slices.Contains(own, a.Unmap()) })
	e.CDN = cdnOf(found)
	i := slices.IndexFunc(e.Addresses, func(a netip.Addr) bool { return mayAsk(a, own, resolver != "") })
	if i < 0 {
		e.NotAsked = fmt.Sprintf("%s is no public address, and not this host's own", e.Addresses[0])
		return e
	}
	token := rand.Text()
	target := *home
	target.RawQuery = "wpmend=" + token
	e.Public = probe.At(ctx, s, &target, e.Addresses[i], probe.Limits{Timeout: publicTimeout, Body: publicBody})
	if known(e.Public.Server) && e.CDN == "" {
		e.CDN = e.Public.Server
	}
	// A proxy that fails does not pass the request on either, nor does one that has a copy.
	if e.Public.Status != 0 && e.CDN == "" && !e.Here && !e.Public.Outcome.Failing() && e.Public.Cached == "" {
		e.Elsewhere = otherHost(ctx, s, token)
	}
	return e
}

// privateZones are kept from public name servers: RFC 6761, RFC 6762, RFC 8375, and
// ICANN's resolution 2024.07.29.06 for "internal".
var privateZones = [...]string{"test", "example", "invalid", "localhost", "local", "internal", "home.arpa"}

// private says that a name belongs to such a zone, or has no zone at all.
func private(host string) bool {
	return !strings.Contains(host, ".") ||
		slices.ContainsFunc(privateZones[:], func(zone string) bool { return strings.HasSuffix(host, "."+zone) })
}

// known says that the answer came from a network, by its headers.
func known(server string) bool {
	return slices.ContainsFunc(cdns[:], func(n cdnNetwork) bool { return n.name == server })
}

// ownAddresses are those of this host's interfaces.
func ownAddresses() []netip.Addr {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, a := range interfaces {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, prefix.Addr().Unmap().WithZone(""))
		}
	}
	return own
}

// unasked are ranges that netip knows nothing special of: shared by carriers (RFC
// 6598), this network (RFC 1122), reserved (RFC 1112), for tests (RFC 5737, 3849) and
// benchmarks (RFC 2544), and those that carry an IPv4 address within (RFC 6052, 3056).
var unasked = [...]string{"100.64.0.0/10", "0.0.0.0/8", "240.0.0.0/4", "198.18.0.0/15", "192.0.0.0/24",
	"64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10"}

// mayAsk says whether a request may go to an address that a name server gave.
func mayAsk(a netip.Addr, own []netip.Addr, trusted bool) bool {
	a = a.Unmap()
	switch {
	case a.IsLinkLocalUnicast(), a.IsMulticast(), a.IsUnspecified(), a.Zone() != "":
		return false
	case slices.Contains(own, a) && !a.IsLoopback(), trusted:
		return true
	case a.IsLoopback(), a.IsPrivate():
		return false
	}
	return !slices.ContainsFunc(unasked[:], func(r string) bool { return netip.MustParsePrefix(r).Contains(a) })
}

// otherHost tells whether what answered a request with a token is another host: this
// one's access log shows a second request, by loopback, and not that one. Behind a
// network address translation the host's own interfaces do not tell.
func otherHost(ctx context.Context, s site.Site, token string) bool {
	here := rand.Text()
	target := *probe.Home(s)
	target.RawQuery = "wpmend=" + here
	q := probe.Request{Target: &target, Method: http.MethodHead}
	if probe.ByFrontRequest(ctx, s, q, probe.Limits{Timeout: publicTimeout, Body: publicBody}).Status == 0 {
		return false
	}
	for deadline := time.Now().Add(logLag); ; {
		if seen, readable := inLogs(s, here); seen {
			there, _ := inLogs(s, token) // requests are logged in the order in which they end
			return !there
		} else if !readable || ctx.Err() != nil || time.Now().After(deadline) {
			return false // a log that is off or buffered tells nothing
		}
		time.Sleep(logLag / 20)
	}
}
