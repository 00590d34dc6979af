package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wpmend/agent/probe"
)

// work is what the agent tells of its work; see [agent.Meter].
type work struct {
	probes      *prometheus.CounterVec
	probeTime   *prometheus.HistogramVec
	noticed     *prometheus.HistogramVec
	searches    *prometheus.CounterVec
	searchTime  *prometheus.HistogramVec
	questions   *prometheus.HistogramVec
	rounds      *prometheus.HistogramVec
	discoveries *prometheus.CounterVec
	discovery   *prometheus.HistogramVec
	discovered  prometheus.Gauge
}

func newWork(r prometheus.Registerer) work {
	w := work{
		probes: counters(r, "probes_total", "Requests to sites that were judged, by the way they took and their outcome.", "route", "outcome"),
		probeTime: histograms(r, "probe_duration_seconds", "Time until a request to a site was judged.",
			[]float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30}, "route"),
		noticed: histograms(r, "detection_duration_seconds", "Time from a visitor's failed request, by its line in a log (whole seconds in most), until wpmend took the failure for one.",
			[]float64{.25, .5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300}),
		searches: counters(r, "searches_total", "Searches for the component at fault, by how they ended.", "verdict"),
		searchTime: histograms(r, "search_duration_seconds", "Time that a search took.",
			[]float64{.25, .5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800}),
		questions: histograms(r, "search_questions", "Questions of one search, those included that were asked again.",
			[]float64{1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100, 200}),
		rounds:      histograms(r, "search_rounds", "Rounds of one search.", []float64{1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100}),
		discoveries: counters(r, "discoveries_total", "Looks at which sites this host has.", "result"),
		discovery: histograms(r, "discovery_duration_seconds", "Time that one look at the host took.",
			[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}),
		discovered: gauge(r, "discovery_last_success_timestamp_seconds", "When the sites of this host were last found."),
	}
	for _, route := range routes() {
		w.probeTime.WithLabelValues(route)
		for _, o := range outcomes() {
			w.probes.WithLabelValues(route, o)
		}
	}
	for _, v := range verdicts() {
		w.searches.WithLabelValues(v)
	}
	for _, h := range []*prometheus.HistogramVec{w.noticed, w.searchTime, w.questions, w.rounds, w.discovery} {
		h.WithLabelValues()
	}
	w.discoveries.WithLabelValues("ok")
	w.discoveries.WithLabelValues("failed")
	return w
}

// Probed counts a request to a site.
func (w work) Probed(r probe.Result) {
	route := bounded(routes(), string(r.Route))
	w.probes.WithLabelValues(route, bounded(outcomes(), string(r.Outcome))).Inc()
	w.probeTime.WithLabelValues(route).Observe(r.Took.Seconds())
}

// Noticed counts a failure of visitors that was taken up.
func (w work) Noticed(after time.Duration) { w.noticed.WithLabelValues().Observe(after.Seconds()) }

// Searched counts a search.
func (w work) Searched(verdict string, probes, repeats, rounds int, took time.Duration, err error) {
	if err != nil {
		w.searches.WithLabelValues("error").Inc()
		return // what it would have taken is not known
	}
	w.searches.WithLabelValues(bounded(verdicts(), verdict)).Inc()
	w.searchTime.WithLabelValues().Observe(took.Seconds())
	w.questions.WithLabelValues().Observe(float64(probes + repeats))
	w.rounds.WithLabelValues().Observe(float64(rounds))
}

// Discovered counts a look at the host.
func (w work) Discovered(took time.Duration, err error) {
	if err != nil {
		w.discoveries.WithLabelValues("failed").Inc()
		return
	}
	w.discoveries.WithLabelValues("ok").Inc()
	w.discovery.WithLabelValues().Observe(took.Seconds())
	w.discovered.SetToCurrentTime()
}
