package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newBisect(in *invocation) *cobra.Command {
	var o agent.BisectOptions
	c := &cobra.Command{
		Use:   "bisect SITE",
		Short: "finds the plugins at fault, in a private copy of the pool",
		Long: `Searches for the fewest plugins whose absence makes the URL answer well. The
questions are asked of a private copy of the site's PHP pool in which plugins are
masked: visitors notice nothing, and no file and no option of the site changes.
--method rename asks the live site instead, by renaming plugin folders (journalled,
put back); --fix switches the culprits off afterwards and verifies the site.`,
		Example: "  wpmend bisect example.com\n  wpmend bisect example.com --url /checkout/ --fix",
		Args:    takes("SITE"),
		RunE: func(c *cobra.Command, args []string) error {
			switch o.Method {
			case agent.MethodAuto, agent.MethodShadow, agent.MethodRename:
			default:
				return &usageError{c, fmt.Errorf("--method %q: choose auto, shadow or rename", o.Method)}
			}
			a, s, err := in.site(c.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := a.Bisect(c.Context(), s, o)
			if err != nil {
				return err
			}
			in.code = bisectCode(r, o.Fix)
			return in.show(r, func(p *page) { p.bisect(r) })
		},
	}
	c.Flags().StringVar(&o.URL, "url", "", "`URL` or path of the site to ask (default: its front page)")
	c.Flags().StringVar(&o.Method, "method", agent.MethodAuto, "auto, shadow or rename")
	c.Flags().BoolVar(&o.Fix, "fix", false, "switch the culprits off and verify the site")
	return c
}

func (p *page) bisect(r agent.BisectReport) {
	p.line("%s: %s", r.Site.Domain, r.Finding)
	p.culprits(r.Culprits)
	p.line("%d of %d plugins at fault; %d questions, %d repeated, %d rounds, %.1f s; changes to the live site: %d",
		len(r.Culprits), r.Components, r.Probes, r.Repeats, r.Rounds, r.Seconds, r.LiveChanges)
	p.changes(r.Changes)
	if r.Fixed {
		p.line("The live site answers well again.")
	} else if len(r.Culprits) > 0 && len(r.Changes) == 0 {
		var ids []string
		for _, c := range r.Culprits {
			ids = append(ids, c.Component)
		}
		p.line("Nothing was changed. To switch off %s: wpmend bisect %s --fix", strings.Join(ids, " and "), r.Site.Domain)
	}
	p.notes(r.Notes)
}
