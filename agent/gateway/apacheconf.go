package gateway

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// apacheReader turns the directives of one server into a Gateway.
type apacheReader struct {
	run      apacheRun
	problems problems
	software string
	listens  []Listen
	https    map[int]bool             // ports of which Listen says that they speak https
	named    map[vhostAddress]bool    // addresses that a <VirtualHost> names
	timeouts map[string]time.Duration // of <Proxy URL> ProxySet timeout=
}

// apacheServer is what the main server has and vhosts inherit.
type apacheServer struct {
	root, admin, name      string
	port                   int
	errorLogs, accessLogs  []string
	index                  []string
	timeout, proxyTimeout  time.Duration
	sections               []apacheSection // directives with what encloses them
	tls, tlsSet, certified bool
	proxyProtocol          bool
	aliases                []string
	redirect               apacheRedirect
}

// parseApache builds the Gateway from the directives. software is the server's own name and version.
func parseApache(top []*apacheDirective, run apacheRun, software string) Gateway {
	c := &apacheReader{run: run, software: software, https: map[int]bool{}, named: map[vhostAddress]bool{},
		timeouts: map[string]time.Duration{}}
	g := Gateway{Kind: "apache", Config: run.main, Prefix: run.root, Version: parseVersion(software), User: run.user, Group: run.group}
	base := apacheServer{root: trimSlash(run.docRoot), timeout: apacheTimeout, index: []string{"index.html"}}
	base.errorLogs = c.logFile(run.errorLog)
	var hosts []*apacheDirective
	for _, d := range top {
		switch {
		case d.name == "listen" && !d.section:
			c.listen(d)
		case d.name == "servertokens" && !d.section:
			c.software = tokens(software, d.arg(0))
		case d.name == "proxy" && d.section:
			c.worker(d)
		case d.name == "virtualhost" && d.section:
			hosts = append(hosts, d)
		}
	}
	c.exact(hosts)
	c.server(&base, top)
	g.ErrorLogs = base.errorLogs
	taken := map[Listen]bool{}
	for _, d := range hosts {
		g.Vhosts = append(g.Vhosts, c.vhost(base, d, taken))
	}
	if v := c.mainHost(base, top, taken); len(v.Listens) > 0 {
		g.Vhosts = append(g.Vhosts, v)
	}
	g.Problems = c.problems
	g.LogUsers = logUsers(g.Vhosts)
	return g
}

// tokens cuts the server's name as ServerTokens has it (ap_get_server_banner). What modules add to the full one is
// not known.
func tokens(software, level string) string {
	name, rest, _ := strings.Cut(software, "/")
	version, _, _ := strings.Cut(rest, " ")
	numbers := strings.Split(version, ".")
	switch strings.ToLower(level) {
	case "prod", "productonly":
		return name
	case "major":
		return name + "/" + numbers[0]
	case "minor":
		return name + "/" + strings.Join(numbers[:min(2, len(numbers))], ".")
	case "min", "minimal":
		return name + "/" + version
	}
	return software
}

// file completes a name by ServerRoot, as ap_server_root_relative does.
func (c *apacheReader) file(name string) string {
	if !strings.HasPrefix(name, "/") {
		name = c.run.root + "/" + name
	}
	return path.Clean(name)
}

// logFile is a log's path; none for pipes, syslog and other providers.
func (c *apacheReader) logFile(name string) []string {
	if name == "" || name[0] == '|' || name == "/dev/null" || name == "syslog" || strings.HasPrefix(name, "syslog:") ||
		name == "systemd" || name == "journald" {
		return nil
	}
	return []string{c.file(name)}
}

