package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"wpmend/agent/evidence"
	"wpmend/agent/journal"
	"wpmend/agent/site"
	"wpmend/php/ini"
)

// LimitsOptions say what is to be set.
type LimitsOptions struct {
	Set    []ini.Setting // names and values, as a person wrote them
	For    time.Duration // after which it is taken back; 0: it stays
	DryRun bool
	Force  bool // end running requests where a reload must
}

// LimitsSet is what was set of a site's limits.
type LimitsSet struct {
	Site     SiteRef       `json:"site"`
	Settings []ini.Setting `json:"settings"` // what was asked for, and what must follow it
	Changes  []ChangeRef   `json:"changes"`
	Planned  bool          `json:"planned"` // nothing was done
	Until    time.Time     `json:"until,omitzero"`
	Limits   LimitsReport  `json:"limits"` // as they are now, or as they would be
	Notes    []string      `json:"notes"`
}

// SetLimits sets limits of a site because a person said so: within the ceilings, with all links of the chain that must
// follow, proven to be in force, and taken back if the site does not stay as well as it was.
func (a *Agent) SetLimits(ctx context.Context, s site.Site, o LimitsOptions) (LimitsSet, error) {
	r := LimitsSet{Site: ref(s), Changes: []ChangeRef{}, Notes: []string{}, Planned: o.DryRun}
	if s.Handler == site.ModPHP {
		return r, &Error{Kind: "refused", Err: errors.New("PHP runs within Apache, which reads neither a pool nor .user.ini"), Remedy: "set php_value NAME VALUE in the site's .htaccess"}
	}
	l, release, err := a.beginHeld(ctx, s, Question{}, "set limits of", !o.DryRun)
	if err != nil {
		return r, err
	}
	defer release()
	chain := evidence.LimitChain(ctx, s)
	var notes []string
	if r.Settings, notes, err = a.planned(s, chain, o.Set); err != nil {
		return r, err
	}
	r.Notes = append(r.Notes, notes...)
	t := tuning{site: s, chain: chain, settings: r.Settings, why: byHand, actor: byHand, force: o.Force}
	if o.For > 0 {
		t.until = time.Now().Add(o.For).UTC().Truncate(time.Second)
		r.Until = t.until
	}
	changes, err := a.describe(ctx, t)
	if err != nil {
		return r, refused(err)
	}
	if o.DryRun {
		would := chain
		would.Links = ini.With(chain.Links, r.Settings)
		r.Limits = a.limitsReport(s, would)
		for _, c := range changes {
			r.Changes = append(r.Changes, changeRef(c))
		}
		return r, nil
	}
	var told []string
	applied, after, err := a.applyLimits(context.WithValue(ctx, toldKey{}, &told), l, changes, r.Settings)
	r.Notes = append(r.Notes, told...)
	if err != nil {
		return r, err
	}
	for _, c := range applied {
		ref := changeRef(c)
		ref.Undo = "wpmend php limits " + s.Domain + " --undo"
		r.Changes = append(r.Changes, ref)
	}
	r.Limits = a.limitsReport(s, after)
	return r, nil
}

