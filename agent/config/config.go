// Package config knows wpmend's settings: their schema, their defaults and how a
// TOML file may change them. It knows nothing of what the settings do.
//
// Its invariant: a Config that Load returns is complete and valid; a file with an
// unknown key, a wrong type or a value out of range is refused as a whole, with
// its file and line.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// DefaultFile is read when no --config is given; it may be absent.
const DefaultFile = "/etc/wpmend/wpmend.toml"

// Duration is a time.Duration written as "10s" or "5m" in TOML.
type Duration time.Duration

// UnmarshalText reads a Go duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"10s\" or \"5m\"", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the duration as it is read.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Config is everything an administrator can set.
type Config struct {
	// Only limits wpmend to sites whose root lies in one of these folders; empty means all.
	Only []string `toml:"only" json:"only"`
	// Mode says what the service may do by itself.
	Mode Mode `toml:"mode" json:"mode"`
	// Protected components are never switched off by wpmend itself; see [Config.Protects].
	Protected []string `toml:"protected" json:"protected"`
	// QuietHours are times in which the service changes nothing by itself; see [Config.Quiet].
	QuietHours []Hours `toml:"quiet" json:"quiet"`

	Watch   Watch   `toml:"watch" json:"watch"`
	Probe   Probe   `toml:"probe" json:"probe"`
	Search  Search  `toml:"search" json:"search"`
	Budget  Budget  `toml:"budget" json:"budget"`
	Gateway Gateway `toml:"gateway" json:"gateway"`
	Limits  Limits  `toml:"limits" json:"limits"`
	Edge    Edge    `toml:"edge" json:"edge"`
	FPM     []FPM   `toml:"fpm" json:"fpm"`

	// Owners and Sites are the sections for some sites only; see [Config.Of].
	Owners []Owner `toml:"-" json:"-"`
	Sites  []Site  `toml:"-" json:"-"`
}

// Mode is what the service does about an incident.
type Mode string

// The modes: repair; find out what would repair it and say so; look and report only.
const (
	Heal    Mode = "heal"
	Suggest Mode = "suggest"
	Observe Mode = "observe"
)

// Watch is the schedule of `wpmend run`.
type Watch struct {
	// Every is the time between two scheduled probes of one site.
	Every Duration `toml:"every" json:"every"`
	// Discover is the time between two discoveries of the host's sites.
	Discover Duration `toml:"discover" json:"discover"`
	// Incidents is how many sites are healed side by side.
	Incidents int `toml:"incidents" json:"incidents"`
}

// Probe bounds one request.
type Probe struct {
	// Timeout is the longest a front probe waits for an answer.
	Timeout Duration `toml:"timeout" json:"timeout"`
	// Body is the most that is read of an answer, in bytes.
	Body int `toml:"body" json:"body"`
	// Verify is how many healthy answers in a row prove a repair.
	Verify int `toml:"verify" json:"verify"`
}

// Search says how components are searched and switched off.
type Search struct {
	// Outgoing says whether the site's own requests to other hosts leave a private
	// copy of its pool: a plugin that hangs in one is found only if they do.
	Outgoing Outgoing `toml:"outgoing" json:"outgoing"`
	// Fix is how plugins at fault are switched off.
	Fix Fix `toml:"fix" json:"fix"`
}

// Outgoing is a policy for the site's own outgoing requests.
type Outgoing string

// The policies.
const (
	AllowOutgoing Outgoing = "allow"
	HoldOutgoing  Outgoing = "hold"
)

// Fix is a way to switch a plugin off.
type Fix string

// The ways: rename its folder, or take it off the lists in the database.
const (
	RenameFix     Fix = "rename"
	DeactivateFix Fix = "deactivate"
)

// Budget bounds the changes an hour; past it wpmend watches and escalates.
type Budget struct {
	Site int `toml:"site" json:"site"`
	// Pool is that of all sites of one PHP-FPM pool together.
	Pool int `toml:"pool" json:"pool"`
	Host int `toml:"host" json:"host"`
	// Master is how often one PHP-FPM master may be reloaded or restarted.
	Master int `toml:"master" json:"master"`
	// Requests is how many running requests of other sites such a reload or restart may end.
	Requests int `toml:"requests" json:"requests"`
	// Patience is how long it waits for a moment when no more are running.
	Patience Duration `toml:"patience" json:"patience"`
}

// FPM tells what a running master's title cannot: how to start it again when no
// unit owns it.
type FPM struct {
	// Config is the master's php-fpm.conf, as its title shows it.
	Config string `toml:"config" json:"config"`
	// Args are its further arguments, such as "-c", "/etc/php.ini".
	Args []string `toml:"args" json:"args"`
}

// Default is the configuration without any file.
func Default() Config {
	return Config{
		Only: []string{}, Mode: Heal, Protected: []string{}, QuietHours: []Hours{}, FPM: []FPM{},
		Watch:  Watch{Every: Duration(10 * time.Second), Discover: Duration(time.Minute), Incidents: 2},
		Probe:  Probe{Timeout: Duration(30 * time.Second), Body: 2 << 20, Verify: 5},
		Search: Search{Outgoing: AllowOutgoing, Fix: RenameFix},
		Budget: Budget{Site: 4, Pool: 8, Host: 20, Master: 2, Patience: Duration(20 * time.Second)},
		Limits: defaultLimits(),
		Edge:   Edge{Ask: true},
	}
}

