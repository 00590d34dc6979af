package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/journal"
	"wpmend/agent/probe"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
)

// HealOptions says how far Heal may go.
type HealOptions struct {
	DryRun bool
}

// impatience is how long the front may be silent before the search starts beside it.
const impatience = time.Second

// Heal takes one incident of a site from its first symptom to its end.
func (a *Agent) Heal(ctx context.Context, s site.Site, o HealOptions) (HealReport, error) {
	start := time.Now()
	l, release, err := a.beginHeld(ctx, s, "", "heal")
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
	if failed, asked := h.agent.confirm(ctx, h.look); failed < asked {
		return h.passing(failed, asked)
	}
	h.explain(ctx)
	if err := h.open(); err != nil {
		return err
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

// askFront sends the first probe. When it is silent for long, the shadow's search
// starts beside it: a hang takes the live site's whole timeout to show.
func (h *healing) askFront(ctx context.Context) probe.Result {
	answer := make(chan probe.Result, 1)
	go func() { answer <- probe.ByFront(ctx, h.site, h.target, h.agent.limits()) }()
	select {
	case r := <-answer:
		return r
	case <-time.After(impatience):
		h.startEarly(ctx)
		return <-answer
	}
}

// earlySearch runs while the front is still silent.
type earlySearch struct {
	cancel context.CancelFunc
	done   chan struct{}
	found  found
	err    error
}

func (h *healing) startEarly(ctx context.Context) {
	if h.wp.Database != nil || h.site.Master.Process.PID == 0 {
		return
	}
	searching, cancel := context.WithCancel(ctx)
	e := &earlySearch{cancel: cancel, done: make(chan struct{})}
	h.early = e
	go func() {
		defer close(e.done)
		e.found, e.err = h.agent.searchShadow(searching, h.look, h.target, nil)
	}()
}

func (h *healing) stopEarly() {
	if h.early != nil {
		h.early.cancel()
		<-h.early.done
	}
}

// search finds the plugins at fault, or takes what the early search found.
func (h *healing) search(ctx context.Context) (found, error) {
	if h.early != nil {
		<-h.early.done
		if h.early.err == nil {
			return h.early.found, nil
		}
		h.notes = append(h.notes, "search beside the first request: "+h.early.err.Error())
	}
	return h.agent.searchShadow(ctx, h.look, h.target, h.suspects())
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

// startFPM is the remedy for a pool whose master is gone.
func (h *healing) startFPM(ctx context.Context) (done bool, err error) {
	change, err := remedy.StartFPM(h.site, h.id(), h.because())
	if err != nil {
		h.report.Advice = append(h.report.Advice, err.Error())
		return true, h.escalate(ctx)
	}
	return h.try(ctx, []journal.Change{change})
}

// disableCulprits searches and switches off what the search convicts.
func (h *healing) disableCulprits(ctx context.Context) (done bool, err error) {
	if h.wp.Database != nil {
		h.report.Advice = append(h.report.Advice, fmt.Sprintf("The site's options cannot be read (%v), so no plugin is searched or switched off.", h.wp.Database))
		return true, h.escalate(ctx)
	}
	f, err := h.search(ctx)
	if err != nil {
		return true, err
	}
	h.searched(f)
	if f.Finding != bisect.Found {
		h.report.Advice = append(h.report.Advice, f.words())
		return true, h.escalate(ctx)
	}
	if id := h.protected(); id != "" {
		h.report.Advice = append(h.report.Advice, fmt.Sprintf("%s would have to be switched off, but the configuration protects it.", id))
		return true, h.escalate(ctx)
	}
	var changes []journal.Change
	for _, id := range toSwitchOff(h.report.Culprits) {
		change, err := remedy.Disable(h.site, h.wp, []string{id}, h.id(), h.because())
		if err != nil {
			return true, h.refuse(ctx, err)
		}
		changes = append(changes, change)
	}
	return h.try(ctx, changes)
}

// refuse ends an incident whose remedy the journal refuses: the site is as found,
// and the refusal says what a person must look at.
func (h *healing) refuse(ctx context.Context, err error) error {
	var r *journal.RefusedError
	if !errors.As(err, &r) {
		return err
	}
	h.report.Advice = append(h.report.Advice, err.Error())
	return h.escalate(ctx)
}

// searched puts a search's result into the report.
func (h *healing) searched(f found) {
	h.count(f)
	h.proof = f.proof()
	h.event("%s, after %d questions in %.1f s", f.words(), f.Probes, f.took.Seconds())
	for _, c := range h.report.Culprits {
		h.event("convicted %s: %s", c.Component, c.Signature)
	}
	if len(h.report.Culprits) > 0 {
		h.causes = diagnose.Convicted(h.causes, h.report.Culprits[0].Component, f.Odds, time.Now(), h.proof...)
		h.report.Causes = h.causes
	}
}

func (h *healing) count(f found) {
	h.report.Probes, h.report.Repeats, h.report.Rounds = f.Probes, f.Repeats, f.Rounds
	h.report.Culprits = h.culprits(f)
}

func (h *healing) protected() string {
	for _, id := range toSwitchOff(h.report.Culprits) {
		if slices.Contains(h.agent.config.Protected, id) {
			return id
		}
	}
	return ""
}

// because is the reason that goes into the journal.
func (h *healing) because() string {
	why := fmt.Sprintf("%s answered %s", h.site.Domain, h.front.Signature)
	if len(h.causes) > 0 {
		why += ", cause: " + h.causes[0].Cause
	}
	return strings.Join(append([]string{why}, h.proof...), "; ")
}

// try applies one remedy and keeps it only if the site is well afterwards.
func (h *healing) try(ctx context.Context, changes []journal.Change) (done bool, err error) {
	if h.dry {
		h.report.State = StatePlanned
		for _, c := range changes {
			h.report.Changes = append(h.report.Changes, changeRef(c))
		}
		return true, nil
	}
	if err := h.agent.budget(h.site, len(changes)); err != nil {
		h.report.Advice = append(h.report.Advice, err.Error())
		return true, h.escalate(ctx)
	}
	for _, c := range changes {
		h.event("%s", c.What)
	}
	applied, verified, err := h.agent.apply(ctx, h.look, changes)
	for _, c := range applied {
		// What cannot be taken back stands, whether it helped or not.
		if verified || c.UndoNone != "" {
			h.report.Changes = append(h.report.Changes, changeRef(c))
		}
	}
	if err != nil {
		return true, h.refuse(ctx, err)
	}
	if !verified {
		h.event("the site is not well yet; what can be undone was undone")
		return false, nil
	}
	h.event("%d answers in a row are healthy", h.agent.config.Probe.Verify)
	h.report.State = StateResolved
	return true, nil
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
