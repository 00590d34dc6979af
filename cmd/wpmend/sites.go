package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newSites(in *invocation) *cobra.Command {
	var refresh bool
	c := &cobra.Command{
		Use:     "sites",
		Short:   "lists the WordPress sites of this host",
		Long:    "Asks the running gateways and PHP-FPM masters which WordPress sites they serve. With\n--refresh the running service is told to look at once, and nothing is listed.",
		Example: "  wpmend sites\n  wpmend sites --json\n  wpmend sites --refresh",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if refresh {
				return in.refresh(c.Context())
			}
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
	c.Flags().BoolVar(&refresh, "refresh", false, "have the running service look for new and changed sites at once")
	return c
}

// refresh tells the running service that sites have come, changed or gone; a panel's hooks do it.
func (in *invocation) refresh(ctx context.Context) error {
	conf, err := in.load()
	if err != nil {
		return err
	}
	if conf.API.Socket == "" {
		return &agent.Error{Kind: "not-running", Err: errors.New("the service has no socket ([api] socket is empty), so it finds new sites by itself alone"), Remedy: "wpmend config show"}
	}
	return ask(ctx, conf.API.Socket, http.MethodPost, "/v1/refresh", nil)
}