// Error is a fault in a configuration file.
type Error struct {
	File string
	Line int // 0: the file as a whole
	Msg  string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// Load reads file over the defaults. A missing file is an error unless it is
// DefaultFile. What is wrong with a file is an *Error.
func Load(file string) (Config, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && file == DefaultFile {
		return Default(), nil
	}
	if err != nil {
		return Config{}, &Error{File: file, Msg: fmt.Sprintf("cannot read: %v", err)}
	}
	return Parse(file, string(text))
}

// Parse reads text, which came from file, over the defaults.
func Parse(file, text string) (Config, error) {
	c := Default()
	meta, err := toml.Decode(text, &c)
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return Config{}, &Error{File: file, Line: parse.Position.Line, Msg: parse.Message}
	}
	if err != nil {
		return Config{}, typeError(file, strings.TrimPrefix(err.Error(), "toml: "))
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		key := unknown[0]
		return Config{}, &Error{File: file, Line: keyLine(text, key), Msg: fmt.Sprintf("unknown key %q", key.String())}
	}
	if where, msg := c.fault(); msg != "" {
		return Config{}, &Error{File: file, Line: keyLine(text, toml.Key{where}), Msg: msg}
	}
	return c, nil
}

// typeError takes the place out of the library's text for a wrong type, which
// carries it as "line 2 (last key "a.b"): …" only.
func typeError(file, msg string) *Error {
	var line int
	if _, err := fmt.Sscanf(msg, "line %d (last key", &line); err != nil {
		return &Error{File: file, Msg: msg}
	}
	if _, rest, found := strings.Cut(msg, "): "); found {
		msg = rest
	}
	return &Error{File: file, Line: line, Msg: msg}
}

// fault names the first key whose value is out of range.
func (c Config) fault() (key, msg string) {
	for _, dir := range c.Only {
		if !filepath.IsAbs(dir) {
			return "only", fmt.Sprintf("only: %q must be an absolute folder", dir)
		}
	}
	for _, f := range c.FPM {
		if !filepath.IsAbs(f.Config) {
			return "config", fmt.Sprintf("fpm.config: %q must be an absolute path", f.Config)
		}
	}
	if c.Mode != Heal && c.Mode != Suggest && c.Mode != Observe {
		return "mode", fmt.Sprintf("mode: %q is neither \"heal\" nor \"suggest\" nor \"observe\"", c.Mode)
	}
	if c.Search.Outgoing != AllowOutgoing && c.Search.Outgoing != HoldOutgoing {
		return "outgoing", fmt.Sprintf("outgoing: %q is neither \"allow\" nor \"hold\"", c.Search.Outgoing)
	}
	if c.Search.Fix != RenameFix && c.Search.Fix != DeactivateFix {
		return "fix", fmt.Sprintf("fix: %q is neither \"rename\" nor \"deactivate\"", c.Search.Fix)
	}
	if key, msg := c.Edge.fault(); msg != "" {
		return key, msg
	}
	for _, id := range c.Protected {
		if err := protectable(id); err != nil {
			return "protected", "protected: " + err.Error()
		}
	}
	if key, msg := c.Limits.fault(); msg != "" {
		return key, msg
	}
	for _, b := range []struct {
		key      string
		v        time.Duration
		min, max time.Duration
	}{
		{"every", time.Duration(c.Watch.Every), time.Second, 24 * time.Hour},
		{"discover", time.Duration(c.Watch.Discover), time.Second, 24 * time.Hour},
		{"timeout", time.Duration(c.Probe.Timeout), time.Second, 10 * time.Minute},
		{"patience", time.Duration(c.Budget.Patience), 0, time.Minute},
	} {
		if b.v < b.min || b.v > b.max {
			return b.key, fmt.Sprintf("%s: %s is not between %s and %s", b.key, b.v, b.min, b.max)
		}
	}
	for _, b := range []struct {
		key         string
		v, min, max int
	}{
		{"incidents", c.Watch.Incidents, 1, 64},
		{"body", c.Probe.Body, 64 << 10, 64 << 20},
		{"verify", c.Probe.Verify, 1, 100},
		{"site", c.Budget.Site, 0, 1000},
		{"pool", c.Budget.Pool, 0, 10000},
		{"host", c.Budget.Host, 0, 10000},
		{"master", c.Budget.Master, 0, 1000},
		{"requests", c.Budget.Requests, 0, 10000},
	} {
		if b.v < b.min || b.v > b.max {
			return b.key, fmt.Sprintf("%s: %d is not between %d and %d", b.key, b.v, b.min, b.max)
		}
	}
	return "", ""
}

// keyLine finds where the last part of key is set, since the TOML library tells
// positions of syntax errors only; 0 when the place is not certain.
func keyLine(text string, key toml.Key) int {
	last := key[len(key)-1]
	for i, line := range strings.Split(text, "\n") {
		name, _, found := strings.Cut(line, "=")
		if !found {
			name = strings.Trim(strings.TrimSpace(line), "[]")
		}
		if parts := strings.Split(strings.TrimSpace(name), "."); strings.Trim(parts[len(parts)-1], `"' `) == last {
			return i + 1
		}
	}
	return 0
}

// Includes reports whether the site at root is within Only.
func (c Config) Includes(root string) bool {
	if len(c.Only) == 0 {
		return true
	}
	for _, dir := range c.Only {
		dir = filepath.Clean(dir)
		if root == dir || strings.HasPrefix(root, strings.TrimSuffix(dir, "/")+"/") {
			return true
		}
	}
	return false
}
