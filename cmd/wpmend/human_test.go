package main

import (
	"strings"
	"testing"

	"wpmend/packaging/lab"
)

// What a tired administrator reads: what is wrong, how it is known, what was done,
// how to undo it.
func TestHumanOutput(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 12})
	slug := lab.Slug(7)
	says := func(r result, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(r.stdout, w) {
				t.Errorf("want %q in it: %s", w, r)
			}
		}
	}
	says(s.run("sites").exits(0), "SITE", s.domain(), s.Site(0).Root, "www-data")
	says(s.run("check", s.domain()).exits(0), s.domain()+" is healthy (200 after ")
	says(s.run("incidents").exits(0), "No incident has happened yet.")
	says(s.run("recover").exits(0), "Nothing was left half-done.")

	s.breakBy(lab.Segfault, slug)
	says(s.run("check", s.domain()).exits(3), s.domain()+" is failing: bad-gateway", "Cause: worker-crash (85 % sure)", "How it is known:",
		"exited on signal 11", "Mend it with: wpmend heal "+s.domain())
	r := s.run("bisect", s.domain()).exits(3)
	says(r, "At fault: plugin:"+slug+" (version 1.07): worker died: SIGSEGV", "1 of 13 components at fault", "changes to the live site: 0",
		"Nothing was changed. To switch off plugin:"+slug+": wpmend bisect "+s.domain()+" --fix")
	// Progress goes to stderr, a line a step where there is no terminal.
	if !strings.Contains(r.stderr, "round 1: ") || strings.ContainsAny(r.stderr, "\r\x1b") {
		t.Errorf("want plain lines of progress on stderr: %s", r)
	}
	says(s.run("heal", s.domain(), "--dry-run").exits(3), "Nothing was changed (dry run).", "Would do: switch off plugin:"+slug)
	r = s.run("heal", s.domain()).exits(0)
	says(r, s.domain()+" answers well again, after ", "At fault: plugin:"+slug, "Done: switch off plugin:"+slug+" on "+s.domain(),
		"→ wp-content/plugins/"+off(slug), "Undo with: wpmend incidents undo ")
	_, rest, _ := strings.Cut(r.stdout, "Undo with: wpmend incidents undo ")
	id, _, _ := strings.Cut(rest, "\n")
	says(s.run("incidents").exits(0), "INCIDENT", id, s.domain(), "bad-gateway", "resolved", "plugin:"+slug)
	says(s.run("incidents", "show", id).exits(0), "Incident "+id+" on "+s.domain()+": resolved", "Symptom: bad-gateway", "convicted plugin:"+slug,
		"Undo with: wpmend incidents undo "+id)
	says(s.run("incidents", "undo", id).exits(0), "Done: undone: switch off plugin:"+slug)
	says(s.run("incidents", "undo", id).exits(0), "it was undone already")
	says(s.run("disable", s.domain(), "plugin:"+slug).exits(0), "Undo with: wpmend enable "+s.domain()+" plugin:"+slug)
	says(s.run("enable", s.domain(), "plugin:"+slug).exits(0), "Done: undone: switch off plugin:"+slug)
}
