package diagnose

import (
	"cmp"
	"regexp"
	"strings"
	"syscall"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
)

func fpmDown(f Facts) (Cause, bool) {
	c := Cause{Cause: FPMDown, Confidence: 0.99}
	failures := f.connectFailures(syscall.ENOENT, syscall.ECONNREFUSED)
	asked := cmp.Or(f.Socket.Asked, f.Socket.Address)
	switch {
	case f.Pool.PID != 0:
		return Cause{}, false
	case f.Pool.Name != "" && f.Socket.fits() && f.Socket.Dial != nil:
		c.Remedy = new(RemedyStartFPM)
		c.say(f, "process list", "no PHP-FPM master with %s runs", f.Pool.Config)
		u := unit(f.Pool.Unit, "php-fpm")
		c.advise("Start it: systemctl start %s. Why it ended: systemctl status %s; journalctl -u %s -n 50.", u, u, u)
	case asked != "" && f.Socket.Dial != nil && f.Pool.Candidate == "":
		// Whoever served the site has never been seen; other pools may all be other people's.
		c.Confidence = told
		if len(f.Pool.Elsewhere) > 0 {
			c.Confidence = 0.65
		}
		c.say(f, "process list", "no PHP-FPM pool of this host listens at %s", asked)
		c.advise("Start the PHP-FPM whose pool has listen = %s: grep -rsF %s /etc/php*/ /etc/opt/ /opt/*/ ; systemctl list-unit-files '*fpm*'; systemctl start the one that fits.", asked, shell(asked))
	case asked == "" && f.Pool.Name == "" && f.lost() && len(failures) > 0:
		c.Confidence = 0.75 // LiteSpeed, Caddy: only the gateway's word
		c.advise("The gateway finds nobody at the address that it names. Start what serves PHP there: systemctl start the PHP-FPM of the site's version; LiteSpeed: touch /usr/local/lsws/admin/tmp/.lsphp_restart.txt, then systemctl restart lshttpd.")
	default:
		return Cause{}, false
	}
	if f.Socket.Dial != nil {
		c.say(f, "socket", "%s: %v", asked, f.Socket.Dial)
	}
	c.Evidence = append(c.Evidence, failures...)
	return c, true
}

// fpmFault is where PHP-FPM's own test says that the configuration is broken.
var fpmFault = regexp.MustCompile(`\[(/[^\]\n:]{1,300}):(\d{1,7})\]`)

// fpmConfig: 78 (EX_CONFIG) is how php-fpm -t ends for every fault of the configuration.
func fpmConfig(f Facts) (Cause, bool) {
	if f.Pool.Test == nil || f.Pool.PID != 0 {
		return Cause{}, false
	}
	said := f.Pool.Test.Error()
	c := Cause{Cause: FPMConfig, Confidence: 0.6}
	if _, after, ok := strings.Cut(said, "exit status 78"); ok {
		c.Confidence = 0.99
		said = cmp.Or(strings.TrimLeft(after, ": "), said)
	}
	c.say(f, "php-fpm -t", "%s", said)
	where := cmp.Or(f.Pool.File, f.Pool.Config)
	if at := fpmFault.FindStringSubmatch(said); at != nil {
		where = at[1] + ":" + at[2]
	}
	c.advise("Mend %s. PHP-FPM says: %s", where, said)
	c.advise("Then wpmend heal starts it, or by hand: php-fpm -t (with the version's own name, such as php-fpm8.2 -t) and systemctl reset-failed %s; systemctl start %s. One broken pool file, or one deleted system user, stops all pools of that PHP version.",
		unit(f.Pool.Unit, "php-fpm"), unit(f.Pool.Unit, "php-fpm"))
	return c, true
}

