package agent

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"wpmend/agent/config"
	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

// A site has the settings of its owner and its own, by any of its names; others do not; and a new configuration is in
// force at once, whoever is asking meanwhile.
func TestConfOf(t *testing.T) {
	t.Parallel()
	parse := func(text string) config.Config {
		c, err := config.Parse("x", text)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := parse("mode = \"heal\"\n[[owner]]\nuser = \"0\"\nmode = \"suggest\"\n[[owner]]\nuser = \"root\"\nprobe.verify = 7\n[[site]]\nmatch = \"WWW.b.test\"\nmode = \"observe\"\n")
	second := parse("mode = \"observe\"\n[[site]]\nmatch = \"www.b.test\"\nmode = \"heal\"\n")
	a := &Agent{core: &core{}}
	a.Reconfigure(first)
	ofRoot := site.Site{ID: "1", Root: "/a", Domain: "a.test", Owner: 0}
	named := site.Site{ID: "2", Root: "/b", Domain: "b.test", Owner: 0, Vhosts: []gateway.Vhost{{Names: []string{"b.test"}}, {Names: []string{"www.b.test"}}}}
	other := site.Site{ID: "3", Root: "/c", Domain: "c.test", Owner: 4_000_000_000}
	want := func(now string, modes ...config.Mode) {
		t.Helper()
		for i, s := range []site.Site{ofRoot, named, other} {
			if got := a.confOf(s).Mode; got != modes[i] {
				t.Errorf("%s: mode of %s is %q, want %q", now, s.Domain, got, modes[i])
			}
		}
	}
	want("at first", config.Suggest, config.Observe, config.Heal)
	want("asked again", config.Suggest, config.Observe, config.Heal)
	if n, m := a.confOf(named).Probe.Verify, a.confOf(other).Probe.Verify; n != 7 || m != config.Default().Probe.Verify {
		t.Errorf("verify is %d for a site of root's, %d for another's", n, m)
	}
	named.Vhosts = named.Vhosts[:1]
	want("without the name", config.Suggest, config.Suggest, config.Heal)
	for i := range 100 {
		named.Vhosts = []gateway.Vhost{{Names: []string{fmt.Sprintf("%d.b.test", i)}}}
		a.confOf(named)
	}
	kept := 0
	a.settings.Load().sites.Range(func(any, any) bool { kept++; return true })
	if kept != 2 {
		t.Errorf("settings of %d sites are kept after one has changed its name 100 times, want 2: who has no login name yet is asked for again", kept)
	}

	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 200 {
				if m := a.confOf(ofRoot).Mode; m != config.Suggest && m != config.Observe {
					t.Errorf("mode %q", m)
				}
			}
		})
	}
	a.Reconfigure(second)
	asking.Wait()
	want("exchanged", config.Observe, config.Observe, config.Observe)
}

// With a section for each of many sites, a probe's settings cost next to nothing.
func BenchmarkConfOf(b *testing.B) {
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "[[site]]\nmatch = \"site%d.test\"\nmode = \"heal\"\n", i)
	}
	c, err := config.Parse("x", text.String())
	if err != nil {
		b.Fatal(err)
	}
	a := &Agent{core: &core{}}
	a.Reconfigure(c)
	s := site.Site{Root: "/srv/site4999", Domain: "site4999.test"}
	for b.Loop() {
		a.confOf(s)
	}
}
