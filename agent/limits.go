package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/evidence"
	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/php/ini"
	"wpmend/wp"
)

const (
	// renewal is how long the workers of a pool may take until each has been replaced.
	renewal = 15 * time.Second
	// maxOwnFile bounds the file that PHP reads in a site's folder, in bytes.
	maxOwnFile = 1 << 20
	// byHand is the actor of limits that a person sets.
	byHand = "wpmend php limits"
)

// LimitsReport is the chain of a site's limits.
type LimitsReport struct {
	Site       SiteRef         `json:"site"`
	Links      []LimitLink     `json:"links"`
	Violations []ini.Violation `json:"violations"`
	// UserINI is the file in which the site itself may set PHP's limits, "" where it cannot.
	UserINI string `json:"user_ini"`
	// KeptSeconds is how long a worker keeps what it has read there.
	KeptSeconds float64  `json:"kept_seconds"`
	Notes       []string `json:"notes"`
}

// LimitLink is one limit with its amount in plain numbers.
type LimitLink struct {
	ini.Link
	Seconds float64 `json:"seconds,omitempty"`
	Size    int64   `json:"bytes,omitempty"`
	Words   string  `json:"words"`
	// Ceiling is the most that wpmend raises it to, "" where it does not touch it.
	Ceiling string `json:"ceiling"`
	Counts  string `json:"counts,omitempty"` // what it counts, where that is mistaken easily
}

// Limits reads the chain of a site's limits; it changes nothing.
func (a *Agent) Limits(ctx context.Context, s site.Site) LimitsReport {
	return a.limitsReport(s, evidence.LimitChain(ctx, s))
}

func (a *Agent) limitsReport(s site.Site, c evidence.Chain) LimitsReport {
	r := LimitsReport{Site: ref(s), Links: []LimitLink{}, Violations: ini.Violations(c.Links), UserINI: c.UserINI, KeptSeconds: c.Keeps.Seconds(), Notes: append([]string{}, c.Notes...)}
	most := a.ceilings(s)
	for _, l := range c.Links {
		link := LimitLink{Link: l, Words: l.Words(), Counts: ini.Counts(l.Name)}
		if n, ok := most[l.Name]; ok {
			link.Ceiling = ini.Format(l.Name, n)
		}
		if l.Known && !l.Unlimited {
			link.Seconds, link.Size = l.Time.Seconds(), l.Bytes
		}
		r.Links = append(r.Links, link)
	}
	return r
}

// ceilings are the limits of a site that wpmend may raise, and how far.
func (a *Agent) ceilings(s site.Site) ini.Ceilings {
	l := a.confOf(s).Limits
	most := ini.Ceilings{
		ini.MaxExecution: int64(l.MaxExecutionTime), ini.MaxInput: int64(l.MaxInputTime),
		ini.Terminate: int64(l.RequestTerminateTimeout), ini.Slowlog: int64(l.RequestTerminateTimeout), ini.Control: int64(l.RequestTerminateTimeout),
		ini.Memory: int64(l.MemoryLimit), ini.PostMax: int64(l.UploadSize), ini.UploadMax: int64(l.UploadSize),
	}
	if a.conf().Gateway.Tune {
		most[ini.Gateway] = int64(mostGatewayTimeout)
	}
	return most
}

// tuning is what is set of a site's limits, and how it is told in the journal.
type tuning struct {
	site     site.Site
	chain    evidence.Chain
	settings []ini.Setting
	incident string
	why      string
	actor    string
	until    time.Time
	lost     string // a pool whose requests fail anyway, "" if none
	force    bool
}

