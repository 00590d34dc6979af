package bisect

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Explain tells a search as numbered sentences: what was asked, what was answered and
// what follows from it. The events may be those of several searches one after the
// other, as of a site's layers; the result is then that of all.
func Explain(events []Event, r Result) []string {
	t := &teller{result: r}
	for len(events) > 0 {
		n := 1
		for n < len(events) && events[n].Round != 1 {
			n++
		}
		t.act(events[:n])
		events = events[n:]
	}
	t.end()
	for i := range t.lines {
		t.lines[i] = fmt.Sprintf("%d. %s", i+1, t.lines[i])
	}
	return t.lines
}

// teller writes sentences.
type teller struct {
	result Result
	lines  []string
	acts   []*act
	varied bool // it has been said that answers differ
}

func (t *teller) say(format string, args ...any) {
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

// act is one search.
type act struct {
	all   []string          // the components searched, as far as they were ever masked
	whole map[string]*asked // by what was masked: all answers
	event Event             // the latest told
}

// asked is one question with some of its answers.
type asked struct {
	masked                       []string
	healthy, failing, unresolved int
	signature                    string
	again                        bool // it was asked earlier
}

func (a *asked) add(x Answer) {
	switch x.Verdict {
	case Healthy:
		a.healthy++
	case Failing:
		a.failing++
		a.signature = x.Signature
	default:
		a.unresolved++
	}
}

func key(masked []string) string { return strings.Join(masked, "\n") }

func (t *teller) act(events []Event) {
	now := &act{whole: map[string]*asked{}}
	for _, e := range events {
		for _, a := range e.Asked {
			now.all = append(now.all, a.Question.Masked...)
		}
	}
	slices.Sort(now.all)
	now.all = slices.Compact(now.all)
	if t.acts = append(t.acts, now); len(t.acts) > 1 {
		t.say("Next, %s searched.", quantity(len(now.all), "other component is", "other components are"))
	}
	now.event.Suspect = now.all
	for len(events) > 0 {
		scene, n := t.scene(now, events)
		t.tell(now, scene, events[n-1])
		events = events[n:]
	}
}

// scene takes the questions of one round, and of the rounds after it that only ask
// them again.
func (t *teller) scene(now *act, events []Event) (scene []*asked, n int) {
	for n < len(events) {
		next := slices.Clone(scene)
		for _, a := range events[n].Asked {
			if !slices.ContainsFunc(next, func(s *asked) bool { return slices.Equal(s.masked, a.Question.Masked) }) {
				_, again := now.whole[key(a.Question.Masked)]
				next = append(next, &asked{masked: a.Question.Masked, again: again})
			}
		}
		if n > 0 && len(next) > len(scene) {
			break
		}
		scene = next
		for _, a := range events[n].Asked {
			k := key(a.Question.Masked)
			if now.whole[k] == nil {
				now.whole[k] = &asked{masked: a.Question.Masked}
			}
			now.whole[k].add(a.Answer)
			scene[slices.IndexFunc(scene, func(s *asked) bool { return slices.Equal(s.masked, a.Question.Masked) })].add(a.Answer)
		}
		n++
	}
	return scene, n
}

// tell says what was asked in a scene and what is known after it.
func (t *teller) tell(now *act, scene []*asked, after Event) {
	for i, s := range scene {
		words := now.with(s.masked) + " " + s.outcome()
		if s.again {
			words = "Asked again: " + lower(words)
		} else {
			words += now.meaning(s)
		}
		if i == len(scene)-1 {
			words += now.leaves(after)
		}
		t.say("%s.", words)
	}
	now.event = after
	if t.varied || !slices.ContainsFunc(scene, func(s *asked) bool {
		w := now.whole[key(s.masked)]
		return w.healthy > 0 && w.failing > 0
	}) {
		return
	}
	t.varied = true
	switch r := t.result; {
	case r.Rate > 0:
		t.say("The same question had different answers: the failure comes and goes (about %.0f %% of the requests with nothing masked), so from here on each question is asked until the odds are clear.", 100*r.Rate)
	case r.Repeat > 1:
		t.say("The first requests were healthy and later ones failed, so from here on a set counts as healthy only after %d requests.", r.Repeat)
	}
}

// with names a question.
func (n *act) with(masked []string) string {
	var in []string
	for _, id := range n.all {
		if _, off := slices.BinarySearch(masked, id); !off {
			in = append(in, id)
		}
	}
	switch {
	case len(masked) == 0:
		return "With nothing masked"
	case len(in) == 0:
		return "With everything masked"
	case len(masked) <= 3:
		return "With only " + list(masked) + " masked"
	case len(in) <= 3:
		return "With only " + list(in) + " let in"
	}
	return fmt.Sprintf("With %d of %d let in", len(in), len(n.all))
}

func (a *asked) outcome() string {
	total := a.healthy + a.failing + a.unresolved
	times := ""
	if total > 1 {
		times = fmt.Sprintf(" (%d times of %d)", max(a.healthy, a.failing), total)
	}
	switch {
	case a.failing > 0 && a.healthy > 0:
		return fmt.Sprintf("the site failed %d times of %d (%s)", a.failing, total, a.signature)
	case a.failing > 0:
		return fmt.Sprintf("the site fails%s: %s", times, a.signature)
	case a.healthy > 0:
		return "the site is healthy" + times
	}
	return fmt.Sprintf("no answer could be judged (asked %s)", quantity(total, "time", "times"))
}

// meaning is what the two baselines say by themselves.
func (n *act) meaning(a *asked) string {
	all := len(a.masked) == len(n.all) && len(a.masked) > 0
	switch {
	case len(a.masked) == 0 && a.failing > 0:
		return "; that is the failure to be explained"
	case all && a.failing == 0 && a.healthy > 0:
		return ", so a component is at fault"
	case all && a.failing > 0 && a.healthy == 0:
		return ", so masking components does not heal it by itself"
	}
	return ""
}

// leaves is what a scene has changed.
func (n *act) leaves(after Event) string {
	var words []string
	if len(after.Aside) > len(n.event.Aside) {
		words = append(words, list(after.Aside[len(n.event.Aside):])+" is set aside as a candidate")
	}
	if k := len(after.Suspect); k < len(n.event.Suspect) {
		switch {
		case k == 0 && len(after.Aside) > 0:
			words = append(words, "nobody else is suspect")
		case k > 3:
			words = append(words, fmt.Sprintf("%d suspects are left", k))
		case k > 0:
			words = append(words, "that leaves "+list(after.Suspect))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "; " + strings.Join(words, "; ")
}

// end says how the search ended.
func (t *teller) end() {
	r := t.result
	switch r.Finding {
	case Found:
		for _, c := range r.Culprits {
			t.convicted(c)
		}
		for _, id := range r.Acquitted {
			t.say("%s was a candidate on the way, but the site is healthy with it: it is acquitted.", id)
		}
		t.say("The odds that every verdict on which this rests is right are %.2f %%.", math.Floor(1e4*r.Odds)/100)
	case HealthyUnmasked:
		t.say("With every component let in the site is healthy: none of them is at fault.")
	case FailsAllMasked:
		t.say("Whatever is masked the site fails: the fault lies outside of these components.")
	default:
		t.say("So the search could not decide and convicts nobody.")
	}
	if r.Explanation != "" {
		t.say("%s.", upper(r.Explanation))
	}
	t.say("It took %s and %s in %s.", quantity(r.Probes, "question", "questions"),
		quantity(r.Repeats, "repeat", "repeats"), quantity(r.Rounds, "round", "rounds"))
}

// convicted says why one is a culprit.
func (t *teller) convicted(c Culprit) {
	words := c.ID + " is at fault"
	switch len(c.Conflicts) {
	case 0:
		words += " by itself"
	case 1:
		words += " together with " + list(c.Conflicts[0])
	default:
		var sets []string
		for _, conflict := range c.Conflicts {
			sets = append(sets, list(conflict))
		}
		words += " together with " + strings.Join(sets, ", and again with ")
	}
	if without, with := t.context(c); without.healthy > 0 && with.failing > 0 {
		words += fmt.Sprintf(": with it masked the site was healthy (%d times of %d), with it let in the site failed (%d times of %d: %s)",
			without.healthy, without.healthy+without.failing, with.failing, with.healthy+with.failing, c.Signature)
	}
	t.say("%s.", words)
	others := slices.DeleteFunc(slices.Clone(c.Dependants), func(id string) bool { return slices.Contains(c.Circle, id) })
	if len(others) > 0 {
		t.say("%s cannot do without %s and must be off with it.", list(others), c.ID)
	}
	if len(c.Circle) > 0 {
		t.say("%s and %s require each other, so the fault may lie in any of them.", c.ID, list(c.Circle))
	}
	if len(c.OnlyWithout) > 0 {
		t.say("%s failed in its way only while %s was masked: it may merely need it.", c.ID, list(c.OnlyWithout))
	}
}

// context finds the answers on which a conviction rests.
func (t *teller) context(c Culprit) (without, with asked) {
	for _, n := range t.acts {
		var off, rest []string
		for _, o := range t.result.Culprits {
			if _, ours := slices.BinarySearch(n.all, o.ID); !ours {
				continue
			}
			off = append(append(off, o.ID), o.Dependants...)
			if o.ID != c.ID {
				rest = append(append(rest, o.ID), o.Dependants...)
				continue
			}
			for _, d := range o.Dependants {
				if !slices.Contains(o.Circle, d) {
					rest = append(rest, d)
				}
			}
		}
		slices.Sort(off)
		slices.Sort(rest)
		a, b := n.whole[key(slices.Compact(off))], n.whole[key(slices.Compact(rest))]
		if a != nil && b != nil && len(off) > len(rest) {
			without, with = *a, *b
		}
	}
	return without, with
}

// list joins names for people.
func list(ids []string) string {
	switch n := len(ids); {
	case n == 0:
		return "nothing"
	case n == 1:
		return ids[0]
	case n > 4:
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:3], ", "), n-3)
	default:
		return strings.Join(ids[:n-1], ", ") + " and " + ids[n-1]
	}
}

func quantity(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
