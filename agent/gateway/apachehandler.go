package gateway

import (
	"slices"
	"strings"
	"time"
)

// apacheHost is one server while its rules are made.
type apacheHost struct {
	*apacheReader
	server apacheServer
	vhost  *Vhost
}

// rule makes the rules of one directive.
func (h apacheHost) rule(s apacheSection) []Rule {
	d := s.d
	r := Rule{Kind: d.name, Args: d.args, Match: s.match, PHP: NoPHP, Unknown: s.unknown, File: d.file, Line: d.line}
	if len(d.args) == 0 {
		return nil
	}
	switch d.name {
	case "sethandler":
		if hasPrefixFold(d.args[0], "expr=") || strings.Contains(d.args[0], "%{") {
			r.Unknown = "an expression at " + d.where()
			return []Rule{r}
		}
		r.PHP = h.handler(d, d.args[0])
		return []Rule{r}
	case "addhandler", "addtype":
		r.PHP = h.handler(d, d.args[0])
		return perExtension(r, d.args[1:])
	case "removehandler":
		r.Kind = "addhandler"
		return perExtension(r, d.args)
	case "proxypass", "proxypassmatch":
		return h.proxyPass(r, s)
	case "rewriterule":
		return h.rewrite(r)
	case "setenv":
		r.Args = []string{d.args[0], d.arg(1)}
		return []Rule{r}
	case "proxyfcgisetenvif":
		r.Args = []string{d.args[0], d.arg(1), d.arg(2)}
		return []Rule{r}
	case "php_admin_flag", "php_flag", "php_admin_value", "php_value":
		if !strings.EqualFold(d.args[0], "engine") {
			return nil
		}
		r.Kind, r.Args = "engine", []string{"on"}
		switch strings.ToLower(d.arg(1)) {
		case "off", "0", "false", "no", "":
			r.Args = []string{"off"}
		}
		return []Rule{r}
	}
	return []Rule{r}
}

// perExtension: of the many types of a server only those matter that could concern a script.
func perExtension(r Rule, extensions []string) []Rule {
	var all []Rule
	for _, ext := range extensions {
		ext = strings.ToLower(strings.TrimPrefix(ext, "."))
		if r.PHP == NoPHP && !strings.HasPrefix(ext, "ph") {
			continue
		}
		one := r
		one.Args = r.Args[:1]
		one.Match = append(slices.Clip(r.Match), Match{Of: "file", Kind: "ext", Text: ext})
		all = append(all, one)
	}
	return all
}

// handler says what a handler's name leads to: a pool, PHP within Apache (php_handler of PHP's sapi_apache2.c), or
// nothing that matters here.
func (h apacheHost) handler(d *apacheDirective, name string) int {
	if to, ok := strings.CutPrefix(name, "proxy:"); ok {
		return h.location(d, to, Proxy{}, nil)
	}
	switch strings.ToLower(name) {
	case "application/x-httpd-php", "php-script", "php7-script", "php5-script":
		if h.run.php() {
			return ModPHP
		}
	}
	return NoPHP
}

// location adds a PHP location for a backend, NoPHP if that is none.
func (h apacheHost) location(d *apacheDirective, to string, p Proxy, options []string) int {
	peer, target, ok, err := backend(to)
	if !ok {
		if !hasPrefixFold(to, "balancer:") {
			return NoPHP
		}
		target = to
	}
	p.Target, p.Software, p.Admin, p.Name, p.Port = target, h.software, h.server.admin, h.server.name, h.server.port
	if p.Admin == "" {
		p.Admin = "[no address given]" // DEFAULT_ADMIN
	}
	l := PHPLocation{Match: d.name + " " + strings.Join(d.args, " "), Root: h.vhost.Root, Proxy: &p, BufferSize: apacheHeader,
		ReadTimeout: h.timeout(to, options), ErrorLogs: h.vhost.ErrorLogs, File: d.file, Line: d.line}
	switch {
	case err != nil:
		l.Unknown = err.Error()
	case !ok:
		l.Unknown = "which member of " + to + " takes a request is the balancer's choice"
	default:
		l.Peers = append(l.Peers, peer)
	}
	if l.Unknown != "" {
		h.problems.add(d.where(), "%s: %s", d.name, l.Unknown)
	}
	h.vhost.PHP = append(h.vhost.PHP, l)
	return len(h.vhost.PHP) - 1
}

// timeout is the worker's own, else ProxyTimeout, else Timeout.
func (h apacheHost) timeout(to string, options []string) (t time.Duration) {
	if t, ok := timeoutOption(options); ok {
		return t
	}
	for url, t := range h.timeouts {
		if url == to || url == "proxy:"+to {
			return t
		}
	}
	if h.server.proxyTimeout > 0 {
		return h.server.proxyTimeout
	}
	return h.server.timeout
}

// proxyPass reads `ProxyPass [PATH] URL|! [OPTION…]`; within <Location> the path is the section's.
func (h apacheHost) proxyPass(r Rule, s apacheSection) []Rule {
	d := s.d
	p := Proxy{Regex: d.name == "proxypassmatch"}
	args := d.args
	r.Kind = "proxypass"
	if i := len(s.match) - 1; s.phase != inServer && i >= 0 && s.match[i].Of == "path" {
		p.Pattern, p.Regex = s.match[i].Text, s.match[i].Kind == "~"
	} else {
		if len(args) < 2 {
			return nil
		}
		p.Pattern, args = args[0], args[1:]
		kind := "prefix"
		if p.Regex {
			kind = "~"
		}
		r.Match = append(slices.Clip(r.Match), Match{Of: "path", Kind: kind, Text: p.Pattern})
	}
	r.Args = args[:1]
	if args[0] != "!" {
		r.PHP = h.location(d, args[0], p, args[1:])
	}
	return []Rule{r}
}

// rewrite knows a RewriteRule only well enough to say that it proxies ([P]) and where that cannot be told.
func (h apacheHost) rewrite(r Rule) []Rule {
	if len(r.Args) < 3 {
		return nil
	}
	to := strings.TrimPrefix(r.Args[1], "proxy:")
	_, flags, ok := strings.Cut(r.Args[2], "[")
	if _, _, php, _ := backend(to); !ok || !php {
		return nil
	}
	for f := range strings.SplitSeq(strings.Trim(strings.ToLower(flags), "[]"), ",") {
		if f = strings.TrimSpace(f); f == "p" || f == "proxy" {
			r.Kind, r.Unknown = "proxypass", "its conditions"
			r.Match = append(slices.Clip(r.Match), Match{Of: "path", Kind: "~", Text: r.Args[0]})
			return []Rule{r}
		}
	}
	return nil
}
