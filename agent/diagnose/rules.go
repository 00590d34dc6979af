package diagnose

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/probe"
	"wpmend/wp"
)

// rule looks for one cause.
type rule func(Facts) (Cause, bool)

// rules is the list of all causes that can be seen so far, the outermost layer first.
var rules = [...]rule{
	fpmDown, socketPermission, databaseDown, maintenance, headerTooBig,
	coreDamaged, terminateTimeout, workerCrash, componentFault,
}

// Causes ranks what explains the facts, the most certain first. An empty list
// means that nothing known explains them.
func Causes(f Facts) []Cause {
	found := []Cause{}
	for _, look := range rules {
		if c, ok := look(f); ok {
			c.Evidence = few(c.Evidence)
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b Cause) int { return cmp.Compare(b.Confidence, a.Confidence) })
	return found
}

func fpmDown(f Facts) (Cause, bool) {
	if f.Pool.Name == "" || f.Pool.PID != 0 || f.Socket.Dial == nil {
		return Cause{}, false
	}
	c := Cause{Cause: FPMDown, Confidence: 0.99, Remedy: new(RemedyStartFPM)}
	c.say(f, "process list", "no PHP-FPM master with %s runs", f.Pool.Config)
	c.say(f, "socket", "%s: %v", f.Socket.Address, f.Socket.Dial)
	c.Evidence = append(c.Evidence, f.connectFailures(syscall.ENOENT, syscall.ECONNREFUSED)...)
	return c, true
}

func socketPermission(f Facts) (Cause, bool) {
	refused := f.connectFailures(syscall.EACCES)
	if f.Socket.Dial != nil || (len(refused) == 0 && !(f.Socket.Refused && (f.Front.Outcome == probe.BadGateway || f.Front.Outcome == probe.Unavailable))) {
		return Cause{}, false
	}
	c := Cause{Cause: SocketPermission, Confidence: 0.97, Evidence: refused}
	user := cmp.Or(f.Socket.Gateway, "www-data")
	c.say(f, "socket", "%s is %s %s; the gateway connects as %s", f.Socket.Address, f.Socket.Mode, f.Socket.Owner, user)
	if f.Direct.Answered() {
		c.say(f, "pool", "asked past the gateway, PHP answers well (%d)", f.Direct.Status)
	}
	c.Advice = fmt.Sprintf("Let the gateway in at once: chown %s:%s %s && chmod 0660 %s\n"+
		"For good: set listen.owner = %s, listen.group = %s, listen.mode = 0660 for pool [%s] in %s, then restart PHP-FPM.",
		user, user, f.Socket.Address, f.Socket.Address, user, user, f.Pool.Name, f.Pool.File)
	return c, true
}

func databaseDown(f Facts) (Cause, bool) {
	answer := f.Front
	if f.Direct.Outcome == probe.DBError {
		answer = f.Direct
	}
	said := answer.Outcome == probe.DBError
	if f.Database == nil && !said {
		return Cause{}, false
	}
	// We may fail to ask for reasons of our own (another user, another network), so
	// only WordPress' word or a server that does not answer at all is nearly certain.
	c := Cause{Cause: DBDown, Confidence: 0.3}
	switch {
	case f.Database != nil && (said || errors.Is(f.Database, wp.ErrDatabaseDown)):
		c.Confidence = 0.97
	case said:
		c.Confidence = 0.8
	}
	if said {
		c.say(f, "answer", "WordPress says that it has no database (%s)", answer.Signature)
	}
	if f.Database != nil {
		c.say(f, "database", "%v", f.Database)
	}
	c.Advice = "See to the database server first (systemctl status mariadb; its error log), then to DB_HOST, DB_USER and DB_PASSWORD in wp-config.php."
	return c, true
}

func coreDamaged(f Facts) (Cause, bool) {
	if len(f.CoreDamaged) == 0 {
		return Cause{}, false
	}
	// A file that somebody patched may well work; one that is gone or empty cannot.
	c := Cause{Cause: CoreDamaged, Confidence: 0.4}
	for _, fault := range f.CoreDamaged {
		if fault.What != wp.CoreChanged {
			c.Confidence = 0.9
		}
		c.say(f, "core", "%s", fault)
	}
	c.Advice = "Install WordPress' own files again, in the version that the site has (wp core download --force --skip-content, or the package or panel that it came from); plugins, themes and the database stay as they are."
	return c, true
}

// freshMaintenance is how long WordPress honours .maintenance: wp-includes/load.php, wp_is_maintenance_mode.
const freshMaintenance = 10 * time.Minute

func maintenance(f Facts) (Cause, bool) {
	if f.Front.Outcome != probe.Maintenance {
		return Cause{}, false
	}
	c := Cause{Cause: Maintenance, Confidence: 0.95}
	c.say(f, "answer", "WordPress answers with its maintenance page")
	if !f.Maintenance.IsZero() {
		c.say(f, "file", ".maintenance was written at %s", f.Maintenance.Format(time.RFC3339))
	}
	c.Advice = fmt.Sprintf("An update is running, or broke off. WordPress ends this state by itself %s after the file was written; if no update runs, remove .maintenance.", freshMaintenance)
	return c, true
}

