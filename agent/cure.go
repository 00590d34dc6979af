package agent

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/config"
	"wpmend/agent/diagnose"
	"wpmend/agent/journal"
	"wpmend/agent/policy"
	"wpmend/agent/probe"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/wp"
)

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
	if h.unread != nil {
		h.report.Advice = append(h.report.Advice, fmt.Sprintf("The site's files cannot be read (%v), so no component is searched or switched off.", h.unread))
		return true, h.escalate(ctx)
	}
	if h.wp.Database != nil {
		h.report.Advice = append(h.report.Advice, fmt.Sprintf("The site's options cannot be read (%v), so no component is searched or switched off.", h.wp.Database))
		return true, h.escalate(ctx)
	}
	if err := calm(h.look); err != nil {
		h.stopEarly()
		h.report.Advice = append(h.report.Advice, err.Error())
		return true, h.escalate(ctx)
	}
	f, err := h.search(ctx)
	if err != nil {
		return true, err
	}
	h.searched(f)
	if f.Finding == bisect.HealthyUnmasked && h.fresh.Outcome == "" && h.site.Handler == site.FPM {
		// The live pool fails on something that a fresh one does not have: not done yet.
		h.fresh = probe.Result{Route: probe.Shadow, URL: h.target().String(), Outcome: probe.Healthy, Status: http.StatusOK, Start: time.Now()}
		h.event("%s", f.words())
		return false, nil
	}
	if f.Finding != bisect.Found {
		h.report.Advice = append(h.report.Advice, f.words())
		if f.Finding == bisect.HealthyUnmasked {
			h.report.Advice = append(h.report.Advice, liveOnly)
		}
		return true, h.escalate(ctx)
	}
	if f.Signature == probe.HeaderTooBig {
		h.report.Advice = append(h.report.Advice, "The response header is larger than the gateway's buffer: a larger fastcgi_buffer_size cures this, so nothing was switched off.")
		return true, h.escalate(ctx)
	}
	if err := h.agent.allowed(ctx, h.look, toSwitchOff(h.report.Culprits)); err != nil {
		h.report.Advice = append(h.report.Advice, err.Error())
		return true, h.escalate(ctx)
	}
	if err := h.returned(toSwitchOff(h.report.Culprits)); err != nil {
		return true, h.deny(ctx, err)
	}
	changes, err := h.agent.switchOff(h.look, toSwitchOff(h.report.Culprits), h.id(), h.because())
	if err != nil {
		return true, h.refuse(ctx, err)
	}
	return h.try(ctx, changes)
}

// allowed says why convicted components may not be switched off now, with what must go
// along.
func (a *Agent) allowed(ctx context.Context, l *look, ids []string) error {
	ids = remedy.Company(l.wp, ids)
	settings := a.confOf(l.site)
	for _, id := range ids {
		if as, protected := settings.Protects(id); protected {
			return fmt.Errorf("%s would have to be switched off, but the configuration protects it (protected = %q)", id, as)
		}
	}
	if l.logged {
		return l.unasked()
	}
	if err := calm(l); err != nil {
		return err
	}
	return a.unchanged(ctx, l, ids)
}

// unasked is why nothing is done about a URL that only a log names.
func (l *look) unasked() error {
	return fmt.Errorf("only %s fails, which the log names: anybody may have asked for it, so nothing is changed for it before a person says so: wpmend heal %s --url '%s'",
		l.target(), l.site.Domain, strings.ReplaceAll(l.target().String(), "'", "%27"))
}

// switchOff describes how components are switched off: one change a component, so
// that each can be taken back by itself, but for what can only move together.
func (a *Agent) switchOff(l *look, ids []string, incident, why string) ([]journal.Change, error) {
	var changes []journal.Change
	covered := map[string]bool{}
	for _, group := range together(ids) {
		if slices.ContainsFunc(group, func(id string) bool { return covered[id] }) {
			continue
		}
		describe, all := remedy.Disable, remedy.Company(l.wp, group)
		if a.confOf(l.site).Search.Fix == config.DeactivateFix && slices.ContainsFunc(all, func(id string) bool { return strings.HasPrefix(id, wp.KindPlugin+":") }) {
			describe = remedy.Deactivate
		}
		change, err := describe(l.site, l.wp, group, incident, why)
		if err != nil {
			return nil, err
		}
		for _, id := range all {
			covered[id] = true
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// together groups the themes: which one is shown instead depends on all that go.
func together(ids []string) [][]string {
	var groups [][]string
	themes := -1
	for _, id := range ids {
		if kind, _, err := wp.ParseID(id); err != nil || kind != wp.KindTheme {
			groups = append(groups, []string{id})
		} else if themes < 0 {
			themes = len(groups)
			groups = append(groups, []string{id})
		} else {
			groups[themes] = append(groups[themes], id)
		}
	}
	return groups
}

// refuse ends an incident whose remedy could not be carried out: what was done of
// it is undone, and the error says what a person must look at.
func (h *healing) refuse(ctx context.Context, err error) error {
	h.report.Left = h.stillOn()
	if ctx.Err() != nil {
		return err
	}
	h.report.Advice = append(h.report.Advice, err.Error())
	return h.escalate(ctx)
}

// stillOn are the changes of the incident that are in effect although nothing was
// proven: their undo was refused.
func (h *healing) stillOn() []ChangeRef {
	left := []ChangeRef{}
	changes, err := h.agent.journal.InForce(h.site.Root)
	h.note(notes(err)...)
	for _, c := range changes {
		if c.Incident == h.id() && h.incident != nil && c.State != journal.Verified {
			left = append(left, changeRef(c))
		}
	}
	return left
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
	h.notes = append(h.notes, f.remarks()...)
	h.report.Probes, h.report.Repeats, h.report.Rounds = f.Probes, f.Repeats, f.Rounds
	h.report.Culprits = h.culprits(f)
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
	if h.mode != nil && h.mode() != config.Heal {
		h.report.Reason = policy.SuggestOnly
		h.report.Advice = append(h.report.Advice, fmt.Sprintf("The configuration no longer lets wpmend change anything now, so nothing was. To have it done: wpmend heal %s", h.site.Domain))
		return true, h.escalate(ctx)
	}
	leave, err := h.agent.grant(h.site, len(changes))
	if err != nil {
		return true, h.deny(ctx, err)
	}
	defer leave.end()
	if err := h.write(); err != nil {
		return true, err
	}
	for _, c := range changes {
		h.event("%s", c.What)
		h.agent.log.Info("changing the site", "site", h.site.Domain, "incident", h.id(), "change", c.What, "why", c.Why)
	}
	applied, verified, err := h.agent.apply(ctx, h.look, leave, changes)
	for _, c := range applied {
		// What cannot be taken back stands, whether it helped or not.
		if verified || c.UndoNone != "" && err == nil {
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
	h.event("%d answers in a row are healthy", h.agent.confOf(h.site).Probe.Verify)
	h.verifyShared(ctx)
	h.report.State = StateResolved
	return true, nil
}
