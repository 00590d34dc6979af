package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func (s scene) facts() Facts {
	f := failing()
	f.Socket.Queue, f.Socket.Backlog = -1, -1
	f.Host.CPUStall, f.Host.MemoryStall, f.Host.IOStall = -1, -1, -1
	for _, set := range s.with {
		set(&f)
	}
	return f
}

func text(c Cause) string {
	all := c.Advice + "\n" + c.Component
	for _, e := range c.Evidence {
		all += "\n" + e.Text
	}
	return all
}

func named(c Cause) string {
	if c.Remedy == nil {
		return ""
	}
	return *c.Remedy
}

// Every cause comes first where it is true, with its remedy or the reason why there is none, and with advice.
func TestEveryCause(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range scenes() {
		causes := Causes(s.facts())
		for _, c := range causes {
			seen[c.Cause] = true
		}
		if len(causes) == 0 || causes[0].Cause != s.cause {
			t.Errorf("%s: %+v, want %s first", s.name, causes, s.cause)
			continue
		}
		c := causes[0]
		if named(c) != s.remedy || (s.remedy == "") != (s.why != "") {
			t.Errorf("%s: remedy %q, want %q (%s)", s.name, named(c), s.remedy, s.why)
		}
		for _, words := range s.says {
			if !strings.Contains(text(c), words) {
				t.Errorf("%s: %q is not in\n%s", s.name, words, text(c))
			}
		}
		if c.Advice == "" || len(c.Evidence) == 0 {
			t.Errorf("%s: advice %q, evidence %+v", s.name, c.Advice, c.Evidence)
		}
		if bad := unsound(causes); bad != "" {
			t.Errorf("%s: %s", s.name, bad)
		}
	}
	for _, name := range Names() {
		if !seen[name] {
			t.Errorf("no scene shows %s", name)
		}
	}
}

// unsound names what must never be.
func unsound(causes []Cause) string {
	for i, c := range causes {
		switch {
		case !(c.Confidence >= 0 && c.Confidence <= 1):
			return fmt.Sprintf("%s has the confidence %v", c.Cause, c.Confidence)
		case i > 0 && c.Confidence > causes[i-1].Confidence:
			return fmt.Sprintf("%s (%v) stands behind %s (%v)", c.Cause, c.Confidence, causes[i-1].Cause, causes[i-1].Confidence)
		case !slices.Contains(Names(), c.Cause):
			return c.Cause + " is no cause"
		case c.Advice == "" && c.Remedy == nil:
			return c.Cause + " leaves a person without advice"
		case slices.ContainsFunc(causes[:i], func(d Cause) bool { return d.Cause == c.Cause }):
			return c.Cause + " is there twice"
		}
		for _, e := range c.Evidence {
			if strings.ContainsFunc(e.Source+e.Text, hidden) {
				return fmt.Sprintf("%s shows raw text: %q", c.Cause, e.Text)
			}
		}
		if strings.ContainsFunc(strings.ReplaceAll(c.Advice, "\n", ""), hidden) {
			return fmt.Sprintf("%s advises in raw text: %q", c.Cause, c.Advice)
		}
	}
	return ""
}
