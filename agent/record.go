package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wpmend/agent/history"
	"wpmend/agent/policy"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// open begins the incident's record at the first failure, unless nothing is to be done
// anyway.
func (h *healing) open() error {
	if h.dry && !h.suggest || h.incident != nil {
		return nil
	}
	inc := history.Begin(history.Incident{Site: ref(h.site), Opened: h.front.Start, Versions: versions(h.look),
		Symptom: history.Symptom{Outcome: string(h.front.Outcome), Signature: h.front.Signature, URL: h.target().String(), Status: h.front.Status}})
	h.incident = &inc
	h.report.Incident = inc.ID
	h.event("%s answered %s: %s", h.target(), h.front.Outcome, h.front.Signature)
	if after := h.attempt.after(); after != "" {
		// It was told already: only what is done or found beyond that is written down.
		inc.After = after
		h.event("it goes on where incident %s left off", after)
		return nil
	}
	return h.write()
}

// write puts the incident into the history, if it is not there yet.
func (h *healing) write() error {
	if h.incident == nil || h.written {
		return nil
	}
	if err := h.agent.told(*h.incident, h.agent.history.Save(*h.incident)); err != nil {
		return fmt.Errorf("write the history, so nothing was changed: %w", err)
	}
	h.written = true
	return nil
}

// openSeen begins the record of what was seen to fail before anything was asked again.
func (h *healing) openSeen() error {
	if h.seen == nil {
		return nil
	}
	front := h.requests
	h.front = *h.seen
	if h.named != nil {
		h.askNamed()
	}
	err := h.open()
	h.requests, h.logged = front, false
	return err
}

// askNamed makes the incident one of a URL that only a log names.
func (h *healing) askNamed() {
	h.requests, h.logged = []request{{Request: probe.Request{Target: h.named}}}, true
}

// told tells whoever watches of an incident that was written down, unless it failed.
func (a *Agent) told(i history.Incident, failed error) error {
	if failed == nil {
		a.progress(Progress{Site: i.Site, Doing: "incident " + i.ID + ": " + i.State, Incident: &i})
	}
	return failed
}

// event adds a line to the incident's story.
func (h *healing) event(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	h.agent.say(h.site, "%s", what)
	if h.incident != nil {
		h.incident.Note(time.Now(), what)
	}
}

// id is the incident's, "" in a dry run.
func (h *healing) id() string {
	if h.incident == nil {
		return ""
	}
	return h.incident.ID
}

// close ends the record as the report says; failed is why the work stopped.
func (h *healing) close(failed error) error {
	r := &h.report
	if failed != nil {
		r.State, r.Reason = StateEscalated, policy.Stopped
		what := "stopped: " + failed.Error()
		if errors.Is(failed, context.Canceled) {
			what = "interrupted"
		}
		h.event("%s", what)
	}
	inc := h.incident
	inc.State = string(r.State)
	inc.Causes, inc.Advice = r.Causes, r.Advice
	inc.Probes, inc.Repeats, inc.Rounds, inc.Seconds = r.Probes, r.Repeats, r.Rounds, r.Seconds
	inc.Culprits, inc.Changes = r.Culprits, r.Changes
	inc.Sites, inc.Reason = r.Sites, string(r.Reason)
	if !h.written && h.attempt.knows(*inc) {
		r.Incident = inc.After
		return failed
	}
	return errors.Join(failed, h.agent.told(*inc, h.agent.history.Close(*inc)))
}

// failedBefore reports whether a passing failure of the site that wpmend itself saw was
// recorded since.
func (a *Agent) failedBefore(s site.Site, since time.Time) (bool, error) {
	list, err := a.recorded(s, since)
	return slices.ContainsFunc(list, func(i history.Incident) bool {
		return i.State == history.Transient && i.Opened.After(since) && !onlyLogged(i)
	}), err
}

// recorded are the incidents of the site that began since, or ended; what cannot be read
// of the history is left out.
func (a *Agent) recorded(s site.Site, since time.Time) ([]history.Incident, error) {
	list, err := a.history.List(history.Filter{Site: s.ID, Since: since.Add(-incidentStands)})
	var junk *history.JunkError
	if err != nil && !errors.As(err, &junk) {
		return nil, err
	}
	return list, nil
}

// lately are the remedies that ended an incident of the site since, the newest first.
// Records that cannot be read tell nothing.
func (a *Agent) lately(s site.Site, since time.Time) (remedies []string) {
	list, err := a.recorded(s, since)
	if err != nil {
		a.log.Debug("the history cannot be read", "err", err)
	}
	for _, i := range list {
		if i.State == history.Resolved && i.Opened.After(since) && len(i.Remedies) > 0 {
			remedies = append(remedies, i.Remedies[len(i.Remedies)-1])
		}
	}
	return remedies
}
