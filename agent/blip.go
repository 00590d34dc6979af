package agent

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"wpmend/agent/evidence"
	"wpmend/agent/history"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// loggedSignature begins the signatures of what only a log tells of.
const loggedSignature = "in the log: "

func blipSignature(y evidence.Symptom) string { return loggedSignature + y.What }

// blipped reports whether the same was recorded of the site since.
func (a *Agent) blipped(s site.Site, y evidence.Symptom, since time.Time) (bool, error) {
	list, err := a.recorded(s, since)
	return slices.ContainsFunc(list, func(i history.Incident) bool {
		return i.Ended.After(since) && i.Symptom.Signature == blipSignature(y)
	}), err
}

// recordBlip writes down an incident that had passed when it was looked into.
func (a *Agent) recordBlip(s site.Site, y evidence.Symptom, asked fmt.Stringer) error {
	inc, err := a.history.Open(history.Incident{Site: ref(s), Opened: y.Time,
		Symptom: history.Symptom{Outcome: string(loggedOutcome(y.Status)), Signature: blipSignature(y), URL: asked.String(), Status: y.Status}})
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	inc.State = history.Transient
	inc.Note(y.Time, fmt.Sprintf("%s %s, says %s", y.Request, y.What, y.Source))
	inc.Note(time.Now(), fmt.Sprintf("%d answers of %s in a row are healthy; nothing was done", transientProbes, asked))
	return a.told(inc, a.history.Close(inc))
}

// loggedOutcome is what a status in a log stands for.
func loggedOutcome(status int) probe.Outcome {
	switch status {
	case http.StatusBadGateway:
		return probe.BadGateway
	case http.StatusServiceUnavailable:
		return probe.Unavailable
	case http.StatusGatewayTimeout:
		return probe.GatewayTimeout
	case http.StatusOK:
		return probe.Blank
	}
	return probe.Fatal
}

// onlyLogged: nobody but a log names what the incident was opened for.
func onlyLogged(i history.Incident) bool {
	return strings.HasPrefix(i.Symptom.Signature, loggedSignature)
}
