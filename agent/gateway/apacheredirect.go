package gateway

import (
	"slices"
	"strings"
)

// apacheRedirect notices that a vhost sends every request elsewhere: `Redirect / https://…`, and the RewriteRule that
// certbot and panels write for the same.
type apacheRedirect struct {
	to        string // as written; "" none
	plainOnly bool   // %{HTTPS} off: not over TLS
	names     []string
	rewriting bool
	// Of the RewriteConds before the next RewriteRule:
	plain, other bool
	only         []string // %{SERVER_NAME} =…
}

func (r *apacheRedirect) read(d *apacheDirective) {
	if r.to != "" {
		return
	}
	args := d.args
	switch d.name {
	case "rewriteengine":
		r.rewriting = strings.EqualFold(d.arg(0), "on")
	case "rewritecond":
		name, equal := strings.CutPrefix(d.arg(1), "=")
		switch subject := strings.ToUpper(d.arg(0)); {
		case subject == "%{HTTPS}" && strings.EqualFold(strings.Trim(d.arg(1), "^=$"), "off") || subject == "%{HTTPS}" && d.arg(1) == "!=on":
			r.plain = true
		case subject == "%{SERVER_NAME}" && equal:
			r.only = append(r.only, strings.ToLower(name))
		default:
			r.other = true
		}
	case "rewriterule":
		if r.rewriting && !r.other && everything(d.arg(0)) && strings.Contains(d.arg(1), "://") && redirectFlag(d.arg(2)) {
			r.to, r.plainOnly, r.names = strings.Join(args, " "), r.plain, r.only
		}
		r.plain, r.other, r.only = false, false, nil
	case "redirect", "redirectmatch", "redirectpermanent", "redirecttemp":
		if len(args) == 3 {
			args = args[1:] // the first is the status
		}
		if len(args) == 2 && (args[0] == "/" && d.name != "redirectmatch" || everything(args[0]) && d.name == "redirectmatch") {
			r.to = strings.Join(d.args, " ")
		}
	}
}

// of is where a vhost of these names redirects all requests to, "" if it does not.
func (r apacheRedirect) of(names []string, tls bool) string {
	if r.plainOnly && tls {
		return ""
	}
	for _, name := range names {
		if r.names != nil && !slices.Contains(r.names, name) {
			return ""
		}
	}
	return r.to
}

func everything(pattern string) bool {
	switch pattern {
	case "^", "^/", "^.*", "^.*$", "^(.*)", "^(.*)$", "^/(.*)", "^/(.*)$", "^/?(.*)", "^/?(.*)$", ".*", "(.*)":
		return true
	}
	return false
}

func redirectFlag(flags string) bool {
	for f := range strings.SplitSeq(strings.Trim(flags, "[]"), ",") {
		f = strings.ToLower(strings.TrimSpace(f))
		if f == "r" || f == "redirect" || strings.HasPrefix(f, "r=3") || strings.HasPrefix(f, "redirect=3") || f == "r=permanent" ||
			f == "redirect=permanent" {
			return true
		}
	}
	return false
}
