package agent

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"wpmend/agent/evidence"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func symptom(path, what string, at time.Time) evidence.Symptom {
	y := evidence.Symptom{Site: "a", What: what, Time: at}
	if path != "" {
		y.URL, y.Request = &url.URL{Scheme: "http", Host: "shop.example", Path: path}, "GET "+path
	}
	return y
}

func TestToldIsBounded(t *testing.T) {
	t.Parallel()
	var d told
	for i := range 1000 {
		d.add(symptom(fmt.Sprintf("/p/%d/", i), "answered 502", noon), noon)
		d.add(symptom("", "a worker ended by signal 11", noon), noon)
	}
	if n := len(d.symptoms); n != logURLs+1 {
		t.Errorf("%d symptoms are kept, want %d", n, logURLs+1)
	}
	d.add(symptom("/slow/", "answered 504", noon), noon)
	if last := d.symptoms[logURLs]; last.What != "answered 504" || len(d.symptoms) != logURLs+1 {
		t.Errorf("another trouble is lost in the flood: %+v", d.symptoms)
	}
}

func TestVisitsForSymptomsAreSpaced(t *testing.T) {
	t.Parallel()
	var d told
	now, visits := noon, 0
	for end := noon.Add(10 * time.Minute); now.Before(end); now = now.Add(100 * time.Millisecond) {
		d.add(symptom("/", "answered 502", now), now)
		if len(d.symptoms) > 0 && !d.next.After(now) {
			visits++
			d.visited(map[string]time.Time{"http://shop.example/": now}, false, now)
		}
	}
	// 0, .25, .5, 1, 2, 4, 8, 16 and then 30 s apart.
	if visits < 20 || visits > 30 {
		t.Errorf("%d visits in ten minutes of failures", visits)
	}
	later := now.Add(2 * symptomCalm)
	d.add(symptom("/", "answered 502", later), later)
	if d.next.After(later) {
		t.Errorf("after a calm the first symptom waits until %s", d.next)
	}
}

func TestVisitSettles(t *testing.T) {
	t.Parallel()
	a, b := symptom("/a/", "answered 502", noon), symptom("/b/", "answered 502", noon)
	end := noon.Add(700 * time.Millisecond)

	var d told
	d.add(a, noon)
	d.add(b, noon)
	d.visited(map[string]time.Time{a.URL.String(): noon.Add(100 * time.Millisecond)}, false, end)
	if len(d.symptoms) != 1 || d.symptoms[0].URL.Path != "/b/" {
		t.Errorf("left: %+v, want what was not asked", d.symptoms)
	}
	d.add(symptom("/a/", "answered 500", noon), noon.Add(200*time.Millisecond)) // while the visit is written down
	d.visited(map[string]time.Time{a.URL.String(): noon.Add(100 * time.Millisecond)}, false, end)
	if len(d.symptoms) != 2 || d.symptoms[1].What != "answered 500" {
		t.Errorf("left: %+v, want what was heard after the last question", d.symptoms)
	}
	d.visited(nil, true, end)
	if len(d.symptoms) != 0 {
		t.Errorf("left: %+v, want nothing after an incident", d.symptoms)
	}
	d.add(symptom("/c/", "answered 502", noon.Add(-time.Second)), end)
	if len(d.symptoms) != 0 {
		t.Errorf("what failed before the incident's end is looked into again: %+v", d.symptoms)
	}
	d.add(symptom("/c/", "answered 502", noon), end) // may have been before or after
	if len(d.symptoms) != 1 {
		t.Error("what failed within the second of the incident's end is lost")
	}
}

// What anybody can bring about by a URL must not keep wpmend from the front page.
func TestRestKeys(t *testing.T) {
	t.Parallel()
	s, r, u := site.Site{ID: "a"}, probe.Result{Signature: "502"}, &url.URL{Path: "/x/"}
	if restKey(s, r, nil) == restKey(s, r, u) || restKey(s, r, u) == restKey(s, probe.Result{Signature: "504"}, u) {
		t.Error("two failures share a rest")
	}
}
