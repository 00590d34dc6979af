package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"wpmend/agent"
	"wpmend/agent/diagnose"
	"wpmend/agent/feed"
	"wpmend/agent/history"
	"wpmend/agent/probe"
)

// scrape is what Prometheus gets.
func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("a scrape is answered %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// series are the names with their labels.
func series(text string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(text) {
		if name, _, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "#") {
			if i := strings.LastIndex(line, "} "); i >= 0 {
				name = line[:i+1]
			}
			all[name] = true
		}
	}
	return all
}

func listening(t *testing.T, m *Metrics, f *feed.Feed) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); m.Listen(ctx, f) }()
	t.Cleanup(func() { cancel(); <-ended })
	until(t, "a listener", func() bool { return f.Listeners() == 1 })
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", what)
		}
	}
}

// After 1,000 incidents of 1,000 sites, with whatever words in them, there are hardly more
// series than at the start, and none names anybody.
func TestBounded(t *testing.T) {
	t.Parallel()
	m, f := New("1.2.3"), feed.New(16)
	listening(t, m, f)
	before := series(scrape(t, m))
	hostile := func(i int) string { return fmt.Sprintf("evil-%d\"} 1\nup{x=\"", i) }
	for i := range 1000 {
		word := hostile(i)
		inc := history.Incident{ID: word, Site: history.SiteRef{ID: word, Domain: word}, State: history.Ongoing, Symptom: history.Symptom{Outcome: word, URL: word}}
		f.Publish(feed.Event{Kind: feed.Incident, Incident: &inc})
		ended := inc
		ended.State = []string{history.Resolved, history.Escalated, history.Transient, word}[i%4]
		ended.Reason, ended.Remedies, ended.Seconds = word, []string{word, diagnose.RemedyDisable}, float64(i)
		ended.Causes, ended.Culprits = []diagnose.Cause{{Cause: word}}, []history.Culprit{{Component: word + ":" + word}, {Component: "plugin:" + word}}
		f.Publish(feed.Event{Kind: feed.Incident, Incident: &ended})
		f.Publish(feed.Event{Kind: feed.Kind(word), Text: word})
		m.Probed(probe.Result{Route: probe.Route(word), Outcome: probe.Outcome(word), URL: word, Took: time.Duration(i)})
		m.Searched(word, i, i, i, time.Duration(i), nil)
		if i%100 == 99 { // or more would be waiting than a listener may lag behind
			until(t, "the count", func() bool {
				return strings.Contains(scrape(t, m), fmt.Sprintf("wpmend_feed_events_total{kind=\"other\"} %d\n", i+1))
			})
		}
	}
	text := scrape(t, m)
	after := series(text)
	// "other" is the only new value: of eleven labels, one of them with a histogram.
	if more := len(after) - len(before); more > 40 {
		t.Errorf("%d series became %d", len(before), len(after))
	}
	for name := range after {
		if !before[name] && !strings.Contains(name, `"other"`) {
			t.Errorf("new: %s", name)
		}
	}
	if strings.Contains(text, "evil") {
		t.Error("somebody's words are in the numbers")
	}
	for _, want := range []string{`wpmend_incidents_total{state="resolved"} 250`, `wpmend_incidents_total{state="other"} 250`, `wpmend_incident_escalations_total{reason="other"} 250`,
		`wpmend_remedies_total{remedy="disable",result="helped"} 250`, `wpmend_remedies_total{remedy="other",result="in-vain"} 1000`, `wpmend_culprits_total{kind="plugin"} 1000`,
		`wpmend_searches_total{verdict="other"} 1000`, `wpmend_feed_gaps_total 0`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is not in the numbers", want)
		}
	}
	t.Logf("%d series at the start, %d after 1,000 incidents", len(before), len(after))
}

