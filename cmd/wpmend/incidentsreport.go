package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/report"
)

func newIncidentsReport(in *invocation) *cobra.Command {
	var format, output string
	c := &cobra.Command{
		Use:   "report ID",
		Short: "writes one incident for somebody else to read",
		Long: `Writes one incident for a plugin's author or the host's support: what failed, how
that is known, what was tried, what was changed, how to undo and to prevent it.
Passwords, keys, cookies, the values of queries and visitors' addresses are taken out.
As html it is one file with nothing beside it, to attach or to open in a browser.`,
		Example: "  wpmend incidents report 01KB\n  wpmend incidents report 01KB --format html --output incident.html",
		Args:    takes("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "text" && format != "html" && format != "json" {
				return &usageError{c, fmt.Errorf("--format %q: give text, html or json", format)}
			}
			a, err := in.open()
			if err != nil {
				return err
			}
			r, err := a.Report(c.Context(), args[0])
			if err != nil {
				return err
			}
			if output != "" {
				return in.writeReport(r, format, output)
			}
			if in.json || format == "json" {
				return in.writeJSON(r)
			}
			if format == "html" {
				return r.HTML(in.out)
			}
			_, err = fmt.Fprint(in.out, r.Text())
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text, html or json")
	c.Flags().StringVar(&output, "output", "", "write to a new `FILE` instead of the terminal")
	return c
}

// writeReport writes to a file that must not be there yet: wpmend runs as root, and a
// wrong word must not cost somebody's file.
func (in *invocation) writeReport(r report.Report, format, output string) error {
	var text bytes.Buffer
	to := *in
	to.out = &text
	var err error
	switch format {
	case "json":
		err = to.writeJSON(r)
	case "html":
		err = r.HTML(&text)
	default:
		text.WriteString(r.Text())
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &agent.Error{Kind: "usage", Remedy: "give another name to --output", Err: err}
	}
	if _, err = f.Write(text.Bytes()); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return in.show(struct {
		File string `json:"file"`
	}{output}, func(p *page) { p.line("Written to %s.", output) })
}
