package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Target is one request as the gateway would see it when it reaches the PHP location.
type Target struct {
	Scheme       string // "http" or "https"
	Host         string // Host header, with a port if it has one
	Method       string
	URI          string // as sent, with the query
	Script       string // "/index.php": the path after try_files and index
	PathInfo     string // what follows the script in the path
	Query        string // without "?"
	Header       http.Header
	ServerAddr   string
	RemoteAddr   string
	ServerPort   int
	DocumentRoot string // "" takes that of the location
	RealRoot     string // DocumentRoot with its links followed, for $realpath_root
}

// remotePort stands for the port of a visitor, which no rule depends on: the first that the system may choose (RFC 6335).
const remotePort = "49152"

// Expand gives the FastCGI parameters that the location sends for t: its own, with nginx' variables replaced, then
// the request's headers. A variable whose value is not certain is an error that names it and the parameter.
func (l PHPLocation) Expand(t Target) (map[string]string, error) {
	if l.Conditional != "" {
		return nil, fmt.Errorf("the parameters of location %s depend on the if at %s", l.Match, l.Conditional)
	}
	if l.Proxy != nil {
		return l.apacheParams(t)
	}
	r := &request{l: l, t: t}
	if err := r.split(); err != nil {
		return nil, err
	}
	v := evaluate(l.Sets, l.Maps, r.variable)
	params := map[string]string{}
	named := map[string]bool{}
	for _, p := range l.Params {
		// A parameter of this name stands in the place of the header, even when it is left out for being empty.
		named[p.Name] = true
		if p.Value == "" && strings.HasPrefix(p.Name, "HTTP_") {
			continue // nginx' way to keep a header from PHP (ngx_http_fastcgi_init_params)
		}
		value, err := expand(p.Value, v.get)
		if err != nil {
			return nil, fmt.Errorf("fastcgi_param %s: %w", p.Name, err)
		}
		if value == "" && p.IfNotEmpty {
			continue
		}
		params[p.Name] = value
	}
	if l.NoHeaders {
		return params, nil
	}
	for name, values := range r.headers() {
		if !named[name] {
			params[name] = values
		}
	}
	return params, nil
}

// request is a Target within a location.
type request struct {
	l                PHPLocation
	t                Target
	script, pathInfo string // $fastcgi_script_name without the index, $fastcgi_path_info
}

func (r *request) uri() string { return r.t.Script + r.t.PathInfo }

// split applies fastcgi_split_path_info (ngx_http_fastcgi_split).
func (r *request) split() error {
	r.script = r.uri()
	if r.l.Split == "" {
		return nil
	}
	re, err := compile(r.l.Split)
	if err != nil {
		return fmt.Errorf("fastcgi_split_path_info %s cannot be read: %w", r.l.Split, err)
	}
	if m := re.FindStringSubmatch(r.uri()); len(m) > 2 {
		r.script, r.pathInfo = m[1], m[2]
	}
	return nil
}

