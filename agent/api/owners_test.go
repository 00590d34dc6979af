package api

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wpmend/agent"
	"wpmend/agent/diagnose"
	"wpmend/agent/feed"
	"wpmend/agent/history"
	"wpmend/packaging/lab"
)

const (
	alice    = 23001
	bob      = 23002
	stranger = 23003
)

// Three users with real uids at one socket: to each owner the other does not exist, and
// the stranger sees nothing at all.
func TestOwners(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{UID: alice, Plugins: 3}, lab.Options{UID: bob, Plugins: 3, Sites: 2})
	root, a, b, x := s.as(0), s.as(alice), s.as(bob), s.as(stranger)
	at := s.owners()
	theirs := map[string]string{"alice": s.labs[0].Dir, "bob": s.labs[1].Dir}

	var service ServiceInfo
	root.get("/v1/service", &service)
	if service.Role != Admin || service.Sites != 3 {
		t.Errorf("root: %+v", service)
	}
	var list SiteList
	for who, c := range map[string]*somebody{"alice": a, "bob": b} {
		c.get("/v1/service", &service)
		c.get("/v1/sites", &list)
		if want := map[string]int{"alice": 1, "bob": 2}[who]; service.Role != Owner || service.Sites != want || len(list.Sites) != want || len(list.Notes) != 0 {
			t.Errorf("%s: %+v %+v", who, service, list)
		}
	}
	a.get("/v1/sites?q=shop2", &list)
	if len(list.Sites) != 0 {
		t.Errorf("alice finds %+v", list)
	}

	// A fault of alice's is mended; everybody listens.
	heard := map[string]chan string{"root": make(chan string, 1), "alice": make(chan string, 1), "bob": make(chan string, 1)}
	for who, uid := range map[string]uint32{"root": 0, "alice": alice, "bob": bob} {
		c := s.as(uid)
		go func() {
			heard[who] <- c.do(order{Method: "GET", Path: "/v1/events", Until: `"state":"escalated"`}).Body
		}()
	}
	s.until("three listeners", func() bool { return s.feed.Listeners() == 3 })
	s.must(s.labs[0].Break(0, lab.Fatal, lab.Slug(2)))
	healed := root.job("/v1/sites/"+at.alice+"/heals", "")
	if healed.State != done || !strings.Contains(string(healed.Result), `"state":"resolved"`) {
		t.Fatalf("%+v %s", healed, healed.Result)
	}
	b.job("/v1/sites/"+at.bob+"/checks", `{"walk":true}`)

	var incidents IncidentList
	a.get("/v1/incidents", &incidents)
	if len(incidents.Incidents) != 1 {
		t.Fatalf("alice has %+v", incidents)
	}
	id := incidents.Incidents[0].ID
	s.hidden(b, at, id, healed.ID)
	s.visible(a, at, id, healed.ID)
	s.refused(x, at, id, healed.ID)

	// She takes it back by herself, and only once.
	var changes ChangeList
	a.get("/v1/changes", &changes)
	if len(changes.Changes) != 1 {
		t.Errorf("in force: %+v", changes)
	}
	key := map[string]string{keysHeader: "undo-1"}
	first := a.do(order{Method: "POST", Path: "/v1/incidents/" + id + "/undo", Header: key})
	again := a.do(order{Method: "POST", Path: "/v1/incidents/" + id + "/undo", Header: key})
	if first.Status != 200 || first.Body != again.Body || !strings.Contains(first.Body, lab.Slug(2)) {
		t.Errorf("undone: %d %s, then %d %s", first.Status, first.Body, again.Status, again.Body)
	}
	if status, _, err := s.labs[0].Get("/"); err != nil || status != 500 {
		t.Errorf("the plugin is not back: %d %v", status, err)
	}
	a.get("/v1/changes", &changes)
	if len(changes.Changes) != 0 {
		t.Errorf("still in force: %+v", changes)
	}

	s.sharedIncident(a, b, at, theirs)
	for who, said := range heard {
		text := <-said
		if n := strings.Count(text, "\ndata: "); n < 3 || who != "bob" && !strings.Contains(text, lab.Slug(2)) {
			t.Errorf("%s heard %d events: %s", who, n, text)
		}
		for _, secret := range map[string][]string{"bob": {at.alice, theirs["alice"], lab.Slug(2), "23001"}, "alice": {at.bob, at.bob2, theirs["bob"], "shop2", "23002"}}[who] {
			if strings.Contains(text, secret) {
				t.Errorf("%s hears of %s: %s", who, secret, text)
			}
		}
	}
}

// where names the sites of the stage.
type where struct{ alice, bob, bob2 string }

