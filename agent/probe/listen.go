package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
	"wpmend/php/socket"
)

// listeners are the addresses where a vhost of the site answers for host by name,
// for scheme, the surest first: a TCP address of its own, then those that stand for
// every address. There the vhost only gets what no other one takes by a listen for
// the very address (ngx_http_find_virtual_server looks within one address).
func listeners(s site.Site, host, scheme string) []gateway.Listen {
	var found []gateway.Listen
	for _, v := range s.Vhosts {
		if !v.Serves(host) {
			continue
		}
		for _, l := range v.Listens {
			if l.TLS == (scheme == "https") && !slices.Contains(found, l) {
				found = append(found, l)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b gateway.Listen) int { return cmp.Compare(remoteness(a), remoteness(b)) })
	return found
}

func remoteness(l gateway.Listen) int {
	switch {
	case l.Unix != "":
		return 3
	case l.Host == "::":
		return 2
	case l.Host == "":
		return 1
	}
	return 0
}

// quietLoopback is an address of every Linux host (all of 127.0.0.0/8 is) that
// hardly any configuration names: 127.0.0.1 itself is often a status page's, or
// another vhost's, and then what listens everywhere is not asked there.
const quietLoopback = "127.87.80.77"

// hosts are what to dial for a listen address, in turn.
func hosts(host string) []string {
	switch host {
	case "":
		return []string{quietLoopback, "127.0.0.1"}
	case "::":
		return []string{"::1", quietLoopback, "127.0.0.1"} // IPv4 with ipv6only=off
	}
	return []string{host}
}

// errElsewhere says that the vhost listens only on addresses that are another
// host's at present, as on the idle one of two that share an address.
var errElsewhere = errors.New("the vhost's addresses do not belong to this host at present")

// dial connects to one of the listeners: the next is tried only where nobody
// listens at the one before.
func dial(ctx context.Context, listeners []gateway.Listen) (net.Conn, error) {
	err := errElsewhere
	for _, l := range listeners {
		if l.Unix != "" {
			conn, failed := dialOne(ctx, "unix", l.Unix, l.ProxyProtocol)
			if failed == nil {
				return conn, nil
			}
			err = failed
			continue
		}
		for _, host := range hosts(l.Host) {
			if !ofThisHost(host) {
				continue
			}
			conn, failed := dialOne(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(l.Port)), l.ProxyProtocol)
			if failed == nil {
				return conn, nil
			}
			if err = failed; !nobodyThere(err) {
				return nil, err
			}
		}
	}
	return nil, err
}

func nobodyThere(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH)
}

// ofThisHost: what is dialled elsewhere would be judged as this host's answer. A
// name is left to the system, as the gateway does.
func ofThisHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == ip.Unmap().WithZone("")
	})
}

func dialOne(ctx context.Context, network, addr string, proxied bool) (net.Conn, error) {
	conn, err := socket.Dial(ctx, network, addr)
	if err != nil || !proxied {
		return conn, err
	}
	// The listener refuses a connection without this line; "UNKNOWN" claims no address:
	// https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, 2.1.
	if _, err := io.WriteString(conn, "PROXY UNKNOWN\r\n"); err != nil {
		return nil, errors.Join(fmt.Errorf("send the PROXY line: %w", err), conn.Close())
	}
	return conn, nil
}
