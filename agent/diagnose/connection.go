package diagnose

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"syscall"

	"wpmend/agent/gateway"
)

// fits: the gateway asks where the pool listens, as far as is known.
func (s Socket) fits() bool { return s.Asked == "" || s.Asked == s.Address }

// failedDial: the address does not answer root, and not for want of room.
func (s Socket) failedDial(errnos ...syscall.Errno) bool {
	for _, e := range errnos {
		if errors.Is(s.Dial, e) {
			return true
		}
	}
	return false
}

// listening: by the kernel's word somebody listens there.
func (s Socket) listening() bool { return s.Queue >= 0 && s.Backlog > 0 }

// timedOut reports a connection that nobody answered.
func timedOut(err error) bool {
	var slow interface{ Timeout() bool }
	return errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}

// firewall: the filter is read, and a connection fails that it concerns. Unix sockets have none.
func firewall(f Facts) (Cause, bool) {
	server := f.Server.Dial != nil
	pool := f.Socket.Dial != nil && !f.Socket.Unix && f.Socket.Address+f.Socket.Asked != ""
	if !server && !pool {
		return Cause{}, false
	}
	c := Cause{Cause: Firewall}
	what, err := cmp.Or(f.Socket.Asked, f.Socket.Address), f.Socket.Dial
	if server {
		what, err = f.Server.Listen, f.Server.Dial
	}
	listens := server && f.Server.PID != 0 || pool && (f.Socket.listening() || f.Pool.PID != 0)
	switch {
	case len(f.Host.Filters) > 0 && (listens || timedOut(err)):
		c.Confidence = 0.97
		for _, rule := range f.Host.Filters {
			c.say(f, "packet filter", "%s", rule)
		}
	case pool && !server && f.Socket.fits() && f.Socket.listening() && f.Socket.Queue == 0:
		// Whoever listens with an empty queue takes connections, unless something stands in between.
		c.Confidence = 0.9
		c.say(f, "socket", "the kernel has a listener at %s and nobody waits there, and yet a connection to it fails: only a packet filter does that", f.Socket.Address)
	case timedOut(err) && f.Host.FiltersUnread != "":
		c.Confidence = textOnly
		c.say(f, "packet filter", "it could not be read: %s", f.Host.FiltersUnread)
	default:
		return Cause{}, false
	}
	c.say(f, "connection", "%s: %v", what, err)
	c.advise("The local packet filter stands between the gateway and %s. See the rules with their numbers: nft -a list ruleset; iptables -S; ip6tables -S. Delete the one above (nft delete rule … handle N; iptables -D …), and undo it where it comes from: fail2ban-client status, ufw status numbered, firewall-cmd --list-all.", what)
	c.advise("wpmend does not change firewalls.")
	return c, true
}

// publicFirewall: the site is well by loopback, and nobody answers at the public address of this host.
func publicFirewall(f Facts) (Cause, bool) {
	public := f.Edge.Public
	if f.failing() || !f.Edge.Here || f.Edge.CDN != "" || !fails(public) || public.Status != 0 {
		return Cause{}, false
	}
	c := Cause{Cause: Firewall, Confidence: 0.6}
	c.say(f, "public answer", "%s: %s %s", addresses(f.Edge.Addresses), outcome(public), public.Detail)
	for _, rule := range f.Host.Filters {
		c.Confidence = 0.96
		c.say(f, "packet filter", "%s", rule)
	}
	c.advise("The site answers by loopback and not at its public address: see the local rules (nft -a list ruleset; iptables -S; ufw status numbered) and whether the gateway listens there at all (ss -lntp). Ask from another network too: the provider's own firewall does not show here.")
	return c, true
}

func socketPermission(f Facts) (Cause, bool) {
	refused := f.connectFailures(syscall.EACCES)
	if f.Socket.Dial != nil || !f.lost() || len(refused) == 0 && !f.Socket.Refused {
		return Cause{}, false
	}
	c := Cause{Cause: SocketPermission, Confidence: told, Evidence: refused}
	if f.Socket.Refused {
		c.Confidence = 0.97
	}
	user, address := cmp.Or(f.Socket.Gateway, "www-data"), cmp.Or(f.Socket.Address, "the socket")
	if f.Socket.Mode != "" {
		c.say(f, "socket", "%s is %s %s; the gateway connects as %s", address, f.Socket.Mode, f.Socket.Owner, user)
	}
	if f.Direct.Answered() {
		c.say(f, "pool", "asked past the gateway, PHP answers well (%d)", f.Direct.Status)
	}
	u, socket := shell(user), shell(address)
	c.advise("Let the gateway in at once: chown %s:%s %s && chmod 0660 %s", u, u, socket, socket)
	c.advise("For good: set listen.owner = %s, listen.group = %s, listen.mode = 0660 for pool [%s] in %s, then restart PHP-FPM. If the mode is right, a folder above the socket is closed: namei -l %s", user, user, f.Pool.Name, f.Pool.File, socket)
	return c, true
}

