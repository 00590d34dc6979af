package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/journal"
	"wpmend/agent/site"
)

// BisectOptions says what Bisect asks and how.
type BisectOptions struct {
	Question
	Method string // MethodAuto, MethodShadow or MethodRename
	Fix    bool   // switch the culprits off afterwards
}

// Bisect searches for the components at fault. Without Fix and by the shadow it
// changes nothing live.
func (a *Agent) Bisect(ctx context.Context, s site.Site, o BisectOptions) (BisectReport, error) {
	start := time.Now()
	l, release, err := a.beginHeld(ctx, s, o.Question, "bisect", true)
	if err != nil {
		return BisectReport{}, err
	}
	defer release()
	if err := a.searchable(l, o); err != nil {
		return BisectReport{}, err
	}
	method, err := methodFor(s, o.Method)
	if err != nil {
		return BisectReport{}, err
	}
	f, err := a.searchAsked(ctx, l, method)
	if err == nil && f.Finding == bisect.HealthyUnmasked && o.AsUser == "" {
		f, err = a.lookAgain(ctx, l, method, f)
	}
	r := BisectReport{Site: ref(s), URL: l.target().String(), FromLog: l.logged, Method: method, Outcome: f.outcome, Signature: f.Signature,
		Verdict: verdictOf(f.Finding), Finding: f.words(), Culprits: l.culprits(f), Components: f.searched, Odds: f.Odds, Probes: f.Probes, Repeats: f.Repeats,
		Rounds: f.Rounds, LiveChanges: f.live, Changes: []ChangeRef{}, Asked: append([]Asked{}, f.asked...), Explanation: f.explain()}
	if f.Finding == bisect.HealthyUnmasked && l.front.Outcome.Failing() {
		r.Outcome, r.Signature = l.front.Outcome, l.front.Signature
		if len(l.causes) > 0 {
			r.Finding += "; the live site fails for another reason: " + l.causes[0].Cause
		} else {
			r.Finding += "; " + liveOnly
		}
	}
	if err == nil && o.Fix && f.Finding == bisect.Found {
		err = a.fix(ctx, l, f, &r)
	}
	r.Seconds, r.Notes = time.Since(start).Seconds(), append(append([]string{}, l.notes...), f.remarks()...)
	return r, err
}

// lookAgain asks the live site with all patience when its copy is well: it may hang,
// fail elsewhere or fail now and then, which the first, hasty question did not show.
func (a *Agent) lookAgain(ctx context.Context, l *look, method string, f found) (found, error) {
	a.say(l.site, "asking %s again, with patience", l.target())
	l.front = a.askFront(ctx, l)
	rate := 0.0
	switch {
	case ctx.Err() != nil:
		return f, ctx.Err()
	case !l.front.Outcome.Failing():
		if l.logged || !a.askLogs(ctx, l) {
			return f, ctx.Err()
		}
	default:
		failed, asked := a.confirm(ctx, l, 1, 1)
		if failed == asked {
			a.explain(ctx, l)
			return f, ctx.Err()
		}
		l.note(fmt.Sprintf("the fault comes and goes: %d of %d answers failed", failed, asked))
		rate = float64(failed) / float64(asked)
	}
	a.explain(ctx, l)
	var again found
	var err error
	if method == MethodRename {
		again, err = a.searchRename(ctx, l, l.suspects(), rate)
	} else {
		again, err = a.searchShadow(ctx, l, l.suspects(), rate)
	}
	again.asked = append(f.asked, again.asked...)
	again.events = append(f.events, again.events...)
	again.live += f.live
	again.Probes, again.Repeats, again.Rounds = again.Probes+f.Probes, again.Repeats+f.Repeats, again.Rounds+f.Rounds
	return again, err
}

// searchable refuses a search that could convict nobody (rule 5 of the design), or
// that could not be asked.
func (a *Agent) searchable(l *look, o BisectOptions) error {
	switch {
	case l.unread != nil:
		return l.unread
	case l.wp.Database != nil:
		return &Error{Kind: "database", Err: fmt.Errorf("no component is searched while the options cannot be read: %w", l.wp.Database),
			Remedy: "wpmend check " + l.site.Domain}
	case o.AsUser != "" && (o.Method == MethodRename || o.Fix):
		return &Error{Kind: "usage", Err: errors.New("--as-user asks a private copy of the pool only: it can neither ask nor verify the live site"),
			Remedy: "wpmend disable SITE COMPONENT switches off what the search finds"}
	}
	return nil
}

// methodFor is the way to ask: the shadow's where it can be had.
func methodFor(s site.Site, asked string) (string, error) {
	if err := s.Unserved(); err != nil {
		return MethodShadow, &Error{Kind: "no-pool", Err: err, Remedy: "wpmend check " + s.Domain}
	}
	switch {
	case asked == MethodRename, s.Handler == site.ModPHP && asked != MethodShadow:
		return MethodRename, nil
	case s.Handler == site.ModPHP:
		return MethodShadow, &Error{Kind: "no-shadow", Err: fmt.Errorf("%s runs in the gateway's own processes (mod_php): there is no pool to copy", s.Domain),
			Remedy: "wpmend bisect " + s.Domain + " --method rename"}
	}
	return MethodShadow, nil
}

// verdictOf is a finding as programs read it.
func verdictOf(f bisect.Finding) string {
	switch f {
	case bisect.Found:
		return "found"
	case bisect.HealthyUnmasked:
		return "healthy"
	case bisect.FailsAllMasked:
		return "elsewhere"
	}
	return "undecided"
}

// fix switches the culprits off, as an incident of its own so that it can be undone.
func (a *Agent) fix(ctx context.Context, l *look, f found, r *BisectReport) (err error) {
	off := toSwitchOff(r.Culprits)
	leave, err := a.grant(l.site, len(off))
	if err == nil {
		defer leave.end()
		err = a.allowed(ctx, l, off)
	}
	if err != nil {
		l.notes = append(l.notes, "Nothing was switched off: "+err.Error())
		return nil
	}
	inc := history.Begin(history.Incident{Site: ref(l.site),
		Symptom: history.Symptom{Outcome: string(f.outcome), Signature: f.Signature, URL: l.target().String(), Status: l.front.Status}})
	if err := a.told(inc, a.history.Save(inc)); err != nil {
		return fmt.Errorf("write the history, so nothing was changed: %w", err)
	}
	r.Incident = inc.ID
	inc.State, inc.Probes, inc.Repeats, inc.Rounds, inc.Culprits = history.Escalated, f.Probes, f.Repeats, f.Rounds, r.Culprits
	defer func() {
		inc.Seconds = time.Since(inc.Opened).Seconds()
		err = errors.Join(err, a.told(inc, a.history.Close(inc)))
	}()
	var changes []journal.Change
	if changes, err = a.switchOff(l, off, inc.ID, "wpmend bisect --fix: "+strings.Join(f.proof(), "; ")); err != nil {
		return refused(err)
	}
	inc.Causes = diagnose.Convicted(l.causes, r.Culprits[0].Component, f.Odds, time.Now(), f.proof()...)
	applied, verified, err := a.apply(ctx, l, leave, changes)
	if err != nil {
		return err
	}
	if !verified {
		l.notes = append(l.notes, "The culprits were switched off and the live site did not get well, so they are on again: something else is wrong as well.")
		return nil
	}
	r.Fixed, inc.State = true, history.Resolved
	for _, c := range applied {
		r.Changes = append(r.Changes, changeRef(c))
	}
	inc.Changes = r.Changes
	return nil
}
