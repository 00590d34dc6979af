package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent/history"
)

func newIncidents(in *invocation) *cobra.Command {
	c := &cobra.Command{
		Use:   "incidents",
		Short: "shows what happened, and takes it back",
		Long:  "Shows what happened, why, what was done, and takes it back.",
		Example: `  wpmend incidents
  wpmend incidents show 01KB
  wpmend incidents report 01KB --format html --output incident.html
  wpmend incidents undo 01KB`,
		Args: cobra.NoArgs,
	}
	list := newIncidentsList(in)
	c.RunE = list.RunE
	c.Flags().AddFlagSet(list.Flags())
	c.AddCommand(list, newIncidentsShow(in), newIncidentsReport(in), newIncidentsUndo(in))
	return c
}

func newIncidentsList(in *invocation) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "list",
		Short:   "lists the incidents, the newest first",
		Long:    "Lists the incidents, the newest first.",
		Example: "  wpmend incidents list --limit 5\n  wpmend --json incidents list --limit 0 | jq -r '.incidents[] | select(.state == \"escalated\") | .id'",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 0 {
				return &usageError{c, fmt.Errorf("--limit %d: give a number of 0 or more", limit)}
			}
			a, err := in.open()
			if err != nil {
				return err
			}
			incidents, notes, err := a.Incidents(limit)
			if err != nil {
				return err
			}
			report := struct {
				Incidents []history.Incident `json:"incidents"`
				Notes     []string           `json:"notes"`
			}{append([]history.Incident{}, incidents...), append([]string{}, notes...)}
			return in.show(report, func(p *page) {
				if len(incidents) == 0 {
					p.line("No incident has happened yet.")
				} else {
					p.incidents(incidents)
				}
				p.notes(notes)
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 20, "show at most `N` incidents, 0 for all")
	return c
}

// incidents shows one a line.
func (p *page) incidents(list []history.Incident) {
	rows := [][]string{{"INCIDENT", "OPENED", "SITE", "SYMPTOM", "STATE", "CULPRITS", "SECONDS"}}
	for _, i := range list {
		rows = append(rows, []string{i.ID, i.Opened.Local().Format("2006-01-02 15:04:05"), i.Site.Domain,
			i.Symptom.Outcome, i.State, culpritNames(i), strconv.FormatFloat(i.Seconds, 'f', 1, 64)})
	}
	p.table(rows)
}

func culpritNames(i history.Incident) string {
	names := ""
	for _, c := range i.Culprits {
		if names != "" {
			names += " "
		}
		names += c.Component
	}
	return names
}

func domainNames(sites []history.SiteRef) string {
	names := make([]string, len(sites))
	for i, s := range sites {
		names[i] = s.Domain
	}
	return strings.Join(names, ", ")
}

func newIncidentsShow(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "shows one incident, whole",
		Long:    "Shows one incident: what was seen, how the cause is known, what was done. ID may be cut short while it is unique.",
		Example: "  wpmend incidents show 01KB2M6Q7T9S3V5X8Y0Z1A2B3C\n  wpmend incidents show 01KB",
		Args:    takes("ID"),
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := in.open()
			if err != nil {
				return err
			}
			i, err := a.Incident(args[0])
			if err != nil {
				return err
			}
			return in.show(i, func(p *page) {
				p.line("Incident %s on %s: %s", i.ID, i.Site.Domain, i.State)
				p.line("Symptom: %s (%s) at %s", i.Symptom.Outcome, i.Symptom.Signature, i.Symptom.URL)
				if len(i.Sites) > 0 {
					p.line("Of the same cause failed: %s", domainNames(i.Sites))
				}
				for _, e := range i.Timeline {
					p.line("  %s  %s", e.Time.Local().Format("15:04:05"), e.What)
				}
				p.causes(i.Causes)
				for _, c := range i.Changes {
					p.line("Change %s: %s", c.ID, c.What)
					if c.From != "" {
						p.line("  %s → %s", c.From, c.To)
					}
				}
				for _, text := range i.Advice {
					p.line("To do: %s", text)
				}
				if len(i.Changes) > 0 && i.State == history.Resolved {
					p.line("Undo with: wpmend incidents undo %s", i.ID)
				}
			})
		},
	}
}

func newIncidentsUndo(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "undo ID",
		Short: "takes back what was changed in one incident",
		Long: `Takes back every change of one incident that is still in force. What was broken
before may break again: the site is not probed.`,
		Example: "  wpmend incidents undo 01KB2M6Q7T9S3V5X8Y0Z1A2B3C",
		Args:    takes("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := in.open()
			if err != nil {
				return err
			}
			r, err := a.UndoIncident(c.Context(), args[0])
			if err != nil {
				return err
			}
			if !r.Already && (len(r.Changes) == 0 || r.Left > 0) {
				in.code = exitFailed
			}
			return in.show(r, func(p *page) {
				p.changes(r.Changes)
				p.notes(r.Notes)
			})
		},
	}
}
