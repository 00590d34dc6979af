package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/panel"
	"wpmend/packaging"
)

func newPanel(in *invocation) *cobra.Command {
	c := &cobra.Command{
		Use:   "panel",
		Short: "speaks with the host's control panel",
		Long: `HestiaCP, cPanel & WHM, Plesk, DirectAdmin and CyberPanel: whose account a domain is,
how the panel wants a pool's limits to be set, and how wpmend hears at once of accounts
and domains that come, change or go. Limits are set and taken back by
` + "`wpmend php limits`" + `, which goes the panel's own way where the panel writes the pool.`,
		Example: `  wpmend panel detect
  wpmend panel sites --json
  wpmend panel plan example.com --set request_terminate_timeout=120s
  wpmend panel hooks install`,
		Args: cobra.NoArgs,
	}
	detect := newPanelDetect(in)
	c.RunE = detect.RunE
	hooks := &cobra.Command{Use: "hooks", Short: "puts wpmend's hooks into the panel, and takes them out", Long: "Lets the panel tell wpmend of accounts and domains at once; without it wpmend finds them\nwithin a minute (watch.discover).", Example: "  wpmend panel hooks install\n  wpmend panel hooks remove"}
	hooks.AddCommand(newPanelHooks(in, true), newPanelHooks(in, false))
	c.AddCommand(detect, newPanelSites(in), newPanelPlan(in), hooks, newPanelGlance(in), newPanelCGI(in))
	return c
}

// thePanel is the one of this host.
func thePanel() (panel.Panel, error) {
	if os.Geteuid() != 0 {
		return panel.Panel{}, &needsRoot{}
	}
	p, ok := panel.Detect()
	if !ok {
		return p, &agent.Error{Kind: "not-found", Err: errors.New("no control panel that wpmend knows is installed on this host"), Remedy: "wpmend php limits works without one"}
	}
	return p, nil
}

func newPanelDetect(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:     "detect",
		Short:   "says which control panel this host has",
		Long:    "Goes by files that only root, or the panel itself, could have put there.",
		Example: "  wpmend panel detect --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := thePanel()
			if err != nil {
				return err
			}
			return in.show(p, func(page *page) {
				page.line("%s", p.Title)
				if !p.Tried {
					page.line("Its way to set limits was never tried on a real one: wpmend takes it only when asked to.")
				}
			})
		},
	}
}

func newPanelSites(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:     "sites",
		Short:   "lists the panel's domains with their accounts",
		Long:    "Lists what the panel says: whose account a domain is, its contact, and whether it is\nsuspended. What is no name is left out.",
		Example: "  wpmend panel sites --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := thePanel()
			if err != nil {
				return err
			}
			l, err := p.Sites(c.Context())
			if err != nil {
				return err
			}
			return in.show(l, func(page *page) {
				rows := [][]string{{"DOMAIN", "ACCOUNT", "CONTACT", "SUSPENDED", "ROOT"}}
				for _, s := range l.Sites {
					rows = append(rows, []string{s.Domain, s.Account, cmp.Or(s.Contact, "-"), map[bool]string{true: "yes", false: "no"}[s.Suspended], cmp.Or(s.Root, "-")})
				}
				page.table(rows)
				page.notes(l.Notes)
			})
		},
	}
}

func newPanelPlan(in *invocation) *cobra.Command {
	var sets []string
	c := &cobra.Command{
		Use:     "plan SITE",
		Short:   "says how the panel would be given limits of a site's pool",
		Long:    "Names the panel's own file that would change, what it holds now and would hold, and what\nthe panel would be asked to do, in both directions. It changes nothing.",
		Example: "  wpmend panel plan example.com --set request_terminate_timeout=120s --json",
		Args:    takes("SITE"),
		RunE: func(c *cobra.Command, args []string) error {
			set, err := settingsOf(c, sets)
			if err == nil && len(set) == 0 {
				err = &usageError{c, errors.New("--set is needed: NAME=VALUE, by PHP-FPM's names")}
			}
			if err != nil {
				return err
			}
			a, s, err := in.site(c.Context(), args[0])
			if err != nil {
				return err
			}
			plan, err := a.PanelPlan(c.Context(), s, set)
			if err != nil {
				return err
			}
			return in.show(plan, func(p *page) {
				p.line("Would change %s:", plan.File)
				p.block("  ", strings.TrimRight(plan.Text, "\n"))
				for _, l := range panel.ByHand(plan.Apply) {
					p.line("Then: %s", l)
				}
				for _, l := range panel.ByHand(plan.Undo) {
					p.line("To take it back, the file as it was, and: %s", l)
				}
			})
		},
	}
	c.Flags().StringArrayVar(&sets, "set", nil, "a setting of the pool, as `NAME=VALUE`; may be given again")
	return c
}

func newPanelHooks(in *invocation, install bool) *cobra.Command {
	c := &cobra.Command{Use: "install", Short: "lets the panel tell wpmend of accounts and domains at once", Args: cobra.NoArgs, Example: "  wpmend panel hooks install",
		Long: "Puts hooks of the panel's own kind in place. It may be done again, after an update of the\npanel or of wpmend."}
	if !install {
		c.Use, c.Short, c.Example, c.Long = "remove", "takes the hooks out of the panel", "  wpmend panel hooks remove", "Removes what `wpmend panel hooks install` put into the panel, and nothing else."
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := thePanel()
		if err != nil {
			return err
		}
		var r panel.HooksReport
		if install {
			var files fs.FS
			if files, err = fs.Sub(packaging.Panels, "panels"); err == nil {
				r, err = p.InstallHooks(c.Context(), files)
			}
		} else {
			r, err = p.RemoveHooks(c.Context())
		}
		if err != nil {
			return err
		}
		return in.show(r, func(page *page) {
			word := "Put"
			if !install {
				word = "Removed"
			}
			for _, f := range r.Files {
				page.line("%s: %s", word, f)
			}
			for _, c := range r.Commands {
				page.line("Ran: %s", c)
			}
			if len(r.Files)+len(r.Commands) == 0 {
				page.line("Nothing was to be done.")
			}
			if r.ByHand != "" {
				page.line("Left to you: %s", r.ByHand)
			}
		})
	}
	return c
}
