package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"wpmend/agent/gateway"
	"wpmend/php/process"
)

// strangers are web servers and proxies that wpmend cannot ask, by the names of their programs.
var strangers = []string{"caddy", "openlitespeed", "litespeed", "lshttpd", "lighttpd", "h2o", "haproxy", "traefik", "envoy", "varnishd", "docker-proxy", "frankenphp"}

func (h *host) gateway(ctx context.Context) []Finding {
	s := &sheet{area: "gateway"}
	for _, g := range h.gateways {
		oneGateway(ctx, s, g)
	}
	silent := 0
	for _, err := range h.asked {
		switch text := err.Error(); {
		case strings.Contains(text, " configuration: "): // stands with its server
		case strings.Contains(text, "is not asked: "):
			s.warn("gateway, others", "if it serves sites of this host: a server in a container is seen only by a wpmend in there, and one that runs as a user speaks for him alone", "%s", text)
		default:
			silent++
			s.bad("gateway, configuration", "correct what it names, then: nginx -t, or apachectl -t. Until then wpmend goes by what it saw last, and the server would not start again", "%s", said(text))
		}
	}
	if len(h.gateways)+silent == 0 {
		also := ""
		if known := namesOf(h.procs, strangers); len(known) > 0 {
			also = "; what runs is " + strings.Join(known, ", ") + ", which wpmend cannot ask for its sites"
		}
		s.bad("gateway", "start it: systemctl start "+h.lastGateway()+". If it runs in a container, wpmend has to run in there", "no nginx or Apache runs here as root%s: no site can be found but those seen before", also)
	}
	return s.findings
}

// place is where nginx ("… in FILE:LINE") and Apache ("line N of FILE") say that they stumbled.
var place = regexp.MustCompile(` in (/[^ :]+):(\d+)|line (\d+) of (/[^ :]+)`)

// said puts the place first, of a server's words with dates, processes and commands.
func said(text string) string {
	m := place.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	return m[1] + m[4] + ", line " + m[2] + m[3] + ": " + text
}

// oneGateway looks at a server that answered.
func oneGateway(ctx context.Context, s *sheet, g gateway.Gateway) {
	name := strings.TrimSpace(g.Kind + " " + g.Version)
	php := 0
	for _, v := range g.Vhosts {
		if len(v.PHP) > 0 || v.ModPHP {
			php++
		}
	}
	s.ok("gateway", "%s (%s): %s, %d of them with PHP", name, g.Config, count(len(g.Vhosts), "vhost"), php)
	err := gateway.Test(ctx, g)
	switch e := (*gateway.ConfigError)(nil); {
	case errors.As(err, &e):
		do := "correct it, then: " + tester(g)
		if e.File != "" {
			do = fmt.Sprintf("correct line %d of %s, then: %s", e.Line, e.File, tester(g))
		}
		s.bad("gateway, configuration", do, "%s runs, but would not start again: %s", name, e.Words)
	case err != nil:
		s.unknown("gateway, configuration", "", "%v", err)
	}
	if len(g.Problems) > 0 {
		s.warn("gateway, understood", "the sites behind these places may be judged unknown; please report what you use there", "%s could not be understood in full: %s", name, few(g.Problems, 3))
	}
	if silent := withoutLog(g); len(silent) > 0 {
		s.warn("gateway, logs", "give them an error_log, or ErrorLog, that is a file", "%s write no error log to a file, so that a visitor's failure is noticed only by a scheduled probe: %s", count(len(silent), "vhost"), few(silent, 3))
	}
}

func tester(g gateway.Gateway) string {
	if g.Kind == gateway.Apache {
		return "apachectl -t"
	}
	return "nginx -t"
}

// withoutLog are the vhosts with PHP that tell no file of their failures.
func withoutLog(g gateway.Gateway) (silent []string) {
	for _, v := range g.Vhosts {
		logs := len(v.ErrorLogs) + len(v.AccessLogs)
		for _, l := range v.PHP {
			logs += len(l.ErrorLogs)
		}
		if logs == 0 && (len(v.PHP) > 0 || v.ModPHP) {
			silent = append(silent, vhostName(v))
		}
	}
	return silent
}

func vhostName(v gateway.Vhost) string {
	if len(v.Names) > 0 {
		return v.Names[0]
	}
	return fmt.Sprintf("%s:%d", v.File, v.Line)
}

// namesOf are those of a list of programs that run.
func namesOf(procs []process.Process, names []string) (found []string) {
	for _, p := range procs {
		if name := filepath.Base(p.Exe); slices.Contains(names, name) && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// lastGateway names what served here when somebody looked last.
func (h *host) lastGateway() string {
	if len(h.found.Gateways) == 0 {
		return "nginx (or apache2, httpd)"
	}
	return filepath.Base(h.found.Gateways[0].Binary) // units are called so too
}