// Incidents count once each for how they began and ended; what was undone counts besides.
func TestIncident(t *testing.T) {
	t.Parallel()
	m, f := New("1.2.3"), feed.New(16)
	listening(t, m, f)
	opened := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	i := history.Incident{State: history.Ongoing, Opened: opened, Symptom: history.Symptom{Outcome: "bad-gateway"}}
	publish := func(change func(i *history.Incident)) {
		change(&i)
		now := i
		f.Publish(feed.Event{Kind: feed.Incident, Incident: &now})
	}
	publish(func(*history.Incident) {})
	publish(func(i *history.Incident) {
		i.State, i.Ended, i.Seconds = history.Resolved, opened.Add(12*time.Second), 99
		i.Remedies, i.Causes = []string{"reload-fpm", "disable"}, []diagnose.Cause{{Cause: diagnose.ComponentFault}, {Cause: diagnose.Overload}}
		i.Culprits = []history.Culprit{{Component: "drop-in:db.php"}}
	})
	publish(func(i *history.Incident) { i.State = history.Undone })
	publish(func(i *history.Incident) {
		i.State, i.Ended, i.Reason = history.Escalated, opened.Add(-time.Hour), "budget-host"
	}) // the clock was set back
	f.Publish(feed.Event{Kind: feed.Incident}) // without one
	until(t, "the last event", func() bool { return strings.Contains(scrape(t, m), "wpmend_feed_events_total{kind=\"incident\"} 5\n") })
	m.Noticed(1500 * time.Millisecond)
	m.Searched("found", 4, 1, 3, time.Second, nil)
	m.Searched("found", 4, 1, 3, time.Second, errors.New("broken off"))
	m.Discovered(time.Second, nil)
	m.Discovered(time.Second, errors.New("no"))
	m.Reloaded(errors.New("no"))
	m.Worked("bisect", "running")
	m.Worked("check", "running")
	m.Worked("check", "failed")
	text := scrape(t, m)
	for _, want := range []string{`wpmend_incidents_opened_total{outcome="bad-gateway"} 1`, `wpmend_incidents_total{state="resolved"} 1`, `wpmend_incidents_total{state="undone"} 1`,
		`wpmend_incidents_total{state="escalated"} 1`, `wpmend_incident_duration_seconds_sum{state="resolved"} 12`, `wpmend_incident_duration_seconds_sum{state="escalated"} 99`,
		`wpmend_incident_escalations_total{reason="budget-host"} 1`, `wpmend_incident_causes_total{cause="component-fault"} 2`, `wpmend_incident_causes_total{cause="overload"} 0`,
		`wpmend_remedies_total{remedy="reload-fpm",result="in-vain"} 2`, `wpmend_remedies_total{remedy="disable",result="helped"} 1`, `wpmend_culprits_total{kind="drop-in"} 2`,
		`wpmend_detection_duration_seconds_sum 1.5`, `wpmend_searches_total{verdict="error"} 1`, `wpmend_search_questions_sum 5`, `wpmend_search_duration_seconds_count 1`,
		`wpmend_discoveries_total{result="failed"} 1`, `wpmend_discovery_duration_seconds_count 1`, `wpmend_config_last_reload_successful 0`,
		`wpmend_jobs_running 1`, `wpmend_jobs_total{kind="check",state="failed"} 1`, `wpmend_jobs_total{kind="bisect",state="done"} 0`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is not in the numbers", want)
		}
	}
}

// A listener that was too slow goes on where it was, and says so only if events are lost.
func TestFallsBehind(t *testing.T) {
	t.Parallel()
	m, f := New("1.2.3"), feed.New(3*lag)
	listening(t, m, f)
	for range 3 * lag { // faster than anybody counts
		f.Publish(feed.Event{Kind: feed.Doing})
	}
	until(t, "all of them", func() bool {
		return strings.Contains(scrape(t, m), fmt.Sprintf("wpmend_feed_events_total{kind=\"doing\"} %d\n", 3*lag))
	})
	if text := scrape(t, m); !strings.Contains(text, "wpmend_feed_gaps_total 0\n") {
		t.Error("a gap, though all were kept")
	}
}

// How it stands is asked at each scrape, once.
func TestStanding(t *testing.T) {
	t.Parallel()
	m := New("1.2.3")
	asked := 0
	m.registry.MustRegister(newStanding(func() agent.Numbers {
		asked++
		return agent.Numbers{Mode: "suggest", Sites: 7, Failing: 2, Working: 1, Escalated: 3, Round: 90 * time.Second, Pressed: true, Running: 2, Gone: 1,
			Recorded: agent.Recorded{Records: 9, Unread: 1, Bytes: 4096, InForce: 4, Terms: 2, LastHour: 5}}
	}))
	text := scrape(t, m)
	for _, want := range []string{`wpmend_mode{mode="suggest"} 1`, `wpmend_mode{mode="heal"} 0`, `wpmend_sites 7`, `wpmend_sites_failing 2`, `wpmend_incidents_open{state="working"} 1`,
		`wpmend_incidents_open{state="escalated"} 3`, `wpmend_probe_round_seconds 90`, `wpmend_host_pressed 1`, `wpmend_fpm_masters{state="running"} 2`, `wpmend_fpm_masters{state="gone"} 1`,
		`wpmend_journal_readable 0`, `wpmend_journal_records 9`, `wpmend_journal_size_bytes 4096`, `wpmend_changes_in_force 4`, `wpmend_changes_with_term 2`, `wpmend_changes_last_hour 5`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is not in the numbers", want)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times for one scrape", asked)
	}
}

// Requests to the API are counted by what they were answered, whatever their method.
func TestRequests(t *testing.T) {
	t.Parallel()
	m := New("1.2.3")
	api := m.Requests(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("events cannot be streamed through it: %v", err)
		}
	}))
	for _, method := range []string{"GET", "EVIL-1", "EVIL-2"} {
		api.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/v1/sites/secret", nil))
	}
	text := scrape(t, m)
	for _, want := range []string{`wpmend_api_requests_total{code="200",method="get"} 1`, `wpmend_api_requests_total{code="200",method="unknown"} 2`, `wpmend_api_requests_in_flight 0`} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is not in the numbers", want)
		}
	}
	if regexp.MustCompile(`(?i)evil|secret`).MatchString(text) {
		t.Error("a client's words are in the numbers")
	}
}