func socketMissing(f Facts) (Cause, bool) {
	if f.Pool.PID == 0 || !f.Socket.fits() || !f.Socket.Unix || f.Socket.Exists || !f.Socket.failedDial(syscall.ENOENT) {
		return Cause{}, false
	}
	c := Cause{Cause: SocketMissing, Confidence: 0.97, Remedy: new(RemedyRestartFPM), Evidence: f.connectFailures(syscall.ENOENT)}
	c.say(f, "socket", "%s does not exist, though the master runs (pid %d)", f.Socket.Address, f.Pool.PID)
	c.advise("A restart makes the socket again (a reload does not): systemctl restart %s. Then find what deletes it: a clean-up job (systemd-tmpfiles, tmpreaper), a second FPM with the same listen, or listen changed at %s:%d without a restart.",
		unit(f.Pool.Unit, "php-fpm"), f.Pool.File, f.Pool.Line)
	return c, true
}

func staleSocket(f Facts) (Cause, bool) {
	if f.Pool.PID == 0 || !f.Socket.fits() || f.Socket.Address == "" || f.Socket.Unix && !f.Socket.Exists || !f.Socket.failedDial(syscall.ECONNREFUSED) ||
		!f.Socket.Unix && f.Socket.listening() {
		return Cause{}, false
	}
	c := Cause{Cause: StaleSocket, Confidence: 0.97, Remedy: new(RemedyRestartFPM), Evidence: f.connectFailures(syscall.ECONNREFUSED)}
	c.say(f, "socket", "%s: %v, though the master runs (pid %d)", f.Socket.Address, f.Socket.Dial, f.Pool.PID)
	c.advise("The running master does not listen there: another FPM has taken or left the socket, or listen was changed at %s:%d and never restarted. Restart it: systemctl restart %s; who listens: ss -lxntp | grep -F %s",
		f.Pool.File, f.Pool.Line, unit(f.Pool.Unit, "php-fpm"), shell(f.Socket.Address))
	return c, true
}

func wrongSocket(f Facts) (Cause, bool) {
	if f.Socket.fits() || f.Socket.Dial == nil || len(f.Pool.Elsewhere) == 0 {
		return Cause{}, false
	}
	c := Cause{Cause: WrongSocket, Confidence: 0.96, Evidence: f.connectFailures(syscall.ENOENT, syscall.ECONNREFUSED)}
	if f.Pool.Candidate == "" {
		// The other pools may all be other people's: then the site's own does not run.
		c.Confidence = 0.6
	}
	c.say(f, "socket", "the gateway asks at %s (%v); pools of this host listen at %s", f.Socket.Asked, f.Socket.Dial, strings.Join(f.Pool.Elsewhere[:min(4, len(f.Pool.Elsewhere))], ", "))
	right := cmp.Or(f.Pool.Candidate, "the pool's address")
	c.advise("In %s put %s in the place of %s (nginx: %s; Apache: SetHandler \"proxy:%s\"), then %s.",
		cmp.Or(f.Location.File, "the site's vhost"), right, f.Socket.Asked, "fastcgi_pass "+upstream(right, "")+";", upstream(right, "apache"), f.testAndReload())
	c.advise("After a PHP upgrade this is the usual cause: the vhost still names the old version's socket. On a panel choose the PHP version of the domain again, so that it writes both anew.")
	return c, true
}

// upstream writes an address in a gateway's language.
func upstream(address, kind string) string {
	unix := strings.HasPrefix(address, "/")
	switch {
	case kind == "apache" && unix:
		return "unix:" + address + "|fcgi://localhost/"
	case kind == "apache":
		return "fcgi://" + address
	case unix:
		return "unix:" + address
	}
	return address
}

// testAndReload is how the gateway takes a change.
func (f Facts) testAndReload() string {
	switch f.Server.Kind {
	case "nginx":
		return "nginx -t && nginx -s reload"
	case "apache":
		return "apachectl configtest && apachectl graceful"
	}
	return "test the gateway's configuration and reload it"
}

