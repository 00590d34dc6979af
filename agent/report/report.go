// Package report makes of an incident what can be sent to a plugin's author or to the
// host's support: what failed, how that is known, what was tried, what was changed, how
// to undo it and how to prevent it. It knows how a report is put and what it looks like;
// it refuses to know where incidents come from.
//
// Its invariant: every text goes through a redactor before it is part of a report.
package report

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/redact"
)

// Report is one incident, told to somebody else.
type Report struct {
	Incident string           `json:"incident"`
	Headline string           `json:"headline"`
	Site     string           `json:"site"`
	URL      string           `json:"url"`
	Outcome  string           `json:"outcome"`
	Status   int              `json:"status"` // HTTP; 0: no answer
	What     string           `json:"signature"`
	State    string           `json:"state"`
	Opened   time.Time        `json:"opened"`
	Ended    time.Time        `json:"ended,omitzero"`
	Seconds  float64          `json:"seconds"`
	Versions []Version        `json:"versions"`
	Causes   []Cause          `json:"causes"`
	Culprits []Culprit        `json:"culprits"`
	Timeline []history.Event  `json:"timeline"`
	Probes   int              `json:"probes"` // questions that the search asked
	Changes  []history.Change `json:"changes"`
	Undo     string           `json:"undo,omitempty"` // the command that takes all changes back
	Todo     []string         `json:"todo"`
	Prevent  []string         `json:"prevent"`
}

// Version is one program that took part.
type Version = history.Version

// Cause is a reason with what proves it.
type Cause struct {
	Name       string              `json:"cause"`
	Meaning    string              `json:"meaning"`
	Sure       string              `json:"sure"`
	Confidence float64             `json:"confidence"`
	Component  string              `json:"component,omitempty"`
	Evidence   []diagnose.Evidence `json:"evidence"`
	Advice     string              `json:"advice,omitempty"`
}

// Culprit is a component that was convicted.
type Culprit struct {
	Component  string   `json:"component"`
	Version    string   `json:"version"`
	Signature  string   `json:"signature"`
	With       []string `json:"with"`
	Dependants []string `json:"dependants"`
}

// Of tells an incident, without what r takes out.
func Of(i history.Incident, r redact.Redactor) Report {
	clean := func(s string) string { return printable(r.Text(s)) }
	rep := Report{Incident: i.ID, Site: clean(i.Site.Domain), URL: clean(i.Symptom.URL), Outcome: i.Symptom.Outcome, Status: i.Symptom.Status,
		What: clean(i.Symptom.Signature), State: i.State, Opened: i.Opened, Ended: i.Ended, Seconds: i.Seconds, Probes: i.Probes,
		Versions: []Version{}, Causes: []Cause{}, Culprits: []Culprit{}, Timeline: []history.Event{}, Changes: []history.Change{}, Todo: []string{}, Prevent: []string{}}
	for _, v := range i.Versions {
		rep.Versions = append(rep.Versions, Version{Name: v.Name, Version: clean(v.Version)})
	}
	for n, c := range i.Causes {
		told := Cause{Name: c.Cause, Meaning: diagnose.Meaning(c.Cause), Sure: sure(c), Confidence: c.Confidence, Component: clean(c.Component),
			Evidence: []diagnose.Evidence{}, Advice: clean(c.Advice)}
		for _, e := range c.Evidence {
			told.Evidence = append(told.Evidence, diagnose.Evidence{Source: clean(e.Source), Text: clean(e.Text), Time: e.Time})
		}
		rep.Causes = append(rep.Causes, told)
		if p := diagnose.Prevention(c.Cause); n == 0 && p != "" {
			rep.Prevent = append(rep.Prevent, p)
		}
	}
	for _, c := range i.Culprits {
		rep.Culprits = append(rep.Culprits, Culprit{clean(c.Component), clean(c.Version), clean(c.Signature), all(c.With, clean), all(c.Dependants, clean)})
	}
	for _, e := range i.Timeline {
		rep.Timeline = append(rep.Timeline, history.Event{Time: e.Time, What: clean(e.What)})
	}
	for _, c := range i.Changes {
		rep.Changes = append(rep.Changes, history.Change{ID: clean(c.ID), What: oneLine(clean(c.What)), From: oneLine(clean(c.From)), To: oneLine(clean(c.To)), Undo: c.Undo})
		if c.Undo != "" && i.State == history.Resolved {
			rep.Undo = c.Undo
		}
	}
	rep.Todo = all(i.Advice, clean)
	rep.Headline = rep.headline()
	return rep
}

// headline is the incident in one sentence.
func (r Report) headline() string {
	answered := fmt.Sprintf("%s answered %s", r.Site, r.Outcome)
	if r.Status != 0 {
		answered += fmt.Sprintf(" (HTTP %d)", r.Status)
	}
	cause := ""
	switch {
	case len(r.Culprits) > 0:
		names := make([]string, len(r.Culprits))
		for i, c := range r.Culprits {
			names[i] = strings.TrimSpace(c.Component + " " + c.Version)
		}
		cause = " because of " + strings.Join(names, ", ")
	case len(r.Causes) > 0:
		cause = ": " + r.Causes[0].Meaning
	}
	switch r.State {
	case history.Resolved:
		return fmt.Sprintf("%s%s; wpmend mended it within %.1f s.", answered, cause, r.Seconds)
	case history.Transient:
		return answered + " for a moment and was well again by itself; nothing was changed."
	case history.Undone:
		return answered + cause + "; what wpmend had changed was taken back later."
	case history.Escalated:
		return answered + cause + "; wpmend left it as found, a person must act."
	}
	return answered + cause + "."
}

// sure puts a confidence into words.
func sure(c diagnose.Cause) string {
	if c.Proven {
		return "proven by the search"
	}
	return fmt.Sprintf("%.0f %% sure", 100*c.Confidence)
}

func all(texts []string, clean func(string) string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = clean(t)
	}
	return out
}

// printable keeps control characters of a hostile name or log line out of terminals,
// mails and pages; lines stay lines.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// oneLine shows the line breaks of a name: its second line would read as ours.
func oneLine(name string) string { return strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(name) }
