package lab

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// Every layout and both kinds of network, side by side in one lab, show whole pages
// that every component has a part in.
func TestLayouts(t *testing.T) {
	t.Parallel()
	l := New(t, Options{Layouts: append(Layouts(), Plain, Plain, Bedrock, OwnFolder),
		Networks: append(make([]string, len(Layouts())), Subfolders, Subdomains, Subdomains, Subfolders),
		Plugins:  2, SinglePlugins: 1, MUPlugins: 2, NetworkPlugins: 1, BlogPlugins: 1, ChildTheme: true})
	for i, s := range l.Sites() {
		t.Run(string(s.Layout)+s.Network, func(t *testing.T) {
			for blog := 1; blog <= 2; blog++ {
				parts := []string{"plugin-01 saw", "plugin-02 saw", "single-01 was", "must-01 was", "must-02 was", "lab-child was"}
				switch {
				case blog == 2 && s.Network == "":
					continue
				case blog == 2:
					parts = append(parts[3:], "blog-01 was")
				case s.Layout == Symlinked:
					parts = append(parts, "linked was")
				}
				if s.Network != "" {
					parts = append(parts, "network-01 was")
				}
				status, body, err := l.GetURL(context.Background(), s.BlogURL(blog)+"/")
				if err != nil || status != http.StatusOK || !Complete(body) {
					t.Fatalf("blog %d: status %d, %v: %s", blog, status, err, clip(body, 500))
				}
				for _, part := range parts {
					if !strings.Contains(body, "<!-- "+part) {
						t.Errorf("blog %d: %q is not in the page", blog, part)
					}
				}
				if blog == 1 && strings.Contains(body, "blog-01 was") {
					t.Error("a plugin of blog 2 runs on blog 1")
				}
			}
			for _, path := range []string{s.Core + "/wp-load.php", s.Content + "/plugins/plugin-01/plugin-01.php", s.Config, s.Root + "/index.php"} {
				wantOwner(t, l, path, l.uid)
			}
			if rel, err := filepath.Rel(s.Root, s.Content); err != nil || !filepath.IsLocal(rel) {
				t.Errorf("%s is not below %s", s.Content, s.Root)
			}
			if status, _, err := l.GetFrom(context.Background(), i, strings.TrimPrefix(s.coreURL, s.URL)+"/wp-login.php"); err != nil || status != http.StatusOK {
				t.Errorf("wp-login.php: status %d, %v", status, err)
			}
		})
	}
}
