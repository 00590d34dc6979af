package diagnose

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	names := Names()
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for i, name := range names {
		if !kebab.MatchString(name) || Meaning(name) == "" || slices.Index(names, name) != i {
			t.Errorf("%q: meaning %q, first at %d", name, Meaning(name), slices.Index(names, name))
		}
	}
	if got := Meaning("no-such-cause"); got != "" {
		t.Errorf("meaning of nothing: %q", got)
	}
	names[0] = "changed"
	if Names()[0] == "changed" {
		t.Error("a caller can change the list")
	}
}

func TestCauseJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(Cause{Cause: FPMDown})
	for _, want := range []string{`"cause":"fpm-down"`, `"evidence":[]`, `"remedy":null`} {
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s, %v: no %s", got, err, want)
		}
	}
}
