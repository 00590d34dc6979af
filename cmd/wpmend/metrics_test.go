package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

const (
	dashboardFile = "../../packaging/grafana/wpmend.json"
	rulesFile     = "../../packaging/prometheus/wpmend.rules.yml"
	scenesFile    = "../../packaging/prometheus/wpmend.rules.test.yml"
	scrapeFile    = "../../packaging/prometheus/wpmend.scrape.yml"
)

// freePort is one at which nobody listens just now.
func (s *stage) freePort() string {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	defer l.Close()
	return l.Addr().String()
}

// scraped are the numbers of a service, by the name with its labels.
type scraped map[string]float64

var sample = regexp.MustCompile(`(?m)^([a-z_]+(?:\{[^\n]*\})?) ([-+0-9.eNaInf]+)$`)

func read(t testing.TB, text string) scraped {
	t.Helper()
	all := scraped{}
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		all[m[1]] = v
	}
	return all
}

func promtool(t testing.TB, input string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("error")) || len(args) > 1 && args[1] == "metrics" && len(out) > 0 {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// What is shipped for Prometheus holds by its own tool.
func TestPrometheusFiles(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", rulesFile)
	promtool(t, "", "test", "rules", scenesFile)
	promtool(t, "", "check", "config", "--syntax-only", scrapeFile)
}

// A real Prometheus scrapes the real service with the token, through a repair, and
// answers every question of the dashboard and of the alerts.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 6}, `watch.every = "1s"`)
	at, token := s.freePort(), filepath.Join(s.Dir, "token")
	s.must(os.WriteFile(token, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600))
	conf, err := os.ReadFile(s.config)
	s.must(err)
	s.write(s.config, string(conf)+fmt.Sprintf("api.listen = %q\napi.token_file = %q\n", at, token))
	v := s.serve()
	p := s.prometheus(at, token)
	v.until("a scrape", 20*time.Second, func() bool { return len(p.query(`wpmend_sites == 1`)) == 1 })

	s.breakBy(lab.Fatal, lab.Slug(3))
	v.until("the incident's end", 40*time.Second, func() bool {
		_, _, _ = s.Get("/") // visitors come, and their failures stand in the log
		return strings.Contains(v.said(), "state=resolved")
	})
	s.job(at, token)
	v.until("the job's count", 20*time.Second, func() bool { return strings.Contains(p.scrape(), `wpmend_jobs_total{kind="check",state="done"} 1`) })
	text := p.scrape()
	now := read(t, text)
	promtool(t, text, "check", "metrics")
	for name, want := range map[string]float64{
		`wpmend_sites`: 1, `wpmend_gateways`: -1, `wpmend_fpm_masters{state="running"}`: -1, `wpmend_logs_followed`: -1, `wpmend_probe_round_seconds`: -1,
		`wpmend_incidents_opened_total{outcome="fatal"}`: 1, `wpmend_incidents_total{state="resolved"}`: 1, `wpmend_incidents_total{state="escalated"}`: 0,
		`wpmend_incident_duration_seconds_count{state="resolved"}`: 1, `wpmend_incident_causes_total{cause="component-fault"}`: 1,
		`wpmend_remedies_total{remedy="disable",result="helped"}`: 1, `wpmend_remedies_total{remedy="disable",result="in-vain"}`: 0,
		`wpmend_culprits_total{kind="plugin"}`: 1, `wpmend_searches_total{verdict="found"}`: 1, `wpmend_search_questions_count`: 1, `wpmend_search_duration_seconds_count`: 1,
		`wpmend_probes_total{outcome="fatal",route="front"}`: -1, `wpmend_probes_total{outcome="fatal",route="shadow"}`: -1, `wpmend_probes_total{outcome="healthy",route="shadow"}`: -1,
		`wpmend_discoveries_total{result="ok"}`: -1, `wpmend_discoveries_total{result="failed"}`: 0, `wpmend_journal_readable`: 1, `wpmend_journal_records`: 1,
		`wpmend_journal_size_bytes`: -1, `wpmend_changes_in_force`: 1, `wpmend_changes_last_hour`: 1, `wpmend_changes_budget`: 10000,
		`wpmend_jobs_running`: 0, `wpmend_mode{mode="heal"}`: 1, `wpmend_mode{mode="observe"}`: 0, `wpmend_config_last_reload_successful`: 1,
		`wpmend_api_requests_total{code="200",method="get"}`: -1, `wpmend_feed_listeners`: -1, `process_open_fds`: -1, `go_goroutines`: -1,
	} {
		if got, there := now[name]; !there || want >= 0 && got != want || want < 0 && got <= 0 {
			t.Errorf("%s is %v (there: %v), want %v (-1: more than none)", name, got, there, want)
		}
	}
	if strings.Contains(text, s.domain()) || strings.Contains(text, lab.Slug(3)) || strings.Contains(text, s.Dir) {
		t.Errorf("a site, a plugin or a folder is named:\n%s", text)
	}
	t.Logf("%d series; repair %.2f s, search %.2f s with %v questions", len(now), now[`wpmend_incident_duration_seconds_sum{state="resolved"}`],
		now["wpmend_search_duration_seconds_sum"], now["wpmend_search_questions_sum"])

	// Only who knows the token gets the numbers.
	for _, header := range []string{"", "Bearer wrong"} {
		if code, _ := get(t, "http://"+at+"/metrics", header); code != http.StatusUnauthorized && code != http.StatusForbidden {
			t.Errorf("with %q as Authorization it answers %d", header, code)
		}
	}

	s.dashboard(p, now)
	v.until("the rules", 20*time.Second, func() bool { return p.rules(t) })

	// A configuration that is refused shows.
	s.write(s.config, "nonsense")
	s.must(v.cmd.Process.Signal(syscall.SIGHUP))
	v.until("the refusal", 10*time.Second, func() bool { return len(p.query(`wpmend_config_last_reload_successful == 0`)) == 1 })
	v.end(syscall.SIGTERM)
}

