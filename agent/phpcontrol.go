package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"wpmend/agent/journal"
	"wpmend/agent/lock"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

// ControlOptions say how a person wants PHP-FPM to be reloaded or restarted.
type ControlOptions struct {
	Restart bool // else a reload
	DryRun  bool
	Force   bool // end all running requests
}

// ControlReport is what a reload or restart did, or would do.
type ControlReport struct {
	Master  string    `json:"master"` // its configuration
	Unit    string    `json:"unit"`
	PID     int       `json:"pid"` // afterwards
	Sites   []string  `json:"sites"`
	Cost    CostRef   `json:"cost"`
	Planned bool      `json:"planned"` // nothing was done
	Change  ChangeRef `json:"change"`
	Did     []string  `json:"did"` // what it really cost
}

// CostRef is what was foreseen.
type CostRef struct {
	Running int     `json:"running"` // requests at work in all pools of the master
	Waiting int     `json:"waiting"` // connections in its queues
	Lost    int     `json:"lost"`    // requests that fail, at most
	Within  float64 `json:"within"`  // seconds in which running requests may finish, 0: they may not
	Words   string  `json:"words"`
}

// Control reloads or restarts a master because a person said so.
func (a *Agent) Control(ctx context.Context, m fpm.Master, sites []site.Site, o ControlOptions) (ControlReport, error) {
	r := ControlReport{Master: m.Config, Unit: m.Unit, Sites: []string{}, Planned: o.DryRun, Did: []string{}}
	for _, s := range sites {
		r.Sites = append(r.Sites, s.Domain)
	}
	what := "reload"
	if o.Restart {
		what = "restart"
	}
	now, up, err := m.Running()
	if err != nil {
		return r, err
	}
	if !up {
		return r, &Error{Kind: "not-running", Err: fmt.Errorf("PHP-FPM with %s does not run", m.Config), Remedy: "start it by its unit, or wpmend heal SITE"}
	}
	r.PID = now.Process.PID
	t := remedy.Touch{Master: now, Force: o.Force}
	cost := now.ReloadCost
	if o.Restart {
		cost = now.RestartCost
	}
	c, err := cost()
	if err != nil {
		// It may be restarted by somebody else at this moment.
		return r, &Error{Kind: "not-now", Err: err, Remedy: "try again in a moment"}
	}
	r.Cost = CostRef{Running: c.Running, Waiting: c.Waiting, Lost: c.Lost, Within: c.Within.Seconds(), Words: c.Why}
	t.Cost = c
	describe := t.Reload
	if o.Restart {
		describe = t.Restart
	}
	// A record needs a folder: the first site's, or the master's configuration's.
	of := site.Site{Root: filepath.Dir(m.Config)}
	if len(sites) > 0 {
		of = sites[0]
	}
	change, err := describe(of, "", "wpmend php "+what)
	if err != nil {
		return r, err
	}
	change.Actor = "wpmend php " + what
	r.Change = changeRef(change)
	if o.DryRun {
		return r, now.Test(ctx)
	}
	var told []string
	if change, err = a.carryOut(context.WithValue(ctx, toldKey{}, &told), sites, change); err != nil {
		var busy *fpm.BusyError
		if errors.As(err, &busy) {
			return r, &Error{Kind: "busy", Err: err, Remedy: "try again when less is going on, or give --force and lose them"}
		}
		return r, err
	}
	r.Change, r.Did = changeRef(change), append(r.Did, told...)
	if now, up, err = m.Running(); err == nil && up {
		r.PID = now.Process.PID
	}
	return r, err
}

// carryOut does it under the locks of all sites that it touches.
func (a *Agent) carryOut(ctx context.Context, sites []site.Site, c journal.Change) (journal.Change, error) {
	var keys []lock.Key
	for _, s := range sites {
		key, err := lock.Folder(s.Root)
		if err != nil {
			return c, err
		}
		keys = append(keys, key)
	}
	if len(keys) > 0 {
		release, err := a.acquire(keys, c.Actor)
		if err != nil {
			return c, err
		}
		defer release()
	}
	c, err := a.journal.Plan(c)
	if err != nil {
		return c, err
	}
	return c, a.journal.Apply(ctx, c.ID)
}
