package main

import (
	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newSites(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:     "sites",
		Short:   "lists the WordPress sites of this host",
		Long:    "Asks the running gateways and PHP-FPM masters which WordPress sites they serve.",
		Example: "  wpmend sites\n  wpmend sites --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := in.open()
			if err != nil {
				return err
			}
			host, err := a.Discover(c.Context())
			if err != nil {
				return err
			}
			report := agent.Sites(host)
			return in.show(report, func(p *page) {
				if len(report.Sites) == 0 {
					p.line("No WordPress site was found behind a running nginx and PHP-FPM.")
				} else {
					rows := [][]string{{"SITE", "ID", "OWNER", "POOL", "GATEWAY", "WORDPRESS", "ROOT"}}
					for _, s := range report.Sites {
						rows = append(rows, []string{s.Domain, s.ID, s.Owner, s.Pool, s.Gateway, s.Version, s.Root})
					}
					p.table(rows)
				}
				p.notes(report.Notes)
			})
		},
	}
}
