package diagnose

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/gateway"
	"wpmend/php/errlog"
)

// tooShort is a limit that ends requests of healthy sites, whatever they ask for.
const tooShort = 5 * time.Second

// legitimate: the limit is to blame, not the code. Either no site could live with the limit, or the request is one whose
// work may take long, and nothing shows that it stands still. A front page may not take long.
func (f Facts) legitimate(limit time.Duration) bool {
	if slices.ContainsFunc(f.Pool.Workers, func(w Worker) bool { return w.Stuck }) {
		return false
	}
	if limit > 0 && limit < tooShort && f.hanging() == "" {
		return true
	}
	u, err := url.Parse(f.Front.URL)
	if err != nil {
		return false
	}
	at := strings.ToLower(u.Path)
	if strings.Contains(at, "/wp-admin/") || path.Base(at) == "wp-cron.php" || path.Base(at) == "xmlrpc.php" {
		return true
	}
	for _, work := range []string{"import", "export", "backup", "upload", "migrat"} {
		if strings.Contains(at, work) {
			return true
		}
	}
	return false
}

// raiseOrSearch: work that may take long gets more time, up to the ceiling; what hangs is searched.
func (f Facts) raiseOrSearch(c *Cause, limit string, now time.Duration) {
	if !f.legitimate(now) {
		c.Remedy = new(RemedyDisable)
		c.Component = cmp.Or(c.Component, f.hanging())
		return
	}
	if f.Allowed.Time > 0 && now >= f.Allowed.Time {
		c.advise("%s is %s already, which is wpmend's ceiling ([limits]): let the work run by WP-CLI or a real cron job, or in smaller steps.", limit, seconds(now))
		return
	}
	c.Remedy = new(RemedyRaiseLimit)
}

// setAt is where a limit was set, or where it belongs.
func (f Facts) setAt(name, otherwise string) string {
	return cmp.Or(f.Limits.SetAt[name], otherwise, "the pool's file")
}

func executionTimeout(f Facts) (Cause, bool) {
	c := Cause{Cause: ExecutionTimeout}
	limit := f.Limits.MaxExecution
	if !f.fatals(&c, func(e errlog.PHPError) bool {
		var n int64
		if _, err := fmt.Sscanf(e.Message, "Maximum execution time of %d", &n); err != nil {
			return false
		}
		if limit == 0 && n > 0 && n < 1<<20 {
			limit = time.Duration(n) * time.Second
		}
		return true
	}) {
		for _, l := range f.FPM {
			if e := l.Record.Exit; e != nil && e.Signal == 0 && e.Code == hardTimeout {
				c.Confidence = f.ifLost()
				c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Text))
			}
		}
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	f.raiseOrSearch(&c, "max_execution_time", limit)
	c.advise("max_execution_time (%s, set in %s) counts processor time only: the code computes that long; waiting for others does not count. For work that is meant to be long: php_value[max_execution_time] = 300 in the pool's file, or max_execution_time = 300 in .user.ini; request_terminate_timeout (%s) must not be smaller.",
		seconds(limit), f.setAt("max_execution_time", "php.ini"), seconds(f.terminate()))
	return c, true
}

// terminate is request_terminate_timeout.
func (f Facts) terminate() time.Duration { return cmp.Or(f.Limits.Terminate, f.Pool.TerminateTimeout) }

// patience is the gateway's read timeout.
func (f Facts) patience() time.Duration { return cmp.Or(f.Limits.Gateway, f.Location.ReadTimeout) }

func terminateTimeout(f Facts) (Cause, bool) {
	c := Cause{Cause: TerminateTimeout, Confidence: f.ifLost()}
	for _, l := range f.FPM {
		if s := l.Record.Slow; s != nil && s.Terminated {
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Text))
		}
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	f.stood(&c)
	f.raiseOrSearch(&c, "request_terminate_timeout", f.terminate())
	t := f.terminate()
	c.advise("request_terminate_timeout is %s (%s). Above it must stand the gateway's read timeout: at least %s, since FPM looks only every third of the time.", seconds(t), f.setAt("request_terminate_timeout", f.Pool.File), seconds(above(t)))
	return c, true
}

