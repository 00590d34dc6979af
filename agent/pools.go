package agent

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"wpmend/agent/evidence"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

// PoolsReport lists the host's FPM masters with their pools.
type PoolsReport struct {
	Masters []MasterReport `json:"masters"`
	Notes   []string       `json:"notes"`
}

// MasterReport is one FPM master, running or remembered.
type MasterReport struct {
	Config  string       `json:"config"`
	Binary  string       `json:"binary"`
	Version string       `json:"version"` // of PHP, "" unknown
	PID     int          `json:"pid"`     // 0: it does not run
	Unit    string       `json:"unit"`    // of systemd, "" if none
	Pools   []PoolReport `json:"pools"`
}

// PoolReport is one pool.
type PoolReport struct {
	Name        string   `json:"name"`
	Manager     string   `json:"pm"`
	MaxChildren int      `json:"max_children"` // 0 unknown
	Workers     int      `json:"workers"`      // -1 unknown, of a master that does not run
	Busy        int      `json:"busy"`         // -1 unknown
	Socket      string   `json:"socket"`
	Queue       int      `json:"queue"`   // connections that wait to be accepted, -1 unknown
	Backlog     int      `json:"backlog"` // how many may, -1 unknown
	Sites       []string `json:"sites"`
}

// Pools says what the host's pools are doing.
func (a *Agent) Pools(ctx context.Context, h site.Host) PoolsReport {
	r := PoolsReport{Masters: make([]MasterReport, len(h.Masters)), Notes: append([]string{}, h.Problems...)}
	problems := make([]string, len(h.Masters))
	var group errgroup.Group
	group.SetLimit(probesAtOnce)
	for i, m := range h.Masters {
		group.Go(func() error {
			known, err := m.Settings(ctx)
			if err != nil {
				problems[i] = fmt.Sprintf("the PHP of %s: %v", m.Config, err)
			}
			r.Masters[i] = masterReport(m, known.Version, h.Sites)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		r.Notes = append(r.Notes, err.Error())
	}
	r.Notes = append(r.Notes, slices.DeleteFunc(problems, func(p string) bool { return p == "" })...)
	return r
}

func masterReport(m fpm.Master, version string, sites []site.Site) MasterReport {
	r := MasterReport{Config: m.Config, Binary: m.Binary, Version: version, Unit: m.Unit, Pools: []PoolReport{}}
	up := m.Process.PID != 0 && m.Process.Alive()
	if up {
		r.PID = m.Process.PID
	}
	for _, p := range m.Pools {
		pool := PoolReport{Name: p.Name, Workers: -1, Busy: -1, Socket: p.Listen().Addr, Sites: []string{}}
		pool.Manager, _ = p.Get("pm")
		if v, ok := p.Get("pm.max_children"); ok {
			pool.MaxChildren, _ = strconv.Atoi(v)
		}
		if up {
			if workers, err := m.Workers(p.Name); err == nil {
				pool.Workers, pool.Busy = len(workers), 0
				for _, w := range workers {
					if w.Busy {
						pool.Busy++
					}
				}
			}
		}
		pool.Queue, pool.Backlog = evidence.Queue(p.Listen())
		for _, s := range sites {
			if s.Pool.Name == p.Name && s.Master.Config == m.Config {
				pool.Sites = append(pool.Sites, s.Domain)
			}
		}
		r.Pools = append(r.Pools, pool)
	}
	return r
}

// MasterOf finds the one FPM master that a name means: a site, a pool (NAME, or MASTER:NAME where several masters have
// one of that name), or a master by its configuration, unit or process.
func MasterOf(h site.Host, name string) (fpm.Master, []site.Site, error) {
	if s, err := site.Find(h.Sites, name); err == nil {
		for _, m := range h.Masters {
			if m.Config == s.Master.Config {
				return m, sitesOf(h, m), nil
			}
		}
		return fpm.Master{}, nil, &Error{Kind: "not-found", Err: fmt.Errorf("%s is served by no PHP-FPM", s.Domain), Remedy: "wpmend php pools"}
	}
	var found []fpm.Master
	for _, m := range h.Masters {
		at, pool, given := strings.Cut(name, ":")
		byName := at == m.Config || at == m.Unit && m.Unit != "" || at+".service" == m.Unit || at == strconv.Itoa(m.Process.PID) && m.Process.PID != 0
		_, has := m.Pool(pool)
		_, isPool := m.Pool(name)
		if byName && (!given || has) || isPool {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return fpm.Master{}, nil, &Error{Kind: "usage", Err: fmt.Errorf("no site, pool or PHP-FPM master is called %q", name), Remedy: "wpmend php pools"}
	case 1:
		return found[0], sitesOf(h, found[0]), nil
	}
	return fpm.Master{}, nil, &Error{Kind: "usage", Err: fmt.Errorf("%d masters have a pool %q", len(found), name), Remedy: fmt.Sprintf("name the master: %s:%s", found[0].Config, name)}
}

func sitesOf(h site.Host, m fpm.Master) []site.Site {
	return slices.DeleteFunc(slices.Clone(h.Sites), func(s site.Site) bool { return s.Master.Config != m.Config })
}
