package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const packaged = "../../packaging/wpmend.toml"

// The packaged file says what is built in: every key, with its value, under a comment of its own; and it changes
// nothing as long as nobody edits it.
func TestPackaged(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(packaged)
	if err != nil {
		t.Fatal(err)
	}
	asIs, err := Parse(packaged, string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(asIs.applied) != 0 || len(asIs.FPM)+len(asIs.Owners)+len(asIs.Sites) != 0 {
		t.Errorf("the packaged file sets %v", asIs.Origins())
	}
	builtIn, sections, found := strings.Cut(string(text), "#[[")
	if !found {
		t.Fatal("it has no sections")
	}
	off := regexp.MustCompile(`(?m)^#([a-z\[])`)
	on, err := Parse(packaged, off.ReplaceAllString(builtIn, "$1"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := on.TOML(false), Default().TOML(false); got != want {
		t.Errorf("the packaged file says\n%s\nbuilt in is\n%s", got, want)
	}
	var set []string
	lines := strings.Split(string(text), "\n")
	for _, s := range on.applied {
		set = append(set, s.key.name)
		if above := lines[s.at.Line-2]; !strings.HasPrefix(above, "# ") || len(above) < 20 && !strings.HasSuffix(above, ":") {
			t.Errorf("%s:%d: no comment stands above %s: %q", packaged, s.at.Line, s.key.name, above)
		}
	}
	for _, k := range keys() {
		if !slices.Contains(set, k.name) {
			t.Errorf("%s is missing", k.name)
		}
	}
	examples, err := Parse(packaged, off.ReplaceAllString("#[["+sections, "$1"))
	if err != nil || len(examples.FPM) != 1 || len(examples.Owners) != 1 || len(examples.Sites) != 1 {
		t.Errorf("the examples of sections: %v", err)
	}
	for i, line := range lines {
		if len(line) > 100 {
			t.Errorf("%s:%d: is wider than a terminal", packaged, i+1)
		}
	}
}