// describe makes changes of it, the outermost link first: what is inside must never be allowed more than what is
// outside.
func (a *Agent) describe(ctx context.Context, t tuning) ([]journal.Change, error) {
	master, up, err := t.site.Master.Running()
	if err != nil {
		return nil, err
	}
	if !up {
		return nil, &Error{Kind: "not-running", Err: fmt.Errorf("PHP-FPM with %s does not run", t.site.Master.Config), Remedy: "wpmend check " + t.site.Domain}
	}
	l := remedy.Limits{UserINI: t.chain.UserINI, Master: master, Lose: a.conf().Budget.Requests, Lost: t.lost, Force: t.force,
		Incident: t.incident, Why: t.why, Actor: t.actor, Until: t.until, Now: time.Now()}
	var changes []journal.Change
	for _, s := range t.settings {
		link := ini.Find(t.chain.Links, s.Name)
		switch {
		case s.Name == ini.Gateway:
			c, err := a.describeGateway(ctx, t, s)
			if err != nil {
				return nil, err
			}
			changes = append(changes, c)
		case !ini.IsPHP(s.Name):
			l.Pool = append(l.Pool, s)
		case link.Set.By == ini.ParamValue || link.Set.By == ini.ParamAdmin || link.Set.By == ini.Section || link.Set.By == ini.Script:
			return nil, &Error{Kind: "refused", Err: fmt.Errorf("%s is set by %s, which wins over what wpmend may set", s.Name, evidence.Place(link.Set)),
				Remedy: fmt.Sprintf("set %s = %s there (%s)", s.Name, s.Value, link.Set.By)}
		case link.Locked:
			s.Name = "php_admin_value[" + s.Name + "]"
			l.Pool = append(l.Pool, s)
		case t.chain.Locks != "":
			s.Name = "php_value[" + s.Name + "]"
			l.Pool = append(l.Pool, s)
		default:
			l.PHP = append(l.PHP, s)
		}
	}
	if len(l.PHP)+len(l.Pool) == 0 {
		return changes, nil
	}
	if len(l.PHP) > 0 {
		if l.Was, err = ownFile(t.site, l.UserINI); err != nil {
			return nil, err
		}
	}
	c, err := l.Change(t.site)
	var by *remedy.ManagedError
	if errors.As(err, &by) {
		if l.Override, err = override(ctx, t, l.Pool, by); err == nil {
			c, err = l.Change(t.site)
		}
	}
	if err != nil {
		return nil, err
	}
	return append(changes, c), nil
}

// describeGateway raises the gateway's read timeout in a file of wpmend's own.
func (a *Agent) describeGateway(ctx context.Context, t tuning, s ini.Setting) (journal.Change, error) {
	n, _, err := ini.ParseAmount(s.Name, s.Value)
	if err != nil {
		return journal.Change{}, err
	}
	lines, err := remedy.GatewayTuning{ReadTimeout: time.Duration(n)}.Directives(t.site.Gateway.Kind)
	if err != nil {
		return journal.Change{}, err
	}
	files, err := (&healing{agent: a, look: &look{site: t.site}}).ownFiles(ctx, lines)
	if err != nil {
		return journal.Change{}, err
	}
	c, err := remedy.TuneGateway(t.site, files, lines, t.incident, t.why)
	c.Actor, c.Until = t.actor, t.until
	return c, err
}

// renewWorkers lets the workers of a pool be replaced, so that all read the site's .user.ini anew. Those that are at a
// request for longer than that keep the old one for user_ini.cache_ttl at most.
func (a *Agent) renewWorkers(ctx context.Context, act remedy.Act) error {
	m, up, err := act.Master.Running()
	if err != nil || !up {
		return err
	}
	left, err := m.Renew(ctx, act.Pool, renewal)
	if left > 0 {
		a.tell(ctx, "%d workers of pool %s are still at a request and read the new .user.ini after it", left, act.Pool)
	}
	return err
}

// inForce reads the chain again and names what was set and does not count.
func (a *Agent) inForce(ctx context.Context, s site.Site, settings []ini.Setting) (evidence.Chain, error) {
	if m, up, err := s.Master.Running(); err == nil && up {
		if p, ok := m.Pool(s.Pool.Name); ok {
			s.Pool = p
		}
		m.Pools = nil
		s.Master = m
	}
	if slices.ContainsFunc(settings, func(w ini.Setting) bool { return w.Name == ini.Gateway }) {
		// Only the gateway's own dump says what it takes.
		host, err := a.Discover(ctx)
		if err != nil {
			return evidence.Chain{}, err
		}
		for _, now := range host.Sites {
			if now.ID == s.ID {
				s.Location, s.Gateway, s.Vhosts = now.Location, now.Gateway, now.Vhosts
			}
		}
	}
	c := evidence.LimitChain(ctx, s)
	for _, want := range settings {
		if got := ini.Find(c.Links, want.Name); got.Set.Value != want.Value {
			return c, fmt.Errorf("%s is %s after it was set to %s, by %s", want.Name, got.Words(), want.Value, evidence.Place(got.Set))
		}
	}
	return c, nil
}

// until is when what was set now is taken back; zero for ever.
func until(term config.Duration) time.Time {
	if term <= 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(term)).UTC().Truncate(time.Second)
}

// limitsByHand are the changes in force that a person made by `wpmend php limits`, the newest last.
func (a *Agent) limitsByHand(s site.Site) ([]journal.Change, error) {
	changes, err := a.journal.InForce(s.Root)
	return slices.DeleteFunc(changes, func(c journal.Change) bool { return c.Actor != byHand || c.UndoNone != "" }), err
}

// ownFile is the content of a file in the site's folder, nil if there is none.
func ownFile(s site.Site, name string) ([]byte, error) {
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	text, err := t.ReadFile(name, maxOwnFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}