// server reads the directives of the main server or of one vhost into s, which holds what it inherits.
func (c *apacheReader) server(s *apacheServer, body []*apacheDirective) {
	var access []string
	for _, d := range body {
		if d.section {
			continue
		}
		switch d.name {
		case "documentroot":
			s.root = trimSlash(c.file(d.arg(0)))
		case "virtualdocumentroot", "virtualdocumentrootip":
			s.root = ""
			c.problems.add(d.where(), "%s: the document root depends on the request", d.name)
		case "servername":
			s.name, s.port = serverName(d.arg(0))
		case "serveralias":
			s.aliases = append(s.aliases, d.args...)
		case "serveradmin":
			s.admin = d.arg(0)
		case "errorlog":
			s.errorLogs = c.logFile(d.arg(0))
		case "customlog", "transferlog":
			access = append(access, c.logFile(d.arg(0))...)
		case "directoryindex":
			s.index = d.args
		case "timeout":
			if t, ok := apacheSeconds(d.arg(0)); ok {
				s.timeout = t
			}
		case "proxytimeout":
			if t, ok := apacheSeconds(d.arg(0)); ok {
				s.proxyTimeout = t
			}
		case "sslengine":
			s.tlsSet, s.tls = true, !strings.EqualFold(d.arg(0), "off")
		case "sslcertificatefile":
			s.certified = true
		case "remoteipproxyprotocol":
			s.proxyProtocol = strings.EqualFold(d.arg(0), "on")
		}
		s.redirect.read(d)
	}
	if access != nil {
		s.accessLogs = access
	}
	s.sections = append(slices.Clip(s.sections), c.sections(body, apacheSection{})...)
}

// serverName reads "[scheme://]name[:port]".
func serverName(s string) (name string, port int) {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s = rest
	}
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		if n, err := strconv.ParseUint(s[i+1:], 10, 16); err == nil {
			return strings.ToLower(s[:i]), int(n)
		}
	}
	return strings.ToLower(s), 0
}

// worker reads the timeout of <Proxy "URL">.
func (c *apacheReader) worker(d *apacheDirective) {
	for _, b := range d.body {
		if b.name == "proxyset" {
			if t, ok := timeoutOption(b.args); ok {
				c.timeouts[d.arg(0)] = t
			}
		}
	}
}

func timeoutOption(args []string) (time.Duration, bool) {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "timeout="); ok {
			return apacheSeconds(v)
		}
	}
	return 0, false
}

func (c *apacheReader) vhost(base apacheServer, d *apacheDirective, taken map[Listen]bool) Vhost {
	s := base
	s.name, s.port, s.aliases, s.redirect = "", 0, nil, apacheRedirect{}
	s.tls, s.tlsSet, s.certified = false, false, false
	c.server(&s, d.body)
	v := c.host(s, d)
	for _, address := range d.args {
		v.Listens = append(v.Listens, c.addresses(s, address, taken, d)...)
	}
	return v
}

// mainHost is the main server, which answers where no <VirtualHost> has the address.
func (c *apacheReader) mainHost(s apacheServer, top []*apacheDirective, taken map[Listen]bool) Vhost {
	at := &apacheDirective{name: "server", file: c.run.main}
	for _, d := range top {
		if d.name == "documentroot" {
			at = d
		}
	}
	v := c.host(s, at)
	for _, l := range c.listens {
		if !taken[l] {
			l.Default = true
			v.Listens = append(v.Listens, c.secured(s, l))
		}
	}
	return v
}

func (c *apacheReader) host(s apacheServer, d *apacheDirective) Vhost {
	v := Vhost{Root: cleanRoot(s.root), ErrorLogs: s.errorLogs, AccessLogs: s.accessLogs, Index: s.index,
		File: d.file, Line: d.line}
	if s.name != "" {
		v.Names = append(v.Names, s.name)
	}
	for _, alias := range s.aliases {
		if name := apacheAlias(alias); name != "" {
			v.Names = append(v.Names, name)
		}
	}
	v.Rules = []Rule{}
	if v.Returns = s.redirect.of(v.Names, s.tls); v.Returns != "" {
		return v
	}
	c.rules(&v, s)
	v.ModPHP = v.RunsModPHP("/index.php")
	if v.ModPHP && (c.run.has("mpm_itk_module") || c.run.has("ruid2_module")) {
		// These choose the user for each request, and not only by vhost.
		v.ModPHP = false
		c.problems.add(d.where(), "whom its PHP runs as depends on mpm_itk or mod_ruid2, which is not known here")
	}
	return v
}

// apacheAlias is a ServerAlias in the words of Vhost.Names; wildcards in other places than at the begin or the end are
// an expression there. What takes every host is no name.
func apacheAlias(alias string) string {
	alias = strings.ToLower(alias)
	if strings.Trim(alias, "*") == "" {
		return ""
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(alias, "*."), ".*")
	if !strings.ContainsAny(inner, "*?") && (!strings.HasPrefix(alias, "*.") || !strings.HasSuffix(alias, ".*")) {
		return alias
	}
	return "~" + strings.TrimPrefix(glob(strings.ReplaceAll(alias, "[", `[[]`), false).String(), "(?s)")
}
