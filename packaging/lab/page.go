package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// getTimeout is longer than nginx's own patience with PHP (60 s), so that its
// answer is what a test sees.
const getTimeout = 90 * time.Second

func (l *Lab) newClient() *http.Client {
	dialer := &net.Dialer{}
	return &http.Client{
		Timeout: getTimeout,
		Transport: &http.Transport{
			// Whatever the name, the lab's nginx answers: no name is resolved.
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", net.JoinHostPort(l.Address, "80"))
			},
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Get fetches a path below the first site's URL (with its query) through nginx.
// Redirects are not followed.
func (l *Lab) Get(path string) (status int, body string, err error) {
	return l.GetFrom(context.Background(), 0, path)
}

// GetFrom is Get for a site of choice.
func (l *Lab) GetFrom(ctx context.Context, site int, path string) (status int, body string, err error) {
	return l.GetURL(ctx, l.sites[site].URL+path)
}

// GetURL is Get for a whole URL, such as one of a network's second blog.
func (l *Lab) GetURL(ctx context.Context, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", fmt.Errorf("cannot ask for %s: %w", url, err)
	}
	res, err := l.client.Do(req)
	if err != nil {
		return 0, "", fmt.Errorf("cannot fetch %s: %w", url, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, string(text), fmt.Errorf("cannot read all of %s: %w", url, err)
	}
	return res.StatusCode, string(text), nil
}

// Complete says whether a page came whole.
func Complete(body string) bool { return strings.Contains(body, "</html>") }

// Logs returns the end of every log of the lab, to be shown where something failed.
func (l *Lab) Logs() string {
	names, err := filepath.Glob(filepath.Join(l.Dir, "logs", "*"))
	if err != nil {
		return ""
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil || len(text) == 0 || strings.HasSuffix(name, ".access.log") {
			continue
		}
		fmt.Fprintf(&b, "--- %s\n%s\n", filepath.Base(name), tail(string(text), 1500))
	}
	return b.String()
}

func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}

func tail(s string, limit int) string {
	s = strings.TrimRight(s, "\n")
	if len(s) <= limit {
		return s
	}
	return "…" + s[len(s)-limit:]
}
