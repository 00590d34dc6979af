package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
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

// BisectOptions says what Bisect asks and how.
type BisectOptions struct {
	URL    string // a URL or path of the site, "" for its front page
	Method string // MethodAuto, MethodShadow or MethodRename
	Fix    bool   // switch the culprits off afterwards
}

// Bisect searches for the plugins at fault. Without Fix and by the shadow it
// changes nothing live.
func (a *Agent) Bisect(ctx context.Context, s site.Site, o BisectOptions) (BisectReport, error) {
	start := time.Now()
	l, release, err := a.beginHeld(ctx, s, o.URL, "bisect", true)
	if err != nil {
		return BisectReport{}, err
	}
	defer release()
	if err := a.searchable(l); err != nil {
		return BisectReport{}, err
	}
	method := o.Method
	if method == "" || method == MethodAuto {
		method = MethodShadow
	}
	f, err := a.searchBy(ctx, l, method)
	r := BisectReport{Site: ref(s), URL: l.target.String(), Method: method, Outcome: f.outcome, Signature: f.Signature,
		Finding: f.words(), Culprits: l.culprits(f), Components: f.searched, Probes: f.Probes, Repeats: f.Repeats,
		Rounds: f.Rounds, LiveChanges: f.live, Changes: []ChangeRef{}}
	if f.Finding == bisect.HealthyUnmasked && l.liveFails() {
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
	r.Seconds, r.Notes = time.Since(start).Seconds(), append([]string{}, l.notes...)
	return r, err
}

// liveFails reports whether the front really answered with a failure; that priors
// did not wait for its answer says nothing.
func (l *look) liveFails() bool {
	return l.front.Outcome.Failing() && (l.front.Status != 0 || l.front.Outcome != probe.GatewayTimeout)
}

// searchable refuses a search that could convict nobody: rule 5 of the design.
func (a *Agent) searchable(l *look) error {
	switch {
	case l.wp.Database != nil:
		return &Error{Kind: "database", Err: fmt.Errorf("no plugin is searched while the options cannot be read: %w", l.wp.Database),
			Remedy: "wpmend check " + l.site.Domain}
	case len(l.wp.Plugins()) == 0:
		return &Error{Kind: "no-plugins", Err: errors.New("no plugin is active, so none can be at fault"), Remedy: "wpmend check " + l.site.Domain}
	}
	return nil
}

// searchBy asks the search's questions by one method.
func (a *Agent) searchBy(ctx context.Context, l *look, method string) (found, error) {
	if method == MethodRename {
		return a.searchRename(ctx, l, l.target)
	}
	return a.searchShadow(ctx, l, l.target, a.priors(ctx, l, l.target))
}

// priors weighs the plugins by what the live site's logs say of one failing request.
func (a *Agent) priors(ctx context.Context, l *look, target *url.URL) map[string]float64 {
	asking, cancel := context.WithTimeout(ctx, impatience)
	defer cancel()
	l.front = probe.ByFront(asking, l.site, target, a.limits())
	a.explain(ctx, l)
	return l.suspects()
}

// fix switches the culprits off, as an incident of its own so that it can be undone.
func (a *Agent) fix(ctx context.Context, l *look, f found, r *BisectReport) (err error) {
	ids := toSwitchOff(r.Culprits)
	for _, id := range ids {
		if slices.Contains(a.config.Protected, id) {
			l.notes = append(l.notes, id+" was not switched off: the configuration protects it")
			return nil
		}
	}
	if err := a.budget(l.site, len(ids)); err != nil {
		l.notes = append(l.notes, err.Error())
		return nil
	}
	inc, err := a.history.Open(history.Incident{Site: ref(l.site),
		Symptom: history.Symptom{Outcome: string(f.outcome), Signature: f.Signature, URL: l.target.String(), Status: l.front.Status}})
	if err != nil {
		return fmt.Errorf("write the history, so nothing was changed: %w", err)
	}
	r.Incident = inc.ID
	inc.State, inc.Probes, inc.Repeats, inc.Rounds = history.Escalated, f.Probes, f.Repeats, f.Rounds
	defer func() {
		inc.Seconds = time.Since(inc.Opened).Seconds()
		err = errors.Join(err, a.history.Close(inc))
	}()
	var changes []journal.Change
	inc.Culprits = r.Culprits
	for _, id := range ids {
		change, err := remedy.Disable(l.site, l.wp, []string{id}, inc.ID, "wpmend bisect --fix: "+strings.Join(f.proof(), "; "))
		if err != nil {
			return refused(err)
		}
		changes = append(changes, change)
	}
	inc.Causes = diagnose.Convicted(l.causes, r.Culprits[0].Component, f.Odds, time.Now(), f.proof()...)
	applied, verified, err := a.apply(ctx, l, changes)
	if err != nil || !verified {
		return err
	}
	r.Fixed, inc.State = true, history.Resolved
	for _, c := range applied {
		r.Changes = append(r.Changes, changeRef(c))
	}
	inc.Changes = r.Changes
	return nil
}