// owners looks up the ids.
func (s *stage) owners() (w where) {
	s.t.Helper()
	host, err := s.agent.Discover(s.t.Context())
	s.must(err)
	for _, site := range host.Sites {
		switch {
		case site.Owner == alice:
			w.alice = site.ID
		case site.Domain == "shop.lab.test":
			w.bob = site.ID
		default:
			w.bob2 = site.ID
		}
	}
	if w.alice == "" || w.bob == "" || w.bob2 == "" {
		s.t.Fatalf("%+v of %d sites", w, len(host.Sites))
	}
	return w
}

// hidden asks for what is alice's as somebody else who owns a site: it is as if it were
// not there.
func (s *stage) hidden(b *somebody, at where, incident, job string) {
	s.t.Helper()
	nowhere, never := "000000000000", "01KB2M6Q7T9S3V5X8Y0Z1A2B3C"
	for _, path := range []string{"/v1/sites/%", "/v1/sites/%/components", "/v1/sites/%/limits", "/v1/events?site=%"} {
		got := b.want(404, "not-found", "GET", strings.ReplaceAll(path, "%", at.alice), "")
		want := b.want(404, "not-found", "GET", strings.ReplaceAll(path, "%", nowhere), "")
		if strings.ReplaceAll(got.Body, at.alice, nowhere) != want.Body {
			s.t.Errorf("%s tells %s from %s", path, got.Body, want.Body)
		}
	}
	for _, kind := range []string{"checks", "bisects"} {
		b.want(404, "not-found", "POST", "/v1/sites/"+at.alice+"/"+kind, "{}")
	}
	for _, ask := range []string{"GET /v1/incidents/%", "GET /v1/incidents/%/report", "POST /v1/incidents/%/undo"} {
		method, path, _ := strings.Cut(ask, " ")
		got := b.want(404, "not-found", method, strings.ReplaceAll(path, "%", incident), "")
		want := b.want(404, "not-found", method, strings.ReplaceAll(path, "%", never), "")
		if got.Body != want.Body {
			s.t.Errorf("%s tells %s from %s", ask, got.Body, want.Body)
		}
	}
	for _, ask := range []string{"GET /v1/jobs/%", "DELETE /v1/jobs/%", "GET /v1/jobs/%/events"} {
		method, path, _ := strings.Cut(ask, " ")
		b.want(404, "not-found", method, strings.ReplaceAll(path, "%", job), "")
	}
	for _, path := range []string{"/v1/service", "/v1/sites", "/v1/incidents", "/v1/incidents?site=" + at.alice, "/v1/jobs", "/v1/changes"} {
		r := b.want(200, "", "GET", path, "")
		for _, secret := range []string{at.alice, s.labs[0].Dir, incident, job, "23001"} {
			if strings.Contains(r.Body, secret) {
				s.t.Errorf("GET %s tells of %s: %s", path, secret, r.Body)
			}
		}
	}
}

// visible asks for the own things: most may be seen, little done.
func (s *stage) visible(a *somebody, at where, incident, job string) {
	s.t.Helper()
	for _, path := range []string{"/v1/sites/" + at.alice, "/v1/sites/shop.lab.test", "/v1/sites/" + at.alice + "/components", "/v1/sites/" + at.alice + "/limits",
		"/v1/incidents/" + incident, "/v1/incidents/" + incident + "/report?format=html", "/v1/jobs/" + job, "/v1/jobs/" + job + "/events", "/v1/openapi.json"} {
		r := a.want(200, "", "GET", path, "")
		for _, secret := range []string{at.bob, at.bob2, s.labs[1].Dir, "23002"} {
			if strings.Contains(r.Body, secret) {
				s.t.Errorf("GET %s tells of %s: %s", path, secret, r.Body)
			}
		}
	}
	site := "/v1/sites/" + at.alice
	for _, ask := range []struct{ method, path, body string }{
		{"POST", site + "/heals", "{}"}, {"PUT", site + "/components/plugin:" + lab.Slug(1), `{"enabled":false}`},
		{"POST", site + "/limits", `{"set":[{"name":"memory_limit","value":"64M"}]}`}, {"POST", site + "/limits/undo", ""},
		{"POST", site + "/bisects", `{"fix":true}`}, {"POST", site + "/bisects", `{"as_user":"admin"}`}, {"POST", site + "/bisects", `{"method":"rename"}`},
		{"GET", "/v1/pools", ""}, {"POST", "/v1/pools/shop/restart", `{"force":true}`}, {"POST", "/v1/pools/shop/reload", ""},
		{"GET", "/v1/config", ""}, {"POST", "/v1/recover", ""}, {"GET", "/metrics", ""}, {"DELETE", "/v1/jobs/" + job, ""},
	} {
		a.want(403, "not-permitted", ask.method, ask.path, ask.body)
	}
	if j := a.job(site+"/checks", ""); j.State != done || j.By != "23001" {
		s.t.Errorf("her check: %+v", j)
	}
	if j := a.job(site+"/bisects", `{"method":"auto"}`); j.State != done || !strings.Contains(string(j.Result), `"live_changes":0`) {
		s.t.Errorf("her search: %+v %s", j, j.Result)
	}
	// What is asked must be hers too.
	if j := a.job(site+"/checks", `{"urls":["http://shop2.lab.test/"]}`); j.State != failed || j.Error.Type != kindPrefix+"usage" {
		s.t.Errorf("a check of another site: %+v", j)
	}
	if j := a.want(200, "", "GET", "/v1/jobs/"+job, ""); !strings.Contains(j.Body, `"by":"an administrator"`) {
		s.t.Errorf("the administrator's job: %s", j.Body)
	}
}

