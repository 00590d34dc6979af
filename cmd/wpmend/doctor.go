package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/doctor"
)

func newDoctor(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "says whether wpmend can do its job on this host, and what to do where not",
		Long: `Looks at all that wpmend depends on: its rights and folders, its configuration and its
service, the gateways and PHP-FPM with their configuration, the sites that it finds and those that
it leaves out, their databases, the private copies that searches need (one is started and ended
again), logs, clocks, the kernel's limits, disks and names. What is not well is said with what to
do about it. Nothing is changed, and no code of a site runs.

Exit status 3: there is a problem; warnings alone are 0.`,
		Example: `  wpmend doctor
  wpmend doctor --json | jq -r '.findings[] | select(.state == "problem") | .text + "\n  " + .do'
  wpmend --only /srv/www doctor`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return &needsRoot{}
			}
			r, err := doctor.Examine(c.Context(), doctor.Options{ConfigFile: in.configFile, Load: in.load, State: in.state, Version: version, Doing: in.examining()})
			if err != nil {
				return err
			}
			if r.State == doctor.Problem {
				in.code = exitUnhealthy
			}
			return in.show(r, func(p *page) { p.doctor(r) })
		},
	}
}

// examining shows what takes a while, to a terminal alone: the answer itself says the rest.
func (in *invocation) examining() func(string) {
	show := in.progress()
	if show == nil || in.clear == nil {
		return nil
	}
	return func(doing string) {
		show(agent.Progress{Site: agent.SiteRef{Domain: "this host"}, Doing: doing})
	}
}

func (p *page) doctor(r doctor.Report) {
	area := ""
	for _, f := range r.Findings {
		if f.Area != area {
			area = f.Area
			p.line("%s", strings.ToUpper(area[:1])+area[1:])
		}
		word := map[doctor.State]string{doctor.OK: "  ok      ", doctor.Warning: "  WARNING ", doctor.Problem: "  PROBLEM ", doctor.Unknown: "  unknown "}[f.State]
		p.wrapped(word, strings.Repeat(" ", len(word)), f.Check+": "+f.Text)
		if f.Do != "" {
			p.wrapped(strings.Repeat(" ", len(word))+"→ ", strings.Repeat(" ", len(word)+2), f.Do)
		}
	}
	p.line("")
	switch {
	case r.Problems > 0:
		p.line("wpmend CANNOT do all of its job here: %s. First of all:", sums(r))
		for _, f := range r.Findings {
			if f.State == doctor.Problem {
				p.wrapped("  "+f.Check+" → ", "    ", f.Do)
			}
		}
	case r.Warnings+r.Unknown > 0:
		p.line("wpmend can do its job here: %s.", sums(r))
	default:
		p.line("wpmend can do its job here; all is well.")
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func sums(r doctor.Report) string {
	var parts []string
	for _, s := range []struct {
		n    int
		what string
	}{{r.Problems, "problem"}, {r.Warnings, "warning"}} {
		if s.n > 0 {
			parts = append(parts, counted(s.n, s.what))
		}
	}
	if r.Unknown > 0 {
		parts = append(parts, fmt.Sprintf("%d unknown", r.Unknown))
	}
	return strings.Join(parts, ", ")
}

// wide is how long a line of the doctor's gets; what has no blanks is longer.
const wide = 110

// wrapped writes text in lines, the first with its own beginning.
func (p *page) wrapped(first, others, text string) {
	line := ""
	for _, word := range strings.Fields(printable(text)) {
		switch {
		case line == "":
			line = first + word
		case len([]rune(line))+1+len([]rune(word)) > wide:
			p.line("%s", line)
			line = others + word
		default:
			line += " " + word
		}
	}
	p.line("%s", line)
}
