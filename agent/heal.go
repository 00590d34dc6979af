package agent

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/url"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/policy"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// HealOptions says how far Heal may go.
type HealOptions struct {
	DryRun bool
	// Suggest is a dry run that goes into the history, as an incident that a person must end.
	Suggest bool
	URLs    []string      // what to ask; none: the front page, or what the logs say failed
	Seen    *probe.Result // a failure that was seen already, by whoever watches
	Logged  *url.URL      // what failed then, if it is not the front page: a URL that only a log names
	// Rare says whether a failure of one answer in many may be searched now, which takes
	// minutes; else it is let pass. nil: it may.
	Rare func() bool

	mode    func() config.Mode // what may be done now; nil: all, a person asked
	attempt *attempt           // what the service knows of this failure; nil: a person asked
}

// Heal takes one incident of a site from its first symptom to its end.
func (a *Agent) Heal(ctx context.Context, s site.Site, o HealOptions) (HealReport, error) {
	start := time.Now()
	l, release, err := a.beginHeld(ctx, s, Question{URLs: o.URLs}, "heal", !o.DryRun)
	if err != nil {
		return HealReport{}, err
	}
	defer release()
	h := &healing{agent: a, look: l, dry: o.DryRun || o.Suggest, suggest: o.Suggest, mode: o.mode, attempt: o.attempt, group: o.attempt.shared(), seen: o.Seen, named: o.Logged, rare: o.Rare, report: HealReport{Site: ref(s), Causes: []diagnose.Cause{}, Culprits: []Culprit{}, Changes: []ChangeRef{}, Left: []ChangeRef{}, Advice: []string{}}}
	err = h.run(ctx)
	h.suggestPlanned()
	h.holdBack()
	h.report.Sites = h.group.sites()
	h.report.Seconds = time.Since(start).Seconds()
	h.report.Notes = append([]string{}, l.notes...)
	h.report.URL, h.report.FromLog = l.target().String(), l.logged
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
	suggest  bool // a dry run that is recorded
	mode     func() config.Mode
	attempt  *attempt
	group    *shared
	whole    bool // the failure is that of all sites of the pool
	written  bool // the incident stands in the history
	seen     *probe.Result
	named    *url.URL // see HealOptions.Logged
	rare     func() bool
	rate     float64 // share of the requests that fail, where some do not
	early    *earlySearch
	incident *history.Incident
	proof    []string // what the search saw
	report   HealReport
}

// suggestPlanned turns what a dry run would do into advice.
func (h *healing) suggestPlanned() {
	if !h.suggest || h.report.State != StatePlanned {
		return
	}
	for _, c := range h.report.Changes {
		h.report.Advice = append(h.report.Advice, "wpmend would: "+c.What)
	}
	if len(h.report.Changes) > 0 {
		h.report.Advice = append(h.report.Advice, fmt.Sprintf("Nothing was changed, since the configuration lets wpmend only suggest now. To have it done: wpmend heal %s", h.site.Domain))
		h.report.Reason = policy.SuggestOnly
	}
	h.report.State, h.report.Changes = StateEscalated, []ChangeRef{}
}

// run is the incident: confirm, explain, then one remedy after the other.
func (h *healing) run(ctx context.Context) error {
	defer h.stopEarly()
	if err := h.openSeen(); err != nil {
		return err
	}
	failed, asked := h.notice(ctx)
	h.report.Outcome = h.front.Outcome
	if err := ctx.Err(); err != nil {
		return err
	}
	if !h.front.Outcome.Failing() {
		h.report.State = StateHealthy
		return h.unread
	}
	if err := h.open(); err != nil {
		return err
	}
	// The search takes the time that confirming takes anyway.
	if h.agent.gather(ctx, h.look); nextRemedy(h.causes, nil) == diagnose.RemedyDisable {
		h.startEarly(ctx, h.suspects())
	}
	failed, asked = h.agent.confirm(ctx, h.look, failed, asked)
	if err := ctx.Err(); err != nil {
		return err
	}
	if failed < asked {
		h.stopEarly()
		return h.passing(ctx, failed, asked)
	}
	return h.mend(ctx)
}

// notice asks until something fails: the front, what somebody saw, what the logs
// say; asked counts the requests to what failed.
func (h *healing) notice(ctx context.Context) (failed, asked int) {
	h.agent.say(h.site, "asking %s", h.target())
	if h.front = h.askFirst(ctx); h.front.Outcome.Failing() {
		return 1, 1
	}
	h.stopEarly()
	if h.named != nil {
		h.askNamed()
		if h.front = h.agent.askFront(ctx, h.look); h.front.Outcome.Failing() {
			return 2, 2
		}
	}
	if h.seen != nil {
		h.front = *h.seen
		return 1, 2
	}
	if !h.agent.askLogs(ctx, h.look) {
		h.agent.askVisitor(ctx, h.look)
	}
	return 1, 1
}

