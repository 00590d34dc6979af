package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Stand-ins: wpmend as the benchmark reads it, and wp as far as it is used.
const (
	standInWpmend = `#!/bin/sh
# --config FILE --state DIR --json bisect SITE [--fix]
root=$(sed 's/only = \["\(.*\)"\]/\1/' "$2")
changes=
if [ "$8" = --fix ]; then
	mv "$root/wp-content/plugins/plugin-03" "$root/wp-content/plugins/.plugin-03.off" || exit 1
	changes='{"what": "renamed"}'
fi
echo "{\"culprits\": [{\"component\": \"plugin:plugin-03\"}], \"probes\": 4, \"repeats\": 2, \"live_changes\": 0, \"changes\": [$changes]}"
[ -n "$changes" ] || exit 3
`
	standInWP = `#!/bin/sh
# plugin VERB SLUG --skip-plugins --skip-themes --path=ROOT
[ "$(id -u)" != 0 ] || exit 1
cd "${6#--path=}/wp-content/plugins" || exit 1
case $2 in
deactivate) mv "$3" ".$3.off" ;;
activate) mv ".$3.off" "$3" ;;
esac
`
)

// Every way on a real site: what it finds, what it changes, whom it hurts, and that
// the next one starts from the same site.
func TestWays(t *testing.T) {
	bin := t.TempDir()
	for name, text := range map[string]string{"wpmend": standInWpmend, "wp": standInWP} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for dir := bin; dir != "/tmp"; dir = filepath.Dir(dir) { // wp runs as the site's owner
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	s, err := newStage(t.Context(), 6, 5*time.Second, filepath.Join(bin, "wpmend"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	s.suffer = 300 * time.Millisecond
	before, err := s.lab.Snapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		way, fault      string
		probes, changes int
		found, end      string
	}{
		{"bisect", "segfault", 6, 0, "plugin-03", "found"},
		{"fix", "segfault", 6, 1, "plugin-03", "yes"},
		{"wp-cli", "segfault", 3, 5, "plugin-03", "yes"},
		{"halves", "segfault", 4, 11, "plugin-03", "yes"},
		{"each", "two", 6, 12, "", "no"},
		{"folder", "two", 6, 19, "plugin-01 plugin-03", "yes"},
		{"re-add", "conflict", 7, 8, "plugin-03", "yes"},
	} {
		w := ways[slices.IndexFunc(ways, func(w way) bool { return w.name == c.way })]
		r, err := s.measure(t.Context(), w, c.fault, 20, time.Minute)
		if err != nil {
			t.Fatalf("%s, %s: %v", c.way, c.fault, err)
		}
		if r.Probes != c.probes || r.Changes != c.changes || strings.Join(r.Found, " ") != c.found || r.end() != c.end || r.Over {
			t.Errorf("%s, %s: %+v (%s)", c.way, c.fault, r, r.end())
		}
		if v := r.Visitors; v.All < 5 || v.Fault < 3 || v.Fault+v.harmed() > v.All {
			t.Errorf("%s, %s: visitors %+v", c.way, c.fault, v)
		}
		if (c.way == "bisect" || c.way == "fix") && r.Visitors.harmed() > 0 {
			t.Errorf("%s, %s: visitors %+v", c.way, c.fault, r.Visitors)
		}
	}
	if err := s.reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := s.lab.Snapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := before.Diff(after); diff != "" {
		t.Errorf("the site is not what it was:\n%s", diff)
	}

	// Time is up: the way is given up, and not taken for done.
	r, err := s.measure(t.Context(), ways[slices.IndexFunc(ways, func(w way) bool { return w.name == "each" })], "hang", 0, 2*time.Second)
	if err != nil || !r.Over || r.Healed || r.end() != "given up" || r.time() != "> 2 s" || r.Visitors.All != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s, err := parse(strings.Fields("-n 10,120 -fault hang,two -terminate 5s,30s -way bisect,each -rate 0 -limit 20s -json"), io.Discard)
	if err != nil || !slices.Equal(s.sizes, []int{10, 120}) || !slices.Equal(s.faults, []string{"hang", "two"}) ||
		!slices.Equal(s.terminate, []time.Duration{5 * time.Second, 30 * time.Second}) || !slices.Equal(s.ways, []string{"bisect", "each"}) ||
		s.rate != 0 || s.limit != 20*time.Second || !s.json {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := parse(nil, io.Discard); err != nil || len(s.ways) != len(ways) || len(s.faults) != len(faultNames) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"-n 2", "-n 1000", "-n x", "-fault none", "-way none", "-terminate 500ms", "-terminate x", "-times 0", "-rate -1", "-rate 1000", "-limit 1ms", "more"} {
		if _, err := parse(strings.Fields(bad), io.Discard); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printTable(&out, []row{
		{Plugins: 30, Fault: "hang", Terminate: 5, Does: "one", Seconds: 2.345, Probes: 6, Finds: true, Right: true, Visitors: tally{All: 20, Fault: 20}},
		{Plugins: 30, Fault: "hang", Terminate: 5, Does: "two", Seconds: 180.1, Over: true, Probes: 30, Changes: 59, Visitors: tally{All: 20, Fault: 17, Failed: 1, Lacking: 2}},
		{Plugins: 30, Fault: "two", Terminate: 5, Does: "three", Seconds: 1, Healed: true, Found: []string{"plugin-02"}},
		{Plugins: 30, Fault: "two", Terminate: 5, Does: "four", Skipped: "not installed"},
		{Plugins: 30, Fault: "two", Terminate: 5, Does: "five", Healed: true, Missing: 4},
	})
	want := `plugins  fault  ends at  way    time           probes  live changes  visitors harmed  met the fault  of  healed
30       hang   5 s      one    2.35 s         6       0             0                20             20  found
30       hang   5 s      two    > 180 s        30      59            3                17             20  given up

30       two    5 s      three  1.00 s         0       0             0                0              0   yes, but blames plugin-02
30       two    5 s      four   not installed  0       0             0                0              0   -
30       two    5 s      five   0.00 s         0       0             0                0              0   yes, but lacks 4
`
	if got := strings.Join(trimmed(out.String()), "\n"); got != strings.TrimSuffix(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func trimmed(text string) []string {
	var lines []string
	for line := range strings.Lines(strings.TrimSuffix(text, "\n")) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return lines
}
