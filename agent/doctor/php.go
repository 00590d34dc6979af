package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"wpmend/agent/site"
	"wpmend/php/fpm"
)

// dialBound is how long a pool may take to take a connection.
const dialBound = time.Second

func (h *host) php(ctx context.Context) []Finding {
	s := &sheet{area: "PHP"}
	for _, m := range h.masters {
		h.master(ctx, s, m)
	}
	for _, err := range h.read {
		if strings.Contains(err.Error(), "speak for the host") {
			s.warn("PHP-FPM, others", "if it serves sites of this host: one in a container is seen only by a wpmend in there, and one that runs as a user speaks for him alone", "%v", err)
			continue
		}
		s.bad("PHP-FPM, configuration", "php-fpm -t of that version names file and line; a reload or restart before that is put right ends the PHP of all its sites", "%v", err)
	}
	module := 0
	for _, x := range h.found.Sites {
		if x.Handler == site.ModPHP {
			module++
		}
	}
	switch {
	case len(h.masters) > 0:
	case module > 0:
		s.warn("PHP-FPM", "sites can be checked and healed; searches rename plugins on the live site, and only if --method rename allows it. PHP-FPM makes it safer", "no PHP-FPM runs; Apache itself runs the PHP of %s", count(module, "site"))
	case len(h.read) == 0:
		s.bad("PHP-FPM", "start it: systemctl start "+h.startable(), "no PHP-FPM runs here as root: every PHP site answers 502 or 503")
	}
	return s.findings
}

func (h *host) master(ctx context.Context, s *sheet, m fpm.Master) {
	s.ok("PHP-FPM", "%s: %s%s", m.Config, count(len(m.Pools), "pool"), unitOf(m))
	if err := m.Test(ctx); err != nil {
		s.bad("PHP-FPM, configuration", fmt.Sprintf("%s -t -y %s names the line; a reload or restart before that ends the PHP of all its sites", m.Binary, m.Config), "%s runs, but would not start again: %v", m.Config, err)
	}
	if argv, how, err := m.StartPlan(); err != nil {
		s.warn("PHP-FPM, start", "a section [[fpm]] in wpmend.toml says how", "if %s ends, wpmend does not know how to start it again: %v", m.Config, err)
	} else if m.Unit == "" {
		s.ok("PHP-FPM, start", "no unit runs %s; wpmend would start it again %s: %s", m.Config, how, strings.Join(argv, " "))
	}
	if m.ControlTimeout() == 0 {
		s.warn("PHP-FPM, reload", fmt.Sprintf("process_control_timeout = 10s in [global] of %s, then one restart at a quiet hour", m.Config),
			"process_control_timeout is 0 in %s: any reload, wpmend's or a panel's, ends the running requests of all its pools", m.Config)
	}
	judgePools(s, m, func(a fpm.Address) error { return connects(ctx, a) })
	if _, err := m.Workers(""); errors.Is(err, fpm.ErrHidden) {
		s.warn("PHP-FPM, workers", "see rights above: CAP_SYS_PTRACE", "the kernel does not show what the workers of %s do: stuck ones cannot be told", m.Config)
	}
}

func unitOf(m fpm.Master) string {
	if m.Unit == "" {
		return ""
	}
	return ", by " + m.Unit
}

// judgePools asks whether each pool takes connections.
func judgePools(s *sheet, m fpm.Master, connects func(fpm.Address) error) {
	var dead, root []string
	slow := 0
	for _, p := range m.Pools {
		if err := connects(p.Listen()); err != nil {
			dead = append(dead, fmt.Sprintf("[%s] at %s (%v)", p.Name, p.Listen(), err))
		}
		if _, _, err := p.User(); err != nil {
			root = append(root, fmt.Sprintf("[%s]: %v", p.Name, err))
		}
		if p.Duration("request_slowlog_timeout") > 0 {
			slow++
		}
	}
	if len(dead) > 0 {
		s.bad("PHP-FPM, pools", "wpmend check names the cause site by site", "%s of %s take no connection: %s", count(len(dead), "pool"), m.Config, few(dead, 3))
	} else if len(m.Pools) > 0 {
		s.ok("PHP-FPM, pools", "all of %s take connections; %d of %d keep a slow log of their own", m.Config, slow, len(m.Pools))
	}
	if len(root) > 0 {
		s.warn("PHP-FPM, users", "give each pool a user of its own", "wpmend runs no private copy of these pools, so it cannot search there: %s", few(root, 3))
	}
}

// connects opens a connection and closes it. PHP-FPM takes that for a client that went away.
func connects(ctx context.Context, a fpm.Address) error {
	if a == (fpm.Address{}) {
		return errors.New("its listen directive says no address")
	}
	conn, err := (&net.Dialer{Timeout: dialBound}).DialContext(ctx, a.Network, a.Addr)
	if err != nil {
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			return op.Err
		}
		return err
	}
	return conn.Close()
}

// startable names the units of PHP-FPM that ran here once, or else those that are installed.
func (h *host) startable() string {
	for _, masters := range [][]fpm.Master{h.found.Masters, fpm.Installed()} {
		var units []string
		for _, m := range masters {
			if m.Unit != "" && !slices.Contains(units, m.Unit) {
				units = append(units, m.Unit)
			}
		}
		if len(units) > 0 {
			return strings.Join(units, " ")
		}
	}
	return "php8.2-fpm, or whatever it is called here (systemctl list-unit-files '*php*')"
}
