package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// tab does what bash does when the Tab key is pressed behind $1; the words are given as bash
// would part them.
const tab = `
. /usr/share/bash-completion/bash_completion
. "$SCRIPT"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
__start_wpmend 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
`

// bash completes sites, components and incidents as the service tells them, and sites as
// they are remembered where there is none.
func TestTab(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3, Sites: 2}, `mode = "observe"`, `watch.every = "1h"`)
	v := s.serve()
	s.run("disable", s.domain(), "plugin:plugin-02").exits(0)
	s.breakBy(lab.Fatal, "plugin-01")
	s.run("heal", s.domain()).exits(0)
	id := strings.TrimSpace(s.json("incidents").incidentID())

	bin := filepath.Join(s.Dir, "bin")
	s.must(os.Mkdir(bin, 0o755))
	s.must(os.WriteFile(filepath.Join(bin, "wpmend"), []byte("#!/bin/sh\nGORACE=atexit_sleep_ms=0 "+asWpmend+"=wpmend exec "+self(t)+" --config "+s.config+" --state "+s.state+" \"$@\"\n"), 0o755))
	s.must(os.WriteFile(filepath.Join(bin, "script"), []byte(outside(t, "completion", "bash").exits(0).stdout), 0o644))
	press := func(words ...string) []string {
		t.Helper()
		line := strings.NewReplacer(" : ", ":").Replace(strings.Join(words, " "))
		c := exec.Command("bash", append([]string{"--norc", "-c", tab, "bash", line}, words...)...)
		c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "SCRIPT="+filepath.Join(bin, "script"))
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %v", words, err)
		}
		var got []string
		for _, l := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			// Where there is more than one bash shows what each means.
			got = append(got, strings.TrimSpace(strings.Split(l, "  (")[0]))
		}
		slices.Sort(got)
		return got
	}
	want := func(want []string, words ...string) {
		t.Helper()
		if got := press(words...); !slices.Equal(got, want) {
			t.Errorf("%q completes to %q, want %q", words, got, want)
		}
	}
	both := []string{s.domain(), s.Site(1).Domain}
	slices.Sort(both)
	want([]string{"bisect"}, "wpmend", "bi")
	want(both, "wpmend", "check", "sh")
	want(both, "wpmend", "php", "limits", "")
	want([]string{""}, "wpmend", "check", s.domain(), "")
	want([]string{"plugin-03"}, "wpmend", "disable", s.domain(), "plugin", ":", "plugin-0")
	want([]string{"plugin-01", "plugin-02"}, "wpmend", "enable", s.domain(), "plugin", ":", "plugin-0")
	want([]string{id}, "wpmend", "incidents", "undo", "")
	want([]string{"rename"}, "wpmend", "bisect", s.domain(), "--method", "re")

	v.end(syscall.SIGTERM)
	began := time.Now()
	want(both, "wpmend", "heal", "sh")
	want([]string{id}, "wpmend", "incidents", "show", "")
	s.write(s.config, fmt.Sprintf("only = [%q]\n", s.Site(0).Root))
	want([]string{s.domain()}, "wpmend", "heal", "sh")
	t.Logf("without a service, three times Tab took %.2f s", time.Since(began).Seconds())
}

// self is the path of this program.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// incidentID is that of the only incident.
func (r result) incidentID() string {
	r.t.Helper()
	var list struct{ Incidents []struct{ ID string } }
	r.exits(0).into(&list)
	if len(list.Incidents) != 1 {
		r.t.Fatalf("not one incident: %s", r)
	}
	return list.Incidents[0].ID
}
