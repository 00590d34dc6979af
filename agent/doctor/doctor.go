// Package doctor says whether wpmend can do its job on this host: it looks at rights,
// folders, the service, the servers, the sites, their databases, the private copies that
// searches need, clocks, logs and the kernel's limits, and says of each what it saw and
// what to do.
//
// It looks and refuses to mend. Its invariant: nothing of the host is other than before
// when it has ended, and no site's code has run. What it tries for real (a private copy of
// a pool, a connection to a socket or a database) is taken away again.
package doctor

import (
	"context"
	"fmt"
	"os"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/gateway"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/php/process"
)

// State is what a look brought.
type State string

// The states.
const (
	OK      State = "ok"
	Warning State = "warning" // wpmend does its job; something is worse than it could be, or will be
	Problem State = "problem" // wpmend cannot do its job, or a part of it
	Unknown State = "unknown" // it could not be looked at
)

// Finding is one line.
type Finding struct {
	Area  string `json:"area"`
	Check string `json:"check"` // what was looked at; stable
	State State  `json:"state"`
	Text  string `json:"text"` // what was seen; may hold words of others
	Do    string `json:"do"`   // what to do about it; "" if nothing
}

// Report is all of it.
type Report struct {
	State    State     `json:"state"` // the worst; what is unknown counts as a warning
	Problems int       `json:"problems"`
	Warnings int       `json:"warnings"`
	Unknown  int       `json:"unknown"`
	Findings []Finding `json:"findings"`
}

// Options say what is looked at.
type Options struct {
	ConfigFile string
	Load       func() (config.Config, error) // reads it, with what flags say
	State      string                        // the state folder
	Version    string                        // of this wpmend
	Doing      func(string)                  // told before what may take a while; nil: nobody
}

// sheet collects the findings of an area.
type sheet struct {
	area     string
	findings []Finding
}

func (s *sheet) add(state State, check, do, format string, args ...any) {
	s.findings = append(s.findings, Finding{Area: s.area, Check: check, State: state, Text: fmt.Sprintf(format, args...), Do: do})
}

func (s *sheet) ok(check, format string, args ...any) { s.add(OK, check, "", format, args...) }
func (s *sheet) warn(check, do, format string, args ...any) {
	s.add(Warning, check, do, format, args...)
}
func (s *sheet) bad(check, do, format string, args ...any) {
	s.add(Problem, check, do, format, args...)
}
func (s *sheet) unknown(check, do, format string, args ...any) {
	s.add(Unknown, check, do, format, args...)
}

// host is what the looks share.
type host struct {
	Options
	config   config.Config
	configOK bool
	procs    []process.Process
	gateways []gateway.Gateway
	asked    []error // what gateways said, and who was not believed
	masters  []fpm.Master
	read     []error // the same of PHP-FPM
	memory   error   // what was seen earlier cannot be read
	found    site.Host
	excluded []string // roots that the configuration leaves out
	failed   error    // of the discovery
	files    []string // logs that tell of failures
	running  int      // the service's process; 0: it does not run
}

// Examine looks at everything. An error says that it could not even begin.
func Examine(ctx context.Context, o Options) (Report, error) {
	if o.Doing == nil {
		o.Doing = func(string) {}
	}
	h := &host{Options: o}
	var err error
	if h.procs, err = process.List(); err != nil {
		return Report{}, fmt.Errorf("list the processes of this host: %w", err)
	}
	list := rights()
	list = append(list, h.configuration()...)
	list = append(list, h.folders()...)
	o.Doing("asking the gateways and PHP-FPM what they serve")
	h.look(ctx)
	for _, look := range []struct {
		doing string
		do    func(context.Context) []Finding
	}{
		{"", h.service},
		{"", h.api},
		{"testing the gateways' configuration", h.gateway},
		{"testing PHP-FPM's configuration", h.php},
		{"", h.sites},
		{"asking the sites' databases", h.databases},
		{"starting a private copy of a pool", h.search},
		{"", h.logs},
		{"", h.clocks},
		{"", h.limits},
		{"", h.disks},
		{"asking the name server", h.names},
		{"", h.panels},
	} {
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		if look.doing != "" {
			o.Doing(look.doing)
		}
		list = append(list, look.do(ctx)...)
	}
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	return summed(list), nil
}

// lookBound is how long looking at the servers may take.
const lookBound = 2 * time.Minute

// look asks the servers, as the service does.
func (h *host) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookBound)
	defer cancel()
	h.gateways, h.asked = gateway.Discover(ctx, h.procs)
	h.masters, h.read = fpm.Discover(h.procs)
	remembered, err := site.Recall(h.State)
	if err != nil && !os.IsNotExist(err) {
		h.memory = err
	}
	seen := map[string]bool{}
	h.found, h.failed = site.Discover(ctx, remembered, func(root string) bool {
		in := !h.configOK || h.config.Includes(root)
		if !in && !seen[root] {
			seen[root] = true
			h.excluded = append(h.excluded, root)
		}
		return in
	})
}

func summed(list []Finding) Report {
	r := Report{State: OK, Findings: list}
	for _, f := range list {
		switch f.State {
		case Problem:
			r.Problems++
		case Warning:
			r.Warnings++
		case Unknown:
			r.Unknown++
		}
	}
	switch {
	case r.Problems > 0:
		r.State = Problem
	case r.Warnings+r.Unknown > 0:
		r.State = Warning
	}
	return r
}

// few names the first of many, and how many more there are.
func few(list []string, most int) string {
	text := ""
	for i, l := range list {
		if i == most {
			return fmt.Sprintf("%s, and %d more", text, len(list)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += l
	}
	return text
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
