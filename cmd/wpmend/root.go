package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/agent/site"
)

// invocation is one call of wpmend: its global flags and where it writes.
type invocation struct {
	configFile string
	state      string
	only       []string
	json       bool
	verbose    bool

	out, err io.Writer
	code     int          // what the command found, once it ran without an error
	clear    func() error // takes the line of progress off the terminal; nil: there is none
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	in := &invocation{out: stdout, err: stderr}
	root := newRoot(in)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return in.code
	}
	// A flag that cobra could not parse leaves the others unread.
	in.json = in.json || slices.Contains(args, "--json")
	return in.fail(err)
}

func newRoot(in *invocation) *cobra.Command {
	root := &cobra.Command{
		Use:   "wpmend",
		Short: "finds out why a WordPress site answers 502, and mends it",
		Long: `wpmend finds out why a WordPress site behind a gateway and PHP-FPM answers 502
(or 503, 504, a fatal 500, an empty 200), finds the plugin at fault in a private
copy of the site's PHP pool, switches it off and proves the site well again.
Every change is written down with its undo before it is made.

SITE is a domain, a root folder or an id: ` + "`wpmend sites`" + ` lists them.`,
		Example: `  wpmend check example.com          what is wrong, and how it is known; changes nothing
  wpmend bisect example.com         which plugin is at fault; changes nothing
  wpmend heal example.com           the whole way, with proof and undo
  wpmend incidents                  what happened so far`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&in.configFile, "config", config.DefaultFile, "configuration `FILE`")
	flags.StringVar(&in.state, "state", agent.DefaultState, "folder `DIR` for the journal and the history")
	flags.StringSliceVar(&in.only, "only", nil, "consider only sites whose root lies below `DIR` (may be repeated)")
	flags.BoolVar(&in.json, "json", false, "print one JSON object; everything else goes to stderr")
	flags.BoolVar(&in.verbose, "verbose", false, "log what wpmend does to stderr")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return &usageError{c, err} })
	for _, c := range []*cobra.Command{
		newSites(in), newCheck(in), newBisect(in), newHeal(in), newDisable(in), newEnable(in),
		newIncidents(in), newPHP(in), newPanel(in), newRecover(in), newRun(in), newService(in), newChanges(in), newConfig(in), newDoctor(in), newMan(in), newVersion(in),
	} {
		root.AddCommand(c)
	}
	in.completes(root)
	for _, c := range commands(root) {
		if c.RunE != nil {
			c.Long = c.Long + "\n\n" + exitStatus
		}
	}
	return root
}

// takes wants exactly these words after the command.
func takes(words ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(words):
			return &usageError{c, fmt.Errorf("%s needs %s", c.CommandPath(), strings.Join(words[len(args):], " and "))}
		case len(args) > len(words):
			return &usageError{c, fmt.Errorf("%s does not know what to do with %q", c.CommandPath(), args[len(words)])}
		}
		return nil
	}
}

// commands lists c and everything below it.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

// load reads the configuration with the flags on top.
func (in *invocation) load() (config.Config, error) {
	c, err := config.Load(in.configFile)
	if err != nil {
		return c, err
	}
	// An empty --only, of an unset variable perhaps, must not mean "every site".
	for _, dir := range in.only {
		if !filepath.IsAbs(dir) {
			return c, &agent.Error{Kind: "usage", Remedy: "wpmend --help", Err: fmt.Errorf("--only %q: give an absolute folder", dir)}
		}
	}
	if in.only != nil {
		if len(in.only) == 0 {
			return c, &agent.Error{Kind: "usage", Remedy: "wpmend --help", Err: errors.New("--only is empty: give an absolute folder")}
		}
		c = c.Confined("--only", in.only)
	}
	return c, nil
}

// open makes the agent for commands that work on sites.
func (in *invocation) open() (*agent.Agent, error) {
	if os.Geteuid() != 0 {
		return nil, &needsRoot{}
	}
	c, err := in.load()
	if err != nil {
		return nil, err
	}
	return agent.Open(agent.Options{Config: c, State: in.state, Log: in.logger(), Progress: in.progress()})
}

// site opens the agent and finds the one site that name means.
func (in *invocation) site(ctx context.Context, name string) (*agent.Agent, site.Site, error) {
	a, err := in.open()
	if err != nil {
		return nil, site.Site{}, err
	}
	host, err := a.Discover(ctx)
	if err != nil {
		return nil, site.Site{}, err
	}
	s, err := site.Find(host.Sites, name)
	if err != nil {
		in.problems(host.Problems)
	}
	return a, s, err
}

func (in *invocation) problems(problems []string) {
	for _, p := range problems {
		fmt.Fprintln(in.err, "wpmend: note:", printable(p))
	}
}

func (in *invocation) logger() *slog.Logger {
	level := slog.LevelWarn
	if in.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(in.err, &slog.HandlerOptions{Level: level}))
}