// headers are the request's headers as nginx passes them on: HTTP_NAME. Names with other signs than letters, digits and
// "-" are dropped (ignore_invalid_headers, underscores_in_headers).
func (r *request) headers() map[string]string {
	all := map[string]string{}
	for name, values := range r.t.Header {
		if len(values) == 0 || !headerName.MatchString(name) {
			continue
		}
		separator := ", "
		if strings.EqualFold(name, "Cookie") {
			separator = "; "
		}
		all["HTTP_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = strings.Join(values, separator)
	}
	if r.t.Host != "" {
		all["HTTP_HOST"] = r.t.Host
	}
	return all
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

func (r *request) root() (string, error) {
	if r.t.DocumentRoot != "" {
		return r.t.DocumentRoot, nil
	}
	if r.l.Root != "" {
		return r.l.Root, nil
	}
	return "", errors.New("the document root depends on the request")
}

// filename is $request_filename.
func (r *request) filename() (string, error) {
	root, err := r.root()
	if err != nil {
		return "", err
	}
	if r.l.Alias == "" {
		return root + r.uri(), nil
	}
	rest, ok := strings.CutPrefix(r.uri(), r.l.Alias)
	if !ok {
		return "", fmt.Errorf("%s does not lie below %s, where the alias applies", r.uri(), r.l.Alias)
	}
	return root + rest, nil
}

// variable gives nginx' built-in variables (ngx_http_core_variables and ngx_http_fastcgi_module), for a request
// over HTTP/1.1 without a body.
func (r *request) variable(name string) (string, error) {
	t := r.t
	wrap := func(s string, err error) (string, error) {
		if err != nil {
			return "", unknownVariable{name, err.Error()}
		}
		return s, nil
	}
	switch name {
	case "document_root":
		return wrap(r.root())
	case "realpath_root":
		if t.RealRoot == "" {
			return "", unknownVariable{name, "the real path of the document root was not given"}
		}
		return t.RealRoot, nil
	case "request_filename":
		return wrap(r.filename())
	case "fastcgi_script_name":
		if strings.HasSuffix(r.script, "/") {
			return r.script + r.l.Index, nil
		}
		return r.script, nil
	case "fastcgi_path_info":
		return r.pathInfo, nil
	case "query_string", "args":
		return t.Query, nil
	case "is_args":
		if t.Query != "" {
			return "?", nil
		}
		return "", nil
	case "request_method":
		return t.Method, nil
	case "content_type":
		return t.Header.Get("Content-Type"), nil
	case "content_length":
		return t.Header.Get("Content-Length"), nil
	case "request_uri":
		return t.URI, nil
	case "uri", "document_uri":
		return r.uri(), nil
	case "request":
		return t.Method + " " + t.URI + " HTTP/1.1", nil
	case "server_protocol":
		return "HTTP/1.1", nil
	case "scheme", "request_scheme":
		return t.Scheme, nil
	case "https":
		if t.Scheme == "https" {
			return "on", nil
		}
		return "", nil
	case "http2", "http3":
		return "", nil
	case "remote_addr", "realip_remote_addr":
		return t.RemoteAddr, nil
	case "remote_port", "realip_remote_port":
		return remotePort, nil
	case "remote_user":
		user, _, _ := (&http.Request{Header: t.Header}).BasicAuth()
		return user, nil
	case "server_addr":
		return t.ServerAddr, nil
	case "server_port":
		return strconv.Itoa(t.ServerPort), nil
	case "host":
		return plainHost(t.Host), nil
	case "http_host":
		return t.Host, nil
	case "proxy_add_x_forwarded_for":
		if before := r.headers()["HTTP_X_FORWARDED_FOR"]; before != "" {
			return before + ", " + t.RemoteAddr, nil
		}
		return t.RemoteAddr, nil
	case "request_id":
		// Any will do, as long as no other request has it.
		id := make([]byte, 16)
		_, _ = rand.Read(id) // crypto/rand never fails
		return hex.EncodeToString(id), nil
	}
	return r.family(name)
}

// family gives the variables that are made from parts of the request.
func (r *request) family(name string) (string, error) {
	if header, ok := strings.CutPrefix(name, "http_"); ok {
		return r.headers()["HTTP_"+strings.ToUpper(header)], nil
	}
	if cookie, ok := strings.CutPrefix(name, "cookie_"); ok {
		c, err := (&http.Request{Header: r.t.Header}).Cookie(cookie)
		if err != nil {
			return "", nil
		}
		return c.Value, nil
	}
	if arg, ok := strings.CutPrefix(name, "arg_"); ok {
		for pair := range strings.SplitSeq(r.t.Query, "&") {
			if k, v, _ := strings.Cut(pair, "="); strings.EqualFold(k, arg) {
				return v, nil
			}
		}
		return "", nil
	}
	if strings.HasPrefix(name, "ssl_") && r.t.Scheme == "http" {
		return "", nil
	}
	return "", unknownVariable{name: name}
}