func fpmOOMKilled(f Facts) (Cause, bool) {
	if f.Pool.Name == "" || f.Pool.PID != 0 {
		return Cause{}, false
	}
	c := Cause{Cause: FPMOOMKilled, Confidence: told, Remedy: new(RemedyStartFPM)}
	for _, k := range f.Host.Kernel {
		if k.Kind == KernelOOM && strings.Contains(k.Text, "php-fpm") && f.killed(k) >= sure {
			c.Evidence = append(c.Evidence, evidence(cmp.Or(k.Source, "kernel"), k.Time, k.Text))
		}
	}
	if f.Pool.State.Result == "oom-kill" {
		c.Confidence = 0.98
		c.say(f, "systemd", "%s is %s, Result=oom-kill", f.Pool.Unit, cmp.Or(f.Pool.State.Active, "down"))
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	c.advise("After the start keep one killed worker from stopping them all: systemctl edit %s, [Service] OOMPolicy=continue and Restart=on-failure. Then make the pool fit: pm.max_children in %s times the size of a worker must stay below the memory that is free (free -m; ps -C %s -o rss= | sort -n | tail).",
		unit(f.Pool.Unit, "php-fpm"), f.Pool.File, unit(f.Pool.Unit, "php-fpm"))
	return c, true
}

func fpmStartLimit(f Facts) (Cause, bool) {
	if f.Pool.PID != 0 || f.Pool.State.Result != "start-limit-hit" && !f.Pool.State.GaveUp {
		return Cause{}, false
	}
	c := Cause{Cause: FPMStartLimit, Confidence: 0.98, Remedy: new(RemedyStartFPM)}
	c.say(f, "systemd", "%s: Result=%s after %d restarts", f.Pool.Unit, f.Pool.State.Result, f.Pool.State.Restarts)
	u := unit(f.Pool.Unit, "php-fpm")
	c.advise("systemd refuses further starts: systemctl reset-failed %s && systemctl start %s. What kept it from staying up: journalctl -u %s -n 50.", u, u, u)
	return c, true
}

// at says how many of the pool's workers are busy, and what these do.
func (p Pool) at() (busy, stuck, asleep int) {
	for _, w := range p.Workers {
		if !w.Busy {
			continue
		}
		busy++
		if w.Stuck {
			stuck++
		}
		if w.Asleep || w.Stuck {
			asleep++
		}
	}
	return busy, stuck, asleep
}

// full: every worker that the pool may have is busy.
func (p Pool) full() bool {
	busy, _, _ := p.at()
	return busy > 0 && busy == len(p.Workers) && busy >= p.MaxChildren
}

// overflows: no more connections are let into the queue.
func (s Socket) overflows() bool {
	if s.Unix {
		return s.Backlog >= 0 && s.Queue > s.Backlog
	}
	return s.Backlog > 0 && s.Queue >= s.Backlog
}

// crowded: requests wait since all workers are busy, by the kernel's word.
func (f Facts) crowded() bool {
	return f.Pool.full() && f.Socket.Queue > 0 || f.Socket.overflows()
}

func poolExhausted(f Facts) (Cause, bool) {
	c := Cause{Cause: PoolExhausted, Confidence: f.exhaustionTold()}
	c.Evidence = f.connectFailures(syscall.EAGAIN)
	c.Evidence = append(c.Evidence, f.records(func(r gateway.LogRecord) bool {
		return strings.HasPrefix(r.Message, "upstream timed out") && r.Action == "connecting to upstream" ||
			strings.Contains(r.Message, "Reached max children process limit") || strings.Contains(r.Message, "Available connections are dropped below half")
	})...)
	for _, l := range f.FPM {
		if l.Record.MaxChildren > 0 || strings.HasPrefix(l.Record.Text, "The maximum number of processes has been reached") {
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Text))
		}
	}
	busy, _, _ := f.Pool.at()
	if f.Pool.full() {
		c.say(f, "pool", "%d of %d workers are busy", busy, max(busy, f.Pool.MaxChildren))
	}
	if f.Socket.Queue > 0 {
		c.say(f, "socket", "%d connections wait at %s, %d may", f.Socket.Queue, f.Socket.Address, f.Socket.Backlog)
	}
	switch {
	case f.crowded():
		c.Confidence = 0.96
	case f.Pool.full() && f.Socket.Queue < 0 && (f.lost() || f.late()):
		c.Confidence = max(c.Confidence, 0.6)
	case c.Confidence == 0:
		return Cause{}, false
	}
	f.makeRoom(&c)
	return c, true
}

