package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The manual has a page for every command, which troff and mandoc take without a warning.
func TestManual(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside(t, "man", dir).exits(0)
	var pages []string
	for _, c := range commands(newRoot(&invocation{})) {
		file := filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, file)
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION"} {
			if !strings.Contains(string(text), "\n.SH "+section+"\n") {
				t.Errorf("%s has no %s", file, section)
			}
		}
	}
	said, err := exec.Command("mandoc", append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput()
	if err != nil || len(said) > 0 {
		t.Errorf("mandoc: %v\n%s", err, said)
	}
	for _, page := range pages {
		said, err := exec.Command("groff", "-man", "-k", "-ww", "-z", "-Tutf8", page).CombinedOutput()
		if err != nil || len(said) > 0 {
			t.Errorf("groff: %v\n%s", err, said)
		}
	}
	text, err := exec.Command("mandoc", "-T", "utf8", filepath.Join(dir, "wpmend-bisect.1")).Output()
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.Join(strings.Fields(unstruck(string(text))), " ")
	for _, words := range []string{
		"wpmend-bisect - finds the components at fault", "wpmend bisect SITE [--as-user LOGIN]", "[--url URL]...", "--method HOW",
		"3 unhealthy, the cause is named, nothing was changed", "wpmend bisect example.com --url /checkout/ --fix",
	} {
		if !strings.Contains(plain, words) {
			t.Errorf("the page of bisect does not say %q:\n%s", words, plain)
		}
	}
}

// unstruck takes out how a terminal of old prints bold and underlined.
func unstruck(text string) string {
	var out []rune
	for _, r := range text {
		if r == '\b' && len(out) > 0 {
			out = out[:len(out)-1]
			continue
		}
		out = append(out, r)
	}
	return string(out)
}
