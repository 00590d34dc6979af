package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// dated is when the manual changed last. Not the time of the build: the same version gives
// the same pages.
const dated = "2026-11-23"

// roff writes one page in the language of man(7).
type roff struct{ strings.Builder }

func (r *roff) section(name string) { fmt.Fprintf(r, ".SH %s\n", name) }

// text writes paragraphs, and lines that are indented as they are.
func (r *roff) text(paragraphs string) {
	for i, p := range strings.Split(strings.TrimSpace(paragraphs), "\n\n") {
		if i > 0 {
			r.WriteString(".PP\n")
		}
		if strings.HasPrefix(p, "  ") || strings.Contains(p, "\n  ") || strings.Contains(p, "\t") {
			r.verbatim(p)
			continue
		}
		r.WriteString(inRoff(p) + "\n")
	}
}

// verbatim writes lines as they are, in a width that a terminal has.
func (r *roff) verbatim(lines string) {
	r.WriteString(".nf\n")
	for _, line := range strings.Split(strings.Trim(lines, "\n"), "\n") {
		r.WriteString(inRoff(strings.ReplaceAll(line, "\t", "    ")) + "\n")
	}
	r.WriteString(".fi\n")
}

// tagged writes a term and what it means.
func (r *roff) tagged(term, meaning string) {
	fmt.Fprintf(r, ".TP\n%s\n%s\n", term, inRoff(meaning))
}

var quoted = regexp.MustCompile("`([^`]+)`")

// inRoff makes of plain text what troff prints as it stands; `words` are bold.
func inRoff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	text = quoted.ReplaceAllString(text, `\fB$1\fR`)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func bold(text string) string   { return `\fB` + inRoff(text) + `\fR` }
func italic(text string) string { return `\fI` + inRoff(text) + `\fR` }

// manual is the page of one command.
func manual(c *cobra.Command) string {
	r := &roff{}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(r, ".TH %q 1 %q %q %q\n", strings.ToUpper(name), dated, "wpmend "+version, "wpmend")
	r.WriteString(".nh\n.ad l\n")
	r.section("NAME")
	fmt.Fprintf(r, "%s \\- %s\n", inRoff(name), inRoff(c.Short))
	r.section("SYNOPSIS")
	r.WriteString(synopsis(c))
	r.section("DESCRIPTION")
	long, hasStatus := strings.CutSuffix(c.Long, "\n\n"+exitStatus)
	r.text(long)
	r.subcommands(c)
	r.options("OPTIONS", c.NonInheritedFlags())
	r.options("OPTIONS OF EVERY COMMAND", c.InheritedFlags())
	if hasStatus {
		r.section("EXIT STATUS")
		for _, line := range strings.Split(exitStatus, "\n")[1:] {
			code, meaning, _ := strings.Cut(strings.TrimSpace(line), "  ")
			r.tagged(bold(code), meaning)
		}
	}
	if c.Example != "" {
		r.section("EXAMPLES")
		r.verbatim(c.Example)
	}
	if !c.HasParent() {
		r.files()
	}
	r.related(c)
	return r.String()
}

func synopsis(c *cobra.Command) string {
	words := bold(c.CommandPath())
	for _, word := range strings.Fields(c.Use)[1:] {
		words += " " + italic(word)
	}
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			words += " [" + option(f) + "]"
			if strings.Contains(f.Value.Type(), "Array") || strings.Contains(f.Value.Type(), "Slice") {
				words += `\&...`
			}
		}
	})
	if c.HasAvailableSubCommands() {
		words += " " + italic("COMMAND")
	}
	return words + "\n"
}

// option is a flag with the word for its value.
func option(f *pflag.Flag) string {
	words := bold("--" + f.Name)
	if value, _ := pflag.UnquoteUsage(f); value != "" {
		words += " " + italic(value)
	}
	return words
}

func (r *roff) options(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	r.section(title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		_, usage := pflag.UnquoteUsage(f)
		if !slices.Contains([]string{"", "false", "[]", "0"}, f.DefValue) && !strings.Contains(usage, "default") {
			usage += " (default: " + f.DefValue + ")"
		}
		term := option(f)
		if f.Shorthand != "" {
			term = bold("-"+f.Shorthand) + ", " + term
		}
		r.tagged(term, usage)
	})
}

func (r *roff) subcommands(c *cobra.Command) {
	if !c.HasAvailableSubCommands() {
		return
	}
	r.section("COMMANDS")
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			r.tagged(bold(sub.CommandPath()), sub.Short)
		}
	}
}

func (r *roff) files() {
	r.section("FILES")
	for _, f := range [][2]string{
		{"/etc/wpmend/wpmend.toml", "The configuration; every key stands in it with its default and what it means."},
		{"/etc/wpmend/conf.d/*.toml", "Read over it, in the order of their names."},
		{"/var/lib/wpmend", "The journal of every change with its undo, and the history: one JSON file each."},
		{"/run/wpmend/api.sock", "The service's API, for control panels, the page and `wp mend`."},
	} {
		r.tagged(italic(f[0]), f[1])
	}
}

// related names the pages above and below, as c's neighbours.
func (r *roff) related(c *cobra.Command) {
	var pages []string
	if c.HasParent() {
		pages = append(pages, c.Parent().CommandPath())
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			pages = append(pages, sub.CommandPath())
		}
	}
	for i := range pages {
		pages[i] = bold(strings.ReplaceAll(pages[i], " ", "-")) + "(1)"
	}
	if len(pages) > 0 {
		r.section("SEE ALSO")
		r.WriteString(strings.Join(pages, ",\n") + "\n")
	}
}
