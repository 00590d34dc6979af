package api

import (
	"testing"

	"wpmend/packaging/lab"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 4})
	var any any
	for _, p := range []string{"/v1/service", "/v1/sites", "/v1/sites/shop.lab.test", "/v1/sites/shop.lab.test/components", "/v1/sites/shop.lab.test/limits", "/v1/incidents", "/v1/changes", "/v1/pools", "/v1/jobs", "/v1/config", "/v1/openapi.json", "/v1/nothing"} {
		s.ask("GET", p, "", &any)
	}
	var j Job0
	s.ask("POST", "/v1/sites/shop.lab.test/checks", "", &j)
	s.ask("GET", "/v1/jobs/"+j.ID+"?wait=30", "", &any)
	s.ask("GET", "/v1/jobs/"+j.ID+"/events", "", nil)
	s.ask("POST", "/v1/recover", "", &any)
}

type Job0 struct{ ID string }
