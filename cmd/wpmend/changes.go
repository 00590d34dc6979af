package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newChanges(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "changes",
		Short: "lists what wpmend has changed and is still so, with the way back",
		Long: `Lists every change of wpmend's that is in effect on this host, site by site, with the
command that takes it back, and the way back without wpmend.`,
		Example: "  wpmend changes",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if os.Geteuid() != 0 {
				return &needsRoot{}
			}
			// A faulty configuration keeps nobody from the way back.
			a, notes, err := in.remembering()
			if err != nil {
				return err
			}
			v := stillSo{Changes: []agent.InForce{}, Notes: []string{}}
			if a != nil {
				v = standing(a)
			}
			v.Notes = append(v.Notes, notes...)
			return in.show(v, func(p *page) { p.standing(v) })
		},
	}
}

// stillSo is what wpmend has changed and not taken back.
type stillSo struct {
	Changes []agent.InForce `json:"changes"`
	Notes   []string        `json:"notes"`
}

func standing(a *agent.Agent) stillSo {
	list, notes := a.InForce()
	return stillSo{list, append([]string{}, notes...)}
}

func (p *page) standing(v stillSo) {
	if len(v.Changes) == 0 {
		p.line("No change of wpmend's is in effect.")
	}
	root := ""
	for _, c := range v.Changes {
		if c.Root != root {
			root = c.Root
			p.line("%s", root)
		}
		p.line("  %s  %s", c.Since.Local().Format("2006-01-02 15:04"), c.What)
		if !c.Until.IsZero() {
			p.line("    wpmend takes it back by itself at %s", c.Until.Local().Format("2006-01-02 15:04"))
		}
		if c.Undo != "" {
			p.line("    Undo with: %s", c.Undo)
		}
		if hand := strings.Join(c.ByHand, "\n"); hand != "" {
			p.line("    Or by hand:")
			p.block("      ", hand)
		}
	}
	p.notes(v.Notes)
}
