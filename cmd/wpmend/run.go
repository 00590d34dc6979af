package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newRun(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "watches all sites and heals what fails, in the foreground",
		Long: `Puts back what an interrupted run left, then follows the logs of every site of the
host, so that a visitor's first failed request is noticed at once, probes them on a
schedule as well (every 10 s by default, spread out), and handles each failure as
an incident: with mode = "observe" it only reports. Ends on SIGTERM or SIGINT.`,
		Example: "  wpmend run\n  wpmend run --only /srv/www",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return &needsRoot{}
			}
			conf, err := in.load()
			if err != nil {
				return err
			}
			level := slog.LevelInfo
			if in.verbose {
				level = slog.LevelDebug
			}
			options := &slog.HandlerOptions{Level: level}
			var handler slog.Handler = slog.NewTextHandler(in.err, options)
			if in.json {
				handler = slog.NewJSONHandler(in.out, options)
			}
			a, err := agent.Open(agent.Options{Config: conf, State: in.state, Log: slog.New(handler)})
			if err != nil {
				return err
			}
			return a.Run(c.Context(), agent.RunOptions{})
		},
	}
}
