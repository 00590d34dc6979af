package gateway

import (
	"net"
	"strconv"
	"strings"
)

// maxPorts bounds what one `listen ADDR:FIRST-LAST` stands for.
const maxPorts = 256

// listen reads one `listen` directive (ngx_http_core_listen, ngx_parse_url). QUIC listeners give nothing.
func (c *reader) listen(d *directive) []Listen {
	var l Listen
	for _, option := range d.args[min(1, len(d.args)):] {
		switch option {
		case "ssl":
			l.TLS = true
		case "proxy_protocol":
			l.ProxyProtocol = true
		case "default_server", "default":
			l.Default = true
		case "quic", "http3":
			return nil
		}
	}
	address := d.arg(0)
	if p, ok := strings.CutPrefix(address, "unix:"); ok {
		l.Unix = p
		return []Listen{l}
	}
	hostPart, portPart := splitPort(address)
	l.Host = strings.TrimSuffix(strings.TrimPrefix(hostPart, "["), "]")
	switch l.Host {
	case "*", "0.0.0.0":
		l.Host = ""
	default:
		if ip := net.ParseIP(l.Host); ip != nil {
			l.Host = ip.String()
		}
	}
	first, last, ok := portRange(portPart)
	if !ok || strings.Contains(address, "$") {
		c.problems.add(d.where(), "listen %q is not understood", address)
		return nil
	}
	if last-first >= maxPorts {
		c.problems.add(d.where(), "listen %q: only the first %d ports are looked at", address, maxPorts)
		last = first + maxPorts - 1
	}
	var all []Listen
	for port := first; port <= last; port++ {
		l.Port = port
		all = append(all, l)
	}
	return all
}

// splitPort tells "8080", "host", "host:8080" and "[::1]:8080" apart.
func splitPort(address string) (host, port string) {
	if address == "" {
		return "", ""
	}
	if strings.Trim(address, "0123456789-") == "" {
		return "", address
	}
	if i := strings.LastIndexByte(address, ':'); i > strings.LastIndexByte(address, ']') {
		return address[:i], address[i+1:]
	}
	return address, "80"
}

func portRange(s string) (first, last int, ok bool) {
	low, high, ranged := strings.Cut(s, "-")
	a, err := strconv.ParseUint(low, 10, 16)
	if err != nil || a == 0 {
		return 0, 0, false
	}
	if !ranged {
		return int(a), int(a), true
	}
	b, err := strconv.ParseUint(high, 10, 16)
	return int(a), int(b), err == nil && b >= a
}

// shareListens gives every vhost of an address what any of them says of it: nginx keeps one socket, and one set of
// options, for all (ngx_http_add_addresses).
func shareListens(vhosts []Vhost) {
	type address struct {
		host, unix string
		port       int
	}
	of := func(l Listen) address { return address{l.Host, l.Unix, l.Port} }
	all := map[address]Listen{}
	for _, v := range vhosts {
		for _, l := range v.Listens {
			known := all[of(l)]
			known.TLS = known.TLS || l.TLS
			known.ProxyProtocol = known.ProxyProtocol || l.ProxyProtocol
			all[of(l)] = known
		}
	}
	for _, v := range vhosts {
		for i, l := range v.Listens {
			v.Listens[i].TLS, v.Listens[i].ProxyProtocol = all[of(l)].TLS, all[of(l)].ProxyProtocol
		}
	}
}
