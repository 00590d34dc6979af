package gateway

import (
	"net"
	"strings"
)

// listen reads `Listen [IP:]PORT [PROTOCOL]` (ap_set_listener); https is the default of port 443.
func (c *apacheReader) listen(d *apacheDirective) {
	host, port := splitPort(d.arg(0))
	first, last, ok := portRange(port)
	if !ok || first != last {
		c.problems.add(d.where(), "Listen %q is not understood", d.arg(0))
		return
	}
	c.listens = append(c.listens, Listen{Host: listenHost(host), Port: first})
	if protocol := strings.ToLower(d.arg(1)); protocol == "https" || protocol == "" && first == 443 {
		c.https[first] = true
	}
}

// listenHost is an address in the words of Listen.Host.
func listenHost(host string) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "*" || host == "0.0.0.0" {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.String()
	}
	return host
}

// vhostAddress is an address of <VirtualHost>, as written: "*:80", "192.0.2.1", "[::1]:443".
type vhostAddress struct {
	host string // as in Listen
	any  bool   // "*" or "_default_"
	port int    // 0: every port
}

func (c *apacheReader) address(text string, d *apacheDirective) (a vhostAddress, ok bool) {
	hostPart, portPart := text, "*"
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, ']') {
		hostPart, portPart = text[:i], text[i+1:]
	}
	a.host = listenHost(hostPart)
	a.any = hostPart == "*" || strings.EqualFold(hostPart, "_default_")
	if !a.any && net.ParseIP(a.host) == nil {
		c.problems.add(d.where(), "<VirtualHost %s>: which address the name has is not looked up", text)
		return a, false
	}
	if portPart != "*" {
		first, last, ok := portRange(portPart)
		if !ok || first != last {
			c.problems.add(d.where(), "<VirtualHost %s> is not understood", text)
			return a, false
		}
		a.port = first
	}
	return a, true
}

// exact notes the addresses that a vhost names: there, those with "*" are never asked (ap_update_vhost_given_ip).
func (c *apacheReader) exact(hosts []*apacheDirective) {
	var quiet apacheReader
	for _, d := range hosts {
		for _, text := range d.args {
			if a, ok := quiet.address(text, d); ok && !a.any {
				c.named[a] = true
			}
		}
	}
}

// addresses are the listeners that `<VirtualHost ADDRESS>` takes requests from.
func (c *apacheReader) addresses(s apacheServer, text string, taken map[Listen]bool, d *apacheDirective) []Listen {
	a, ok := c.address(text, d)
	if !ok {
		return nil
	}
	var all []Listen
	for _, l := range c.listens {
		own := l
		switch {
		case a.port != 0 && l.Port != a.port:
			continue
		case a.any:
			if c.named[vhostAddress{host: l.Host, port: l.Port}] || c.named[vhostAddress{host: l.Host}] {
				continue
			}
		case l.Host == "":
			own.Host = a.host // one address of all that the server listens on
		case l.Host != a.host:
			continue
		}
		key := own
		own.Default = !taken[key]
		taken[key] = true
		all = append(all, c.secured(s, own))
	}
	return all
}

// secured says what is spoken on a listener (ssl_init_Module): TLS with SSLEngine on, or where nothing was said and the
// listener's protocol is https.
func (c *apacheReader) secured(s apacheServer, l Listen) Listen {
	l.TLS = s.tls || !s.tlsSet && s.certified && c.https[l.Port] && c.run.has("ssl_module")
	l.ProxyProtocol = s.proxyProtocol
	return l
}
