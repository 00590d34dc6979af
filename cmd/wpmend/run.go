package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/agent/supervisor"
)

func newRun(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "watches all sites and heals what fails, in the foreground",
		Long: `Puts back what an interrupted run left, then follows the logs of every site of the
host, so that a visitor's first failed request is noticed at once, probes them on a
schedule as well (each every 10 s by default, all together at most 2 a second: see
` + "`watch.every`" + ` and ` + "`watch.rate`" + ` in the configuration), and handles each failure as an
incident, as far as ` + "`mode`" + ` there allows. What looks like a mistake in the configuration,
as a section for a user whom nobody knows, is logged at the start and after each reload.

SIGHUP reads the configuration again: all of it, or none where it is faulty. SIGTERM and
SIGINT end it within seconds, with the sites as found or as fixed. ` + "`wpmend service`" + `
has systemd do all this.`,
		Example: "  wpmend run\n  wpmend run --only /srv/www",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return &needsRoot{}
			}
			hangups := make(chan os.Signal, 1)
			if !atTerminal() {
				signal.Notify(hangups, syscall.SIGHUP)
				defer signal.Stop(hangups)
			}
			conf, err := in.load()
			if err != nil {
				return err
			}
			log := slog.New(in.serviceLog())
			a, err := agent.Open(agent.Options{Config: conf, State: in.state, Log: log})
			if err != nil {
				return err
			}
			s := supervisor.New(log)
			context.AfterFunc(c.Context(), s.Stopping)
			reload := make(chan config.Config)
			go in.reload(c.Context(), hangups, reload, s, log)
			return a.Run(c.Context(), agent.RunOptions{
				Ready:     func(int) { s.Ready() },
				Beat:      s.Alive,
				BeatEvery: s.Every(),
				Reload:    reload,
				Status:    s.Doing,
			})
		},
	}
}

// reload reads the configuration again at each signal and hands on what is valid.
func (in *invocation) reload(ctx context.Context, hangups <-chan os.Signal, to chan<- config.Config, s *supervisor.Supervisor, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		s.Reloading()
		conf, err := in.load()
		if err != nil {
			f := describe(err)
			log.Error("the configuration is refused, the earlier one stays in force", "err", err, "remedy", f.Remedy)
			s.Notice("the configuration on disk is refused: " + printable(f.Message))
			s.Reloaded()
			continue
		}
		select {
		case <-ctx.Done():
			return
		case to <- conf:
			s.Notice("")
			s.Reloaded()
		}
	}
}