// job has the service check its site.
func (s *stage) job(at, tokenFile string) {
	s.t.Helper()
	token, err := os.ReadFile(tokenFile)
	s.must(err)
	req, err := http.NewRequest(http.MethodPost, "http://"+at+"/v1/sites/"+s.domain()+"/checks", strings.NewReader("{}"))
	s.must(err)
	req.Header.Set("Authorization", "Bearer "+string(token))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	s.must(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		text, _ := io.ReadAll(res.Body)
		s.t.Fatalf("a check is answered %d: %s", res.StatusCode, text)
	}
}

var metricName = regexp.MustCompile(`\b(?:wpmend|process|go)_[a-z_]+`)

// dashboard asks everything that it asks, of the numbers that there are.
func (s *stage) dashboard(p *prometheus, now scraped) {
	s.t.Helper()
	text, err := os.ReadFile(dashboardFile)
	s.must(err)
	var d struct {
		Panels []struct {
			Title, Description string
			Targets            []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Expr string } }
	}
	s.must(json.Unmarshal(text, &d))
	names := map[string]bool{"up": true}
	for series := range now {
		name, _, _ := strings.Cut(series, "{")
		names[name] = true
	}
	var exprs []string
	for _, panel := range d.Panels {
		if panel.Title == "" || panel.Description == "" || len(panel.Targets) == 0 {
			s.t.Errorf("panel %q does not say what it shows", panel.Title)
		}
		for _, target := range panel.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		exprs = append(exprs, a.Expr)
	}
	rules, err := os.ReadFile(rulesFile)
	s.must(err)
	for _, text := range append([]string{string(rules)}, exprs...) {
		for _, name := range metricName.FindAllString(text, -1) {
			if !names[name] && name != "wpmend_build_info" {
				s.t.Errorf("%q is asked, and there is no such number", name)
			}
		}
	}
	asked := 0
	for _, expr := range exprs {
		for variable, value := range map[string]string{"$instance": ".+", "$__rate_interval": "30s", "$__interval": "30s"} {
			expr = strings.ReplaceAll(expr, variable, value)
		}
		asked++
		answered := func() bool { return len(p.query(expr)) > 0 || strings.Contains(expr, "changes(process_start") }
		for deadline := time.Now().Add(10 * time.Second); !answered(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) { // the next scrapes bring it
				s.t.Errorf("nothing answers %s", expr)
				break
			}
		}
	}
	if asked < 15 {
		s.t.Errorf("only %d questions on the dashboard", asked)
	}
}

// prometheus is a real one.
type prometheus struct {
	t         testing.TB
	at, of    string // its own address, the service's
	tokenFile string
}

func (s *stage) prometheus(service, token string) *prometheus {
	s.t.Helper()
	p := &prometheus{t: s.t, at: s.freePort(), of: service, tokenFile: token}
	rules, err := filepath.Abs(rulesFile)
	s.must(err)
	file := filepath.Join(s.Dir, "prometheus.yml")
	s.write(file, fmt.Sprintf("global: {scrape_interval: 500ms, evaluation_interval: 500ms}\nrule_files: [%q]\nscrape_configs:\n  - job_name: wpmend\n    authorization: {credentials_file: %q}\n    static_configs: [{targets: [%q]}]\n",
		rules, token, service))
	cmd := exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(s.Dir, "tsdb"), "--web.listen-address="+p.at, "--log.level=warn")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	s.must(cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("prometheus said:\n%s", said.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if res, err := http.Get("http://" + p.at + "/-/ready"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatal("prometheus does not become ready")
		}
	}
}

func get(t testing.TB, at, authorization string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// scrape is what Prometheus gets.
func (p *prometheus) scrape() string {
	p.t.Helper()
	token, err := os.ReadFile(p.tokenFile)
	if err != nil {
		p.t.Fatal(err)
	}
	code, text := get(p.t, "http://"+p.of+"/metrics", "Bearer "+string(token))
	if code != http.StatusOK {
		p.t.Fatalf("the scrape is answered %d: %s", code, text)
	}
	return text
}

func (p *prometheus) query(expr string) []json.RawMessage {
	p.t.Helper()
	code, text := get(p.t, "http://"+p.at+"/api/v1/query?query="+url.QueryEscape(expr), "")
	var answer struct {
		Status string
		Data   struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Status != "success" {
		p.t.Fatalf("%s: %d %s", expr, code, text)
	}
	return answer.Data.Result
}

// rules: each was worked out, none is wrong, and none cries about a service that is well.
func (p *prometheus) rules(t *testing.T) bool {
	_, text := get(t, "http://"+p.at+"/api/v1/rules", "")
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, State, LastError string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	done := len(answer.Data.Groups) > 0
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			if r.LastError != "" || r.State == "firing" {
				t.Errorf("alert %s is %s: %s", r.Name, r.State, r.LastError)
			}
			done = done && r.Health == "ok"
		}
	}
	return done
}
