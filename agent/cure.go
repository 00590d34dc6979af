package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/diagnose"
	"wpmend/agent/journal"
	"wpmend/agent/probe"
	"wpmend/agent/remedy"
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
		if f.Finding == bisect.HealthyUnmasked {
			h.report.Advice = append(h.report.Advice, liveOnly)
		}
		return true, h.escalate(ctx)
	}
	if f.Signature == probe.HeaderTooBig {
		h.report.Advice = append(h.report.Advice, "The response header is larger than the gateway's buffer: a larger fastcgi_buffer_size cures this, so nothing was switched off.")
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

// refuse ends an incident whose remedy could not be carried out: what was done of
// it is undone, and the error says what a person must look at.
func (h *healing) refuse(ctx context.Context, err error) error {
	if ctx.Err() != nil {
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
	h.event("%d answers in a row are healthy", h.agent.config.Probe.Verify)
	h.report.State = StateResolved
	return true, nil
}
