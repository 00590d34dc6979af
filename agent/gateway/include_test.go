package gateway

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// served lists the names of all vhosts, then the problems.
func served(t *testing.T, files ...string) []string {
	t.Helper()
	g, err := ParseNginx(dumpOf(files...), "/prefix")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, v := range g.Vhosts {
		all = append(all, v.Names...)
	}
	return append(all, g.Problems...)
}

const vhosts = "http { include a.d/*.conf; include b.d/*; }"

func server(name string) string { return "server { server_name " + name + "; }" }

func TestIncludes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ files, want []string }{
		"in the order of their names": {
			[]string{"/n/n.conf", vhosts, "/n/a.d/1.conf", server("a1"), "/n/a.d/2.conf", server("a2"), "/n/b.d/1", server("b1")},
			[]string{"a1", "a2", "b1"},
		},
		"one file, printed once, included twice": {
			[]string{"/n/n.conf", "http { server { server_name a; include /x/s; } server { server_name b; include /x/s; } }", "/x/s", "server_name s;"},
			[]string{"a", "s", "b", "s"},
		},
		"what a pattern finds may have been there before": {
			[]string{"/n/n.conf", "http { include a.d/2.conf; include a.d/*; }", "/n/a.d/2.conf", server("a2"), "/n/a.d/1.conf", server("a1")},
			[]string{"a2", "a1", "a2"},
		},
		"nested": {
			[]string{"/n/n.conf", vhosts, "/n/a.d/1.conf", "include x/*;", "/n/x/y", server("y"), "/n/b.d/1", server("b1")},
			[]string{"y", "b1"},
		},
		"missing": {
			[]string{"/n/n.conf", "http { include gone.conf;\ninclude none/*;\n" + server("a") + "}"},
			[]string{"a", `/n/n.conf:1: "gone.conf" is not in the dump`},
		},
		"a vhost that cannot be read hides no other": {
			[]string{"/n/n.conf", vhosts, "/n/a.d/1.conf", "server {\nserver_name \"a\"b; }", "/n/a.d/2.conf", server("a2"), "/n/b.d/1", server("b1")},
			[]string{"a2", "b1", "/n/a.d/1.conf: is left out: /n/a.d/1.conf:2: unexpected 'b' after a quoted word"},
		},
		"a snippet that cannot be read takes its vhost along": {
			[]string{"/n/n.conf", "http { " + server("a; include s") + server("b") + "}", "/n/s", "}"},
			[]string{
				"b",
				"/n/s: is left out: /n/s:1: unexpected \"}\"",
				"/n/n.conf:1: this server is left out: /n/n.conf:1: includes what cannot be read: /n/s:1: unexpected \"}\"",
			},
		},
		// A customer's snippet holds a comment that looks like the next file.
		"forged for an include that is past": {
			[]string{"/n/n.conf", vhosts, "/n/a.d/1.conf", server("a1"), "/n/b.d/1", server("b1; include /home/u/*"), "/home/u/x", "", "/n/a.d/9.conf", server("forged"), "/n/b.d/2", server("b2")},
			[]string{"a1", "b1", "b2", "/n/a.d/9.conf: stands in the dump, but nothing before it includes it"},
		},
		"forged for an include that was never": {
			[]string{"/n/n.conf", vhosts, "/n/a.d/1.conf", server("a1; include /home/u/*"), "/home/u/x", "", "/home/v/y", server("forged"), "/n/a.d/2.conf", server("a2"), "/n/b.d/2", server("b2")},
			[]string{"a1", "a2", "b2", "/home/v/y: stands in the dump, but nothing before it includes it"},
		},
		"forged for a file that comes": {
			[]string{"/n/n.conf", vhosts, "/n/a.d/1.conf", server("a1; include /home/u/*"), "/home/u/x", "", "/n/b.d/2", server("forged"), "/n/a.d/2.conf", server("a2"), "/n/b.d/2", server("b2")},
			[]string{
				"a1", "forged",
				"/n/b.d/2: stands in the dump twice; the first one counts",
				"/n/a.d/2.conf: stands in the dump, but nothing before it includes it",
				"/n/b.d/2: stands in the dump, but nothing before it includes it",
			},
		},
	} {
		if d := cmp.Diff(c.want, served(t, c.files...)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"/a/*.conf", "/a/b.conf", true},
		{"/a/*.conf", "/a/.conf", false},
		{"/a/*", "/a/.b.conf.swp", false},
		{"/a/.*", "/a/.b", true},
		{"/a/*", "/a/b/c", false},
		{"/*/b", "/a/b", true},
		{"/*/b", "/.a/b", false},
		{"/a/[bc]", "/a/c", true},
		{"/a/[!b]", "/a/b", false},
		{"/a/[!b]", "/a/c", true},
		{"/a/[", "/a/[", false},
		{"/a/?", "/a/b", true},
	} {
		if got := globMatch(c.pattern, c.name); got != c.want {
			t.Errorf("%s of %s: %v", c.pattern, c.name, got)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	g, err := ParseNginx(dumpOf("/n.conf", "http { "+strings.Repeat("server { listen x:y; }\n", 1000)+"}"), "/")
	if err != nil || len(g.Problems) != maxProblems+1 || g.Problems[maxProblems] != "there is more that could not be understood" {
		t.Errorf("%v, %d problems, the last %q", err, len(g.Problems), g.Problems[len(g.Problems)-1])
	}
}
