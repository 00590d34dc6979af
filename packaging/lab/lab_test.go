package lab

import (
	"net/http"
	"strings"
	"testing"
)

func TestUp(t *testing.T) {
	t.Parallel()
	l := New(t, Options{Plugins: 3})
	status, body, err := l.Get("/")
	if err != nil || status != http.StatusOK || !Complete(body) {
		t.Fatalf("status %d, complete %v, err %v", status, Complete(body), err)
	}
	for n := 1; n <= 3; n++ {
		if !strings.Contains(body, "<!-- "+Slug(n)+" saw ") {
			t.Errorf("%s did not run", Slug(n))
		}
	}
}
