package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"wpmend/agent"
)

// standing asks at every scrape how it stands.
type standing struct {
	ask     func() agent.Numbers
	numbers []number
}

// number is one gauge. Values gives one for each value of its label, "" where it has none.
type number struct {
	desc   *prometheus.Desc
	values func(n agent.Numbers) map[string]float64
}

func newStanding(ask func() agent.Numbers) *standing {
	s := &standing{ask: ask}
	plain := func(name, help string, value func(n agent.Numbers) float64) {
		s.numbers = append(s.numbers, number{prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, nil, nil),
			func(n agent.Numbers) map[string]float64 { return map[string]float64{"": value(n)} }})
	}
	split := func(name, help, label string, values func(n agent.Numbers) map[string]float64) {
		s.numbers = append(s.numbers, number{prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, []string{label}, nil), values})
	}
	count := func(of func(n agent.Numbers) int) func(n agent.Numbers) float64 {
		return func(n agent.Numbers) float64 { return float64(of(n)) }
	}

	split("mode", "1 for what the configuration lets wpmend do by itself, 0 for the others.", "mode", func(n agent.Numbers) map[string]float64 {
		all := map[string]float64{}
		for _, m := range modes() {
			all[m] = truth(n.Mode == m)
		}
		return all
	})
	plain("journal_readable", "0: what wpmend has changed on this host could not be read, so it only observes.", func(n agent.Numbers) float64 { return truth(!n.Blind && n.Unread == 0) })
	plain("sites", "Sites that are watched.", count(func(n agent.Numbers) int { return n.Sites }))
	plain("sites_failing", "Sites that failed when they were last asked and are left alone for a while: they wait for a person, or for time.", count(func(n agent.Numbers) int { return n.Failing }))
	split("incidents_open", "Incidents that are being worked on, and those that were left to a person and whose failure may last.", "state", func(n agent.Numbers) map[string]float64 {
		return map[string]float64{"working": float64(n.Working), "escalated": float64(n.Escalated)}
	})
	plain("probe_round_seconds", "Time in which every site is probed once, by the schedule.", func(n agent.Numbers) float64 { return n.Round.Seconds() })
	plain("host_pressed", "1: the host is short of processors, so sites are probed less often.", func(n agent.Numbers) float64 { return truth(n.Pressed) })
	plain("logs_followed", "Log files that are followed.", count(func(n agent.Numbers) int { return n.Logs }))
	plain("gateways", "Web servers that answered which sites they serve.", count(func(n agent.Numbers) int { return n.Gateways }))
	split("fpm_masters", "PHP-FPM master processes that run, and those that were seen once and do not run.", "state", func(n agent.Numbers) map[string]float64 {
		return map[string]float64{"running": float64(n.Running), "gone": float64(n.Gone)}
	})
	plain("fpm_pools", "Pools of the PHP-FPM masters that run.", count(func(n agent.Numbers) int { return n.Pools }))
	plain("discovery_notes", "Notes of the last look at the host: what could not be read. `wpmend doctor` shows them.", count(func(n agent.Numbers) int { return n.Problems }))
	plain("changes_in_force", "Changes of wpmend's that are in effect on this host. `wpmend changes` lists them.", count(func(n agent.Numbers) int { return n.InForce }))
	plain("changes_with_term", "Of the changes in force, those that wpmend takes back at a set time.", count(func(n agent.Numbers) int { return n.Terms }))
	plain("changes_last_hour", "Changes within the last hour that count for the host's budget.", count(func(n agent.Numbers) int { return n.LastHour }))
	plain("changes_budget", "The most changes to this host within an hour (budget.host).", count(func(n agent.Numbers) int { return n.Budget }))
	plain("journal_records", "Records of changes in the journal.", count(func(n agent.Numbers) int { return n.Records }))
	plain("journal_records_unreadable", "Files of the journal that cannot be read as records.", count(func(n agent.Numbers) int { return n.Unread }))
	plain("journal_size_bytes", "Size of the journal's records.", func(n agent.Numbers) float64 { return float64(n.Bytes) })
	return s
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// Describe lists the gauges.
func (s *standing) Describe(to chan<- *prometheus.Desc) {
	for _, n := range s.numbers {
		to <- n.desc
	}
}

// Collect asks once for all of them.
func (s *standing) Collect(to chan<- prometheus.Metric) {
	now := s.ask()
	for _, n := range s.numbers {
		for label, value := range n.values(now) {
			if label == "" {
				to <- prometheus.MustNewConstMetric(n.desc, prometheus.GaugeValue, value)
				continue
			}
			to <- prometheus.MustNewConstMetric(n.desc, prometheus.GaugeValue, value, label)
		}
	}
}
