package main

import (
	"errors"
	"net/http"
	"net/http/cgi"
	"net/http/httputil"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"wpmend/agent"
)

// newPanelCGI is how a panel shows the page without wpmend listening on a port: the panel's web server runs it as a CGI
// program, as whom it will, and the service at the other end of the socket sees who that is and gives him his own sites.
func newPanelCGI(in *invocation) *cobra.Command {
	var socket string
	c := &cobra.Command{
		Use:   "cgi",
		Short: "serves the page and the API as a CGI program of the panel",
		Long: `Run by the panel's web server as a CGI program (RFC 3875), it passes the request on to
the service's socket. The user that it runs as decides what may be seen and done there:
root everything, the owner of sites his own.`,
		Example: "  exec /usr/bin/wpmend panel cgi     # in the panel's CGI script",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if os.Getenv("GATEWAY_INTERFACE") == "" && os.Getenv("REQUEST_METHOD") == "" {
				return &agent.Error{Kind: "usage", Err: errors.New("it is a CGI program: a web server runs it"), Remedy: "wpmend panel cgi --help"}
			}
			return cgi.Serve(ownOrigin(throughSocket(socket)))
		},
	}
	c.Flags().StringVar(&socket, "socket", apiSocket, "the service's socket, `FILE`")
	return c
}

// ownOrigin refuses what another site's page has a browser ask. The service goes by the browser's Sec-Fetch-Site, which is
// passed on; of browsers without it the Origin must be the panel's own, whose name the service does not know.
func ownOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if from, err := url.Parse(origin); r.Header.Get("Sec-Fetch-Site") == "" && origin != "" && (err != nil || from.Host != r.Host) {
			http.Error(w, "This was asked by the page of another site.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// throughSocket passes requests on. The panel has logged the caller in by a cookie of its own, which is none of wpmend's
// business; the part of the path that leads to the script is the panel's too.
func throughSocket(socket string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			path := os.Getenv("PATH_INFO")
			if path == "" {
				path = "/"
			}
			r.Out.URL = &url.URL{Scheme: "http", Host: "wpmend", Path: path, RawQuery: r.In.URL.RawQuery}
			r.Out.Host = "wpmend"
			for _, h := range []string{"Cookie", "Authorization", "Origin", "Referer"} {
				r.Out.Header.Del(h)
			}
		},
		Transport:     socketTransport(socket),
		FlushInterval: -1, // events are to be seen as they come
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "The service of wpmend does not answer: "+err.Error()+"\nwpmend service status says why.", http.StatusBadGateway)
		},
	}
}
