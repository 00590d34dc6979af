package diagnose

import "testing"

func TestPrevention(t *testing.T) {
	t.Parallel()
	for _, name := range Names() {
		if Prevention(name) == "" {
			t.Errorf("no word of how to prevent %s", name)
		}
	}
	if got, want := len(prevention), len(Names()); got != want {
		t.Errorf("%d sentences for %d causes", got, want)
	}
}
