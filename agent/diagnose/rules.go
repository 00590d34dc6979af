package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
)

// rule looks for one cause.
type rule func(Facts) (Cause, bool)

// rules is the list of all rules, the outermost layer first.
var rules = [...]struct {
	layer string
	look  []rule
}{
	{LayerName, []rule{dnsMismatch}},
	{LayerEdge, []rule{cdnOnly, outerTimeout, publicFirewall}},
	{LayerCache, []rule{cachedError, staleCache}},
	{LayerGateway, []rule{gatewayDown, gatewayConfig, gatewayExhausted}},
	{LayerConnection, []rule{firewall, socketPermission, socketMissing, staleSocket, wrongSocket, upstreamUnresolved, wrongProtocol, clientDisallowed, accessDenied}},
	{LayerPool, []rule{fpmDown, fpmConfig, fpmOOMKilled, fpmStartLimit, poolExhausted, workersStuck, workerCrash, opcachePoisoned}},
	{LayerTime, []rule{executionTimeout, terminateTimeout, gatewayTimeout}},
	{LayerAnswer, []rule{responseHeaderTooBig, invalidHeader, htaccessBroken}},
	{LayerHost, []rule{overload, trafficSpike, memoryExhausted, phpMemoryLimit, diskFull, fileDescriptors}},
	{LayerDatabase, []rule{database, dbDiskFull}},
	{LayerWordPress, []rule{maintenance, updateBroken, coreDamaged, configBroken, codeUnparsable, prependMissing, themeMissing, objectCacheDown}},
	{LayerComponents, []rule{componentFault}},
}

// Causes ranks what explains the facts, the most certain first. An empty list means that nothing known explains them. Of
// a site that is well on this host only name, edge and caches can have one.
func Causes(f Facts) []Cause {
	found := []Cause{}
	for _, group := range rules {
		if !f.failing() && !slices.Contains([]string{LayerName, LayerEdge, LayerCache}, group.layer) {
			continue
		}
		for _, look := range group.look {
			if c, ok := look(f); ok {
				c.Evidence = few(c.Evidence)
				found = append(found, c)
			}
		}
	}
	if c, ok := unexplained(f, found); ok {
		found = append(found, c)
	}
	return rank(found)
}

// unexplained: what was found beside the failure, and does not explain it, must not stand in the way of a search.
func unexplained(f Facts, found []Cause) (Cause, bool) {
	if !f.failing() || len(found) == 0 || slices.ContainsFunc(found, func(c Cause) bool { return c.Remedy != nil || c.Confidence > beside }) {
		return Cause{}, false
	}
	c := Cause{Cause: ComponentFault, Confidence: beside + 0.05, Remedy: new(RemedyDisable)}
	c.say(f, "answer", "PHP's answer fails (%s), and nothing surer is known of why", f.Front.Signature)
	c.advise("Search for the component: wpmend bisect.")
	return c, true
}

// The confidences that mean something.
const (
	proven   = 0.95 // a fact that nobody can forge shows it
	told     = 0.9  // a log says so, and our own request failed as it would
	textOnly = 0.5  // the most that the text of a log alone is worth
	beside   = 0.25 // true, perhaps, but no reason for this failure
)

// failing reports whether the site fails on this host.
func (f Facts) failing() bool { return fails(f.Front) || fails(f.Direct) }

// fails: a zero result was not asked.
func fails(r probe.Result) bool { return r.Outcome != "" && r.Outcome.Failing() }

// lost: the gateway got no answer out of PHP. nginx and Caddy say 502 then, Apache and LiteSpeed 503.
func (f Facts) lost() bool {
	switch f.Front.Outcome {
	case probe.BadGateway, probe.Unavailable, probe.Incomplete:
		return true
	}
	return false
}

// late: PHP did not answer in time.
func (f Facts) late() bool { return f.Front.Outcome == probe.GatewayTimeout }

// broken: PHP answers, and fails.
func (f Facts) broken() bool {
	for _, r := range []probe.Result{f.Front, f.Direct} {
		switch r.Outcome {
		case probe.Fatal, probe.Blank, probe.Incomplete:
			return true
		}
	}
	return false
}

// ifLost is the confidence in what a log says, by whether our own request was lost as well.
func (f Facts) ifLost() float64 {
	if f.lost() {
		return told
	}
	return textOnly
}

// records are the evidence of the gateway's records that match.
func (f Facts) records(match func(gateway.LogRecord) bool) []Evidence {
	var found []Evidence
	for _, l := range f.Gateway {
		if match(l.Record) {
			found = append(found, evidence(l.File, l.Record.Time, words(l.Record)))
		}
	}
	return found
}

// words are a record in short, as people know it.
func words(r gateway.LogRecord) string {
	text := r.Message
	if r.Code != "" && !strings.HasPrefix(text, r.Code) {
		text = r.Code + ": " + text
	}
	if r.Action != "" {
		text += " while " + r.Action
	}
	return text
}

// connectFailures are the gateway's records of a failed connect with one of these errors. Apache gives the number with
// AH02454 (unix) and AH00957 (TCP).
func (f Facts) connectFailures(errnos ...syscall.Errno) []Evidence {
	return f.records(func(r gateway.LogRecord) bool {
		return slices.Contains(errnos, syscall.Errno(r.Errno)) &&
			(strings.Contains(r.Action, "connecting to upstream") || r.Code == "AH02454" || r.Code == "AH00957")
	})
}

// firstBlamed is the component that the innermost of the files belongs to.
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
	c.Evidence = append(c.Evidence, evidence(source, f.Front.Start, sentence(format, args...)))
}

// advise adds a line to what a person can do.
func (c *Cause) advise(format string, args ...any) {
	if c.Advice != "" {
		c.Advice += "\n"
	}
	c.Advice += sentence(format, args...)
}

func evidence(source string, at time.Time, text string) Evidence {
	return Evidence{Source: clean(source), Text: cut(clean(text), maxEvidence), Time: at}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
