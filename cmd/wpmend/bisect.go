package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newBisect(in *invocation) *cobra.Command {
	var (
		o       agent.BisectOptions
		explain bool
	)
	c := &cobra.Command{
		Use:   "bisect SITE",
		Short: "finds the components at fault, in a private copy of the pool",
		Long: `Searches for the fewest components (plugins, theme, must-use plugins, drop-ins)
whose absence makes the URL answer well. The questions are asked of a private copy
of the site's PHP pool in which components are masked: visitors notice nothing, and
no file and no option of the site changes. Where there is no pool to copy (mod_php),
or with --method rename, the live site is asked instead, by renaming (journalled,
put back); visitors then lack what is away. --fix switches the culprits off
afterwards and verifies the site.`,
		Example: `  wpmend bisect example.com
  wpmend bisect example.com --url /checkout/ --fix
  wpmend bisect example.com --url /wp-admin/ --as-user editor
  wpmend bisect example.com --explain`,
		Args: takes("SITE"),
		RunE: func(c *cobra.Command, args []string) error {
			switch o.Method {
			case agent.MethodAuto, agent.MethodShadow, agent.MethodRename:
			default:
				return &usageError{c, fmt.Errorf("--method %q: choose auto, shadow or rename", o.Method)}
			}
			a, s, err := in.site(c.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := a.Bisect(c.Context(), s, o)
			if err != nil {
				return err
			}
			in.code = bisectCode(r, o.Fix)
			return in.show(r, func(p *page) {
				p.bisect(r, o)
				if explain {
					p.explanation(r)
				}
			})
		},
	}
	asks(c, &o.Question)
	c.Flags().StringVar(&o.AsUser, "as-user", "", "ask as this `LOGIN` of the site, without its password (in the private copy only)")
	c.Flags().StringVar(&o.Method, "method", agent.MethodAuto, "`HOW`: auto, shadow or rename")
	c.Flags().BoolVar(&o.Fix, "fix", false, "switch the culprits off and verify the site")
	c.Flags().BoolVar(&explain, "explain", false, "print every question with its answer, and what follows from them")
	return c
}

func (p *page) bisect(r agent.BisectReport, o agent.BisectOptions) {
	p.line("%s: %s", r.Site.Domain, r.Finding)
	if r.FromLog {
		p.line("Asked was %s, which failed lately by the gateway's log; the front page is well.", r.URL)
	}
	p.culprits(r.Culprits)
	p.line("%d of %d components at fault; %d questions, %d repeated, %d rounds, %.1f s; changes to the live site: %d",
		len(r.Culprits), r.Components, r.Probes, r.Repeats, r.Rounds, r.Seconds, r.LiveChanges)
	p.changes(r.Changes)
	if r.Fixed {
		p.line("The live site answers well again.")
	} else if len(r.Culprits) > 0 && len(r.Changes) == 0 {
		var ids []string
		for _, c := range r.Culprits {
			ids = append(ids, c.Component)
		}
		p.line("Nothing was changed. To switch off %s: %s", strings.Join(ids, " and "), fixCommand(r, o))
	}
	p.notes(r.Notes)
}

// fixCommand does what the search found: all of it with the same question asked
// again, or one component where the live site cannot be asked the same.
func fixCommand(r agent.BisectReport, o agent.BisectOptions) string {
	if o.AsUser != "" {
		return "wpmend disable " + quote(r.Site.Domain) + " " + quote(r.Culprits[0].Component)
	}
	words := "wpmend bisect " + quote(r.Site.Domain)
	urls := o.URLs
	if r.FromLog {
		urls = []string{r.URL}
	}
	for _, u := range urls {
		words += " --url " + quote(u)
	}
	if o.Method != agent.MethodAuto {
		words += " --method " + o.Method
	}
	if o.Question.Method != "" {
		words += " --method-of-request " + quote(o.Question.Method)
	}
	if o.Cookie != "" {
		words += " --cookie " + quote(o.Cookie)
	}
	return words + " --fix"
}

// explanation shows every question, and what the search made of the answers.
func (p *page) explanation(r agent.BisectReport) {
	rows := [][]string{{"", "ASKED", "AWAY", "ANSWER", "MS"}}
	for i, a := range r.Asked {
		answer := string(a.Outcome)
		if a.Signature != "" {
			answer += ": " + a.Signature
		}
		why := a.Why
		if a.Repeat {
			why += ", again"
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), why, fmt.Sprint(len(a.Masked)), answer, fmt.Sprint(a.MS)})
	}
	p.line("")
	p.table(rows)
	p.line("")
	for _, e := range r.Explanation {
		p.line("%s", e)
	}
}

// quote makes a word safe to paste into a shell.
func quote(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/%+=@,") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
