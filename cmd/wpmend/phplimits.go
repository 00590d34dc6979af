package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/php/ini"
)

func newPHPLimits(in *invocation) *cobra.Command {
	var sets []string
	var o agent.LimitsOptions
	var undo bool
	c := &cobra.Command{
		Use:   "limits [SITE]",
		Short: "shows the limits of a site as one chain, and sets them",
		Long: `Shows what bounds a request of a site, from PHP to the gateway: each limit, where it
is set, what it overrides, and where two do not fit together, with what a visitor
sees then. With --set a limit is set through the site's .user.ini or a file of
wpmend's own beside the pool's, with all that must follow it, within the ceilings of
the configuration ([limits]); where a control panel writes the pool's file, in the
panel's own way. It is written down before, proven afterwards, and taken back if the
site does not stay as well as it was.`,
		Example: `  wpmend php limits example.com
  wpmend php limits example.com --set max_execution_time=120 --dry-run
  wpmend php limits example.com --set memory_limit=256M --for 24h
  wpmend php limits example.com --undo`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && (len(sets) > 0 || undo) {
				return &usageError{c, errors.New("--set and --undo need a SITE")}
			}
			if len(args) > 1 {
				return &usageError{c, fmt.Errorf("%s does not know what to do with %q", c.CommandPath(), args[1])}
			}
			return nil
		},
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case undo && len(sets) > 0:
			return &usageError{c, errors.New("--undo and --set do not go together")}
		case len(sets) == 0 && (o.For != 0 || o.DryRun || o.Force):
			return &usageError{c, errors.New("--for, --dry-run and --force need --set")}
		case o.For < 0:
			return &usageError{c, fmt.Errorf("--for %s: give a time of more than 0", o.For)}
		}
		if len(args) == 0 {
			return in.allLimits(c)
		}
		var err error
		if o.Set, err = settingsOf(c, sets); err != nil {
			return err
		}
		a, s, err := in.site(c.Context(), args[0])
		if err != nil {
			return err
		}
		switch {
		case undo:
			r, err := a.UndoLimits(c.Context(), s)
			if err != nil {
				return err
			}
			if r.Left > 0 {
				in.code = exitFailed
			}
			return in.show(r, func(p *page) {
				if r.Already {
					p.line("wpmend php limits has set nothing on %s that is still in force.", s.Domain)
				}
				p.changes(r.Changes)
				p.notes(r.Notes)
			})
		case len(sets) > 0:
			r, err := a.SetLimits(c.Context(), s, o)
			if err != nil {
				return err
			}
			return in.show(r, func(p *page) { p.limitsSet(r) })
		}
		r := a.Limits(c.Context(), s)
		return in.show(r, func(p *page) { p.limits(r) })
	}
	flags := c.Flags()
	flags.StringArrayVar(&sets, "set", nil, "set a limit, as `NAME=VALUE`; may be given again")
	flags.DurationVar(&o.For, "for", 0, "take it back after this `TIME`, such as 24h (default: it stays)")
	flags.BoolVar(&o.DryRun, "dry-run", false, "say what would be set, and do nothing")
	flags.BoolVar(&o.Force, "force", false, "end running requests if PHP-FPM must be reloaded for it")
	flags.BoolVar(&undo, "undo", false, "take back what was set by --set")
	return c
}

// allLimits shows the chain of every site.
func (in *invocation) allLimits(c *cobra.Command) error {
	a, err := in.open()
	if err != nil {
		return err
	}
	host, err := a.Discover(c.Context())
	if err != nil {
		return err
	}
	r := struct {
		Sites []agent.LimitsReport `json:"sites"`
		Notes []string             `json:"notes"`
	}{[]agent.LimitsReport{}, append([]string{}, host.Problems...)}
	for _, s := range host.Sites {
		r.Sites = append(r.Sites, a.Limits(c.Context(), s))
	}
	return in.show(r, func(p *page) {
		if len(r.Sites) == 0 {
			p.line("No WordPress site was found behind a running nginx and PHP-FPM.")
		}
		for _, l := range r.Sites {
			p.limits(l)
		}
		p.notes(r.Notes)
	})
}

