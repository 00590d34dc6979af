package bisect

import (
	"fmt"
	"strings"
)

// Event tells of one round, for people and for drawing the search.
type Event struct {
	Round   int // from 1
	Asked   []Asked
	Suspect []string // the components among which the next culprit (or partner of one) is, sorted
	Aside   []string // set aside as culprits so far, in the order in which they were found
	Probes  int      // distinct questions so far
	Repeats int
}

// Asked is one question with its answer.
type Asked struct {
	Question Question
	Answer   Answer
	Why      string // what the question is for: "nothing masked", "only plugin:a let in"
	Repeat   bool
}

// String is one line: what was asked, the answers and how many suspects remain.
func (e Event) String() string {
	var parts []string
	for i := 0; i < len(e.Asked); {
		a, times := e.Asked[i], 1
		for i+times < len(e.Asked) && e.Asked[i+times].words() == a.words() {
			times++
		}
		i += times
		if times > 1 {
			parts = append(parts, fmt.Sprintf("%s (%d times)", a.words(), times))
			continue
		}
		parts = append(parts, a.words())
	}
	rest := fmt.Sprintf("%d suspects", len(e.Suspect))
	switch len(e.Suspect) {
	case 0:
		rest = "no suspect left"
	case 1:
		rest = "suspect " + e.Suspect[0]
	}
	if len(e.Aside) > 0 {
		rest += ", set aside " + strings.Join(e.Aside, ", ")
	}
	return fmt.Sprintf("round %d: %s — %s", e.Round, strings.Join(parts, "; "), rest)
}

func (a Asked) words() string {
	s := a.Why
	if a.Repeat {
		s += ", again"
	}
	s += ": " + a.Answer.Verdict.String()
	if a.Answer.Verdict != Healthy && a.Answer.Signature != "" {
		s += " (" + a.Answer.Signature + ")"
	}
	return s
}
