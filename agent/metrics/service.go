package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// service is what the program around the agent tells.
type service struct {
	loaded   prometheus.Gauge
	loadedAt prometheus.Gauge
	requests *prometheus.CounterVec
	inFlight prometheus.Gauge
	jobs     *prometheus.CounterVec
	running  prometheus.Gauge
}

func newService(r prometheus.Registerer) service {
	s := service{
		loaded:   gauge(r, "config_last_reload_successful", "0: the configuration on disk was refused, and the earlier one is in force."),
		loadedAt: gauge(r, "config_last_reload_success_timestamp_seconds", "When the configuration in force was read."),
		requests: counters(r, "api_requests_total", "Requests to the API that were answered.", "code", "method"),
		inFlight: gauge(r, "api_requests_in_flight", "Requests to the API that are being answered, listeners to events included."),
	}
	s.jobs = counters(r, "jobs_total", "Checks, searches and repairs that were asked for at the API and have ended.", "kind", "state")
	s.running = gauge(r, "jobs_running", "Checks, searches and repairs that were asked for at the API and are under way.")
	for _, k := range works() {
		for _, e := range workEnds() {
			s.jobs.WithLabelValues(k, e)
		}
	}
	s.Reloaded(nil) // the service starts with none that is refused
	return s
}

// Reloaded says that the configuration was read again, or why it is refused.
func (s service) Reloaded(err error) {
	s.loaded.Set(truth(err == nil))
	if err == nil {
		s.loadedAt.SetToCurrentTime()
	}
}

// Requests counts the requests to a handler, which is the whole API. Methods that are
// none of HTTP's are "unknown".
func (s service) Requests(api http.Handler) http.Handler {
	return promhttp.InstrumentHandlerInFlight(s.inFlight, promhttp.InstrumentHandlerCounter(s.requests, api))
}

// Worked counts a job that begins, in the state "running", or has ended in another.
func (s service) Worked(kind, state string) {
	if state == "running" {
		s.running.Inc()
		return
	}
	s.running.Dec()
	s.jobs.WithLabelValues(bounded(works(), kind), bounded(workEnds(), state)).Inc()
}
