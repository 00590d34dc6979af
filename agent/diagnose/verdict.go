package diagnose

import (
	"slices"
	"time"
)

// Convicted puts the verdict of a search first: a component that probes convicted
// is no longer a suspicion. odds are the search's own that it is right, how is what
// it saw, in words.
func Convicted(causes []Cause, component string, odds float64, at time.Time, how ...string) []Cause {
	c := Cause{Cause: ComponentFault, Confidence: odds, Remedy: new(RemedyDisable), Component: component, Proven: true,
		Evidence: []Evidence{}}
	for _, text := range how {
		c.Evidence = append(c.Evidence, evidence("search", at, text))
	}
	rest := slices.Clone(causes)
	if i := slices.IndexFunc(rest, func(c Cause) bool { return c.Cause == ComponentFault }); i >= 0 {
		c.Evidence = append(c.Evidence, rest[i].Evidence...)
		rest = slices.Delete(rest, i, i+1)
	}
	return append([]Cause{c}, rest...)
}