func headerTooBig(f Facts) (Cause, bool) {
	c := Cause{Cause: ResponseHeaderTooBig, Confidence: 0.98}
	if f.Front.Outcome != probe.BadGateway {
		return Cause{}, false // somebody else's request, or a forged line
	}
	for _, l := range f.Gateway {
		if strings.HasPrefix(l.Record.Message, "upstream sent too big header") {
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Message))
		}
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	c.Advice = fmt.Sprintf("The header is larger than the gateway's buffer of %d bytes. Let the plugin send less, or raise fastcgi_buffer_size (and fastcgi_buffers) for the location in %s and reload the gateway.",
		f.Location.Buffer, f.Location.File)
	return c, true
}

func terminateTimeout(f Facts) (Cause, bool) {
	c := Cause{Cause: TerminateTimeout, Confidence: 0.9, Remedy: new(RemedyDisable)}
	for _, l := range f.FPM {
		if s := l.Record.Slow; s != nil && s.Terminated {
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Text))
		}
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	for _, l := range f.Traces {
		if len(l.Record.Frames) > 0 {
			top := l.Record.Frames[0]
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, fmt.Sprintf("it stood in %s(), called at %s:%d", top.Func, top.File, top.Line)))
		}
	}
	return c, true
}

func workerCrash(f Facts) (Cause, bool) {
	c := Cause{Cause: WorkerCrash, Confidence: 0.85, Remedy: new(RemedyDisable)}
	for _, l := range f.FPM {
		// SIGTERM and SIGQUIT are FPM's own ways to end a worker; exit code 0 is a normal recycling.
		if e := l.Record.Exit; e != nil && (e.Signal != 0 && e.Signal != int(syscall.SIGTERM) && e.Signal != int(syscall.SIGQUIT) || e.Signal == 0 && e.Code != 0) {
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Text))
		}
	}
	for _, l := range f.Gateway { // Apache, which runs PHP in its own children
		if _, _, died := l.Record.Died(); died {
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Message))
		}
	}
	return c, len(c.Evidence) > 0
}

func componentFault(f Facts) (Cause, bool) {
	c := Cause{Cause: ComponentFault, Confidence: 0.5, Remedy: new(RemedyDisable)}
	for _, l := range f.PHP {
		id, ok := f.firstBlamed(files(l.Record))
		if !ok || !l.Record.Fatal() {
			continue
		}
		c.Confidence = 0.8
		c.Component = cmp.Or(c.Component, id)
		c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time,
			fmt.Sprintf("PHP %s: %s in %s:%d", l.Record.Kind, firstLine(l.Record.Message), l.Record.File, l.Record.Line)))
	}
	switch f.Front.Outcome {
	case probe.Fatal, probe.Blank:
		what := "PHP ends every request with a fatal error"
		if f.Front.Outcome == probe.Blank {
			what = "every answer is empty, with status 200"
		}
		c.say(f, "answer", "%s (%s)", what, f.Front.Signature)
	default:
		if len(c.Evidence) == 0 {
			return Cause{}, false
		}
	}
	return c, true
}

// connectFailures are the gateway's records of a failed connect with one of these errors.
func (f Facts) connectFailures(errnos ...syscall.Errno) []Evidence {
	var found []Evidence
	for _, l := range f.Gateway {
		if slices.Contains(errnos, syscall.Errno(l.Record.Errno)) && strings.Contains(l.Record.Action, "connecting to upstream") {
			found = append(found, evidence(l.File, l.Record.Time, l.Record.Message))
		}
	}
	return found
}

func (f Facts) firstBlamed(files []string) (string, bool) {
	if f.Blame == nil {
		return "", false
	}
	for _, file := range files {
		if id, ok := f.Blame(file); ok {
			return id, true
		}
	}
	return "", false
}

// fewLines of one source show a pattern; more only hide the rest.
const fewLines = 2

// few keeps the first records of each log and counts the others.
func few(all []Evidence) []Evidence {
	kept := []Evidence{}
	seen := map[string]int{}
	for _, e := range all {
		if seen[e.Source]++; seen[e.Source] <= fewLines {
			kept = append(kept, e)
		}
	}
	for i := len(kept) - 1; i >= 0; i-- {
		source := kept[i].Source
		if more := seen[source] - fewLines; more > 0 {
			kept[i].Text += fmt.Sprintf(" (and %d more)", more)
			seen[source] = 0
		}
	}
	return kept
}

func (c *Cause) say(f Facts, source, format string, args ...any) {
	c.Evidence = append(c.Evidence, evidence(source, f.Front.Start, fmt.Sprintf(format, args...)))
}

// maxEvidence bounds one text; a forged message can be of any length.
const maxEvidence = 500

func evidence(source string, at time.Time, text string) Evidence {
	if len(text) > maxEvidence {
		text = strings.ToValidUTF8(text[:maxEvidence], "") + "…"
	}
	return Evidence{Source: source, Text: text, Time: at}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
