package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every route is in the document and every operation of the document is a route; each can
// be worked with from the document alone.
func TestDocument(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := clientOf(s.socket)
	got := carryOut(c, order{Method: "GET", Path: "/v1/openapi.json"})
	if got.Status != 200 || got.Header.Get("Content-Type") != "application/vnd.oai.openapi+json" {
		t.Fatalf("%+v", got)
	}
	d := readDocument(t, []byte(got.Body))
	if yaml := carryOut(c, order{Method: "GET", Path: "/v1/openapi.yaml"}); yaml.Status != 200 || !strings.Contains(yaml.Body, "openapi: 3.1.0") || !strings.Contains(yaml.Body, "  /v1/sites/{site}/bisects:") {
		t.Errorf("%d %.300s", yaml.Status, yaml.Body)
	}
	described := []string{}
	ids := map[string]bool{}
	for path, item := range d.paths {
		for method, operation := range item.(map[string]any) {
			described = append(described, strings.ToUpper(method)+" "+path)
			s.wantDescribed(d, strings.ToUpper(method)+" "+path, operation.(map[string]any), ids)
		}
	}
	slices.Sort(described)
	if routes := slices.Sorted(maps.Keys(s.routes)); !slices.Equal(routes, described) {
		t.Errorf("routes\n%s\ndescribed\n%s", strings.Join(routes, "\n"), strings.Join(described, "\n"))
	}
	for name, schema := range d.at(d.root, "components", "schemas").(map[string]any) {
		properties, _ := schema.(map[string]any)["properties"].(map[string]any)
		for field, p := range properties {
			p := p.(map[string]any)
			if p["description"] == nil && p["$ref"] == nil && p["enum"] == nil {
				t.Errorf("%s.%s is not described", name, field)
			}
		}
	}
	for kind, status := range statuses() {
		if errorWords()[status] == "" || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(kind) {
			t.Errorf("%s (%d) is not described", kind, status)
		}
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"([^"]+)"`).FindAllStringSubmatch(got.Body, -1) {
		if d.at(map[string]any{"$ref": ref[1]}) == nil {
			t.Errorf("%s leads nowhere", ref[1])
		}
	}
}

// wantDescribed says what an operation lacks.
func (s *stage) wantDescribed(d *written, name string, op map[string]any, ids map[string]bool) {
	s.t.Helper()
	id, _ := op["operationId"].(string)
	if id == "" || ids[id] || op["summary"] == nil || op["tags"] == nil {
		s.t.Errorf("%s: operationId %q, summary %v, tags %v", name, id, op["summary"], op["tags"])
	}
	ids[id] = true
	parameters, _ := op["parameters"].([]any)
	for _, p := range parameters {
		p := p.(map[string]any)
		if schema, _ := p["schema"].(map[string]any); p["description"] == nil && schema["enum"] == nil {
			s.t.Errorf("%s: %v is not described", name, p["name"])
		}
	}
	responses, _ := op["responses"].(map[string]any)
	for _, status := range []string{"400", "401", "403", "404", "421", "422", "429", "500", "503"} {
		content, _ := d.at(responses[status], "content", problemType).(map[string]any)
		example, err := json.Marshal(content["example"])
		if err != nil || content == nil {
			s.t.Errorf("%s: %s is not described", name, status)
		} else if faults := d.json(content["schema"], string(example)); len(faults) > 0 {
			s.t.Errorf("%s: the example of %s: %v", name, status, faults)
		}
	}
	method, _, _ := strings.Cut(name, " ")
	if keyed := slices.ContainsFunc(parameters, func(p any) bool { return p.(map[string]any)["name"] == keysHeader }); keyed != (method == http.MethodPost || method == http.MethodPut) {
		s.t.Errorf("%s: takes an Idempotency-Key: %v", name, keyed)
	}
}
