package ini

import (
	"slices"
	"time"
)

// The links of the chain, by the names that they are set by; the last two have other names in every server.
const (
	MaxExecution = "max_execution_time"
	MaxInput     = "max_input_time"
	Memory       = "memory_limit"
	PostMax      = "post_max_size"
	UploadMax    = "upload_max_filesize"
	Slowlog      = "request_slowlog_timeout"
	Terminate    = "request_terminate_timeout"
	Control      = "process_control_timeout"
	Gateway      = "gateway_read_timeout" // nginx' fastcgi_read_timeout, Apache's ProxyTimeout or Timeout
	Outer        = "outer_timeout"        // of a proxy or CDN in front of the gateway
)

// names are the links in the order in which a request meets their ends.
var names = []string{Slowlog, MaxExecution, MaxInput, Terminate, Gateway, Outer, Control, Memory, UploadMax, PostMax}

// Names lists the links.
func Names() []string { return slices.Clone(names) }

// Layer is the place that a setting is made at.
type Layer string

// The layers, from the weakest to the strongest as far as they are about one setting. A value by php_admin_value, by
// PHP_ADMIN_VALUE or in a [PATH=…] or [HOST=…] of php.ini locks its setting: .user.ini and ini_set() are refused then.
// The gateway's PHP_VALUE gets past php_admin_value, since FPM does not look whether it may (fpm_php_apply_defines_ex).
const (
	BuiltIn     Layer = "built in"
	PHPINI      Layer = "php.ini"         // and the files of its scan folder; the last one wins
	CommandLine Layer = "command line"    // -d of the master
	PoolValue   Layer = "php_value"       // of the pool; the first one wins
	PoolAdmin   Layer = "php_admin_value" // of the pool; the first one wins
	ParamValue  Layer = "PHP_VALUE"       // sent by the gateway
	ParamAdmin  Layer = "PHP_ADMIN_VALUE" // the same
	Section     Layer = "php.ini section" // [PATH=…], [HOST=…]
	UserINI     Layer = ".user.ini"       // the document root's first
	Script      Layer = "ini_set"         // in wp-config.php
	WordPress   Layer = "WordPress"       // WP_MEMORY_LIMIT: it only ever raises
	Directive   Layer = "pool"            // FPM's own directives; the last one wins
	Server      Layer = "gateway"         // the gateway's configuration
	Proxy       Layer = "proxy"           // what stands in front of it
)

var layers = []Layer{BuiltIn, PHPINI, CommandLine, PoolValue, PoolAdmin, ParamValue, ParamAdmin, Section, UserINI, Script, WordPress, Directive, Server, Proxy}

// Setting is one value for one link, and where it stands.
type Setting struct {
	Name  string `json:"name"` // of the link
	Value string `json:"value"`
	By    Layer  `json:"by"`
	As    string `json:"as,omitempty"` // how it is called there, where that is not Name: "fastcgi_read_timeout"
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"`
	// Computed says that Value is what is written, and what PHP makes of it is not known.
	Computed bool `json:"computed,omitempty"`
}

// Link is one limit as it is in force.
type Link struct {
	Name string  `json:"name"`
	Set  Setting `json:"set"` // which wins; zero where nothing is known
	// Known says that what is in force could be read as an amount: Time or Bytes, unless Unlimited.
	Known     bool          `json:"known"`
	Unlimited bool          `json:"unlimited"`
	Time      time.Duration `json:"-"`
	Bytes     int64         `json:"-"`
	// Overridden are settings that do not count, the weakest first.
	Overridden []Setting `json:"overridden"`
	// Locked says that .user.ini and ini_set() are refused.
	Locked bool `json:"locked"`
}

// IsSize says that the link is an amount of bytes, not of time.
func IsSize(name string) bool { return name == Memory || name == PostMax || name == UploadMax }

// IsPHP says that the link is a setting of PHP's own, which a .user.ini may hold.
func IsPHP(name string) bool { return IsSize(name) || name == MaxExecution || name == MaxInput }

// amount is the link's limit in its smallest unit; ok is false where it is unknown or there is none.
func (l Link) amount() (n int64, ok bool) {
	if !l.Known || l.Unlimited {
		return 0, false
	}
	if IsSize(l.Name) {
		return l.Bytes, true
	}
	return int64(l.Time), true
}

// Find gives a link of a chain; one that is not there is unknown.
func Find(chain []Link, name string) Link {
	for _, l := range chain {
		if l.Name == name {
			return l
		}
	}
	return Link{Name: name}
}

// Chain says of every link which of the settings PHP, FPM and the servers take. Settings of one layer stand in the
// order in which they are read. A link that nothing sets is there too, unknown.
func Chain(settings []Setting) []Link {
	chain := make([]Link, 0, len(names))
	for _, name := range names {
		var own []Setting
		for _, s := range settings {
			if s.Name == name {
				own = append(own, s)
			}
		}
		chain = append(chain, decide(name, own))
	}
	for i := range chain {
		// -1 is "as max_execution_time" (main.c, php_request_startup).
		if l := &chain[i]; l.Name == MaxInput && l.Known && l.Set.Value == "-1" {
			of := Find(chain, MaxExecution)
			l.Known, l.Unlimited, l.Time = of.Known, of.Unlimited, of.Time
		}
	}
	return chain
}

// decide finds the setting that wins.
func decide(name string, settings []Setting) Link {
	l := Link{Name: name, Overridden: []Setting{}}
	for _, layer := range layers {
		var here []Setting
		for _, s := range settings {
			if s.By == layer {
				here = append(here, s)
			}
		}
		if layer == PoolValue || layer == PoolAdmin {
			slices.Reverse(here)
		}
		for _, s := range here {
			l.meet(s)
		}
	}
	return l
}

// meet lets a setting win, or be overridden.
func (l *Link) meet(s Setting) {
	next := Link{Name: l.Name, Set: s}
	next.read()
	refused := l.Locked && (s.By == UserINI || s.By == Script || s.By == WordPress)
	if refused || s.By == WordPress && !raises(next, *l) {
		l.Overridden = append(l.Overridden, s)
		return
	}
	if l.Set.By != "" {
		l.Overridden = append(l.Overridden, l.Set)
	}
	l.Set, l.Known, l.Unlimited, l.Time, l.Bytes = s, next.Known, next.Unlimited, next.Time, next.Bytes
	l.Locked = l.Locked || s.By == PoolAdmin || s.By == ParamAdmin || s.By == Section
}

// raises is what WordPress asks before it sets memory_limit (wp_raise_memory_limit, wp_initial_constants).
func raises(next, now Link) bool {
	return next.Known && now.Known && !now.Unlimited && (next.Unlimited || next.Bytes > now.Bytes)
}
