package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wpmend/agent/history"
	"wpmend/agent/policy"
)

// attempt is what the service, which nobody asked, gives an incident to go by.
type attempt struct {
	told  tales
	last  string         // the escalated incident that told of this failure, "" if none has
	hold  policy.Verdict // whether anything may be changed at all
	group *shared
}

// tales are what was told a person of a failure that lasts.
type tales map[string]bool

// tale is what an escalated incident tells: the same is not told twice.
func tale(i history.Incident) string {
	words := []string{i.Reason}
	for _, c := range i.Culprits {
		words = append(words, c.Component)
	}
	if i.Reason == string(policy.Unsolved) && len(i.Causes) > 0 {
		words = append(words, i.Causes[0].Cause)
	}
	return strings.Join(words, " ")
}

func (t *attempt) after() string {
	if t == nil {
		return ""
	}
	return t.last
}

func (t *attempt) knows(i history.Incident) bool {
	return t != nil && i.State == history.Escalated && t.told[tale(i)]
}

// shared is the failure as one of the site's whole pool, perhaps.
func (t *attempt) shared() *shared {
	if t == nil || t.group == nil {
		return newShared()
	}
	return t.group
}

// deny escalates because of err; a refusal by policy says of which kind it is.
func (h *healing) deny(ctx context.Context, err error) error {
	var denied *deniedError
	if errors.As(err, &denied) {
		h.report.Reason, h.report.Until = denied.Reason, denied.Until
		if denied.Reason == policy.CulpritReturns {
			return h.advise(ctx, err.Error()+". "+h.byHand())
		}
	}
	return h.advise(ctx, err.Error())
}

// byHand is how a person has done what wpmend does not do by itself.
func (h *healing) byHand() string {
	var commands []string
	for _, id := range toSwitchOff(h.report.Culprits) {
		commands = append(commands, fmt.Sprintf("wpmend disable %s %s", h.site.Domain, id))
	}
	return "To switch it off all the same: " + strings.Join(commands, "; ")
}

// holdBack makes an incident in which nothing may be changed one for a person, however
// it went.
func (h *healing) holdBack() {
	if h.attempt == nil || h.attempt.hold.Allowed || h.incident == nil {
		return
	}
	hold := h.attempt.hold
	h.report.State, h.report.Reason, h.report.Until = StateEscalated, hold.Reason, hold.Until
	h.report.Advice = slices.Insert(h.report.Advice, 0, hold.Why)
	h.event("%s", hold.Why)
}

// flaps says whether the failure of a key comes and goes, by the incidents of its site.
func flaps(list []history.Incident, key func(history.Incident) string, of string, most int, now time.Time) policy.Verdict {
	var calm time.Time // the end of an earlier one: what was before does not count again
	for _, i := range list {
		if i.Reason == string(policy.Flapping) && i.Over.After(calm) {
			calm = i.Over
		}
	}
	var times []time.Time
	for _, i := range list {
		lasts := i.State == history.Ongoing || i.State == history.Escalated && i.Over.IsZero()
		if !lasts && !onlyLogged(i) && key(i) == of && i.Opened.After(calm) && i.Reason != string(policy.Flapping) {
			times = append(times, i.Opened)
		}
	}
	return policy.Flaps(times, most, now)
}