// above is the least read timeout of a gateway that lets FPM end a request first (fpm_conf.c: its heartbeat may be a
// third of the timeout late).
func above(terminate time.Duration) time.Duration { return terminate*4/3 + 6*time.Second }

func (f Facts) stood(c *Cause) {
	for _, l := range f.Traces {
		if where := standing(l.Record); where != "" {
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, where))
		}
	}
}

func gatewayTimeout(f Facts) (Cause, bool) {
	c := Cause{Cause: GatewayTimeout, Evidence: f.records(func(r gateway.LogRecord) bool {
		reading := strings.HasPrefix(r.Message, "upstream timed out") && r.Action != "connecting to upstream"
		return reading || r.Code == "AH01075" && r.Errno == gateway.APRTimeout ||
			strings.HasPrefix(r.Action, "reading") && syscall.Errno(r.Errno) == syscall.ETIMEDOUT
	})}
	g, t := f.patience(), f.terminate()
	switch {
	case f.late() && f.Front.Status != 0:
		c.Confidence = told
		c.say(f, "answer", "504 after %.1f s", f.Front.Took.Seconds())
	case f.late():
		c.Confidence = 0.75
		c.say(f, "answer", "none within %.0f s, which is as long as wpmend waits", f.Front.Took.Seconds())
	case len(c.Evidence) > 0:
		c.Confidence = 0.4 // somebody else's request
	default:
		return Cause{}, false
	}
	f.stood(&c)
	for _, w := range f.Pool.Workers {
		if w.Busy && w.Since >= time.Second {
			how := "works"
			if w.Stuck {
				how = "stands still"
			}
			c.say(f, "pool", "worker %d %s, for %s so far", w.PID, how, w.Since.Round(time.Second))
		}
	}
	if f.legitimate(g) {
		f.tune(&c, RemedyTuneGateway)
		raised := min(max(2*g, above(t), time.Minute), max(g, 10*time.Minute))
		c.advise("The gateway waits %s, and the work takes longer. Let it wait: %s in the PHP location (%s), then %s. Better: WP-CLI, or a real cron job.", seconds(g), f.readTimeout(raised), cmp.Or(f.Location.File, "the site's vhost"), f.testAndReload())
	} else {
		c.Remedy, c.Component = new(RemedyDisable), f.hanging()
	}
	switch {
	case t == 0:
		c.advise("Nothing ends what hangs, so it holds a worker: set request_terminate_timeout = %s for pool [%s] in %s, below the gateway's %s.", seconds(below(g)), f.Pool.Name, cmp.Or(f.Pool.File, "its file"), seconds(g))
	case g > 0 && above(t)-time.Second > g:
		c.advise("The chain of limits is the wrong way round: request_terminate_timeout is %s, so the gateway (%s) gives up first and the worker runs on. Set it to %s in %s, or the gateway's to %s.", seconds(t), seconds(g), seconds(below(g)), f.setAt("request_terminate_timeout", f.Pool.File), seconds(above(t)))
	}
	return c, true
}

// below is the largest request_terminate_timeout that bites before the gateway's read timeout does.
func below(gateway time.Duration) time.Duration {
	if gateway <= 0 {
		gateway = time.Minute // the default of nginx and of Apache
	}
	return max((gateway-6*time.Second)*3/4, time.Second).Truncate(time.Second)
}

// tune names a remedy that changes the gateway, where the configuration allows that.
func (f Facts) tune(c *Cause, remedy string) {
	if f.Allowed.TuneGateway {
		c.Remedy = &remedy
	}
}

// readTimeout is the directive in the gateway's language.
func (f Facts) readTimeout(d time.Duration) string {
	switch f.Server.Kind {
	case "nginx":
		return fmt.Sprintf("fastcgi_read_timeout %s;", seconds(d))
	case "apache":
		return fmt.Sprintf("ProxyTimeout %d", int64(d/time.Second))
	}
	return fmt.Sprintf("fastcgi_read_timeout %s; (nginx) or ProxyTimeout %d (Apache)", seconds(d), int64(d/time.Second))
}