// mend tries one remedy after the other on a site that fails.
func (h *healing) mend(ctx context.Context) error {
	h.explain(ctx)
	if len(h.causes) > 0 {
		h.event("most likely cause: %s", h.causes[0].Cause)
	}
	h.share(ctx)
	for tried := map[string]bool{}; ; {
		name := nextRemedy(h.causes, tried)
		if name == "" {
			if h.fresh.Outcome == probe.Healthy {
				h.report.Advice = append(h.report.Advice, liveOnly)
			}
			return h.escalate(ctx)
		}
		tried[name] = true
		if h.incident != nil {
			h.incident.Remedies = append(h.incident.Remedies, name)
		}
		done, err := h.take(ctx, name)
		if err != nil || done {
			return err
		}
		// It changed nothing for the better, or only uncovered the next cause.
		h.front = h.agent.askFront(ctx, h.look)
		h.explain(ctx)
		if !h.front.Outcome.Failing() {
			h.report.Advice = append(h.report.Advice, fmt.Sprintf("Some answers are healthy and some are not; `wpmend check %s` shows what the logs say at a moment when it fails.", h.site.Domain))
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
	if h.logged && (name != diagnose.RemedyDisable || h.site.Handler == site.ModPHP) {
		h.report.Advice = append(h.report.Advice, h.unasked().Error())
		return true, h.escalate(ctx)
	}
	switch name {
	case diagnose.RemedyStartFPM:
		return h.startFPM(ctx)
	case diagnose.RemedyRestartFPM:
		return h.restartFPM(ctx)
	case diagnose.RemedyReloadFPM:
		return h.reloadFPM(ctx)
	case diagnose.RemedyEndWorkers:
		return h.endWorkers(ctx)
	case diagnose.RemedyRaiseLimit:
		return h.raiseLimit(ctx)
	case diagnose.RemedyAddWorkers:
		return h.addWorkers(ctx)
	case diagnose.RemedyTuneGateway:
		return h.tuneGateway(ctx)
	case diagnose.RemedyMaintenance:
		return h.endMaintenance(ctx)
	case diagnose.RemedyPurge:
		return h.purgeCache(ctx)
	case diagnose.RemedyDisable:
		return h.disableCulprits(ctx)
	}
	return true, fmt.Errorf("no remedy is called %q", name)
}

// nextRemedy is the first remedy that the ranked causes name and that was not tried. A
// cause that wpmend cannot mend stands in the way of the remedies of less certain ones;
// a failure without any known cause may still be a component's.
func nextRemedy(causes []diagnose.Cause, tried map[string]bool) string {
	if len(causes) == 0 && !tried[diagnose.RemedyDisable] {
		return diagnose.RemedyDisable
	}
	for _, c := range causes {
		if c.Remedy == nil {
			return ""
		}
		if !tried[*c.Remedy] {
			return *c.Remedy
		}
	}
	return ""
}

// recurrence is the time within which a second passing failure of a site is no
// accident any more.
const recurrence = 15 * time.Minute

// passing handles a failure that comes and goes: the first is let pass, a recurring
// one is searched, with as many repeats as its rate demands.
func (h *healing) passing(ctx context.Context, failed, asked int) error {
	again, err := h.agent.failedBefore(h.site, time.Now().Add(-recurrence))
	if err != nil {
		return err
	}
	if failed == 1 && (!again || h.rare != nil && !h.rare()) {
		h.event("%d of %d answers failed", failed, asked)
		h.report.State = StateTransient
		return nil
	}
	h.rate = float64(failed) / float64(asked)
	h.verify = repeats(h.rate)
	h.report.Advice = append(h.report.Advice, fmt.Sprintf("The fault comes and goes: %d of %d answers failed.", failed, asked))
	return h.mend(ctx)
}

// repeats is how many healthy answers in a row a site that fails at this rate gives
// by chance once in a thousand times.
func repeats(rate float64) int {
	return int(math.Ceil(math.Log(0.001) / math.Log(1-rate)))
}

// escalate leaves the site as found and says what a person can do. For a header
// that is too big the plugin that sends it is named, by a search that changes nothing.
func (h *healing) escalate(ctx context.Context) error {
	h.stopEarly()
	if h.dry && len(h.causes) > 0 && h.causes[0].Remedy == nil {
		h.report.State = StatePlanned
	} else {
		h.report.State, h.report.Reason = StateEscalated, cmp.Or(h.report.Reason, policy.Unsolved)
	}
	if len(h.causes) > 0 && h.causes[0].Cause == diagnose.ResponseHeaderTooBig && h.report.Probes == 0 && h.wp.Database == nil && h.site.Handler != site.ModPHP {
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
