package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/api"
	"wpmend/agent/config"
	"wpmend/agent/feed"
	"wpmend/agent/metrics"
	"wpmend/agent/supervisor"
	"wpmend/agent/web"
)

// eventsKept is how many events a client of the API that comes back may have missed.
const eventsKept = 4096

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
			happens, numbers := feed.New(eventsKept), metrics.New(version)
			a, err := agent.Open(agent.Options{Config: conf, State: in.state, Log: log, Meter: numbers, Progress: func(p agent.Progress) { happens.Publish(p.Event()) }})
			if err != nil {
				return err
			}
			s := supervisor.New(log)
			context.AfterFunc(c.Context(), s.Stopping)
			served := api.New(api.Options{
				Agent: a, Feed: happens, Log: log, Version: version, Config: a.Configured,
				Page:    web.Handler(),
				Metrics: numbers, Counted: numbers.Requests, Worked: numbers.Worked,
			})
			// What runs beside the watch ends with it, however that ends.
			ctx, cancel := context.WithCancel(c.Context())
			var beside sync.WaitGroup
			defer beside.Wait()
			defer cancel()
			beside.Go(func() {
				if err := served.Serve(ctx); err != nil {
					log.Error("the API did not end well", "err", err)
				}
			})
			numbers.Ask(a)
			beside.Go(func() { numbers.Listen(ctx, happens) })
			// agent/notify: beside.Go(…)
			reload := make(chan config.Config)
			go in.reload(ctx, hangups, reload, s, numbers, log)
			return a.Run(c.Context(), agent.RunOptions{
				Ready:     func(int) { served.Ready(); s.Ready() },
				Beat:      s.Alive,
				BeatEvery: s.Every(),
				Reload:    reload,
				Status:    s.Doing,
			})
		},
	}
}

// reload reads the configuration again at each signal and hands on what is valid.
func (in *invocation) reload(ctx context.Context, hangups <-chan os.Signal, to chan<- config.Config, s *supervisor.Supervisor, numbers *metrics.Metrics, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		s.Reloading()
		conf, err := in.load()
		numbers.Reloaded(err)
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
