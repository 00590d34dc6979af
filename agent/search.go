package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/diagnose"
	"wpmend/agent/probe"
	"wpmend/wp"
)

// The ways to ask a search's questions.
const (
	MethodAuto   = "auto"
	MethodShadow = "shadow"
	MethodRename = "rename"
)

// found is what a search brought.
type found struct {
	bisect.Result
	outcome  probe.Outcome // with nothing masked
	searched int
	live     int // changes to the live site, each put back
	took     time.Duration
	details  map[string]string // by id: what the failures that it causes look like
	asked    []Asked
	events   []bisect.Event
	untested []string // in words
	changed  string   // options that were changed meanwhile, in words
}

// remarks are what a report notes beside the result.
func (f found) remarks() []string {
	remarks := append([]string{}, f.untested...)
	if f.changed != "" {
		remarks = append(remarks, f.changed)
	}
	return remarks
}

// searching looks for the components at fault, layer by layer: first what can be
// taken away for one request, then what only the file system hides.
type searching struct {
	agent   *Agent
	look    *look
	oracle  oracle
	weights map[string]float64
	rate    float64 // share of the requests that fail; 0: every one
	found   found
}

func (a *Agent) search(ctx context.Context, l *look, o oracle, weights map[string]float64, rate float64) (found, error) {
	start := time.Now()
	s := &searching{agent: a, look: l, oracle: o, weights: weights, rate: rate, found: found{details: map[string]string{}, asked: []Asked{}}}
	err := s.run(ctx)
	s.found.took = time.Since(start)
	a.meter.Searched(verdictOf(s.found.Finding), s.found.Probes, s.found.Repeats, s.found.Rounds, s.found.took, err)
	return s.found, err
}

func (s *searching) run(ctx context.Context) error {
	var open, deep []wp.Component
	for _, c := range s.look.wp.Components {
		if why := s.oracle.spares(c); c.Active && why != "" {
			s.found.untested = append(s.found.untested, fmt.Sprintf("not tested: %s (%s)", c.ID(), why))
			continue
		}
		switch {
		case !c.Active || isObjectCache(c) && s.oracle.first(c):
		case s.oracle.first(c):
			open = append(open, c)
		default:
			deep = append(deep, c)
		}
	}
	first, err := s.layer(ctx, open, nil, false)
	s.found.Result, s.found.outcome = first.Result, first.outcome
	if err != nil {
		return err
	}
	switch first.Finding {
	case bisect.HealthyUnmasked:
		return s.besideCache(ctx)
	case bisect.FailsAllMasked:
		return s.beneath(ctx, open, deep)
	}
	return nil
}

// beneath searches what loads before and beside the first layer, with all of that
// away; then the first layer again without what was convicted.
func (s *searching) beneath(ctx context.Context, open, deep []wp.Component) error {
	if ids, why := s.oracle.untestable(deep); len(ids) > 0 {
		s.found.untested = append(s.found.untested, fmt.Sprintf("not tested: %s (%s)", strings.Join(ids, ", "), why))
		deep = slices.DeleteFunc(deep, func(c wp.Component) bool { return slices.Contains(ids, c.ID()) })
	}
	if len(deep) == 0 {
		return nil
	}
	second, err := s.layer(ctx, deep, open, false)
	if err != nil || second.Finding == bisect.FailsAllMasked {
		return err
	}
	if second.Finding != bisect.Found {
		s.found.Finding, s.found.Explanation = bisect.Undecided, second.Explanation
		if second.Finding == bisect.HealthyUnmasked {
			s.found.Explanation = "with all plugins and the theme masked the site failed once and was healthy later"
		}
		return nil
	}
	guilty := named(deep, second.Culprits)
	again, err := s.layer(ctx, open, guilty, false)
	if err != nil {
		return err
	}
	if again.Finding == bisect.Found {
		// It may have failed only for want of what was away: so once more with all but
		// the culprits of the first layer let in.
		last, err := s.layer(ctx, guilty, named(open, again.Culprits), false)
		if err != nil {
			return err
		}
		switch last.Finding {
		case bisect.HealthyUnmasked:
			second.Culprits = nil
		case bisect.Found:
			second.Culprits, second.Odds = last.Culprits, last.Odds
		default:
			s.found.Finding, s.found.Explanation = bisect.Undecided, "the answers of the layers do not fit together: "+last.Explanation
			return nil
		}
	}
	switch again.Finding {
	case bisect.HealthyUnmasked, bisect.Found:
		s.found.Finding = bisect.Found
		s.found.Culprits = append(second.Culprits, again.Culprits...)
		s.found.Signature = second.Signature
		s.found.Odds = second.Odds
		if again.Finding == bisect.Found {
			s.found.Odds = max(0, second.Odds+again.Odds-1)
		}
	default:
		s.found.Finding = bisect.Undecided
		s.found.Explanation = "without " + strings.Join(ids(guilty), ", ") + " the site still fails: " + again.Explanation
	}
	return nil
}

