// Package config knows wpmend's settings: their schema, their defaults and how a
// TOML file may change them. It knows nothing of what the settings do.
//
// Its invariant: a Config that Load returns is complete and valid; a file with an
// unknown key, a wrong type or a value out of range is refused as a whole, with
// its file and line.
package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// DefaultFile is read when no --config is given; it may be absent.
const DefaultFile = "/etc/wpmend/wpmend.toml"

// Duration is a time.Duration written as "10s" or "5m" in TOML.
type Duration time.Duration

// UnmarshalText reads a Go duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%s is not a duration such as \"10s\" or \"5m\"", quoted(string(text)))
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the duration as it is read.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String leaves out what is zero: "5m", where time.Duration says "5m0s".
func (d Duration) String() string {
	text := time.Duration(d).String()
	if short, cut := strings.CutSuffix(text, "m0s"); cut {
		text = short + "m"
	}
	if short, cut := strings.CutSuffix(text, "h0m"); cut {
		text = short + "h"
	}
	return text
}

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
	API     API     `toml:"api" json:"api"`
	FPM     []FPM   `toml:"fpm" json:"fpm"`

	// Owners and Sites are the sections for some sites only; see [Config.Of].
	Owners []Owner `toml:"owner" json:"owners"`
	Sites  []Site  `toml:"site" json:"sites"`

	// Files are those it was read from, in their order.
	Files []string `toml:"-" json:"-"`

	applied []setting // over the defaults, in their order
	fpmAt   Origin
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
	// Rate is how many scheduled probes there are at most in a second, of all sites together: with many sites the time
	// between two of one grows.
	Rate int `toml:"rate" json:"rate"`
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
	// Flaps is how often a site may fail and be well again within an hour before it is left alone; 0: as often as it does.
	Flaps int `toml:"flaps" json:"flaps"`
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
		Only: []string{}, Mode: Heal, Protected: []string{}, QuietHours: []Hours{}, FPM: []FPM{}, Owners: []Owner{}, Sites: []Site{},
		Watch:  Watch{Every: Duration(10 * time.Second), Rate: 2, Discover: Duration(time.Minute), Incidents: 2},
		Probe:  Probe{Timeout: Duration(30 * time.Second), Body: 2 << 20, Verify: 5},
		Search: Search{Outgoing: AllowOutgoing, Fix: RenameFix},
		Budget: Budget{Site: 4, Pool: 8, Host: 20, Flaps: 6, Master: 2, Patience: Duration(20 * time.Second)},
		Limits: defaultLimits(),
		Edge:   Edge{Ask: true},
		API:    defaultAPI(),
	}
}

// Error is a fault in a configuration file.
type Error struct {
	File   string
	Line   int // 0: the file as a whole
	Msg    string
	Remedy string // a command that may help, or ""

	missing bool
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
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
