package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode"

	"wpmend/agent"
	"wpmend/agent/diagnose"
)

// writeJSON prints the one object of a --json call.
func (in *invocation) writeJSON(v any) error {
	enc := json.NewEncoder(in.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// show prints v as JSON, or lets human write it.
func (in *invocation) show(v any, human func(p *page)) error {
	in.clearProgress()
	if in.json {
		return in.writeJSON(v)
	}
	p := &page{}
	human(p)
	_, err := fmt.Fprint(in.out, p.text.String())
	return err
}

// clearProgress makes room for a result on the terminal. A terminal that cannot be
// cleared shows one line too many.
func (in *invocation) clearProgress() {
	if in.clear != nil {
		_ = in.clear()
	}
}

// page collects the lines of a human answer.
type page struct{ text strings.Builder }

// line writes one line; what comes from outside is made printable.
func (p *page) line(format string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = printable(s)
		}
	}
	fmt.Fprintf(&p.text, format+"\n", args...)
}

// block writes text of several lines, indented.
func (p *page) block(indent, text string) {
	for _, l := range strings.Split(text, "\n") {
		p.line(indent+"%s", l)
	}
}

// table writes rows in columns.
func (p *page) table(rows [][]string) {
	w := tabwriter.NewWriter(&p.text, 0, 8, 2, ' ', 0)
	for _, r := range rows {
		for i := range r {
			r[i] = printable(r[i])
		}
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	w.Flush()
}

// printable keeps control characters of a hostile name or log line off the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.Is(unicode.Bidi_Control, r) {
			return '?'
		}
		return r
	}, s)
}

func (p *page) causes(causes []diagnose.Cause) { p.causesWith(causes, true) }

// causesWith shows causes; of what is mended nobody needs to know what to do.
func (p *page) causesWith(causes []diagnose.Cause, advice bool) {
	for i, c := range causes {
		word := "Cause"
		switch {
		case i > 0 && causes[0].Proven:
			word = "Seen with it"
		case i > 0:
			word = "Perhaps also"
		}
		sure := fmt.Sprintf("%.0f %% sure", 100*c.Confidence)
		if c.Proven {
			sure = "proven by the search"
		}
		p.line("%s: %s (%s)", word, c.Cause, sure)
		p.line("  %s", diagnose.Meaning(c.Cause))
		if c.Component != "" && !c.Proven {
			p.line("  It points at %s, which a search has yet to prove.", c.Component)
		}
		if len(c.Evidence) > 0 {
			p.line("  How it is known:")
		}
		for _, e := range c.Evidence {
			p.line("    %s  %s: %s", e.Time.Local().Format("15:04:05"), e.Source, e.Text)
		}
		if advice && c.Advice != "" {
			p.line("  What to do:")
			p.block("    ", c.Advice)
		}
	}
}

func (p *page) culprits(culprits []agent.Culprit) {
	for _, c := range culprits {
		version := ""
		if c.Version != "" {
			version = " (version " + c.Version + ")"
		}
		p.line("At fault: %s%s: %s", c.Component, version, c.Signature)
		if len(c.With) > 0 {
			p.line("  It fails only together with %s.", strings.Join(c.With, ", "))
		}
		if len(c.Dependants) > 0 {
			p.line("  It takes along %s, which cannot work without it.", strings.Join(c.Dependants, ", "))
		}
	}
}

func (p *page) changes(changes []agent.ChangeRef) {
	for _, c := range changes {
		p.line("Done: %s", c.What)
		if c.From != "" {
			p.line("  %s", c.From)
			p.line("  → %s", c.To)
		}
		if c.Undo != "" {
			p.line("  Undo with: %s", c.Undo)
		}
	}
}

func (p *page) notes(notes []string) {
	for _, n := range notes {
		p.line("Note: %s", n)
	}
}
