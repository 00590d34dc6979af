package main

import (
	"os"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newRecover(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "recover",
		Short: "puts back what an interrupted run left",
		Long: `Looks at every change in the journal that was neither verified nor undone, and
undoes it. What a living wpmend is at work on is left alone; what somebody else
has moved meanwhile is not touched, and said.`,
		Example: "  wpmend recover",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return &needsRoot{}
			}
			// A faulty configuration keeps nothing half-done.
			a, notes, err := in.remembering()
			if err != nil {
				return err
			}
			r := agent.RecoverReport{Clean: true, Changes: []agent.Recovered{}, Notes: []string{}}
			if a != nil {
				if r, err = a.Recover(c.Context()); err != nil {
					return err
				}
			}
			r.Notes = append(r.Notes, notes...)
			if !r.Clean {
				in.code = exitFailed
			}
			return in.show(r, func(p *page) {
				if len(r.Changes) == 0 && r.Clean {
					p.line("Nothing was left half-done.")
				}
				for _, ch := range r.Changes {
					p.line("%s: %s", ch.State, ch.What)
					if ch.Note != "" {
						p.line("  %s", ch.Note)
					}
				}
				p.notes(r.Notes)
			})
		},
	}
}
