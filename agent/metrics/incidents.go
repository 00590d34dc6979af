package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"wpmend/agent/feed"
	"wpmend/agent/history"
)

// incidents is what the feed tells.
type incidents struct {
	events      *prometheus.CounterVec
	gaps        prometheus.Counter
	opened      *prometheus.CounterVec
	ended       *prometheus.CounterVec
	took        *prometheus.HistogramVec
	escalations *prometheus.CounterVec
	causes      *prometheus.CounterVec
	remedies    *prometheus.CounterVec
	convicted   *prometheus.CounterVec
}

func newIncidents(r prometheus.Registerer) incidents {
	n := incidents{
		events: counters(r, "feed_events_total", "What happened, by its kind.", "kind"),
		gaps:   prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "feed_gaps_total", Help: "Times that events were too many to be counted: the numbers of incidents are too low since."}),
		opened: counters(r, "incidents_opened_total", "Incidents that began, by the first failure that was seen.", "outcome"),
		ended:  counters(r, "incidents_total", "Incidents that ended, by how. An undone one counts a second time.", "state"),
		took: histograms(r, "incident_duration_seconds", "Time from an incident's first failure to its end; with state=\"resolved\" the time that a repair took.",
			[]float64{1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600}, "state"),
		escalations: counters(r, "incident_escalations_total", "Incidents that were left to a person, by the reason.", "reason"),
		causes:      counters(r, "incident_causes_total", "Incidents that ended with a cause, by the most likely one.", "cause"),
		remedies:    counters(r, "remedies_total", "Remedies that were tried, by whether the incident ended well with them.", "remedy", "result"),
		convicted:   counters(r, "culprits_total", "Components that were convicted, by their kind.", "kind"),
	}
	r.MustRegister(n.gaps)
	for _, k := range []feed.Kind{feed.Doing, feed.Searched, feed.Incident, feed.Job} {
		n.events.WithLabelValues(string(k))
	}
	for _, o := range outcomes() {
		n.opened.WithLabelValues(o)
	}
	for _, s := range ends() {
		n.ended.WithLabelValues(s)
	}
	for _, s := range []string{history.Resolved, history.Transient, history.Escalated} {
		n.took.WithLabelValues(s)
	}
	for _, w := range append(reasons(), other) {
		n.escalations.WithLabelValues(w)
	}
	for _, c := range causes() {
		n.causes.WithLabelValues(c)
	}
	for _, x := range remedies() {
		n.remedies.WithLabelValues(x, helped)
		n.remedies.WithLabelValues(x, inVain)
	}
	for _, k := range kinds() {
		n.convicted.WithLabelValues(k)
	}
	return n
}

// What a remedy may bring.
const (
	helped = "helped"
	inVain = "in-vain"
)

func (n incidents) heard(e feed.Event) {
	n.events.WithLabelValues(bounded(words(feed.Doing, feed.Searched, feed.Incident, feed.Job), string(e.Kind))).Inc()
	if e.Kind != feed.Incident || e.Incident == nil {
		return
	}
	switch i := *e.Incident; i.State {
	case history.Ongoing:
		n.opened.WithLabelValues(bounded(outcomes(), i.Symptom.Outcome)).Inc()
	case history.Undone:
		n.ended.WithLabelValues(i.State).Inc() // the rest was counted when it ended
	default:
		n.ending(i)
	}
}

func (n incidents) ending(i history.Incident) {
	state := bounded(ends(), i.State)
	n.ended.WithLabelValues(state).Inc()
	if took := i.Ended.Sub(i.Opened); !i.Ended.IsZero() && took >= 0 { // clocks are set
		n.took.WithLabelValues(state).Observe(took.Seconds())
	} else if i.Seconds >= 0 {
		n.took.WithLabelValues(state).Observe(i.Seconds)
	}
	if i.State == history.Escalated {
		n.escalations.WithLabelValues(bounded(reasons(), i.Reason)).Inc()
	}
	if len(i.Causes) > 0 {
		n.causes.WithLabelValues(bounded(causes(), i.Causes[0].Cause)).Inc()
	}
	for at, name := range i.Remedies {
		result := inVain
		if i.State == history.Resolved && at == len(i.Remedies)-1 {
			result = helped
		}
		n.remedies.WithLabelValues(bounded(remedies(), name), result).Inc()
	}
	for _, c := range i.Culprits {
		kind, _, _ := strings.Cut(c.Component, ":")
		n.convicted.WithLabelValues(bounded(kinds(), kind)).Inc()
	}
}
