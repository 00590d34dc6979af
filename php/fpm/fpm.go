// Package fpm knows PHP-FPM: which masters run, what their configuration says, how one is tested and started, and how
// a private copy of one pool is run beside the live one. It refuses to know sites, components and gateways, and it
// decides nothing: whoever calls it says what to start.
//
// Invariants: a master counts only if its process speaks for the host and its configuration belongs to root; one that
// runs is touched by nothing but Reload, Restart, Renew and EndWorker, and never made to read a configuration that fails
// its own test; what a private copy started ends with it, with its owner, or at the latest with [CleanPrivates].
package fpm

import (
	"path/filepath"
	"strings"
	"time"

	"wpmend/php"
	"wpmend/php/process"
)

// Directive is one line of configuration as FPM takes it.
type Directive struct {
	// Key is in lower case, since FPM does not care; what is in brackets stays: env[HOME], php_admin_value[error_log].
	Key string `json:"key"`
	// Value has its quotes removed and $pool filled in. Words that PHP's ini parser turns into booleans are turned here
	// too: on, yes and true are "1"; off, no, false, none and null are "". Constants and ${VARIABLES} stay as written.
	Value string `json:"value"`
	// Raw is the value as written, "" where that is the same as Value: only it survives a second reading unchanged.
	Raw  string `json:"raw,omitempty"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Pool is one pool with all its directives, in order; later ones win. Sections of the same name are one pool.
type Pool struct {
	Name       string      `json:"name"`
	Directives []Directive `json:"directives"`
}

// Master is an FPM master process, or what is remembered of one, and the configuration that it runs.
type Master struct {
	Process  process.Process `json:"process,omitzero"`    // zero: it does not run
	Binary   string          `json:"binary"`              // absolute path
	Config   string          `json:"config"`              // absolute path of php-fpm.conf
	Prefix   string          `json:"prefix,omitempty"`    // what relative paths start at; "" where nothing needed it
	Args     []string        `json:"args,omitempty"`      // known arguments besides -y and daemonize: -c, -d, -n, -p, -e
	Unit     string          `json:"unit,omitempty"`      // systemd unit, "" if none
	Env      []string        `json:"env,omitempty"`       // NAME=VALUE of its unit, as far as known
	Global   []Directive     `json:"global,omitempty"`    // the [global] section
	Pools    []Pool          `json:"pools,omitempty"`     // in the order of the configuration
	ErrorLog string          `json:"error_log,omitempty"` // absolute path; "" for syslog or unknown
}

// Get is the value of the directive of that key that is in force: the last one, of php_value[…] and its like the first.
func (p Pool) Get(key string) (value string, ok bool) { return get(p.Directives, key) }

// Flag says whether a boolean directive is on; ok is false where it is not set.
func (p Pool) Flag(key string) (on, ok bool) {
	v, ok := p.Get(key)
	return v == "1", ok
}

// Duration is the time that a directive gives, 0 where it is unset or no time.
func (p Pool) Duration(key string) time.Duration {
	v, _ := p.Get(key)
	d, err := php.ParseDuration(v)
	if err != nil {
		return 0
	}
	return d
}

// Listen is where the pool takes requests; zero where it says nothing usable.
func (p Pool) Listen() Address {
	v, ok := p.Get("listen")
	if !ok {
		return Address{}
	}
	a, err := ParseAddress(v)
	if err != nil {
		return Address{}
	}
	return a
}

// Pool finds a pool by name; FPM does not care about its case.
func (m Master) Pool(name string) (Pool, bool) {
	for _, p := range m.Pools {
		if strings.EqualFold(p.Name, name) {
			return p, true
		}
	}
	return Pool{}, false
}

// get takes the last of several, but the first of those with brackets: FPM keeps them in a list from the last to the
// first (fpm_conf_set_array), goes through it and so ends with the first. Seen on php-fpm8.2.
func get(directives []Directive, key string) (string, bool) {
	key = canonical(key)
	if strings.Contains(key, "[") {
		for _, d := range directives {
			if d.Key == key {
				return d.Value, true
			}
		}
		return "", false
	}
	for i := len(directives) - 1; i >= 0; i-- {
		if directives[i].Key == key {
			return directives[i].Value, true
		}
	}
	return "", false
}

// canonical lowers what FPM compares without case and leaves what stands in brackets.
func canonical(key string) string {
	base, sub, found := strings.Cut(key, "[")
	if !found {
		return strings.ToLower(key)
	}
	return strings.ToLower(base) + "[" + sub
}

// errorLog is the master's own log. Unset or relative paths depend on how the binary was built (PHP_LOCALSTATEDIR).
func errorLog(global []Directive) string {
	v, _ := get(global, "error_log")
	if !filepath.IsAbs(v) {
		return ""
	}
	return filepath.Clean(v)
}
