package diagnose

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/gateway"
	"wpmend/php/errlog"
)

// workersStuck: they stand still by the kernel's word. Where the pool has room besides, the one request that hangs is
// the matter, not the workers.
func workersStuck(f Facts) (Cause, bool) {
	busy, stuck, _ := f.Pool.at()
	if stuck == 0 {
		return Cause{}, false
	}
	c := Cause{Cause: WorkersStuck, Confidence: 0.45, Remedy: new(RemedyEndWorkers)}
	if f.Pool.full() && 2*stuck >= busy {
		c.Confidence = 0.97
	}
	c.say(f, "process list", "%d of %d busy workers stand still: no processor time, nothing read or written", stuck, busy)
	others := true
	for _, w := range f.Pool.Workers {
		if !w.Stuck {
			continue
		}
		others = others && f.Owns != nil && w.Script != "" && !f.Owns(w.Script)
		c.say(f, "pool", "worker %d has been at %s for %s", w.PID, cmp.Or(w.Script, w.Dir, w.URI, "a request"), w.Since.Round(time.Second))
	}
	c.Component = f.hanging()
	switch {
	case others:
		c.Remedy = nil
		c.advise("The workers belong to another site of the same pool: heal that one, or end them one by one (kill -TERM the pids above; the master starts new ones). Give each site a pool of its own.")
	case c.Component != "" && slices.Contains(f.Lately, RemedyEndWorkers):
		c.Remedy = new(RemedyDisable)
		c.advise("They were ended within the last hour, and stand still again, in %s.", c.Component)
	default:
		c.advise("End them one by one (kill -TERM the pids above; the master starts new ones at once), instead of restarting all.")
	}
	if f.Pool.TerminateTimeout == 0 {
		c.advise("Nothing ends such requests by itself: set request_terminate_timeout = 60s for pool [%s] in %s. What they wait for: ls -l /proc/PID/fd; cat /proc/PID/wchan.", f.Pool.Name, f.Pool.File)
	}
	return c, true
}

// hanging is the component in which most of what hangs stands, by FPM's traces and the workers' scripts; "" if none
// stands out.
func (f Facts) hanging() string {
	counts := map[string]int{}
	all := 0
	for _, l := range f.Traces {
		all++
		if id, ok := f.firstBlamed(frameFiles(l.Record.Frames)); ok {
			counts[id]++
		}
	}
	for _, w := range f.Pool.Workers {
		if !w.Stuck {
			continue
		}
		places := []string{w.Script}
		if w.Script == "" && w.Dir != "" {
			places[0] = path.Join(w.Dir, "index.php")
		}
		if id, ok := f.firstBlamed(places); ok {
			all++
			counts[id]++
		}
	}
	for id, n := range counts {
		if 2*n > all {
			return id
		}
	}
	return ""
}

// crashed reports an end that is none of FPM's own ways to end a worker.
func crashed(e *errlog.Exit) bool {
	switch {
	case e == nil, e.Signal == 0 && (e.Code == 0 || e.Code == hardTimeout):
		return false
	case e.Signal == int(syscall.SIGTERM), e.Signal == int(syscall.SIGQUIT):
		return false
	}
	return true
}

// hardTimeout is the exit code of a worker that PHP ends itself, hard_timeout after max_execution_time.
const hardTimeout = 124

func workerCrash(f Facts) (Cause, bool) {
	c := Cause{Cause: WorkerCrash, Remedy: new(RemedyDisable)}
	killed := true
	for _, l := range f.FPM {
		if e := l.Record.Exit; crashed(e) {
			c.Confidence = textOnly
			killed = killed && e.Signal == int(syscall.SIGKILL)
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Text))
		}
	}
	for _, l := range f.Gateway { // Apache and LiteSpeed, which run PHP in their own children
		_, _, died := l.Record.Died()
		if died || strings.Contains(l.Record.Message, "was killed by signal") && strings.HasPrefix(l.Record.Message, "[STDERR] Child process") {
			c.Confidence, killed = textOnly, false
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, words(l.Record)))
		}
	}
	if c.Confidence > 0 && (f.lost() || f.Front.Outcome == "") {
		c.Confidence = 0.85
	}
	for _, k := range f.Host.Kernel {
		if k.Kind == KernelSegfault && slices.ContainsFunc(f.FPM, func(l Line[errlog.FPMRecord]) bool { return l.Record.Exit != nil && l.Record.Exit.PID == k.PID }) {
			c.Confidence = told
			c.Evidence = append(c.Evidence, evidence(cmp.Or(k.Source, "kernel"), k.Time, k.Text))
		}
	}
	if broke := f.broke(); c.Confidence == 0 && len(broke) > 0 {
		// The gateway lost its worker; why, nobody has written down.
		c.Confidence = textOnly
		c.Evidence = broke
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	if killed && c.Confidence == 0.85 {
		c.advise("Signal 9 comes from outside PHP: the kernel when memory runs out (dmesg -T | grep -i 'killed process'), a container's limit, or somebody's kill.")
	}
	c.advise("A crash of PHP itself is usually an extension, or a plugin that drives one over the edge (endless recursion). If switching off the plugin does not help: php -m, disable newly installed extensions (phpdismod), opcache.jit = off, and update PHP.")
	return c, true
}

// broke are the gateway's records of a connection that ended before the answer: 104 (nginx, Caddy), the end of the file,
// AH01067 with AH01075.
func (f Facts) broke() []Evidence {
	if !f.lost() {
		return nil
	}
	return f.records(func(r gateway.LogRecord) bool {
		switch {
		case r.Code == "AH01067":
			return true
		case r.Code == "AH01075":
			return r.Errno == gateway.APREnd || syscall.Errno(r.Errno) == syscall.ECONNRESET
		case strings.HasPrefix(r.Message, "upstream prematurely closed"), r.Message == "EOF":
			return true
		}
		return syscall.Errno(r.Errno) == syscall.ECONNRESET && strings.HasPrefix(r.Action, "reading")
	})
}

// standing says where a trace stood, in words.
func standing(t errlog.SlowTrace) string {
	if len(t.Frames) == 0 {
		return ""
	}
	top := t.Frames[0]
	return fmt.Sprintf("it stood in %s(), called at %s:%d", top.Func, top.File, top.Line)
}
