package main

import (
	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/diagnose"
)

func newCheck(in *invocation) *cobra.Command {
	var q agent.Question
	c := &cobra.Command{
		Use:   "check [SITE]",
		Short: "probes and names the cause; changes nothing",
		Long: `Asks the site as a visitor would, past page caches, and when it fails names the
cause with its evidence and the remedy that wpmend would take. When the front page
is well, the URLs that failed lately according to the gateway's logs are asked too,
and what the world sees of the site. With --verbose every layer is walked from outside
in (name, edge, gateway, pool, host, database, WordPress, …), each with its proof.
Without SITE every site of the host is checked, and the worst decides the exit status.`,
		Example: "  wpmend check example.com\n  wpmend check example.com --url /shop/\n  wpmend check example.com --verbose",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return takes("SITE")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return in.checkAll(c)
			}
			a, s, err := in.site(c.Context(), args[0])
			if err != nil {
				return err
			}
			q.Walk = in.verbose
			r, err := a.Check(c.Context(), s, q)
			if err != nil {
				return err
			}
			in.code = checkCode(r)
			return in.show(r, func(p *page) { p.check(r) })
		},
	}
	asks(c, &q)
	return c
}

// asks adds the flags that say what is asked of a site.
func asks(c *cobra.Command, q *agent.Question) {
	c.Flags().StringArrayVar(&q.URLs, "url", nil, "`URL` or path of the site to ask, may be given again (default: its front page, then what the logs say failed)")
	c.Flags().StringVar(&q.Method, "method-of-request", "", "HTTP `METHOD` of the request (default GET); others than GET and HEAD may change the site")
	c.Flags().StringVar(&q.Cookie, "cookie", "", "`NAME=VALUE` to send as a cookie, several separated by \"; \"")
}

func (in *invocation) checkAll(c *cobra.Command) error {
	a, err := in.open()
	if err != nil {
		return err
	}
	host, err := a.Discover(c.Context())
	if err != nil {
		return err
	}
	all := struct {
		Sites []agent.CheckReport `json:"sites"`
		Notes []string            `json:"notes"`
	}{Sites: []agent.CheckReport{}, Notes: append([]string{}, host.Problems...)}
	failed := 0
	if all.Sites, failed, err = a.CheckAll(c.Context(), host.Sites); err != nil {
		return err
	}
	if failed > 0 {
		in.code = exitFailed
	}
	for _, r := range all.Sites {
		in.code = max(in.code, checkCode(r))
	}
	return in.show(all, func(p *page) {
		for _, r := range all.Sites {
			p.check(r)
		}
		if len(all.Sites) == 0 {
			p.line("No WordPress site was found behind a running nginx and PHP-FPM.")
		}
		p.notes(all.Notes)
	})
}

func (p *page) check(r agent.CheckReport) {
	failing := r.Outcome.Failing()
	switch {
	case failing:
		p.line("%s is failing: %s (%s)", r.Site.Domain, string(r.Outcome), r.URL)
	case len(r.Causes) > 0:
		p.line("%s is %s on this host, and fails for visitors (%d after %.2f s)", r.Site.Domain, string(r.Outcome), r.Status, r.Seconds)
	default:
		p.line("%s is %s (%d after %.2f s)", r.Site.Domain, string(r.Outcome), r.Status, r.Seconds)
	}
	if r.Detail != "" {
		p.line("  %s", r.Detail)
	}
	if failing && len(r.Causes) == 0 {
		p.line("No known cause fits what could be seen. `wpmend bisect %s` asks whether a plugin is at fault.", r.Site.Domain)
	}
	p.causes(r.Causes)
	if len(r.Causes) > 0 && r.Causes[0].Remedy != nil {
		p.line("Mend it with: wpmend heal %s", r.Site.Domain)
	}
	p.layers(r.Layers)
	p.notes(r.Notes)
}

// layers shows a walk from outside in.
func (p *page) layers(layers []diagnose.Layer) {
	if len(layers) == 0 {
		return
	}
	p.line("Layer by layer, from outside in:")
	rows := [][]string{}
	for _, l := range layers {
		proof := make([]string, len(l.Proof))
		for i, e := range l.Proof {
			proof[i] = e.Text
		}
		if len(proof) == 0 {
			proof = []string{""}
		}
		state := l.State
		if l.Cause != "" {
			state += ": " + l.Cause
		}
		rows = append(rows, []string{"  " + l.Layer, state, proof[0]})
		for _, more := range proof[1:] {
			rows = append(rows, []string{"", "", more})
		}
	}
	p.table(rows)
}
