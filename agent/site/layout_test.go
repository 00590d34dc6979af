package site_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"wpmend/agent/shadow"
	"wpmend/agent/site"
	"wpmend/packaging/lab"
	"wpmend/wp"
)

// computed are the layouts whose database only PHP can tell.
var computed = []lab.Layout{lab.Bedrock, lab.Env, lab.Docker}

// Every layout, and networks in some of them, on one host: each is one site, its
// folders and components are the ones that WordPress loads, and what is read agrees
// with what WordPress says of itself.
func TestLayouts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	layouts := append(lab.Layouts(), lab.Plain, lab.Plain, lab.Bedrock)
	l := lab.New(t, lab.Options{Layouts: layouts,
		Networks: append(make([]string, len(lab.Layouts())), lab.Subfolders, lab.Subdomains, lab.Subdomains),
		Plugins:  2, SinglePlugins: 1, MUPlugins: 2, NetworkPlugins: 1, BlogPlugins: 1, ChildTheme: true})
	for i, s := range l.Sites() {
		for _, d := range s.DropIns() {
			// What a drop-in needs to be loaded is in no configuration of the others.
			if d == "db.php" || i%2 == 0 {
				if err := l.Install(i, lab.KindDropIn, d); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	h, err := site.Discover(ctx, site.Host{}, func(root string) bool { return strings.HasPrefix(root, l.Dir+"/") })
	if err != nil || len(h.Sites) != len(l.Sites()) {
		t.Fatalf("%d sites of %d, %v: %v", len(h.Sites), len(l.Sites()), err, h.Problems)
	}
	dir, err := os.MkdirTemp("/run", "wpmend-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, staged := range l.Sites() {
		t.Run(string(staged.Layout)+staged.Network, func(t *testing.T) {
			s, err := site.Find(h.Sites, staged.Root)
			if err != nil {
				t.Fatal(err)
			}
			if s.Root != staged.Root || s.Domain != staged.Domain || s.Base != "" || filepath.Join(s.Root, s.Core) != staged.Core || s.Version == "" {
				t.Errorf("root %s, domain %s, base %q, core %q, version %q", s.Root, s.Domain, s.Base, s.Core, s.Version)
			}
			for _, path := range []string{staged.Core, staged.DocRoot + "/"} {
				if again, err := site.Find(h.Sites, path); err != nil || again.ID != s.ID {
					t.Errorf("Find(%s): %s, %v", path, again.Root, err)
				}
			}
			if status, body, err := l.GetURL(ctx, "http://"+s.Domain+s.Script()); err != nil || status != http.StatusOK && status != http.StatusMovedPermanently {
				t.Errorf("%s: %d %v %s", s.Script(), status, err, body)
			}
			if status, body, err := l.GetFrom(ctx, i, "/"); err != nil || status != http.StatusOK || !lab.Complete(body) {
				t.Errorf("the front page: %d %v", status, err)
			}
			unknown := slices.Contains(computed, staged.Layout)
			w, err := s.Read(ctx)
			if errors.Is(err, wp.ErrUnknown) != unknown || !unknown && (err != nil || w.Database != nil) {
				t.Fatalf("read: %v, %v", err, w.Database)
			}
			if unknown && !strings.Contains(err.Error(), ".php, line ") {
				t.Errorf("read: %v, want the place", err)
			}
			sh, err := shadow.Start(ctx, s, wp.Paths{}, shadow.Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			said, err := sh.Inspect(ctx)
			if err = errors.Join(err, sh.Close()); err != nil {
				t.Fatal(err)
			}
			inspected, err := s.ReadInspected(ctx, said)
			if err != nil || inspected.Database != nil {
				t.Fatalf("inspected: %v, %v", err, inspected.Database)
			}
			if !unknown {
				if diff := cmp.Diff(facts(w), facts(inspected)); diff != "" {
					t.Errorf("read (-) and said (+) differ:\n%s", diff)
				}
			}
			wantLayout(t, staged, s, inspected, i%2 == 0)
		})
	}
}

// facts are what both ways of reading must agree in.
func facts(w site.WordPress) any {
	return []any{w.Paths, w.Active, w.Components, w.Identity, w.Config.Prefix.Text}
}

func wantLayout(t *testing.T, staged lab.Site, s site.Site, w site.WordPress, allDropIns bool) {
	t.Helper()
	at := func(rel string) string { return filepath.Join(s.Root, rel) }
	content := []string{at(w.Paths.Content), at(w.Paths.Plugins), at(w.Paths.MUPlugins), at(w.Paths.Themes)}
	if want := []string{staged.Content, staged.Content + "/plugins", staged.Content + "/mu-plugins", staged.Content + "/themes"}; !slices.Equal(content, want) {
		t.Errorf("paths %q, want %q", content, want)
	}
	want := []string{"drop-in:db.php", "mu-plugin:must-01.php", "plugin:plugin-01", "plugin:plugin-02", "plugin:single-01.php", "theme:lab-child", "theme:twentytwentythree"}
	if staged.Layout == lab.Bedrock {
		want = append(want, "mu-plugin:bedrock-autoloader.php", "mu-plugin:must-02")
	} else {
		want = append(want, "mu-plugin:must-02.php")
	}
	if allDropIns {
		want = append(want, "drop-in:advanced-cache.php", "drop-in:fatal-error-handler.php", "drop-in:object-cache.php")
	}
	if staged.Layout == lab.Symlinked {
		want = append(want, "plugin:linked")
	}
	if staged.Network != "" {
		want = append(want, "plugin:network-01", "plugin:blog-01")
		if allDropIns {
			want = append(want, "drop-in:sunrise.php")
		}
		if diff := cmp.Diff(map[int64][]string{2: {"blog-01/blog-01.php"}}, w.Active.Blogs); diff != "" {
			t.Errorf("plugins of other blogs: %s", diff)
		}
	}
	var active []string
	for _, c := range w.Components {
		if c.Active {
			active = append(active, c.ID())
		}
		file := at(c.Path)
		if len(c.Files) > 0 && c.Kind != wp.KindDropIn {
			file = filepath.Join(filepath.Dir(file), c.Files[0])
		}
		real, err := filepath.EvalSymlinks(file)
		if err != nil {
			t.Error(err)
		}
		if c.Kind == wp.KindTheme {
			real += "/functions.php"
		}
		if id, ok := w.Blame(s, real); !ok || id != c.ID() {
			t.Errorf("%s is blamed on %q, want %s", real, id, c.ID())
		}
	}
	slices.Sort(active)
	slices.Sort(want)
	if diff := cmp.Diff(want, active); diff != "" {
		t.Errorf("active components:\n%s", diff)
	}
	if !s.Owns(staged.Core+"/wp-login.php") || s.Owns(filepath.Dir(s.DocRoot)+"/other/index.php") {
		t.Error("Owns: its own files, no others")
	}
}
