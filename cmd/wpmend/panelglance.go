package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

const (
	apiSocket = "/run/wpmend/api.sock" // as [api] has it by default
	glanceFor = 8 * time.Second        // a panel's page waits for it
	glanceMax = 200                    // sites that a panel's page lists
)

// socketTransport speaks with the service's socket, whatever the address says.
func socketTransport(socket string) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}
}

// ask sends a request to the service and reads its answer into v, nil for none.
func ask(ctx context.Context, socket, method, path string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, glanceFor)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://wpmend"+path, nil)
	if err != nil {
		return err
	}
	a, err := (&http.Client{Transport: socketTransport(socket)}).Do(r)
	if err != nil {
		return &agent.Error{Kind: "not-running", Err: fmt.Errorf("the service does not answer at %s: %w", socket, err), Remedy: "wpmend service status"}
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, 8<<20))
	if err == nil && a.StatusCode >= http.StatusMultipleChoices {
		var p struct {
			Detail, Remedy string
		}
		_ = json.Unmarshal(text, &p) // without it the status must do
		err = &agent.Error{Kind: "refused", Err: fmt.Errorf("the service says %s %s", a.Status, p.Detail), Remedy: p.Remedy}
	}
	if err != nil || v == nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// glance is the table for a panel's page. It needs no style and no script of its own, so that it fits into any.
var glance = template.Must(template.New("glance").Parse(`<table class="wpmend"><caption>WordPress sites, as wpmend sees them</caption>
<thead><tr><th scope="col">Site</th><th scope="col">State</th><th scope="col">Owner</th><th scope="col">WordPress</th><th scope="col">Incident</th></tr></thead>
<tbody>
{{range .Sites}}<tr><td>{{.Domain}}</td><td>{{.State}}</td><td>{{.Owner}}</td><td>{{.Version}}</td><td>{{or .Incident "–"}}</td></tr>
{{else}}<tr><td colspan="5">wpmend knows no site of yours.</td></tr>
{{end}}</tbody></table>
{{if .Next}}<p>More than {{len .Sites}} sites: wpmend sites lists them all.</p>
{{end}}`))

func newPanelGlance(*invocation) *cobra.Command {
	var socket string
	c := &cobra.Command{
		Use:   "glance",
		Short: "prints the state of the caller's sites as a table in HTML",
		Long: `For panels that put a program's output into a page of their own. It asks the service's
socket: root sees all sites, any other user his own. Where the service does not answer the
table says so, and the exit status is 1.`,
		Example: "  wpmend panel glance",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var list struct {
				Sites []struct{ Domain, State, Owner, Version, Incident string }
				Next  string
			}
			if err := ask(c.Context(), socket, http.MethodGet, fmt.Sprintf("/v1/sites?limit=%d", glanceMax), &list); err != nil {
				var e *agent.Error
				if errors.As(err, &e) {
					fmt.Fprintf(c.OutOrStdout(), "<p>%s.</p>\n", template.HTMLEscapeString(strings.TrimRight(e.Error(), ".")))
				}
				return err
			}
			return glance.Execute(c.OutOrStdout(), list)
		},
	}
	c.Flags().StringVar(&socket, "socket", apiSocket, "the service's socket, `FILE`")
	return c
}
