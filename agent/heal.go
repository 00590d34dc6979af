package agent

import (
	"context"
	"fmt"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// HealOptions says how far Heal may go.
type HealOptions struct {
	DryRun bool
}

// Heal takes one incident of a site from its first symptom to its end.
func (a *Agent) Heal(ctx context.Context, s site.Site, o HealOptions) (HealReport, error) {
	start := time.Now()
	l, release, err := a.beginHeld(ctx, s, "", "heal", !o.DryRun)
	if err != nil {
		return HealReport{}, err
	}
	defer release()
	h := &healing{agent: a, look: l, dry: o.DryRun, report: HealReport{Site: ref(s), Causes: []diagnose.Cause{}, Culprits: []Culprit{}, Changes: []ChangeRef{}, Advice: []string{}}}
	err = h.run(ctx)
	h.report.Seconds = time.Since(start).Seconds()
	h.report.Notes = append([]string{}, l.notes...)
	if h.incident != nil {
		err = h.close(err)
	}
	return h.report, err
}

// healing is one incident under way.
type healing struct {
	*look
	agent    *Agent
	dry      bool
	early    *earlySearch
	incident *history.Incident
	proof    []string // what the search saw
	report   HealReport
}

// run is the incident: confirm, explain, then one remedy after the other.
func (h *healing) run(ctx context.Context) error {
	defer h.stopEarly()
	h.agent.say(h.site, "asking %s", h.target)
	h.front = h.askFront(ctx)
	h.report.Outcome = h.front.Outcome
	if err := ctx.Err(); err != nil {
		return err
	}
	if !h.front.Outcome.Failing() {
		h.report.State = StateHealthy
		return nil
	}
	failed, asked := h.agent.confirm(ctx, h.look)
	if err := ctx.Err(); err != nil {
		return err
	}
	if failed < asked {
		return h.passing(failed, asked)
	}
	h.explain(ctx)
	if err := h.open(); err != nil {
		return err
	}
	if h.front.Outcome == probe.Unreachable {
		h.report.Advice = append(h.report.Advice, "Nobody accepts connections where the site's vhost listens: see whether the gateway runs (nginx -t, then its service).")
		return h.escalate(ctx)
	}
	for tried := map[string]bool{}; ; {
		name := remedyOf(h.causes)
		if name == "" || tried[name] {
			return h.escalate(ctx)
		}
		tried[name] = true
		done, err := h.take(ctx, name)
		if err != nil || done {
			return err
		}
		// It changed nothing for the better, or only uncovered the next cause.
		h.front = probe.ByFront(ctx, h.site, h.target, h.agent.limits())
		h.explain(ctx)
		if !h.front.Outcome.Failing() {
			h.report.Advice = append(h.report.Advice, "Some answers are healthy now and some are not: the fault comes and goes.")
			return h.escalate(ctx)
		}
	}
}

func (h *healing) explain(ctx context.Context) {
	h.agent.explain(ctx, h.look)
	h.report.Causes = h.causes
}

// take tries one remedy; done means that the incident has ended.
func (h *healing) take(ctx context.Context, name string) (done bool, err error) {
	switch name {
	case diagnose.RemedyStartFPM:
		return h.startFPM(ctx)
	case diagnose.RemedyDisable:
		return h.disableCulprits(ctx)
	}
	return true, fmt.Errorf("no remedy is called %q", name)
}

// remedyOf is the first remedy that the ranked causes name. A cause that wpmend
// cannot mend and that is surer than all others stands in the way of every remedy;
// a failure without any known cause may still be a component's.
func remedyOf(causes []diagnose.Cause) string {
	if len(causes) == 0 {
		return diagnose.RemedyDisable
	}
	if causes[0].Remedy == nil {
		return ""
	}
	return *causes[0].Remedy
}

// recurrence is the time within which a second passing failure of a site is no
// accident any more.
const recurrence = 15 * time.Minute

// passing ends an incident that did not last.
func (h *healing) passing(failed, asked int) error {
	again, err := h.agent.failedBefore(h.site, time.Now().Add(-recurrence))
	if err != nil {
		return err
	}
	if err := h.open(); err != nil {
		return err
	}
	h.event("%d of %d answers failed", failed, asked)
	if failed == 1 && !again {
		h.report.State = StateTransient
		return nil
	}
	h.report.State = StateEscalated
	h.report.Advice = append(h.report.Advice, fmt.Sprintf("The fault comes and goes: %d of %d answers failed. `wpmend check %s` shows what the logs say at a moment when it fails.", failed, asked, h.site.Domain))
	return nil
}

// escalate leaves the site as found and says what a person can do. For a header
// that is too big the plugin that sends it is named, by a search that changes nothing.
func (h *healing) escalate(ctx context.Context) error {
	if h.dry && len(h.causes) > 0 && h.causes[0].Remedy == nil {
		h.report.State = StatePlanned
	} else {
		h.report.State = StateEscalated
	}
	if len(h.causes) > 0 && h.causes[0].Cause == diagnose.ResponseHeaderTooBig && h.report.Probes == 0 && h.wp.Database == nil {
		f, err := h.search(ctx)
		if err != nil {
			h.notes = append(h.notes, "search for the plugin that sends the header: "+err.Error())
			return ctx.Err()
		}
		h.count(f)
		for _, c := range h.report.Culprits {
			h.report.Advice = append(h.report.Advice, fmt.Sprintf("%s sends the header that is too big; it was not switched off, since a larger buffer cures this as well.", c.Component))
		}
	}
	return nil
}
