package gateway

import (
	"net"
	"strings"
)

// names reads one `server_name`.
func (c *reader) names(d *directive) []string {
	var all []string
	for _, name := range d.args {
		switch {
		case name == "$hostname" && c.hostname != "":
			name = strings.ToLower(c.hostname)
		case strings.HasPrefix(name, "~"):
			if _, err := compile(nameRegex(name)); err != nil {
				c.problems.add(d.where(), "server_name %q matches nothing here: %v", name, err)
			}
		default:
			name = strings.ToLower(name)
		}
		all = append(all, name)
	}
	return all
}

// nameRegex is the expression of a "~…" name. Hosts are in lower case, so nginx ignores the case of an expression
// that has an upper one (ngx_http_core_server_name).
func nameRegex(name string) string {
	expr := strings.TrimPrefix(name, "~")
	if strings.ToLower(expr) != expr {
		return "(?i)" + expr
	}
	return expr
}

// Serves says whether the vhost takes requests for host because of one of its names. Being the default server, or
// called "_", is no name: a site is never found by what nobody else wanted.
func (v Vhost) Serves(host string) bool {
	host = plainHost(host)
	if host == "" || host == "_" {
		return false
	}
	for _, name := range v.Names {
		if nameMatches(name, host) {
			return true
		}
	}
	return false
}

func nameMatches(name, host string) bool {
	switch {
	case name == "":
		return false
	case name[0] == '~':
		re, err := compile(nameRegex(name))
		return err == nil && re.MatchString(host)
	case name[0] == '.':
		return host == name[1:] || properSuffix(host, name)
	case strings.HasPrefix(name, "*."):
		return properSuffix(host, name[1:])
	case strings.HasSuffix(name, ".*"):
		return len(host) >= len(name) && strings.HasPrefix(host, name[:len(name)-1])
	}
	return host == name
}

// isPlainName tells a name that stands for one host from wildcards, expressions and placeholders.
func isPlainName(name string) bool {
	return name != "" && name != "_" && !strings.ContainsAny(name, "*~$") && name[0] != '.'
}

func properSuffix(host, suffix string) bool {
	return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
}

// plainHost is a Host header as nginx compares it: lower case, without port and final dot (ngx_http_validate_host).
func plainHost(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
		if strings.Contains(h, ":") {
			host = "[" + h + "]"
		}
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// LogName is what nginx writes as `server:` into its error log for this vhost: its first name without the dot or the
// "~" in front (ngx_http_core_merge_srv_conf).
func (v Vhost) LogName() string {
	if len(v.Names) == 0 {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(v.Names[0], "~"), ".")
}