func upstreamUnresolved(f Facts) (Cause, bool) {
	c := Cause{Cause: UpstreamUnresolved, Confidence: textOnly, Evidence: f.records(func(r gateway.LogRecord) bool {
		return strings.Contains(r.Message, " could not be resolved (") && r.Upstream == "" || r.Code == "AH00898" && strings.Contains(r.Message, "DNS lookup failure")
	})}
	// nginx says 502 to a name that is not found, Apache 500 or 502.
	if len(c.Evidence) > 0 && (f.lost() || f.Front.Status == 500) {
		c.Confidence = told
	}
	if f.Server.Test != nil && f.Server.PID == 0 && strings.Contains(f.Server.Test.Error(), "host not found in upstream") {
		c.Confidence = 0.97
		c.say(f, "configuration", "%v", f.Server.Test)
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	c.advise("The name after fastcgi_pass or proxy_pass does not resolve. Try it: getent hosts NAME; resolvectl status; cat /etc/resolv.conf. Mend the resolver, or put the address into /etc/hosts or in the name's place (%s), then %s.", cmp.Or(f.Location.File, "the vhost"), f.testAndReload())
	return c, true
}

func wrongProtocol(f Facts) (Cause, bool) {
	c := Cause{Cause: WrongProtocol, Confidence: f.ifLost(), Evidence: f.records(func(r gateway.LogRecord) bool {
		for _, words := range []string{"upstream sent unsupported FastCGI protocol version", "upstream sent unexpected FastCGI re", "upstream sent invalid FastCGI record", "upstream sent no valid HTTP/1.0 header"} {
			if strings.HasPrefix(r.Message, words) {
				return true
			}
		}
		return r.Code == "AH01068" || r.Code == "AH01069" || r.Code == "AH01072"
	})}
	if f.Socket.HTTP {
		c.Confidence = 0.97
		c.say(f, "socket", "an HTTP server answers at %s, not FastCGI", cmp.Or(f.Socket.Asked, f.Socket.Address))
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	c.advise("See who listens at %s: ss -lntxp. The gateway must speak FastCGI to PHP-FPM (nginx: fastcgi_pass, Apache: proxy:fcgi://) and HTTP to web servers (proxy_pass, proxy:http://): correct the address or the directive in %s, then %s.",
		cmp.Or(f.Socket.Asked, f.Socket.Address, "that address"), cmp.Or(f.Location.File, "the vhost"), f.testAndReload())
	return c, true
}

func clientDisallowed(f Facts) (Cause, bool) {
	c := Cause{Cause: ClientDisallowed, Confidence: f.ifLost()}
	for _, l := range f.FPM {
		if strings.HasPrefix(l.Record.Text, "Connection disallowed: IP address") {
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Text))
		}
	}
	if f.Socket.Disallowed {
		c.Confidence = 0.96
		c.say(f, "socket", "listen.allowed_clients = %s leaves out the address that connections from this host to %s come from", f.Socket.Allowed, f.Socket.Address)
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	c.advise("Add the gateway's address to listen.allowed_clients of pool [%s] in %s (for a gateway on this host: listen.allowed_clients = 127.0.0.1, or the address that listen names), then php-fpm -t and systemctl restart %s.",
		f.Pool.Name, f.Pool.File, unit(f.Pool.Unit, "php-fpm"))
	return c, true
}

// accessDenied: a denial of the kernel's alone may concern anything.
func accessDenied(f Facts) (Cause, bool) {
	c := Cause{Cause: AccessDenied, Confidence: 0.4}
	for _, k := range f.Host.Kernel {
		if k.Kind == KernelDenial {
			c.Evidence = append(c.Evidence, evidence(cmp.Or(k.Source, "kernel"), k.Time, k.Text))
		}
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	if refused := f.connectFailures(syscall.EACCES); len(refused) > 0 && f.lost() && !f.Socket.Refused {
		c.Confidence = 0.96 // the modes allow it, the kernel says who did not
		c.Evidence = append(c.Evidence, refused...)
	} else if f.lost() && f.Socket.Dial == nil && !f.Socket.Refused {
		c.Confidence = 0.6
	}
	c.advise("SELinux: ausearch -m avc -ts recent | audit2why says what is missing; usually restorecon -Rv on the site's folder and the socket's, or setsebool -P httpd_can_network_connect 1 for a TCP address. AppArmor: aa-status, then add the path to the profile in /etc/apparmor.d/local/ and apparmor_parser -r the profile. Leave the policy on.")
	return c, true
}