// refused asks for everything as somebody who owns nothing.
func (s *stage) refused(x *somebody, at where, incident, job string) {
	s.t.Helper()
	asked := 0
	for pattern := range s.routes {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{site}", at.alice, "{id}", incident, "{pool}", "shop", "{component}", "plugin:x").Replace(path)
		if strings.HasPrefix(path, "/v1/jobs/") {
			path = strings.ReplaceAll(path, incident, job)
		}
		asked++
		if r := x.do(order{Method: method, Path: path, Body: "{}"}); r.Status != 403 || strings.Contains(r.Body, at.alice) {
			s.t.Errorf("%s: %d %s", pattern, r.Status, r.Body)
		}
	}
	if asked < 20 {
		s.t.Errorf("only %d routes", asked)
	}
}

// sharedIncident is one of a pool that names the sites of both, with evidence of both.
func (s *stage) sharedIncident(a, b *somebody, at where, theirs map[string]string) {
	s.t.Helper()
	host, err := s.agent.Discover(s.t.Context())
	s.must(err)
	refs := map[string]agent.SiteRef{}
	for _, site := range host.Sites {
		refs[site.ID] = agent.Ref(site)
	}
	store, err := history.Open(filepath.Join(s.dir, "state", "history"))
	s.must(err)
	i := history.Begin(history.Incident{Site: refs[at.alice], Sites: []history.SiteRef{refs[at.bob2]},
		Symptom: history.Symptom{Outcome: "bad-gateway", URL: "http://shop.lab.test/secret-of-alice", Status: 502},
		Causes: []diagnose.Cause{{Cause: "pool-exhausted", Confidence: 0.9, Advice: "ask the owner of shop2.lab.test",
			Evidence: []diagnose.Evidence{{Source: "access.log", Text: "GET http://SHOP2.lab.test/x 502"}, {Source: refs[at.bob].Root + "/error.log", Text: "of alice"}, {Source: "/var/log/nginx/shop2.lab.test-error.log", Text: "connect() failed"}, {Source: "status", Text: "4 of 4 workers busy"}}}}})
	i.Note(time.Now(), "asked "+refs[at.bob2].Root+"/index.php")
	i.Note(time.Now(), "the pool is full")
	i.State, i.Ended = history.Escalated, time.Now()
	s.must(store.Close(i))
	s.feed.Publish(feed.Event{Kind: feed.Incident, Site: i.Site, Text: "of shop.lab.test and shop2.lab.test", Incident: &i})

	for who, c := range map[string]*somebody{"alice": a, "bob": b} {
		r := c.want(200, "", "GET", "/v1/incidents/"+i.ID, "")
		var seen history.Incident
		s.must(json.Unmarshal([]byte(r.Body), &seen))
		secrets := []string{theirs["bob"], "shop2", "SHOP2", at.bob, at.bob2, "23002"}
		if who == "bob" {
			secrets = []string{theirs["alice"], "secret-of-alice", "workers busy", "of alice", at.alice, "23001"}
		}
		for _, path := range []string{"", "/report", "/report?format=html", "/report?format=text"} {
			r := c.want(200, "", "GET", "/v1/incidents/"+i.ID+path, "")
			for _, secret := range secrets {
				if strings.Contains(r.Body, secret) {
					s.t.Errorf("%s reads %q in %s: %s", who, secret, path, r.Body)
				}
			}
		}
		if own := map[string]string{"alice": at.alice, "bob": at.bob2}[who]; seen.Site.ID != own || seen.State != history.Escalated || len(seen.Causes) != 1 || seen.Causes[0].Cause != "pool-exhausted" {
			s.t.Errorf("%s sees %s", who, r.Body)
		}
		c.want(403, "not-permitted", "POST", "/v1/incidents/"+i.ID+"/undo", "")
	}
	if r := a.want(200, "", "GET", "/v1/incidents/"+i.ID, ""); !strings.Contains(r.Body, "4 of 4 workers busy") || !strings.Contains(r.Body, "the pool is full") || !strings.Contains(r.Body, "secret-of-alice") {
		s.t.Errorf("alice misses what is hers: %s", r.Body)
	}
}
