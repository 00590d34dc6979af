package agent

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/diagnose"
	"wpmend/agent/probe"
	"wpmend/agent/shadow"
	"wpmend/agent/site"
	"wpmend/wp"
)

// The ways to ask a search's questions.
const (
	MethodAuto   = "auto"
	MethodShadow = "shadow"
	MethodRename = "rename"
)

// shadowWorkers is how many questions of a round a shadow answers side by side.
const shadowWorkers = 4

// found is what a search over the plugins brought.
type found struct {
	bisect.Result
	outcome  probe.Outcome // with nothing masked
	searched int
	live     int // changes to the live site, each put back
	took     time.Duration
	details  map[string]string // by id: what the failures that it causes look like
}

// searchShadow looks for the plugins at fault in a private copy of the pool.
func (a *Agent) searchShadow(ctx context.Context, l *look, target *url.URL, weights map[string]float64) (found, error) {
	start := time.Now()
	a.say(l.site, "starting a private copy of pool %s", l.site.Pool.Name)
	sh, err := shadow.Start(ctx, l.site, l.wp.Paths, shadow.Options{Workers: shadowWorkers, Body: a.config.Probe.Body})
	if ctx.Err() != nil {
		return found{}, ctx.Err()
	}
	if err != nil {
		return found{}, &Error{Kind: "no-shadow", Err: err,
			Remedy: "wpmend bisect " + l.site.Domain + " --method rename searches on the live site instead"}
	}
	defer func() {
		if err := sh.Close(); err != nil {
			a.log.Warn("cannot end the shadow", "site", l.site.Domain, "err", err)
		}
	}()
	q := newQuestions(l)
	ask := func(ctx context.Context, round []bisect.Question) ([]bisect.Answer, error) {
		answers := make([]bisect.Answer, len(round))
		errs := make([]error, len(round))
		var wg sync.WaitGroup
		for i, question := range round {
			wg.Go(func() {
				var answer shadow.Answer
				answer, errs[i] = sh.Ask(ctx, target, q.masked(question))
				answers[i] = q.judge(question, answer)
			})
		}
		wg.Wait()
		return answers, notFirst(errs)
	}
	result, err := bisect.Run(ctx, a.search(l, q, weights, shadowWorkers), ask)
	return q.found(result, start), err
}

// search describes what is looked for.
func (a *Agent) search(l *look, q *questions, weights map[string]float64, workers int) bisect.Search {
	s := bisect.Search{Workers: workers, Progress: func(e bisect.Event) { a.progress(Progress{Site: l.site.Domain, Event: &e}) }}
	for _, p := range q.plugins {
		weight := 1.0
		if w, ok := weights[p.ID()]; ok {
			weight = w
		}
		s.Components = append(s.Components, bisect.Component{ID: p.ID(), Weight: weight, Requires: requirements(p, q.plugins)})
	}
	return s
}

// requirements are the ids of the plugins that p's header names by their folders.
func requirements(p wp.Component, plugins []wp.Component) []string {
	var ids []string
	for _, slug := range p.Requires {
		if i := slices.IndexFunc(plugins, func(o wp.Component) bool { return o.Name == slug }); i >= 0 {
			ids = append(ids, plugins[i].ID())
		}
	}
	return ids
}

// questions translates between the search and the answers of a probe.
type questions struct {
	site    site.Site
	plugins []wp.Component

	mu      sync.Mutex
	outcome probe.Outcome
	details map[string]string
}

func newQuestions(l *look) *questions {
	return &questions{site: l.site, plugins: l.wp.Plugins(), details: map[string]string{}}
}

func (q *questions) masked(question bisect.Question) []wp.Component {
	var masked []wp.Component
	for _, p := range q.plugins {
		if slices.Contains(question.Masked, p.ID()) {
			masked = append(masked, p)
		}
	}
	return masked
}

// judge reads an answer as a verdict. A refusal (403, 404) comes from PHP here, so
// PHP ran well; what could not be judged decides nothing.
func (q *questions) judge(question bisect.Question, a shadow.Answer) bisect.Answer {
	q.mu.Lock()
	defer q.mu.Unlock()
	answer := bisect.Answer{Verdict: bisect.Healthy, Signature: a.Signature, Blamed: a.Blamed, Slow: a.Hung}
	switch {
	case a.Outcome == probe.Unknown, a.Outcome == probe.Maintenance, a.Outcome == probe.Unavailable, a.Outcome == probe.DBError:
		// A site that is closed on purpose, or whose database is gone, convicts nobody.
		answer.Verdict = bisect.Unresolved
	case a.Outcome.Failing():
		answer.Verdict = bisect.Failing
	}
	if len(question.Masked) == 0 {
		q.outcome = a.Outcome
	}
	if id := q.suspect(question, a); id != "" && a.Detail != "" && answer.Verdict == bisect.Failing {
		q.details[id] = a.Detail
	}
	return answer
}

// suspect is the one component that a failing answer speaks of: the only one let
// in, or the one that its trace names.
func (q *questions) suspect(question bisect.Question, a shadow.Answer) string {
	if len(question.Masked) == len(q.plugins)-1 {
		for _, p := range q.plugins {
			if !slices.Contains(question.Masked, p.ID()) {
				return p.ID()
			}
		}
	}
	if len(a.Blamed) > 0 {
		return a.Blamed[0]
	}
	return ""
}

func (q *questions) found(r bisect.Result, start time.Time) found {
	return found{Result: r, outcome: q.outcome, searched: len(q.plugins), took: time.Since(start), details: q.details}
}

// culprits completes the search's verdicts with what is known of the components.
func (l *look) culprits(f found) []Culprit {
	list := []Culprit{}
	for _, c := range f.Culprits {
		component, _, _ := l.wp.Component(c.ID)
		list = append(list, Culprit{Component: c.ID, Version: component.Version, Signature: c.Signature,
			With: append([]string{}, c.With...), Dependants: append([]string{}, c.Dependants...)})
	}
	return list
}

// toSwitchOff are the culprits and what cannot work without them, each once.
func toSwitchOff(culprits []Culprit) []string {
	var ids []string
	for _, c := range culprits {
		for _, id := range append([]string{c.Component}, c.Dependants...) {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// words says what a search found, for people.
func (f found) words() string {
	switch f.Finding {
	case bisect.Found:
		return fmt.Sprintf("the search convicted %d of %d plugins", len(f.Culprits), f.searched)
	case bisect.HealthyUnmasked:
		return "with every plugin the site works, in a private copy of its pool: no plugin is at fault"
	case bisect.FailsAllMasked:
		return "the site fails even with every plugin masked: no plugin is at fault (theme, must-use plugins, drop-ins, core or the server remain)"
	}
	return "the search could not decide: " + f.Explanation
}

// liveOnly is what follows when the live site fails and its copy does not.
const liveOnly = "only the live pool fails: restarting its PHP-FPM is the next thing to try (a crash can poison OPcache)"

// proof is what the search saw, for the report on the cause.
func (f found) proof() []string {
	lines := []string{f.words()}
	for _, c := range f.Culprits {
		if detail := f.details[c.ID]; detail != "" {
			lines = append(lines, c.ID+": "+detail)
		}
		if len(c.OnlyWithout) > 0 {
			lines = append(lines, fmt.Sprintf("%s failed only while %s was masked: it may merely need it", c.ID, strings.Join(c.OnlyWithout, ", ")))
		}
	}
	return lines
}

// suspects weighs the plugins by the facts of the incident.
func (l *look) suspects() map[string]float64 { return diagnose.Suspects(l.facts) }

func notFirst(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
