package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Proxy is what Apache's mod_proxy_fcgi sends of itself.
type Proxy struct {
	Target   string  // URL that SCRIPT_FILENAME begins with: "fcgi://localhost"
	Pattern  string  `json:",omitempty"` // what ProxyPass takes (a prefix) or ProxyPassMatch (an expression); "" for a handler
	Regex    bool    `json:",omitempty"` // Pattern is an expression
	Generic  bool    `json:",omitempty"` // ProxyFCGIBackendType GENERIC: SCRIPT_FILENAME is the bare path
	Fixups   []Param `json:",omitempty"` // ProxyFCGISetEnvIf that holds always
	Software string  // SERVER_SOFTWARE
	Admin    string  // ServerAdmin
	Name     string  // ServerName
	Port     int     `json:",omitempty"` // of ServerName
}

// apacheParams is Expand for Apache: what mod_proxy_fcgi sends (send_environment, ap_add_common_vars, ap_add_cgi_vars),
// less what no rule of PHP depends on: PATH, SERVER_SIGNATURE, and what SetEnvIf and RewriteRule [E=] put in.
func (l PHPLocation) apacheParams(t Target) (map[string]string, error) {
	root := t.DocumentRoot
	if root == "" {
		root = l.Root
	}
	script, pathInfo := t.Script, t.PathInfo
	if l.Proxy.Pattern != "" { // a ProxyPass does not look at the disk, so nobody has found the script's end
		script, pathInfo = script+pathInfo, ""
	}
	filename, err := l.scriptFilename(root, t.Script, t.PathInfo)
	if err != nil {
		return nil, err
	}
	p := map[string]string{}
	set := func(name, value string) { p[name] = value }
	for _, e := range l.Params {
		set(e.Name, e.Value)
	}
	for name, values := range t.Header {
		if name := apacheHeaderName(name); name != "" && len(values) > 0 {
			set(name, strings.Join(values, separator(name)))
		}
	}
	set("HTTP_HOST", t.Host)
	set("SERVER_SOFTWARE", l.Proxy.Software)
	set("SERVER_NAME", l.serverName(t))
	set("SERVER_ADDR", t.ServerAddr)
	set("SERVER_PORT", l.serverPort(t))
	set("SERVER_ADMIN", l.Proxy.Admin)
	set("REMOTE_ADDR", t.RemoteAddr)
	set("REMOTE_PORT", remotePort)
	set("DOCUMENT_ROOT", root)
	set("CONTEXT_PREFIX", "")
	set("CONTEXT_DOCUMENT_ROOT", root)
	set("REQUEST_SCHEME", t.Scheme)
	set("SCRIPT_FILENAME", filename)
	set("GATEWAY_INTERFACE", "CGI/1.1")
	set("SERVER_PROTOCOL", "HTTP/1.1")
	set("REQUEST_METHOD", t.Method)
	set("QUERY_STRING", t.Query)
	set("REQUEST_URI", t.URI)
	set("SCRIPT_NAME", script)
	if pathInfo != "" {
		set("PATH_INFO", pathInfo)
		set("PATH_TRANSLATED", root+pathInfo)
	}
	if t.Scheme == "https" {
		set("HTTPS", "on")
	}
	l.redirected(t, set)
	for _, e := range l.Proxy.Fixups {
		set(e.Name, e.Value)
	}
	return p, nil
}

func separator(name string) string {
	if name == "HTTP_COOKIE" {
		return "; "
	}
	return ", "
}

// apacheHeaderName is the variable of a header (http2env); credentials, "Proxy" and names with other signs than letters,
// digits and "-" are kept back.
func apacheHeaderName(header string) string {
	switch http.CanonicalHeaderKey(header) {
	case "Content-Type":
		return "CONTENT_TYPE"
	case "Content-Length":
		return "CONTENT_LENGTH"
	case "Authorization", "Proxy-Authorization", "Proxy", "Host":
		return ""
	}
	if !headerName.MatchString(header) {
		return ""
	}
	return "HTTP_" + strings.ToUpper(strings.ReplaceAll(header, "-", "_"))
}

