package gateway

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"wpmend/php/fpm"
)

const (
	defaultReadTimeout = 60 * time.Second // ngx_http_fastcgi_merge_loc_conf
	defaultRoot        = "html"           // ngx_http_core_merge_loc_conf, below the prefix
)

// level is what a block of http, server or location hands down to the blocks in it.
type level struct {
	root        string // as written; absolute, but perhaps with variables
	alias       string // path that root stands for, "" for a plain root
	ownAlias    bool   // this block itself has an alias
	aliasRegex  bool   // the alias belongs to an expression: then it is the whole file name
	errorLogs   []string
	accessLogs  []string
	params      []Param
	split       string
	fcgiIndex   string
	index       []string
	noHeaders   bool
	bufferSize  int64
	readTimeout time.Duration
}

// enter is the level of a block: what its own directives say, and the outer level for the rest. Lists replace the
// outer list as a whole.
func (c *reader) enter(outer level, block []*directive) level {
	l := outer
	l.ownAlias = false
	var params []Param
	var errorLogs, accessLogs, index []string
	var hasError, hasAccess bool
	for _, d := range block {
		if d.isBlock {
			continue
		}
		switch d.name {
		case "root", "alias":
			if len(d.args) == 1 {
				l.root, l.ownAlias = c.absolute(d.arg(0)), d.name == "alias"
				l.alias, l.aliasRegex = "", false
				if !l.ownAlias && len(l.root) > 1 {
					l.root = strings.TrimSuffix(l.root, "/")
				}
			}
		case "error_log":
			hasError = true
			errorLogs = c.appendLog(errorLogs, d.arg(0))
		case "access_log":
			hasAccess = true
			if d.arg(0) != "off" {
				accessLogs = c.appendLog(accessLogs, d.arg(0))
			}
		case "fastcgi_param":
			params = append(params, Param{Name: d.arg(0), Value: d.arg(1), IfNotEmpty: d.arg(2) == "if_not_empty"})
		case "fastcgi_split_path_info":
			l.split = d.arg(0)
		case "fastcgi_index":
			l.fcgiIndex = d.arg(0)
		case "fastcgi_pass_request_headers":
			l.noHeaders = d.arg(0) == "off"
		case "index":
			index = append(index, d.args...)
		case "fastcgi_buffer_size":
			if n, ok := parseSize(d.arg(0)); ok {
				l.bufferSize = n
			} else {
				c.problems.add(d.where(), "fastcgi_buffer_size %q is not a size", d.arg(0))
			}
		case "fastcgi_read_timeout":
			if t, ok := parseTime(d.arg(0)); ok {
				l.readTimeout = t
			} else {
				c.problems.add(d.where(), "fastcgi_read_timeout %q is not a time", d.arg(0))
			}
		}
	}
	if params != nil {
		l.params = c.shared(params)
	}
	if hasError {
		l.errorLogs = errorLogs
	}
	if hasAccess {
		l.accessLogs = accessLogs
	}
	if index != nil {
		l.index = index
	}
	return l
}

// shared is one copy of a list that a thousand vhosts include.
func (c *reader) shared(params []Param) []Param {
	var key strings.Builder
	for _, p := range params {
		fmt.Fprintf(&key, "%q %q %t\n", p.Name, p.Value, p.IfNotEmpty)
	}
	known, ok := c.lists[key.String()]
	if !ok {
		known = slices.Clone(params)
		c.lists[key.String()] = known
	}
	return known
}

// absolute completes a path as ngx_conf_full_name does, with the prefix. A path that begins with a variable stands
// for itself.
func (c *reader) absolute(name string) string {
	if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "$") {
		return name
	}
	return strings.TrimSuffix(c.prefix, "/") + "/" + name
}

// appendLog adds a log that is a file. The name "off" is one for error_log, and an old mistake.
func (c *reader) appendLog(to []string, name string) []string {
	for _, other := range []string{"syslog:", "memory:"} {
		if strings.HasPrefix(name, other) {
			return to
		}
	}
	if name == "" || name == "stderr" || strings.Contains(name, "$") {
		return to
	}
	return append(to, path.Clean(c.absolute(name)))
}

// parseSize reads nginx' sizes: bytes, or with k or m, in either case (ngx_parse_size).
func parseSize(s string) (int64, bool) {
	scale := int64(1)
	if s != "" {
		switch s[len(s)-1] {
		case 'k', 'K':
			scale, s = 1<<10, s[:len(s)-1]
		case 'm', 'M':
			scale, s = 1<<20, s[:len(s)-1]
		}
	}
	n, err := strconv.ParseUint(s, 10, 40)
	return int64(n) * scale, err == nil
}

// parseTime reads nginx' times: seconds, or "1h 30m 5s 10ms" and the like (ngx_parse_time).
func parseTime(s string) (time.Duration, bool) {
	units := []struct {
		name string
		is   time.Duration
	}{
		{"ms", time.Millisecond}, {"y", 365 * 24 * time.Hour}, {"M", 30 * 24 * time.Hour}, {"w", 7 * 24 * time.Hour},
		{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"", time.Second},
	}
	if s == "" {
		return 0, false
	}
	var sum time.Duration
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.ParseUint(s[:digits], 10, 31)
		if err != nil {
			return 0, false
		}
		s = s[digits:]
		for _, u := range units {
			rest, ok := strings.CutPrefix(s, u.name)
			if !ok || u.name == "" && s != "" && s[0] != ' ' {
				continue
			}
			if n > uint64((1<<62)/u.is) {
				return 0, false
			}
			sum, s = sum+time.Duration(n)*u.is, strings.TrimLeft(rest, " ")
			digits = -1
			break
		}
		if digits >= 0 || sum < 0 {
			return 0, false
		}
	}
	return sum, true
}

// peer reads one address as fastcgi_pass and upstream's server write them.
func peer(s string, defaultPort string) (fpm.Address, error) {
	if rest, ok := strings.CutPrefix(s, "unix:"); ok {
		return fpm.ParseAddress("unix:" + strings.TrimSuffix(rest, ":"))
	}
	host := s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host = s[:i]
	} else if defaultPort != "" {
		s += ":" + defaultPort
	}
	if host == "" || host == "*" {
		return fpm.ParseAddress(host) // the error: a peer has a host
	}
	return fpm.ParseAddress(s)
}