// exhaustionTold is what the logs say of it: 11 (EAGAIN) from a connect to a unix socket has no other reason.
func (f Facts) exhaustionTold() float64 {
	suffers := f.lost() || f.late()
	full := len(f.connectFailures(syscall.EAGAIN)) > 0
	reached := false
	for _, l := range f.FPM {
		reached = reached || l.Record.MaxChildren > 0
	}
	for _, l := range f.Gateway {
		full = full || strings.Contains(l.Record.Message, "Reached max children process limit") ||
			strings.HasPrefix(l.Record.Message, "upstream timed out") && l.Record.Action == "connecting to upstream"
	}
	switch {
	case full && suffers:
		return told
	case reached && suffers && len(f.Pool.Workers) == 0: // where the workers were seen, they tell
		return 0.75
	case full, reached:
		return 0.4
	}
	return 0
}

// room is how many more workers the memory holds, by the size of those that run and with a tenth left over; ok is false
// where that is not known.
func (f Facts) room() (n int, each int64, ok bool) {
	var sum, counted int64
	for _, w := range f.Pool.Workers {
		if w.RSS > 0 {
			sum, counted = sum+w.RSS, counted+1
		}
	}
	if counted == 0 || f.Host.Memory <= 0 {
		return 0, 0, false
	}
	each = max(sum/counted, 1<<20)
	return int(max(0, (f.Host.MemoryAvailable-f.Host.Memory/10)/each)), each, true
}

// makeRoom says whether more workers are the remedy: not where the processors or the memory would only be shared by more.
func (f Facts) makeRoom(c *Cause) {
	n, each, ok := f.room()
	most := f.Allowed.Children
	switch {
	case f.pressed() != "":
		c.advise("More workers would not help, since the host itself is at its limit (%s).", f.pressed())
	case !ok:
		c.advise("Raise pm.max_children of pool [%s] in %s if memory allows: what is free (free -m) divided by the size of a worker (ps -ylC php-fpm8.2 --sort:rss, column RSS); then systemctl reload %s at a quiet moment.", f.Pool.Name, f.Pool.File, unit(f.Pool.Unit, "php-fpm"))
	case n < 1:
		c.advise("There is no memory for more workers: one has %s, and %s is free. Make the requests faster, cache pages, or add memory.", size(each), size(f.Host.MemoryAvailable))
	case most > 0 && f.Pool.MaxChildren >= most:
		c.advise("pm.max_children is %d, and the configuration's ceiling for wpmend is %d ([limits] max_children).", f.Pool.MaxChildren, most)
	default:
		c.Remedy = new(RemedyAddWorkers)
		c.advise("Memory holds about %d more workers of %s: raise pm.max_children = %d of pool [%s] in %s.", n, size(each), f.Pool.MaxChildren, f.Pool.Name, f.Pool.File)
	}
	c.advise("What keeps them busy: request_slowlog_timeout = 5s and slowlog in the same file name the code within a minute.")
}

// opcachePoisoned: our own two questions differ in nothing but how old the workers are.
func opcachePoisoned(f Facts) (Cause, bool) {
	c := Cause{Cause: OPcachePoisoned, Remedy: new(RemedyRestartFPM)}
	live := f.Front
	if f.Direct.Outcome != "" {
		live = f.Direct
	}
	crash, _ := workerCrash(f)
	switch {
	case f.Fresh.Outcome == probe.Healthy && fails(live) && f.Pool.PID != 0 && f.Socket.Dial == nil && !f.Pool.full():
		c.Confidence = 0.75
		if f.Direct.Outcome != "" || f.broken() {
			c.Confidence = told // not a matter of the gateway's
		}
		c.say(f, "fresh copy", "with the same code and nothing masked, a fresh copy of the pool answers %s", outcome(f.Fresh))
		c.say(f, "pool", "the live one: %s", outcome(live))
	case f.Next.Asked > 0 && f.Next.Failing == f.Next.Asked && crash.Confidence >= sure && f.Fresh.Outcome == "":
		c.Confidence = 0.75
		c.say(f, "answer", "%d of %d other sites of the same pool fail as well", f.Next.Failing, f.Next.Asked)
		c.Evidence = append(c.Evidence, crash.Evidence...)
	default:
		return Cause{}, false
	}
	c.advise("PHP's workers fail on what they hold in memory (OPcache), not on the code: systemctl reload %s empties it. No component is at fault. It comes back where opcache.validate_timestamps is 0 and a deploy does not reload PHP-FPM.", unit(f.Pool.Unit, "php-fpm"))
	return c, true
}
