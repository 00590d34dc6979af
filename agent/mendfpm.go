package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/journal"
	"wpmend/agent/lock"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/php/process"
)

const (
	// sameAge is how far two readings of a worker's age may differ.
	sameAge = 5 * time.Second
	// masterTurn is how long is waited for another site's reload or restart of the same master.
	masterTurn = 2 * time.Minute
)

// reloadFPM is the remedy for what a master keeps in its memory and reads anew.
func (h *healing) reloadFPM(ctx context.Context) (done bool, err error) {
	return h.touch(ctx, func(t remedy.Touch) (journal.Change, error) {
		var err error
		if t.Cost, err = t.Master.ReloadCost(); err != nil {
			return journal.Change{}, err
		}
		return t.Reload(h.site, h.id(), h.because())
	})
}

// restartFPM is the remedy for a master that runs and does not serve. Where only its
// memory is in question (OPcache) and not its sockets, a reload does the same and
// loses nobody who waits.
func (h *healing) restartFPM(ctx context.Context) (done bool, err error) {
	if len(h.causes) > 0 && h.causes[0].Cause == diagnose.OPcachePoisoned {
		return h.reloadFPM(ctx)
	}
	return h.touch(ctx, func(t remedy.Touch) (journal.Change, error) {
		var err error
		if t.Cost, err = t.Master.RestartCost(); err != nil {
			return journal.Change{}, err
		}
		return t.Restart(h.site, h.id(), h.because())
	})
}

// touch carries out a reload or restart, as far as the other sites of the master
// allow it.
func (h *healing) touch(ctx context.Context, describe func(remedy.Touch) (journal.Change, error)) (done bool, err error) {
	m, up, err := h.site.Master.Running()
	if err == nil && !up {
		return h.startFPM(ctx)
	}
	if err == nil {
		err = h.agent.mayTouch(m)
	}
	var change journal.Change
	if err == nil {
		change, err = describe(remedy.Touch{Master: m, Lost: h.lostPool(), Lose: h.agent.conf().Budget.Requests})
	}
	if err != nil {
		return true, h.deny(ctx, err)
	}
	return h.tryFPM(ctx, change)
}

// lostPool is the site's pool, if all that runs there belongs to this failing site or to
// others that were asked and fail too. Of a large pool only some are asked, and what is no
// WordPress, or not in wpmend's care, shows by its scripts alone.
func (h *healing) lostPool() string {
	known := []site.Site{h.site}
	h.agent.sites.Range(func(_, v any) bool {
		s := *v.(*site.Site)
		if s.ID != h.site.ID && s.Pool.Name == h.site.Pool.Name && s.Master.Config == h.site.Master.Config {
			known = append(known, s)
		}
		return true
	})
	foreign := slices.ContainsFunc(h.facts.Pool.Workers, func(w diagnose.Worker) bool {
		at := cmp.Or(w.Script, w.Dir)
		return w.Busy && filepath.IsAbs(at) && !slices.ContainsFunc(known, func(s site.Site) bool { return s.Owns(at) })
	})
	if foreign || h.facts.Next.Failing < len(known)-1 {
		return ""
	}
	return h.site.Pool.Name
}

// endWorkers ends the workers that stand still at a request of this site: those at
// other sites' are left, and so are those that only work for long.
func (h *healing) endWorkers(ctx context.Context) (done bool, err error) {
	m, up, err := h.site.Master.Running()
	if err == nil && !up {
		return h.startFPM(ctx)
	}
	var change journal.Change
	if err == nil {
		change, err = remedy.EndStuck(h.site, m, h.stuck(), h.id(), h.because())
	}
	if err != nil {
		h.report.Advice = append(h.report.Advice, err.Error())
		return true, h.escalate(ctx)
	}
	return h.tryFPM(ctx, change)
}

// stuck are the workers that the facts call stuck and that are this site's, as far as
// their script tells; where nothing tells, only if the whole pool is lost.
func (h *healing) stuck() (found []remedy.Worker) {
	lost := h.lostPool() != ""
	for _, w := range h.facts.Pool.Workers {
		at := cmp.Or(w.Script, w.Dir)
		if !w.Stuck || at == "" && !lost || at != "" && !h.site.Owns(at) {
			continue
		}
		p, err := process.Read(w.PID)
		if err != nil || math.Abs(float64(fpm.Age(p)-w.Age)) > float64(sameAge) && w.Age > 0 {
			continue // it has gone since
		}
		found = append(found, remedy.Worker{PID: w.PID, Start: p.Start})
	}
	return found
}

