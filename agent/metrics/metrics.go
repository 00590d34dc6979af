// Package metrics counts what the service does and gives the numbers to Prometheus, in
// its text format. It knows the names of the numbers; it refuses to know what they are
// good for (packaging/grafana and packaging/prometheus say that) and who may read them.
//
// Its invariant: no label grows with the host. There is none for a site, a plugin, a
// user or a URL; every label's values are a list in this package or in the one that
// makes them, and what is not in the list is "other". So the number of series is the
// same for one site and for 10,000, and what a customer does cannot make more of them.
package metrics

import (
	"context"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"wpmend/agent"
	"wpmend/agent/feed"
)

const (
	namespace = "wpmend"
	// scrapesAtOnce bounds how many are answered side by side.
	scrapesAtOnce = 4
	// scrapeTime is how long one may take; Prometheus waits 10 s by default.
	scrapeTime = 9 * time.Second
)

// Metrics is the numbers of one service. Its methods may be called side by side.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler
	work
	incidents
	service
}

var _ agent.Meter = (*Metrics)(nil)

// New makes the numbers of a service of that version, all of them zero.
func New(version string) *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{registry: r, work: newWork(r), incidents: newIncidents(r), service: newService(r)}
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build(version))
	m.handler = promhttp.InstrumentMetricHandler(r, promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r, MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTime}))
	return m
}

// ServeHTTP answers a scrape.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// Ask has the agent asked, at every scrape, how it stands. It is called once.
func (m *Metrics) Ask(a *agent.Agent) { m.registry.MustRegister(newStanding(a.Numbers)) }

// Listen counts what the feed tells until ctx ends.
func (m *Metrics) Listen(ctx context.Context, f *feed.Feed) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "feed_listeners", Help: "Who listens to what happens: clients of the API, the page, notifications and these metrics."},
		func() float64 { return float64(f.Listeners()) }))
	for after := uint64(0); ctx.Err() == nil; {
		l, missed, gap := f.Listen(after, lag)
		if gap {
			m.gaps.Inc()
		}
		for _, e := range missed {
			after = e.ID
			m.heard(e)
		}
		after = m.follow(ctx, l, after)
		l.Close()
	}
}

// lag is how many events counting may be behind.
const lag = 1024

// follow counts until ctx or the listener ends, and gives the id of the last event.
func (m *Metrics) follow(ctx context.Context, l *feed.Listener, last uint64) uint64 {
	for {
		select {
		case <-ctx.Done():
			return last
		case e, ok := <-l.Events():
			if !ok {
				return last
			}
			last = e.ID
			m.heard(e)
		}
	}
}

func build(version string) prometheus.Collector {
	labels := prometheus.Labels{"version": version, "goversion": "", "revision": ""}
	if info, ok := debug.ReadBuildInfo(); ok {
		labels["goversion"] = info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				labels["revision"] = s.Value
			}
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say which wpmend this is.", ConstLabels: labels})
	g.Set(1)
	return g
}

// counters makes a counter with its labels.
func counters(r prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func histograms(r prometheus.Registerer, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	r.MustRegister(h)
	return h
}

func gauge(r prometheus.Registerer, name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	r.MustRegister(g)
	return g
}
