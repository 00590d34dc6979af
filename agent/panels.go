package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/panel"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/php/ini"
)

// override is how the panel that writes a pool's file is given settings of it. Where it cannot be asked the error says
// what a person does; one whose way was never tried on the real thing is asked only if a person wants the limits.
func override(ctx context.Context, t tuning, set []ini.Setting, by *remedy.ManagedError) (*panel.Plan, error) {
	refuse := func(remedy, reason string, args ...any) (*panel.Plan, error) {
		err := fmt.Errorf("pool %s is managed by %s: wpmend does not change its configuration%s", t.site.Pool.Name, by.By, fmt.Sprintf(reason, args...))
		return nil, &Error{Kind: "refused", Err: err, Remedy: remedy}
	}
	p, ok := panel.Detect()
	if !ok {
		return refuse(by.Do, "")
	}
	if t.incident != "" && !p.Tried {
		return refuse(by.Do+" Or, as far as it takes the limit: wpmend php limits "+t.site.Domain+" --set NAME=VALUE", " unasked (its way was not tried on a real %s)", p.Title)
	}
	plan, err := p.Plan(ctx, by.Pool, set)
	var cannot *panel.Error
	if errors.As(err, &cannot) {
		if cannot.Remedy == "" {
			cannot.Remedy = by.Do
		}
		return refuse(cannot.Remedy, " (%s)", cannot.Reason)
	}
	if err != nil {
		return nil, err
	}
	return &plan, nil
}

// PanelPlan says how the panel of this host would be given settings of a site's pool. It changes nothing.
func (a *Agent) PanelPlan(ctx context.Context, s site.Site, set []ini.Setting) (panel.Plan, error) {
	m, up, err := s.Master.Running()
	if err != nil {
		return panel.Plan{}, err
	}
	if !up {
		return panel.Plan{}, &Error{Kind: "not-running", Err: fmt.Errorf("PHP-FPM with %s does not run", s.Master.Config), Remedy: "wpmend check " + s.Domain}
	}
	_, err = remedy.Limits{Pool: set, Master: m}.Change(s)
	var by *remedy.ManagedError
	if !errors.As(err, &by) {
		if err == nil {
			err = &Error{Kind: "refused", Err: fmt.Errorf("no panel writes the pool of %s", s.Domain), Remedy: "wpmend php limits " + s.Domain + " --set NAME=VALUE"}
		}
		return panel.Plan{}, err
	}
	plan, err := override(ctx, tuning{site: s}, set, by)
	if err != nil {
		return panel.Plan{}, err
	}
	return *plan, nil
}

// askPanel has a panel write a pool's file anew and reloads PHP-FPM. The panel is asked in a quiet moment only: were the
// reload refused afterwards, what is written would count with anybody's next one.
func (a *Agent) askPanel(ctx context.Context, act remedy.Act) error {
	if err := a.awaitQuiet(ctx, act); err != nil {
		return &journal.UnbegunError{Err: err}
	}
	if err := panel.Do(ctx, *act.Panel); err != nil {
		var refused *panel.Error
		if errors.As(err, &refused) {
			return &journal.UnbegunError{Err: err}
		}
		return err
	}
	reload := act
	reload.Do, reload.Panel = remedy.ReloadFPM, nil
	err := a.actFPM(ctx, reload)
	var unbegun *journal.UnbegunError
	if errors.As(err, &unbegun) {
		return unbegun.Err // the panel has begun
	}
	return err
}

// awaitQuiet waits until a reload costs no more than an act may. Where a pool is lost anyway the reload alone knows
// whose requests count.
func (a *Agent) awaitQuiet(ctx context.Context, act remedy.Act) error {
	patience := time.Duration(a.conf().Budget.Patience)
	for since := time.Now(); ; {
		m, up, err := act.Master.Running()
		if err != nil || !up || act.Force || act.Pool != "" {
			return err
		}
		cost, err := m.ReloadCost()
		if err != nil || cost.Lost <= act.Lose {
			return err
		}
		if time.Since(since) > patience {
			return &fpm.BusyError{Cost: cost}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
