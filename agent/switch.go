package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/wp"
)

// SwitchReport is what disable, enable and undo did.
type SwitchReport struct {
	Site    SiteRef     `json:"site"`
	Changes []ChangeRef `json:"changes"`
	Left    int         `json:"left"`    // changes that could not be taken back
	Already bool        `json:"already"` // there was nothing left to do
	Notes   []string    `json:"notes"`
}

// switchedByHand begins the reason of what Disable did; the component follows.
const switchedByHand = "wpmend disable "

// Disable switches one component off because a person said so; whether the site
// is healthy is not asked.
func (a *Agent) Disable(ctx context.Context, s site.Site, component string) (SwitchReport, error) {
	r := SwitchReport{Site: ref(s), Changes: []ChangeRef{}, Notes: []string{}}
	l, release, err := a.beginHeld(ctx, s, Question{}, "disable", true)
	if err != nil {
		return r, err
	}
	defer release()
	if l.unread != nil {
		return r, l.unread
	}
	change, err := remedy.Disable(s, l.wp, []string{component}, "", switchedByHand+component)
	if err != nil {
		return r, unswitchable(l.wp, component, err)
	}
	change.Actor = "wpmend disable"
	if l.wp.Database != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("active_plugins could not be read (%v), so it is not guarded: do not open wp-admin → Plugins before the plugin is enabled again", l.wp.Database))
	}
	if change, err = a.journal.Plan(change); err != nil {
		return r, err
	}
	if err := a.journal.Apply(ctx, change.ID); err != nil {
		return r, errors.Join(refused(err), a.undo(change, "it could not be made whole"))
	}
	ref := changeRef(change)
	ref.Undo = fmt.Sprintf("wpmend enable %s %s", s.Domain, component)
	r.Changes = append(r.Changes, ref)
	return r, a.journal.Verified(change.ID)
}

// unswitchable gives the reason why a component stays on its kind.
func unswitchable(w site.WordPress, component string, err error) error {
	var kind *Error
	switch _, _, ok := w.Component(component); {
	case !ok:
		return &Error{Kind: "not-found", Err: err}
	case errors.As(refused(err), &kind):
		return kind
	}
	return &Error{Kind: "refused", Err: err}
}

// Enable switches a component on again that wpmend switched off.
func (a *Agent) Enable(ctx context.Context, s site.Site, component string) (SwitchReport, error) {
	r := SwitchReport{Site: ref(s), Changes: []ChangeRef{}, Notes: []string{}}
	l, release, err := a.beginHeld(ctx, s, Question{}, "enable", true)
	if err != nil {
		return r, err
	}
	defer release()
	if l.unread != nil {
		return r, l.unread
	}
	change, err := a.switchedOffBy(s, l.wp, component)
	if err != nil {
		return r, err
	}
	if err := a.journal.Undo(ctx, change.ID, "wpmend enable"); err != nil {
		return r, refused(err)
	}
	back := undone(change)
	back.Undo = fmt.Sprintf("wpmend disable %s %s", s.Domain, component)
	r.Changes = append(r.Changes, back)
	r.Notes = append(r.Notes, a.saidOf(change, "wpmend enable")...)
	return r, nil
}

// switchedOffBy finds the newest change in force that switched the component off.
func (a *Agent) switchedOffBy(s site.Site, w site.WordPress, component string) (journal.Change, error) {
	c, off, ok := w.Component(component)
	if !ok {
		return journal.Change{}, &Error{Kind: "not-found", Err: fmt.Errorf("%s has no component %q", s.Domain, component), Remedy: "wpmend incidents"}
	}
	changes, err := a.journal.List()
	if err != nil {
		a.log.Warn("some records of the journal cannot be read", "err", err)
	}
	for _, change := range slices.Backward(changes) {
		if change.SiteRoot == s.Root && change.State != journal.Undone && change.UndoNone == "" &&
			slices.ContainsFunc(change.Steps, func(step journal.Step) bool { return tookOff(step, c) }) {
			return change, nil
		}
	}
	if !off {
		return journal.Change{}, &Error{Kind: "not-off", Err: fmt.Errorf("%s is not switched off", component)}
	}
	return journal.Change{}, &Error{Kind: "no-record", Err: fmt.Errorf("the journal has no record of switching %s off", component),
		Remedy: fmt.Sprintf("rename it back by hand below %s", s.Root)}
}

// tookOff reports whether a step switched a component off: renamed it, showed another
// theme, or took it off a list of active plugins.
func tookOff(step journal.Step, c wp.Component) bool {
	switch step.Kind {
	case journal.Rename:
		return step.From == c.Path
	case journal.Setting:
		return c.Kind == wp.KindTheme && string(step.Before) == c.Name && string(step.After) != c.Name
	case journal.Deactivate:
		return c.Kind == wp.KindPlugin && slices.ContainsFunc(c.Files, func(f string) bool { return slices.Contains(step.Plugins, f) })
	}
	return false
}
