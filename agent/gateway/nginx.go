package gateway

import (
	"fmt"
	"path"
	"strings"
)

// host is what a dump does not say and its server knows all the same.
type host struct {
	prefix     string
	version    string   // of nginx, "" unknown
	hostname   string   // "" unknown
	errorLogs  []string // where the configuration names none
	accessLogs []string
	globals    string // of -g: directives outside of every file
}

// reader makes the vhosts out of a dump.
type reader struct {
	*dump
	host
	upstreams map[string]upstream
	maps      map[string]Map
	lists     map[string][]Param // by what they say
}

// ParseNginx reads what `nginx -T` printed. prefix is the folder that relative paths start from (-p, else the one
// compiled in); relative includes start from the folder of the main file. The error is for a text that is no dump, or
// whose main file cannot be read; what else could not be understood is in Problems.
func ParseNginx(text []byte, prefix string) (Gateway, error) {
	return parseNginx(text, host{prefix: prefix})
}

func parseNginx(text []byte, h host) (Gateway, error) {
	g, _, err := readNginx(text, h)
	return g, err
}

func readNginx(text []byte, h host) (Gateway, *dump, error) {
	d, err := readDump(text)
	if err != nil {
		return Gateway{}, nil, fmt.Errorf("read the nginx configuration: %w", err)
	}
	c := &reader{dump: d, host: h, upstreams: map[string]upstream{}, maps: map[string]Map{}, lists: map[string][]Param{}}
	g := Gateway{Kind: "nginx", Config: d.main.path, Prefix: trimSlash(h.prefix), Version: h.version}
	top, err := d.flatKnown(d.main.body)
	if err != nil {
		return Gateway{}, nil, fmt.Errorf("read the nginx configuration: %w", err)
	}
	outer := level{root: c.absolute(defaultRoot), readTimeout: defaultReadTimeout, errorLogs: h.errorLogs, accessLogs: h.accessLogs}
	outer.errorLogs = c.globalLogs(outer.errorLogs)
	l := c.enter(outer, top)
	// Only error_log means anything here, and http has the rest.
	outer.errorLogs = l.errorLogs
	g.ErrorLogs = l.errorLogs
	for _, b := range top {
		if b.name != "http" || !b.isBlock {
			continue
		}
		if err := c.http(&g, outer, b); err != nil {
			return Gateway{}, nil, fmt.Errorf("read the nginx configuration: %w", err)
		}
	}
	shareListens(g.Vhosts)
	g.LogUsers = logUsers(g.Vhosts)
	g.Problems = c.problems
	return g, d, nil
}

// globalLogs are the error logs of -g, which nginx reads before the files.
func (c *reader) globalLogs(otherwise []string) []string {
	if c.globals == "" {
		return otherwise
	}
	s := &section{path: "-g"}
	x := lexer{text: c.globals, words: map[string]string{}, file: s, line: 1, boundary: -1}
	body, err := x.block(0)
	if err != nil {
		c.problems.add(s.path, "%v", err)
		return otherwise
	}
	all, err := c.flatKnown(body)
	if err != nil {
		return otherwise
	}
	return c.enter(level{errorLogs: otherwise}, all).errorLogs
}

func trimSlash(p string) string {
	if p == "" {
		return ""
	}
	return path.Clean(p)
}

func (c *reader) http(g *Gateway, outer level, b *directive) error {
	block, err := c.flatKnown(b.block)
	if err != nil {
		return err
	}
	l := c.enter(outer, block)
	for _, d := range block {
		if !d.isBlock {
			continue
		}
		switch d.name {
		case "upstream":
			c.upstream(d)
		case "map":
			c.mapping(d)
		}
	}
	for _, d := range block {
		if d.name != "server" || !d.isBlock {
			continue
		}
		v, err := c.server(l, d)
		if err != nil {
			if c.budget < 0 {
				return err
			}
			c.problems.add(d.where(), "this server is left out: %v", err)
			continue
		}
		g.Vhosts = append(g.Vhosts, v)
	}
	return nil
}

// server reads one vhost.
func (c *reader) server(outer level, b *directive) (Vhost, error) {
	block, err := c.flat(b.block)
	if err != nil {
		return Vhost{}, err
	}
	l := c.enter(outer, block)
	v := Vhost{ErrorLogs: l.errorLogs, AccessLogs: l.accessLogs, Index: l.index, File: b.file.path, Line: b.line}
	legacyTLS := false
	for _, d := range block {
		switch {
		case d.isBlock:
		case d.name == "server_name":
			v.Names = append(v.Names, c.names(d)...)
		case d.name == "listen":
			v.Listens = append(v.Listens, c.listen(d)...)
		case d.name == "ssl":
			legacyTLS = d.arg(0) == "on" // until nginx 1.25.0
		case d.name == "try_files":
			v.TryFiles = d.args
		case v.Returns == "" && (d.name == "return" || redirectsAll(d)):
			v.Returns = strings.Join(d.args, " ")
		}
	}
	if v.Listens == nil && !hasListen(block) {
		// nginx' default for a master that is root (ngx_http_core_server).
		v.Listens = []Listen{{Port: 80}}
	}
	for i := range v.Listens {
		v.Listens[i].TLS = v.Listens[i].TLS || legacyTLS
	}
	s := scope{reader: c, vhost: &v, sets: append(c.given(&v), c.sets(block)...)}
	if err := s.locations(&v.Locations, l, block, place{}); err != nil {
		return Vhost{}, err
	}
	v.Root = cleanRoot(s.resolve(l.root, b.where(), "root"))
	if v.Returns != "" {
		// No request of this vhost gets to a location.
		v.PHP = nil
		withoutPHP(v.Locations)
	}
	return v, nil
}

// redirectsAll recognises the older way to send a whole vhost elsewhere: rewrite ^ https://… permanent.
func redirectsAll(d *directive) bool {
	if d.name != "rewrite" || len(d.args) < 2 {
		return false
	}
	switch d.args[0] {
	case "^", "^/", "^.*", "^.*$", "^(.*)", "^(.*)$", "^/(.*)", "^/(.*)$", ".*", "(.*)":
	default:
		return false
	}
	flag, to := d.arg(2), d.args[1]
	return flag == "permanent" || flag == "redirect" ||
		strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://") || strings.HasPrefix(to, "$scheme")
}

func withoutPHP(all []Location) {
	for i := range all {
		all[i].PHP = -1
		withoutPHP(all[i].Inner)
	}
}

func hasListen(block []*directive) bool {
	for _, d := range block {
		if d.name == "listen" && !d.isBlock {
			return true
		}
	}
	return false
}

// cleanRoot is a root without the doubled slashes and dots that nginx would hand on; links are not followed.
func cleanRoot(root string) string {
	if !strings.HasPrefix(root, "/") {
		return ""
	}
	return path.Clean(root)
}
