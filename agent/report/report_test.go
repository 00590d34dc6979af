package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/redact"
)

func incident() history.Incident {
	at := time.Date(2026, 11, 23, 3, 4, 5, 0, time.UTC)
	return history.Incident{
		ID: "01KTEST", State: history.Resolved, Opened: at, Ended: at.Add(4 * time.Second), Seconds: 4.2, Probes: 8,
		Site:     history.SiteRef{Domain: "shop.example", Root: "/srv/shop"},
		Symptom:  history.Symptom{Outcome: "bad-gateway", Signature: "the worker died", URL: "https://shop.example/", Status: 502},
		Versions: []history.Version{{Name: "PHP", Version: "8.2.36"}},
		Causes: []diagnose.Cause{{Cause: diagnose.ComponentFault, Confidence: 0.99, Proven: true, Component: "plugin:kaput", Advice: "Install the version from before.",
			Evidence: []diagnose.Evidence{{Source: "/var/log/fpm.log", Text: "child 7 exited on signal 11 (SIGSEGV)", Time: at}}}},
		Culprits: []history.Culprit{{Component: "plugin:kaput", Version: "1.2", Signature: "the worker died"}},
		Changes:  []history.Change{{ID: "c1", What: "switch off plugin:kaput", From: "plugins/kaput", To: "plugins/.kaput.off-by-wpmend", Undo: "wpmend incidents undo 01KTEST"}},
		Timeline: []history.Event{{Time: at, What: "shop.example answered bad-gateway"}, {Time: at.Add(2 * time.Second), What: "convicted plugin:kaput"}, {Time: at.Add(4 * time.Second), What: "5 answers in a row are healthy"}},
		Advice:   []string{"Tell its author."},
	}
}

func render(t *testing.T, r Report) (text, html, js string) {
	t.Helper()
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return r.Text(), page.String(), string(data)
}

func TestReportTellsAll(t *testing.T) {
	t.Parallel()
	text, html, js := render(t, Of(incident(), redact.New()))
	for name, said := range map[string]string{"text": text, "html": html, "json": js} {
		for _, want := range []string{"01KTEST", "shop.example answered bad-gateway (HTTP 502) because of plugin:kaput 1.2; wpmend mended it within 4.2 s.",
			"8.2.36", "component-fault", "proven by the search", "child 7 exited on signal 11", "convicted plugin:kaput", "plugins/.kaput.off-by-wpmend",
			"wpmend incidents undo 01KTEST", "Tell its author.", "Install the version from before.", "Try updates on a copy first"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s does not say %q:\n%s", name, want, said)
			}
		}
	}
}

// The page is one file: nothing of it is fetched, nothing runs.
func TestPageIsSelfContained(t *testing.T) {
	t.Parallel()
	i := incident()
	i.Timeline[1].What = `<script>alert(1)</script><img src="https://evil.example/x">`
	_, html, _ := render(t, Of(i, redact.New()))
	for _, no := range []string{"<script", "<img", "<link", "<iframe", "src=", "href=", "url(", "@import"} {
		if strings.Contains(html, no) && !strings.Contains(html, "&lt;img") {
			t.Errorf("the page holds %s", no)
		}
	}
	if !strings.Contains(html, "default-src 'none'") || strings.Count(html, "<circle") != len(i.Timeline) {
		t.Errorf("no strict policy, or not every event is drawn:\n%s", html)
	}
	svg := html[strings.Index(html, "<svg") : strings.Index(html, "</svg>")+len("</svg>")]
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the drawing is not well-formed: %v\n%s", err, svg)
		}
	}
}

// No text of an incident reaches a report past the redactor, whatever fields an
// incident may get.
func TestNoSecretComesOut(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery"
	i := incident()
	poison(reflect.ValueOf(&i).Elem(), "x "+secret+"\x1b[31m DB_PASSWORD=hunter2hunter2 https://a.example/?token=tok_tok_tok")
	i.ID, i.State = "01KTEST", history.Resolved
	i.Changes[0].Undo, i.Causes[0].Cause, i.Symptom.Outcome, i.Versions[0].Name = "wpmend incidents undo 01KTEST", diagnose.ComponentFault, "fatal", "PHP"
	text, html, js := render(t, Of(i, redact.New(secret)))
	for name, said := range map[string]string{"text": text, "html": html, "json": js} {
		for _, no := range []string{secret, "hunter2", "tok_tok", "\x1b"} {
			if strings.Contains(said, no) {
				t.Errorf("%s holds %q:\n%s", name, no, said)
			}
		}
		if !strings.Contains(said, redact.Gone) {
			t.Errorf("%s has nothing taken out", name)
		}
	}
}

// poison puts text into every string below v.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for n := range v.NumField() {
			poison(v.Field(n), text)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for n := range v.Len() {
			poison(v.Index(n), text)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	i := incident()
	i.Timeline = nil
	if l := Of(i, redact.New()).line(); len(l.Points) != 0 {
		t.Errorf("points without events: %+v", l)
	}
	for n := range 40 { // many at once: none may cover another
		i.Timeline = append(i.Timeline, history.Event{Time: i.Opened.Add(time.Duration(n/4) * 300 * time.Millisecond), What: "x"})
	}
	l := Of(i, redact.New()).line()
	for a, p := range l.Points {
		if p.X < l.Left || p.X > l.Right || p.Y < 9 || p.Y > l.Axis {
			t.Errorf("point %d lies outside: %+v in %d × %d", p.N, p, l.Width, l.Height)
		}
		for _, q := range l.Points[:a] {
			if p.Y == q.Y && p.X-q.X < pointSize {
				t.Errorf("point %d covers point %d", p.N, q.N)
			}
		}
	}
	for _, took := range []time.Duration{time.Second, 7 * time.Second, time.Minute, time.Hour, 30 * 24 * time.Hour} {
		if n := took / tickStep(took); n < 2 || n > 10 {
			t.Errorf("%d ticks within %s", n, took)
		}
	}
}
