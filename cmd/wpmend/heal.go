package main

import (
	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newHeal(in *invocation) *cobra.Command {
	var o agent.HealOptions
	c := &cobra.Command{
		Use:   "heal SITE",
		Short: "checks, searches, mends and verifies one site",
		Long: `Handles one incident from its symptom to its end: confirms that the site fails,
gathers evidence, searches for the component at fault if one is suspected, takes
the remedy, and proves by several answers that the site is well. What did not help
is undone; what could not be fixed is left exactly as found.`,
		Example: "  wpmend heal example.com\n  wpmend heal example.com --dry-run",
		Args:    takes("SITE"),
		RunE: func(c *cobra.Command, args []string) error {
			a, s, err := in.site(c.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := a.Heal(c.Context(), s, o)
			if err != nil {
				return err
			}
			in.code = healCode(r)
			return in.show(r, func(p *page) { p.heal(r) })
		},
	}
	c.Flags().StringArrayVar(&o.URLs, "url", nil, "`URL` or path of the site to ask, may be given again (default: its front page, then what the logs say failed)")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would be done, and do nothing")
	return c
}

func (p *page) heal(r agent.HealReport) {
	switch r.State {
	case agent.StateHealthy:
		p.line("%s is healthy: there is nothing to mend.", r.Site.Domain)
	case agent.StateTransient:
		p.line("%s failed for a moment and answers well again: nothing was changed.", r.Site.Domain)
	case agent.StateResolved:
		p.line("%s answers well again, after %.1f s.", r.Site.Domain, r.Seconds)
	case agent.StatePlanned:
		p.line("%s is failing: %s. Nothing was changed (dry run).", r.Site.Domain, string(r.Outcome))
	case agent.StateEscalated:
		if len(r.Left) > 0 {
			p.line("%s is failing: %s, and it is NOT as found: what was done could not be taken back. See below, then run: wpmend recover", r.Site.Domain, string(r.Outcome))
		} else {
			p.line("%s is failing: %s. wpmend cannot mend it and left it as found; a person must act.", r.Site.Domain, string(r.Outcome))
		}
	}
	if r.FromLog {
		p.line("Asked was %s, which failed lately by the gateway's log; the front page is well.", r.URL)
	}
	for _, c := range r.Left {
		p.line("Still in effect: %s", c.What)
		if c.From != "" {
			p.line("  %s → %s", c.From, c.To)
		}
	}
	p.causesWith(r.Causes, r.State != agent.StateResolved)
	p.culprits(r.Culprits)
	for _, c := range r.Changes {
		if r.State == agent.StatePlanned {
			p.line("Would do: %s", c.What)
		}
	}
	if r.State != agent.StatePlanned {
		p.changes(r.Changes)
	}
	for _, a := range r.Advice {
		p.line("To do: %s", a)
	}
	if r.Incident != "" {
		p.line("Incident %s: wpmend incidents show %s", r.Incident, r.Incident)
	}
	p.notes(r.Notes)
}
