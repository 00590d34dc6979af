package agent

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/evidence"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/php/ini"
)

// raiseLimit raises the link of the chain that bites, to twice of what it is at most, with what must follow.
func (h *healing) raiseLimit(ctx context.Context) (done bool, err error) {
	name := h.biting()
	switch {
	case name == ini.Gateway:
		return h.tuneGateway(ctx)
	case name == "":
		return true, h.advise(ctx, "Which limit bites is not known, so none was raised: `wpmend php limits "+h.site.Domain+"` shows them all.")
	case h.site.Handler == site.ModPHP:
		return true, h.advise(ctx, "PHP runs within Apache: raise "+name+" in the site's .htaccess (php_value "+name+" …).")
	}
	chain := evidence.LimitChain(ctx, h.site)
	link := ini.Find(chain.Links, name)
	if said, differs := h.otherLimit(link); differs {
		return true, h.advise(ctx, fmt.Sprintf("The request ended at a limit of %s, but %s is %s: some plugin sets its own (set_time_limit, ini_set), so raising this one would change nothing.", said, name, link.Words()))
	}
	settings, err := h.doubled(chain, link)
	if err != nil {
		return true, h.advise(ctx, fmt.Sprintf("%s (%s, set by %s) bites, and wpmend does not raise it: %v.", name, link.Words(), evidence.Place(link.Set), err))
	}
	changes, err := h.agent.describe(ctx, tuning{site: h.site, chain: chain, settings: settings, incident: h.id(), why: h.because(), actor: remedy.Actor,
		until: until(h.agent.confOf(h.site).Limits.Term), lost: h.lostPool()})
	if err != nil {
		return true, h.adviseOf(ctx, err)
	}
	if h.needsReload(settings) {
		if err := h.agent.mayTouch(h.site.Master); err != nil {
			return true, h.deny(ctx, err)
		}
	}
	return h.tryFPM(ctx, changes...)
}

// adviseOf escalates with an error and what a person does about it.
func (h *healing) adviseOf(ctx context.Context, err error) error {
	var advised *Error
	if errors.As(err, &advised) && advised.Remedy != "" {
		return h.advise(ctx, advised.Error()+". "+advised.Remedy)
	}
	return h.advise(ctx, err.Error())
}

// biting is the link that the surest cause is about.
func (h *healing) biting() string {
	if len(h.causes) == 0 {
		return ""
	}
	return map[string]string{diagnose.ExecutionTimeout: ini.MaxExecution, diagnose.TerminateTimeout: ini.Terminate,
		diagnose.GatewayTimeout: ini.Gateway, diagnose.PHPMemoryLimit: ini.Memory}[h.causes[0].Cause]
}

// doubled is twice the link's amount, or what there is room for.
func (h *healing) doubled(chain evidence.Chain, link ini.Link) ([]ini.Setting, error) {
	most := h.agent.ceilings(h.site)
	to := 2 * int64(link.Time)
	if ini.IsSize(link.Name) {
		to = 2 * link.Bytes
	}
	settings, err := ini.Raise(chain.Links, link.Name, to, most)
	if err == nil {
		return settings, nil
	}
	room, ok := ini.Room(chain.Links, link.Name, most)
	if !ok || room > to {
		return nil, err
	}
	return ini.Raise(chain.Links, link.Name, room, most)
}

var (
	// what PHP says when a limit has ended a script: main/main.c, Zend/zend_alloc.c
	endedByTime   = regexp.MustCompile(`Maximum execution time of (\d+)`)
	endedByMemory = regexp.MustCompile(`Allowed memory size of (\d+) bytes`)
)

// otherLimit says that PHP's own message names another amount than the chain does.
func (h *healing) otherLimit(link ini.Link) (said string, differs bool) {
	pattern, now := endedByTime, int64(link.Time/time.Second)
	switch {
	case link.Name == ini.Memory:
		pattern, now = endedByMemory, link.Bytes
	case link.Name != ini.MaxExecution:
		return "", false
	}
	for _, l := range h.facts.PHP {
		if m := pattern.FindStringSubmatch(l.Record.Message); m != nil && link.Known {
			n, err := strconv.ParseInt(m[1], 10, 64)
			if said, differs = m[1]+" bytes", err == nil && n != now; link.Name == ini.MaxExecution {
				said = m[1] + " s"
			}
		}
	}
	return said, differs
}

func (h *healing) needsReload(settings []ini.Setting) bool {
	for _, s := range settings {
		if !ini.IsPHP(s.Name) && s.Name != ini.Gateway {
			return true
		}
	}
	return false
}

// addWorkers raises pm.max_children: by half at most, and to what the host's memory holds.
func (h *healing) addWorkers(ctx context.Context) (done bool, err error) {
	p := h.facts.Pool
	to, why := moreWorkers(p, h.facts.Host.MemoryAvailable, h.agent.confOf(h.site).Limits.MaxChildren)
	if to <= p.MaxChildren {
		return true, h.advise(ctx, fmt.Sprintf("Pool %s has %d workers at most, and wpmend gives it no more: %s.", p.Name, p.MaxChildren, why))
	}
	err = h.agent.mayTouch(h.site.Master)
	if err != nil {
		return true, h.deny(ctx, err)
	}
	changes, err := h.agent.describe(ctx, tuning{site: h.site, settings: []ini.Setting{{Name: "pm.max_children", Value: strconv.Itoa(to)}},
		incident: h.id(), why: h.because() + "; " + why, actor: remedy.Actor, until: until(h.agent.confOf(h.site).Limits.Term), lost: h.lostPool()})
	if err != nil {
		return true, h.adviseOf(ctx, err)
	}
	return h.tryFPM(ctx, changes...)
}

// moreWorkers is how many workers a pool may have: half as many again, within the ceiling, and as many as four fifths of
// the memory that is free hold beside those that there are. The start and spare servers of a dynamic pool fit a larger
// pool as they fitted the smaller one.
func moreWorkers(p diagnose.Pool, free int64, ceiling int) (to int, why string) {
	var size int64
	for _, w := range p.Workers {
		size = max(size, w.RSS)
	}
	switch {
	case p.MaxChildren <= 0:
		return 0, "how many it has is not known"
	case p.MaxChildren >= ceiling:
		return p.MaxChildren, fmt.Sprintf("the ceiling is %d (limits.max_children)", ceiling)
	case size <= 0 || free <= 0:
		return p.MaxChildren, "how much memory a worker takes and the host has free is not known"
	}
	room := len(p.Workers) + int(free*4/5/size)
	to = min((p.MaxChildren*3+1)/2, ceiling, room)
	return to, fmt.Sprintf("a worker takes %d MiB of its own and %d MiB are free, which holds %d workers", size>>20, free>>20, room)
}