// scriptFilename is r->filename when it is sent: the URL that the request is proxied to. FPM takes "proxy:fcgi://HOST"
// off (init_request_info in fpm_main.c).
func (l PHPLocation) scriptFilename(root, script, pathInfo string) (string, error) {
	file := root + script
	begin := l.Proxy.Target
	if pattern := l.Proxy.Pattern; pattern != "" {
		uri := script + pathInfo
		switch {
		case l.Proxy.Regex:
			hit, groups := capture("~", pattern, uri)
			if hit != yes {
				return "", fmt.Errorf("whether ProxyPassMatch %s takes %s is not known", pattern, uri)
			}
			found := substitute(begin, groups)
			if found == begin { // without a $ the whole path follows (ap_proxy_trans_match)
				found += uri
			}
			begin, file = splitTarget(found)
		default:
			begin, file = splitTarget(begin + uri[min(len(pattern), len(uri)):])
		}
		file = canonEncode(file)
	}
	if l.Proxy.Generic {
		return file, nil
	}
	return "proxy:" + begin + file, nil
}

// splitTarget divides "fcgi://host:port/path" before the path.
func splitTarget(s string) (host, path string) {
	const scheme = "fcgi://"
	i := strings.IndexByte(strings.TrimPrefix(s, scheme), '/')
	if i < 0 {
		return s, "/"
	}
	return s[:len(scheme)+i], s[len(scheme)+i:]
}

// substitute fills in $0 to $9 and & (ap_pregsub).
func substitute(text string, groups []string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		n := -1
		switch {
		case c == '&':
			n = 0
		case c == '$' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
			i++
			n = int(text[i] - '0')
		case c == '\\' && i+1 < len(text) && (text[i+1] == '$' || text[i+1] == '&'):
			i++
			c = text[i]
		}
		if n < 0 {
			b.WriteByte(c)
		} else if n < len(groups) {
			b.WriteString(groups[n])
		}
	}
	return b.String()
}

// canonEncode writes a path as ap_proxy_canonenc does.
func canonEncode(p string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(p) {
		c := p[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("$-_.+!*'(),:;@&=/~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// serverName and serverPort are ap_get_server_name_for_url and ap_get_server_port with UseCanonicalName Off, the
// default: the client's own words.
func (l PHPLocation) serverName(t Target) string {
	if host := plainHost(t.Host); host != "" {
		return host
	}
	return l.Proxy.Name
}

func (l PHPLocation) serverPort(t Target) string {
	if _, port, err := net.SplitHostPort(t.Host); err == nil && port != "" {
		return port
	}
	switch {
	case l.Proxy.Port != 0:
		return strconv.Itoa(l.Proxy.Port)
	case t.Scheme == "https":
		return "443"
	}
	return "80"
}

// redirected adds what an internal redirect leaves behind (ap_internal_redirect, rename_original_env): mod_rewrite goes
// on that way from .htaccess, a folder's index file does not.
func (l PHPLocation) redirected(t Target, set func(name, value string)) {
	uri, _, _ := strings.Cut(t.URI, "?")
	if plain, err := url.PathUnescape(uri); err == nil {
		uri = plain
	}
	if uri == t.Script+t.PathInfo || strings.HasSuffix(uri, "/") && uri == strings.TrimSuffix(path.Dir(t.Script), "/")+"/" {
		return
	}
	set("REDIRECT_STATUS", "200")
	set("REDIRECT_URL", uri)
	if t.Query != "" {
		set("REDIRECT_QUERY_STRING", t.Query)
	}
	for _, e := range l.Params {
		set("REDIRECT_"+e.Name, e.Value)
	}
}

// setEnv gives the location the variables that the rules set for one script.
func (l *PHPLocation) setEnv(d decision) {
	l.Params = nil
	proxy := *l.Proxy
	l.Proxy = &proxy
	for name, value := range d.env {
		l.Params = append(l.Params, Param{Name: name, Value: value})
	}
	slices.SortFunc(l.Params, func(a, b Param) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range d.fixups {
		always := strings.EqualFold(strings.Trim(r.Args[0], "()"), "true")
		if !always || strings.ContainsAny(r.Args[2], "%$") || strings.HasPrefix(r.Args[1], "!") {
			l.Conditional = fmt.Sprintf("%s:%d", r.File, r.Line)
			continue
		}
		proxy.Fixups = append(proxy.Fixups, Param{Name: r.Args[1], Value: r.Args[2]})
	}
	backend, typed := d.last["proxyfcgibackendtype"]
	proxy.Generic = typed && strings.EqualFold(backend.Args[0], "generic")
}