// named are the components that were convicted.
func named(components []wp.Component, culprits []bisect.Culprit) []wp.Component {
	var list []wp.Component
	for _, c := range components {
		if slices.ContainsFunc(culprits, func(k bisect.Culprit) bool { return k.ID == c.ID() }) {
			list = append(list, c)
		}
	}
	return list
}

// besideCache asks the question that the search keeps closed otherwise: a copy that
// fills the site's persistent object cache could carry what it computes, with
// components masked, to the live site. So only the site as it is gets to see it.
func (s *searching) besideCache(ctx context.Context) error {
	i := slices.IndexFunc(s.look.wp.Components, func(c wp.Component) bool { return c.Active && isObjectCache(c) && s.oracle.first(c) })
	if i < 0 {
		return nil
	}
	cache := s.look.wp.Components[i]
	beside, err := s.layer(ctx, []wp.Component{cache}, nil, true)
	if err == nil && beside.Finding == bisect.Found {
		s.found.Result.Culprits, s.found.Finding = beside.Culprits, bisect.Found
		s.found.Signature, s.found.Odds, s.found.outcome = beside.Signature, beside.Odds, beside.outcome
		s.found.Explanation = "the site fails only with its object cache; what fills the cache may be at fault as well"
	}
	return err
}

func isObjectCache(c wp.Component) bool {
	return c.Kind == wp.KindDropIn && c.Name == "object-cache.php"
}

func ids(components []wp.Component) []string {
	list := make([]string, len(components))
	for i, c := range components {
		list[i] = c.ID()
	}
	return list
}

// layer runs one search and adds its cost to the whole.
func (s *searching) layer(ctx context.Context, components, away []wp.Component, cache bool) (found, error) {
	q := &questions{oracle: s.oracle, layer: components, away: away, cache: cache, details: s.found.details}
	search := bisect.Search{Workers: s.oracle.workers(), Rate: s.rate, Progress: func(e bisect.Event) {
		q.heard(e)
		s.found.events = append(s.found.events, e)
		s.agent.progress(Progress{Site: ref(s.look.site), Search: &e})
	}}
	for _, c := range components {
		weight := 1.0
		if w, ok := s.weights[c.ID()]; ok {
			weight = w
		}
		search.Components = append(search.Components, bisect.Component{ID: c.ID(), Weight: weight, Requires: requirements(c, components)})
	}
	result, err := bisect.Run(ctx, search, q.ask)
	f := &s.found
	f.searched = max(f.searched, len(components)+len(away))
	f.asked = append(f.asked, q.asked...)
	f.Probes, f.Repeats, f.Rounds = f.Probes+result.Probes, f.Repeats+result.Repeats, f.Rounds+result.Rounds
	sum := result
	sum.Probes, sum.Repeats, sum.Rounds = f.Probes, f.Repeats, f.Rounds
	return found{Result: sum, outcome: q.outcome}, err
}

// requirements are the ids of what c cannot work without: the plugins that its
// header names by their folders, a child theme's parent, the plugin of a drop-in or a must-use loader.
func requirements(c wp.Component, all []wp.Component) []string {
	var needed []string
	for _, o := range all {
		switch {
		case c.Kind == wp.KindPlugin && o.Kind == wp.KindPlugin && slices.Contains(c.Requires, o.Name),
			c.Kind == wp.KindTheme && o.Kind == wp.KindTheme && c.Parent == o.Name && c.Name != o.Name,
			c.Owner == o.ID():
			needed = append(needed, o.ID())
		}
	}
	return needed
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
		words := fmt.Sprintf("the search convicted %d of %d components", len(f.Culprits), f.searched)
		if f.Explanation != "" {
			words += "; " + f.Explanation
		}
		return words
	case bisect.HealthyUnmasked:
		return "with every component the site works, in a private copy of its pool: none of them is at fault"
	case bisect.FailsAllMasked:
		if len(f.untested) > 0 {
			return "the site fails even with all masked that could be: what was not tested, core, wp-config.php or the server remain; " + strings.Join(f.untested, "; ")
		}
		return "the site fails even with every component masked: none of them is at fault (core, wp-config.php or the server remain)"
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

// explain is the reasoning of the search, step by step.
func (f found) explain() []string {
	return append([]string{}, bisect.Explain(f.events, f.Result)...)
}

// suspects weighs the components by the facts of the incident.
func (l *look) suspects() map[string]float64 { return diagnose.Suspects(l.facts, l.wp.Components) }
