package main

import (
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newPHPControl(in *invocation, restart bool) *cobra.Command {
	o := agent.ControlOptions{Restart: restart}
	c := &cobra.Command{
		Use:   "reload SITE|POOL|MASTER",
		Short: "lets PHP-FPM read its configuration again, with new workers",
		Long: `Reloads the master of PHP-FPM that serves a site or pool, for all of its pools. Its
configuration is tested first; running requests may finish where
process_control_timeout lets them, and are not ended otherwise: wpmend waits for a
quiet moment then, and gives up without one unless --force is given.`,
		Example: "  wpmend php reload example.com --dry-run\n  wpmend php reload php8.2-fpm.service",
		Args:    takes("SITE|POOL|MASTER"),
	}
	if restart {
		c.Use, c.Short = "restart SITE|POOL|MASTER", "ends PHP-FPM and starts it again"
		c.Long = `Restarts the master of PHP-FPM that serves a site or pool, for all of its pools: for
what a reload does not do, such as new sockets. Its configuration is tested first.
What waits in its queues and what comes meanwhile fails; running requests may finish
where process_control_timeout lets them.`
		c.Example = "  wpmend php restart example.com --dry-run\n  wpmend php restart www"
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		a, err := in.open()
		if err != nil {
			return err
		}
		host, err := a.Discover(c.Context())
		if err != nil {
			return err
		}
		m, sites, err := agent.MasterOf(host, args[0])
		if err != nil {
			return err
		}
		r, err := a.Control(c.Context(), m, sites, o)
		if err != nil {
			return err
		}
		return in.show(r, func(p *page) { p.control(r) })
	}
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what it would cost, and do nothing")
	c.Flags().BoolVar(&o.Force, "force", false, "end running requests, no matter how many")
	return c
}

func (p *page) control(r agent.ControlReport) {
	if r.Planned {
		p.line("Would do: %s", r.Change.What)
	} else {
		p.line("Done: %s", r.Change.What)
	}
	p.line("  It serves: %s", strings.Join(r.Sites, ", "))
	if r.Cost.Lost > 0 && r.Planned {
		p.line("  %d requests would fail.", r.Cost.Lost)
	}
	for _, d := range r.Did {
		p.line("  %s", d)
	}
}
