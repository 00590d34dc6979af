package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wpmend/packaging/lab"
)

// What holds for a site is told with its origin and then obeyed: its own section in conf.d over its owner's over the
// file.
func TestConfigOfSite(t *testing.T) {
	t.Parallel()
	culprit := "plugin:" + lab.Slug(2)
	s := newStage(t, lab.Options{Plugins: 3}, `search.fix = "rename"`, "[[owner]]", `user = "33"`, `search.fix = "deactivate"`, `mode = "observe"`, "[[owner]]", `user = "nobody-has-this-name"`, "budget.site = 1")
	own := filepath.Join(s.Dir, "conf.d", "50-shop.toml")
	s.must(os.Mkdir(filepath.Dir(own), 0o755))
	s.write(own, fmt.Sprintf("[[site]]\nmatch = %q\nmode = \"suggest\"\nprotected = [\"plugin:*-02\"]\n[[site]]\nmatch = \"gone.example\"\nmode = \"heal\"\n", s.domain()))

	var checked struct {
		Valid        bool
		Files, Notes []string
	}
	s.run("--json", "config", "check").exits(0).into(&checked)
	if want := []string{s.config + `:12: this host has no user "nobody-has-this-name"`, own + ":5: this host has no site \"gone.example\": `wpmend sites` lists them"}; !checked.Valid ||
		strings.Join(checked.Files, " ") != s.config+" "+own || strings.Join(checked.Notes, "\n") != strings.Join(want, "\n") {
		t.Errorf("config check: %+v, want the notes %q", checked, want)
	}

	var shown struct {
		Site   siteJSON
		Mode   string
		Search struct{ Fix string }
		Watch  struct{ Every string }
		Sites  []struct{}

		Origins map[string]string
	}
	s.run("--json", "config", "show", "--origin", s.domain()).exits(0).into(&shown)
	if shown.Site.Domain != s.domain() || shown.Mode != "suggest" || shown.Search.Fix != "deactivate" || shown.Watch.Every != "10s" || shown.Sites == nil || len(shown.Sites) != 0 {
		t.Errorf("config show: %+v", shown)
	}
	for key, want := range map[string]string{"mode": own + ":3", "protected": own + ":4", "search.fix": s.config + ":10", "budget.site": s.config + ":2", "watch.every": "built-in"} {
		if shown.Origins[key] != want {
			t.Errorf("%s is from %q, want %q", key, shown.Origins[key], want)
		}
	}
	text := s.run("config", "show", "--origin", s.domain(), "--only", s.Dir).exits(0).stdout
	for _, want := range []string{"mode = \"suggest\"  # " + own + ":3\n", "only = [\"" + s.Dir + "\"]  # --only\n", "every = \"10s\"  # built-in\n", "# for " + s.domain() + " in " + s.Site(0).Root + "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("config show --origin lacks %q:\n%s", want, text)
		}
	}
	s.run("config", "show", "gone.example").exits(2)

	s.breakBy(lab.Fatal, lab.Slug(2))
	before := s.snapshot()
	h, _ := s.heal(4)
	if len(h.Changes) != 0 || len(h.Culprits) != 1 || !strings.Contains(strings.Join(h.Advice, "\n"), culprit+` would have to be switched off, but the configuration protects it (protected = "plugin:*-02")`) {
		t.Errorf("%+v, want %s left on", h, culprit)
	}
	s.wantSnapshot(before)

	s.write(own, "[[site]]\nmatch = \"gone.example\"\nsearch.fix = \"rename\"\n")
	h, _ = s.heal(0)
	if len(h.Changes) != 1 || strings.Contains(s.active(), lab.Slug(2)) {
		t.Errorf("%+v with %s active, want %s deactivated as its owner's section says", h, s.active(), culprit)
	}
	if _, err := os.Stat(filepath.Join(s.Site(0).Content, "plugins", lab.Slug(2))); err != nil {
		t.Errorf("its folder was moved: %v", err)
	}
}
