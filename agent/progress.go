package agent

import (
	"wpmend/agent/bisect"
	"wpmend/agent/feed"
	"wpmend/agent/history"
)

// Progress is one step of the work, for whoever watches.
type Progress struct {
	Site     SiteRef
	Doing    string            // in words
	Search   *bisect.Event     // a round of a search, nil otherwise
	Incident *history.Incident // as it was written down just now, nil otherwise
}

// Event is the step as it is published.
func (p Progress) Event() feed.Event {
	e := feed.Event{Kind: feed.Doing, Site: p.Site, Text: p.Doing}
	switch {
	case p.Incident != nil:
		e.Kind, e.Incident = feed.Incident, p.Incident
	case p.Search != nil:
		e.Kind, e.Text, e.Search = feed.Searched, p.Search.String(), searched(*p.Search)
	}
	return e
}

func searched(e bisect.Event) *feed.Search {
	s := &feed.Search{Round: e.Round, Asked: []feed.Asked{}, Suspects: append([]string{}, e.Suspect...), Aside: append([]string{}, e.Aside...), Probes: e.Probes, Repeats: e.Repeats}
	for _, a := range e.Asked {
		s.Asked = append(s.Asked, feed.Asked{Why: a.Why, Masked: append([]string{}, a.Question.Masked...), Verdict: a.Answer.Verdict.String(), Signature: a.Answer.Signature, Repeat: a.Repeat})
	}
	return s
}
