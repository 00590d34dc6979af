package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/agent/site"
)

func newConfig(in *invocation) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "checks or shows the configuration",
		Long:    "Checks or shows the configuration that --config names, with the *.toml in conf.d beside it.",
		Example: "  wpmend config check\n  wpmend config show --origin",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return &usageError{c, errors.New("say what to do with the configuration: check or show")}
		},
	}
	c.AddCommand(newConfigCheck(in), newConfigShow(in))
	return c
}

func newConfigCheck(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "says whether the configuration is valid",
		Long: `Reads the configuration file and the *.toml in conf.d beside it, and says whether they are
valid; a fault is named with its file and line. Users and sites that have a section and are not
on this host are noted; which sites there are only root can tell.`,
		Example: "  wpmend config check\n  wpmend --config ./new.toml config check && cp new.toml /etc/wpmend/wpmend.toml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := in.load()
			if err != nil {
				return err
			}
			v := struct {
				File  string   `json:"file"`
				Valid bool     `json:"valid"`
				Files []string `json:"files"`
				Notes []string `json:"notes"`
			}{in.configFile, true, append([]string{}, conf.Files...), []string{}}
			who, err := in.named(c.Context(), conf)
			if err != nil {
				v.Notes = append(v.Notes, fmt.Sprintf("the sites of this host cannot be told, so those in the configuration were not looked for: %v", err))
			}
			v.Notes = append(v.Notes, conf.Notes(who)...)
			return in.show(v, func(p *page) {
				p.line("%s is valid", v.File)
				if len(v.Files) == 0 {
					p.line("It does not exist: what is built in holds.")
				}
				for _, f := range v.Files {
					if f != v.File {
						p.line("  with %s", f)
					}
				}
				p.notes(v.Notes)
			})
		},
	}
}

// named are the sites of this host, if the configuration names any; nil: nobody knows.
func (in *invocation) named(ctx context.Context, conf config.Config) ([]config.Who, error) {
	if len(conf.Sites) == 0 {
		return nil, nil
	}
	sites, err := in.known(ctx, conf)
	if err != nil {
		return nil, err
	}
	who := []config.Who{}
	for _, s := range sites {
		who = append(who, agent.Who(s))
	}
	return who, nil
}

// known discovers the sites without an agent, which would make its folders.
func (in *invocation) known(ctx context.Context, conf config.Config) ([]site.Site, error) {
	if os.Geteuid() != 0 {
		return nil, &needsRoot{}
	}
	remembered, err := site.Recall(in.state)
	if err != nil {
		in.problems([]string{err.Error()})
	}
	host, err := site.Discover(ctx, remembered, conf.Includes)
	return host.Sites, err
}

func newConfigShow(in *invocation) *cobra.Command {
	var origin bool
	c := &cobra.Command{
		Use:   "show [SITE]",
		Short: "prints the configuration in force",
		Long: `Prints every setting in force: what is built in, the files over it, the flags over both. With
SITE, what holds for that site: its owner's section over that, and its own over both. What is
printed is a configuration file again.`,
		Example: `  wpmend config show --origin
  wpmend config show --origin example.com    which file says what of this site`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return takes("SITE")(c, args)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			conf, err := in.load()
			if err != nil {
				return err
			}
			v := struct {
				Site *agent.SiteRef `json:"site,omitempty"`
				config.Config
				Origins map[string]string `json:"origins,omitempty"`
			}{}
			if len(args) > 0 {
				sites, err := in.known(c.Context(), conf)
				if err != nil {
					return err
				}
				s, err := site.Find(sites, args[0])
				if err != nil {
					return err
				}
				v.Site = &agent.SiteRef{ID: s.ID, Domain: s.Domain, Root: s.Root, Owner: s.OwnerName(), Pool: s.Pool.Name}
				conf = conf.Of(agent.Who(s))
			}
			v.Config = conf
			if origin {
				v.Origins = conf.Origins()
			}
			return in.show(v, func(p *page) {
				if v.Site != nil {
					p.line("# for %s in %s", v.Site.Domain, v.Site.Root)
				}
				p.text.WriteString(strings.TrimPrefix(conf.TOML(origin), "\n"))
			})
		},
	}
	c.Flags().BoolVar(&origin, "origin", false, "say where each value comes from: built in, FILE:LINE or a flag")
	return c
}