// planned says what must be set for what a person wants.
func (a *Agent) planned(s site.Site, chain evidence.Chain, wanted []ini.Setting) (settings []ini.Setting, notes []string, err error) {
	links, most := chain.Links, a.ceilings(s)
	for _, w := range wanted {
		n, unlimited, err := ini.ParseAmount(w.Name, w.Value)
		if err != nil {
			return nil, nil, &Error{Kind: "usage", Err: err, Remedy: "wpmend php limits --help"}
		}
		var more []ini.Setting
		switch l := ini.Find(links, w.Name); {
		case unlimited:
			return nil, nil, &Error{Kind: "ceiling", Err: fmt.Errorf("%s = %s would be no limit at all, above the ceiling of %s", w.Name, w.Value, ini.Format(w.Name, most[w.Name])),
				Remedy: "give an amount, or raise [limits] in the configuration"}
		case l.Known && !l.Unlimited && lower(l, n):
			// Less than now asks nothing of the links behind it.
			if most, may := most[w.Name]; !may || n > most {
				return nil, nil, ceilingError(&ini.CeilingError{Name: w.Name, Want: n, Ceiling: most}, may)
			}
			more = []ini.Setting{{Name: w.Name, Value: ini.Format(w.Name, n)}}
		default:
			from := links
			if l.Unlimited {
				// The links behind it must wait for longer than any limit; from none to one is like raising it.
				from = ini.With(links, []ini.Setting{{Name: w.Name, Value: "1"}})
			}
			if more, err = ini.Raise(from, w.Name, n, most); err != nil {
				var fixed *ini.FixedError
				if !errors.As(err, &fixed) || fixed.Name == w.Name {
					return nil, nil, ceilingError(err, true)
				}
				// What is not ours to change does not keep a person from it; it is said.
				notes = append(notes, err.Error())
				within := slices.DeleteFunc(slices.Clone(from), func(l ini.Link) bool { return l.Name == ini.Gateway || l.Name == ini.Outer })
				if more, err = ini.Raise(within, w.Name, n, most); err != nil {
					return nil, nil, ceilingError(err, true)
				}
			}
		}
		links = ini.With(links, more)
		for _, m := range more {
			settings = slices.DeleteFunc(settings, func(s ini.Setting) bool { return s.Name == m.Name })
			settings = append(settings, m)
		}
	}
	for _, v := range ini.Violations(links) {
		// FPM would not start with it, and for the others there is the sentence.
		if slices.Equal(v.Links, []string{ini.Slowlog, ini.Terminate}) {
			return nil, nil, &Error{Kind: "refused", Err: errors.New(v.String()), Remedy: "give both values"}
		}
		notes = append(notes, v.String())
	}
	return settings, notes, nil
}

func lower(l ini.Link, n int64) bool {
	if ini.IsSize(l.Name) {
		return n < l.Bytes
	}
	return n < int64(l.Time)
}

func ceilingError(err error, may bool) error {
	var ceiling *ini.CeilingError
	var fixed *ini.FixedError
	switch {
	case !may || errors.As(err, &fixed):
		return &Error{Kind: "refused", Err: err, Remedy: "the gateway is tuned where the configuration allows it: [gateway] tune = true"}
	case errors.As(err, &ceiling):
		return &Error{Kind: "ceiling", Err: err, Remedy: "raise it in [limits] of the configuration, if the host can bear it"}
	}
	return &Error{Kind: "refused", Err: err}
}

// applyLimits makes the changes, wants each to be in force, and the site as well as before; else it takes them back.
func (a *Agent) applyLimits(ctx context.Context, l *look, changes []journal.Change, settings []ini.Setting) (applied []journal.Change, after evidence.Chain, err error) {
	before := a.askFront(ctx, l)
	fail := func(err error) ([]journal.Change, evidence.Chain, error) {
		return nil, evidence.Chain{}, errors.Join(refused(err), a.undoAll(applied, "it could not be made whole"))
	}
	for _, c := range changes {
		if c, err = a.journal.Plan(c); err != nil {
			return fail(err)
		}
		applied = append(applied, c)
		if err = a.journal.Apply(ctx, c.ID); err != nil {
			return fail(fmt.Errorf("%s: %w", c.What, err))
		}
	}
	if after, err = a.inForce(ctx, l.site, settings); err != nil {
		return fail(err)
	}
	if !before.Outcome.Failing() && !a.verify(ctx, l) {
		return fail(errors.Join(errors.New("the site does not answer well with it"), ctx.Err()))
	}
	ids := make([]string, len(applied))
	for i, c := range applied {
		ids[i] = c.ID
	}
	if err := a.journal.VerifiedAll(ids); err != nil {
		return fail(err)
	}
	return applied, after, nil
}

// UndoLimits takes back what SetLimits set of a site and what is still in force, the newest first.
func (a *Agent) UndoLimits(ctx context.Context, s site.Site) (SwitchReport, error) {
	r := SwitchReport{Site: ref(s), Changes: []ChangeRef{}, Notes: []string{}}
	_, release, err := a.beginHeld(ctx, s, Question{}, "take back limits of", true)
	if err != nil {
		return r, err
	}
	defer release()
	changes, err := a.limitsByHand(s)
	r.Notes = append(r.Notes, notes(err)...)
	r.Already = len(changes) == 0
	for _, c := range slices.Backward(changes) {
		if err := a.journal.Undo(ctx, c.ID, byHand+" --undo"); err != nil {
			r.Left++
			r.Notes = append(r.Notes, fmt.Sprintf("%s could not be taken back: %v", c.What, err))
			continue
		}
		r.Changes = append(r.Changes, undone(c))
	}
	return r, nil
}