// settingsOf reads NAME=VALUE.
func settingsOf(c *cobra.Command, sets []string) ([]ini.Setting, error) {
	var settings []ini.Setting
	for _, text := range sets {
		name, value, ok := strings.Cut(text, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" || value == "" {
			return nil, &usageError{c, fmt.Errorf("--set %q: give NAME=VALUE, such as max_execution_time=120", text)}
		}
		if slices.ContainsFunc(settings, func(s ini.Setting) bool { return s.Name == name }) {
			return nil, &usageError{c, fmt.Errorf("--set %s is given twice", name)}
		}
		settings = append(settings, ini.Setting{Name: name, Value: value})
	}
	return settings, nil
}

// barWidth is the longest bar of a chain, in columns.
const barWidth = 40

// limits draws the chain: the times to one scale, the longest over the whole width.
func (p *page) limits(r agent.LimitsReport) {
	p.line("%s, pool %s", r.Site.Domain, cmp.Or(r.Site.Pool, "none"))
	var longest, largest float64
	for _, l := range r.Links {
		longest, largest = max(longest, l.Seconds), max(largest, float64(l.Size))
	}
	rows := [][]string{{"  LIMIT", "IN FORCE", "", "SET AT"}}
	for _, l := range r.Links {
		if l.Set.By == "" {
			continue
		}
		mark := " "
		for _, v := range r.Violations {
			if slices.Contains(v.Links, l.Name) {
				mark = "!"
			}
		}
		part := l.Seconds / max(longest, 1)
		if ini.IsSize(l.Name) {
			part = float64(l.Size) / max(largest, 1)
		}
		bar := strings.Repeat("█", int(part*barWidth+0.5))
		switch {
		case l.Unlimited:
			bar = strings.Repeat("─", barWidth) + "▶"
		case bar == "" && part > 0:
			bar = "▏"
		}
		rows = append(rows, []string{mark + " " + l.Name, l.Words, bar, placeOf(l.Set, l.Locked)})
	}
	p.table(rows)
	for _, l := range r.Links {
		for _, s := range l.Overridden {
			if s.By != ini.BuiltIn {
				p.line("  overridden: %s = %s at %s", l.Name, s.Value, placeOf(s, false))
			}
		}
	}
	for _, v := range r.Violations {
		p.line("! %s do not fit together.", strings.Join(v.Links, " and "))
		p.line("  A visitor sees: %s", v.Sees)
		p.line("  Set: %s", v.Set)
	}
	for _, l := range r.Links {
		if l.Counts != "" && l.Set.By != "" {
			p.line("  %s: %s", l.Name, l.Counts)
		}
	}
	p.notes(r.Notes)
}

// placeOf says where a setting stands and by what it is made.
func placeOf(s ini.Setting, locked bool) string {
	by := cmp.Or(s.As, string(s.By))
	at := s.File
	if s.Line > 0 {
		at = fmt.Sprintf("%s:%d", s.File, s.Line)
	}
	if at != "" {
		by = at + " (" + by + ")"
	}
	if locked {
		by += ", locked"
	}
	return by
}

func (p *page) limitsSet(r agent.LimitsSet) {
	for i, s := range r.Settings {
		word := "Set"
		switch {
		case r.Planned && i > 0:
			word = "Would follow"
		case r.Planned:
			word = "Would set"
		}
		p.line("%s: %s = %s", word, s.Name, s.Value)
	}
	if r.Planned {
		for _, c := range r.Changes {
			p.line("Would do: %s", c.What)
		}
	} else {
		p.changes(r.Changes)
	}
	if !r.Until.IsZero() {
		p.line("It is taken back at %s, where `wpmend run` runs.", r.Until.Local().Format(time.DateTime))
	}
	p.notes(r.Notes)
	p.limits(r.Limits)
}
