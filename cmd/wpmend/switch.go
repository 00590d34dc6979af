package main

import (
	"context"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/site"
)

func newDisable(in *invocation) *cobra.Command {
	return in.newSwitch(&cobra.Command{
		Use:   "disable SITE COMPONENT",
		Short: "switches one component off",
		Long: `Renames the component out of WordPress' sight, written down with its undo before
it happens. COMPONENT is an id such as plugin:akismet.`,
		Example: "  wpmend disable example.com plugin:akismet",
	}, (*agent.Agent).Disable)
}

func newEnable(in *invocation) *cobra.Command {
	return in.newSwitch(&cobra.Command{
		Use:   "enable SITE COMPONENT",
		Short: "switches a component on again",
		Long: `Undoes the change that switched the component off. A plugin that was active is
active again, even if wp-admin dropped it from the list meanwhile.`,
		Example: "  wpmend enable example.com plugin:akismet",
	}, (*agent.Agent).Enable)
}

func (in *invocation) newSwitch(c *cobra.Command, do func(*agent.Agent, context.Context, site.Site, string) (agent.SwitchReport, error)) *cobra.Command {
	c.Args = takes("SITE", "COMPONENT")
	c.RunE = func(c *cobra.Command, args []string) error {
		a, s, err := in.site(c.Context(), args[0])
		if err != nil {
			return err
		}
		r, err := do(a, c.Context(), s, args[1])
		if err != nil {
			return err
		}
		return in.show(r, func(p *page) {
			p.changes(r.Changes)
			p.notes(r.Notes)
		})
	}
	return c
}
