package report

import (
	"fmt"
	"strings"
	"time"
)

// stamp is how reports write a moment: they travel, so it says its zone.
const stamp = "2006-01-02 15:04:05 MST"

// Text is the report for a mail or a ticket.
func (r Report) Text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	section := func(title string) { line("\n%s\n%s", title, strings.Repeat("-", len(title))) }
	line("Incident %s: %s", r.Incident, r.State)
	line("%s", r.Headline)

	section("What failed")
	line("Site:    %s", r.Site)
	line("URL:     %s", r.URL)
	answer := r.Outcome
	if r.Status != 0 {
		answer += fmt.Sprintf(", HTTP %d", r.Status)
	}
	line("Answer:  %s", answer)
	line("Sign:    %s", indent(r.What, 9))
	line("Seen:    %s", r.Opened.UTC().Format(stamp))
	if !r.Ended.IsZero() {
		line("Ended:   %s", r.Ended.UTC().Format(stamp))
	}
	for _, v := range r.Versions {
		line("%-8s %s", v.Name+":", v.Version)
	}

	section("Why")
	if len(r.Causes) == 0 {
		line("No known cause fits what could be seen.")
	}
	for _, c := range r.Causes {
		line("%s (%s): %s", c.Name, c.Sure, c.Meaning)
		for _, e := range c.Evidence {
			line("  - %s  %s: %s", e.Time.UTC().Format("15:04:05"), e.Source, indent(e.Text, 4))
		}
	}
	for _, c := range r.Culprits {
		line("At fault: %s", strings.TrimSpace(c.Component+" "+c.Version))
		line("  %s", indent(c.Signature, 2))
		if len(c.With) > 0 {
			line("  It fails only together with %s.", strings.Join(c.With, ", "))
		}
		if len(c.Dependants) > 0 {
			line("  Switched off along with it, not at fault: %s.", strings.Join(c.Dependants, ", "))
		}
	}

	section("What was tried")
	for _, e := range r.Timeline {
		line("%s  %-8s %s", e.Time.UTC().Format("15:04:05"), since(r.Opened, e.Time), indent(e.What, 19))
	}
	if r.Probes > 0 {
		line("The search asked %d questions.", r.Probes)
	}

	section("What was changed")
	if len(r.Changes) == 0 {
		line("Nothing.")
	}
	for _, c := range r.Changes {
		line("%s", c.What)
		if c.From != "" {
			line("  %s\n  -> %s", c.From, c.To)
		}
	}
	if r.Undo != "" {
		section("How to undo it")
		line("%s", r.Undo)
	}
	if todo := r.todo(); len(todo) > 0 {
		section("What to do")
		for _, t := range todo {
			line("- %s", indent(t, 2))
		}
	}
	if len(r.Prevent) > 0 {
		section("How to prevent it")
		for _, t := range r.Prevent {
			line("- %s", indent(t, 2))
		}
	}
	return b.String()
}

// todo is the advice of the incident and of its first cause, each once.
func (r Report) todo() []string {
	todo := append([]string{}, r.Todo...)
	if len(r.Causes) > 0 && r.Causes[0].Advice != "" {
		todo = append(todo, r.Causes[0].Advice)
	}
	return todo
}

// indent keeps the further lines of a text below its first.
func indent(text string, by int) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", by))
}

// since is how far into the incident a moment lies.
func since(start, at time.Time) string {
	return fmt.Sprintf("+%.1f s", max(0, at.Sub(start).Seconds()))
}
