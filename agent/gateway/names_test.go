package gateway

import "testing"

func TestServes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, host string
		want       bool
	}{
		{"a.example", "a.example", true},
		{"a.example", "A.Example:8080", true},
		{"a.example", "a.example.", true},
		{"a.example", "b.a.example", false},
		{"a.example", "", false},
		{"*.example", "a.example", true},
		{"*.example", "b.a.example", true},
		{"*.example", "example", false},
		{"*.example", ".example", false},
		{".a.example", "a.example", true},
		{".a.example", "b.a.example", true},
		{".a.example", "ba.example", false},
		{"mail.*", "mail.example", true},
		{"mail.*", "mail.a.example", true},
		{"mail.*", "mail.", false},
		{"mail.*", "mail", false},
		{`~^www\d+\.example$`, "www12.example", true},
		{`~^www\d+\.example$`, "www.example", false},
		{`~^(?<sub>.+)\.Example$`, "a.example", true},
		{`~^(?!www)`, "a.example", false}, // RE2 does not take it
		{"_", "_", false},
		{"_", "a.example", false},
		{"", "", false},
		{"$hostname", "web1", false},
		{"127.0.0.1", "127.0.0.1:80", true},
		{"[::1]", "[::1]:80", true},
	} {
		if got := (Vhost{Names: []string{"other.example", c.name}}).Serves(c.host); got != c.want {
			t.Errorf("%q serves %q: %v", c.name, c.host, got)
		}
	}
	if (Vhost{Listens: []Listen{{Port: 80, Default: true}}}).Serves("a.example") {
		t.Error("the default server serves by no name")
	}
}

func TestLogName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"a.example": "a.example", ".a.example": "a.example", "~^a$": "^a$", "*.a": "*.a", "": "", "_": "_"} {
		if got := (Vhost{Names: []string{name, "b"}}).LogName(); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := (Vhost{}).LogName(); got != "" {
		t.Errorf("no name: %q", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	g, err := parseNginx(dumpOf("/n.conf", `http { server { server_name A.example $hostname; server_name ~^(?!b)x "" _; } server {} }`), host{hostname: "Web1.Example"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a.example", "web1.example", "~^(?!b)x", "", "_"}
	if got := g.Vhosts[0].Names; len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i, name := range want {
		if g.Vhosts[0].Names[i] != name {
			t.Errorf("%q, want %q", g.Vhosts[0].Names[i], name)
		}
	}
	const problem = "/n.conf:1: server_name \"~^(?!b)x\" matches nothing here: error parsing regexp: invalid or unsupported Perl syntax: `(?!`"
	if len(g.Problems) != 1 || g.Problems[0] != problem {
		t.Errorf("%q, want %q", g.Problems, problem)
	}
	if g.Vhosts[1].Names != nil || len(g.Vhosts[1].Listens) != 1 || g.Vhosts[1].Listens[0] != (Listen{Port: 80}) {
		t.Errorf("%+v", g.Vhosts[1])
	}
}
