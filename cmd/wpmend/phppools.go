package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

func newPHPPools(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "pools",
		Short: "lists the masters and pools of PHP-FPM",
		Long: `Lists every master of PHP-FPM with its pools: how many workers each may have, has,
and has at work, how many connections wait in its queue, and which sites it serves.`,
		Example: "  wpmend php pools\n  wpmend php pools --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := in.open()
			if err != nil {
				return err
			}
			host, err := a.Discover(c.Context())
			if err != nil {
				return err
			}
			r := a.Pools(c.Context(), host)
			return in.show(r, func(p *page) { p.pools(r) })
		},
	}
}

func (p *page) pools(r agent.PoolsReport) {
	if len(r.Masters) == 0 {
		p.line("No PHP-FPM was found.")
	}
	for _, m := range r.Masters {
		state := "not running"
		if m.PID != 0 {
			state = fmt.Sprintf("process %d", m.PID)
		}
		if m.Unit != "" {
			state += ", " + m.Unit
		}
		p.line("PHP-FPM %s, %s (%s)", m.Version, state, m.Config)
		rows := [][]string{{"  POOL", "PM", "MAX", "WORKERS", "BUSY", "QUEUE", "SOCKET", "SITES"}}
		for _, q := range m.Pools {
			rows = append(rows, []string{"  " + q.Name, q.Manager, number(q.MaxChildren, q.MaxChildren > 0), number(q.Workers, q.Workers >= 0), number(q.Busy, q.Busy >= 0),
				number(q.Queue, q.Queue >= 0), q.Socket, strings.Join(q.Sites, " ")})
		}
		p.table(rows)
	}
	p.notes(r.Notes)
}

func number(n int, known bool) string {
	if !known {
		return "?"
	}
	return strconv.Itoa(n)
}