// tryFPM is try, and puts into the incident's story what the act really cost.
func (h *healing) tryFPM(ctx context.Context, changes ...journal.Change) (done bool, err error) {
	var told []string
	done, err = h.try(context.WithValue(ctx, toldKey{}, &told), changes)
	for _, line := range told {
		h.event("%s", line)
	}
	if m, up, err := h.site.Master.Running(); err == nil && up {
		m.Pools = nil
		h.site.Master = m
	}
	return done, err
}

// toldKey is how what an act on FPM did comes back through the journal, which knows
// errors only.
type toldKey struct{}

func (a *Agent) tell(ctx context.Context, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if told, ok := ctx.Value(toldKey{}).(*[]string); ok {
		*told = append(*told, line)
		return
	}
	a.log.Info(line)
}

// actFPM carries out an act on a master. A master that does not run is not reloaded:
// it will read its configuration when it starts.
func (a *Agent) actFPM(ctx context.Context, act remedy.Act) error {
	if act.Do != remedy.EndWorkers {
		release, err := a.holdMaster(ctx, act.Master.Config)
		if err != nil {
			return &journal.UnbegunError{Err: err}
		}
		defer release()
	}
	m, up, err := act.Master.Running()
	if err != nil {
		return &journal.UnbegunError{Err: err}
	}
	allow := fpm.Allow{Requests: act.Lose, Lost: act.Pool, Patience: time.Duration(a.conf().Budget.Patience)}
	if act.Force {
		allow.Requests = fpm.Any
	}
	switch {
	case act.Do == remedy.EndWorkers:
		return a.endEach(ctx, m, act)
	case act.Do == remedy.RestartFPM && up && act.Master.Process.PID != 0 && (m.Process.PID != act.Master.Process.PID || m.Process.Start != act.Master.Process.Start):
		a.tell(ctx, "PHP-FPM with %s has been started anew meanwhile (process %d), so it is not restarted once more", m.Config, m.Process.PID)
		return nil
	case act.Do == remedy.RestartFPM && !up:
		_, err := fpm.Start(ctx, m)
		return err
	case act.Do == remedy.RestartFPM:
		e, err := m.Restart(ctx, allow)
		a.tellEffect(ctx, "restart", e, err)
		return begun(e, err)
	case !up:
		a.tell(ctx, "PHP-FPM with %s does not run, so it is not reloaded", m.Config)
		return nil
	}
	e, err := m.Reload(ctx, allow)
	a.tellEffect(ctx, "reload", e, err)
	return begun(e, err)
}

// begun marks the error of an act that was not taken at all: then there is no effect.
func begun(e fpm.Effect, err error) error {
	if err != nil && e.Cost.Why == "" {
		return &journal.UnbegunError{Err: err}
	}
	return err
}

// holdMaster waits until nobody else reloads or restarts the master.
func (a *Agent) holdMaster(ctx context.Context, config string) (release func(), err error) {
	for since := time.Now(); ; {
		release, err = a.acquire([]lock.Key{lock.Master(config)}, "touch "+config)
		var held *lock.Held
		if !errors.As(err, &held) || time.Since(since) > masterTurn {
			return release, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (a *Agent) tellEffect(ctx context.Context, what string, e fpm.Effect, err error) {
	if err != nil {
		return
	}
	line := fmt.Sprintf("the %s ended %s; PHP-FPM served again after %.1f s", what, remedy.Count(e.Ended, "running request"), e.Pause.Seconds())
	a.tell(ctx, "%s", strings.Join(append([]string{line}, e.Notes...), "; "))
}

// endEach ends workers one by one. One that has gone by itself since is well; one that
// cannot be ended keeps none of the others.
func (a *Agent) endEach(ctx context.Context, m fpm.Master, act remedy.Act) error {
	var ended []string
	var problems []error
	for _, w := range act.Workers {
		err := m.EndWorker(ctx, act.Pool, w.PID, w.Start)
		if errors.Is(err, fpm.ErrNotWorker) {
			continue
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		ended = append(ended, fmt.Sprint(w.PID))
	}
	slices.Sort(ended)
	if len(ended) == 0 && problems != nil {
		return errors.Join(problems...)
	}
	if len(ended) == 0 {
		a.tell(ctx, "no worker had to be ended: all had moved on")
		return nil
	}
	a.tell(ctx, "ended %s of pool %s (%s), each with the request that it was stuck at", remedy.Count(len(ended), "worker"), act.Pool, strings.Join(ended, ", "))
	return errors.Join(problems...)
}
