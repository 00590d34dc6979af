package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	crashing "wpmend/packaging/crash"
	"wpmend/packaging/lab"
)

// The tests of this file hold a whole wpmend, on a real site with a real database, at every
// system call that changes something or asks the database, and let that call go wrong.

// deed is a command that faults come over.
type deed struct {
	name   string
	fix    string // how a culprit is switched off
	broken bool   // the site is
	begin  func(f *faulty)
	args   func(f *faulty) []string
	share  [2]int // one of so many faults is tried in the short run, and in the long
}

func disableOne(f *faulty) []string   { return []string{"disable", f.domain(), "plugin:" + lab.Slug(2)} }
func disableTheme(f *faulty) []string { return []string{"disable", f.domain(), "theme:" + f.theme} }
func heal(f *faulty) []string         { return []string{"heal", f.domain()} }
func recoverAll(*faulty) []string     { return []string{"recover"} }

var deeds = []deed{
	{name: "disable", args: disableOne, share: [2]int{120, 2}},
	{name: "enable", begin: func(f *faulty) { f.run(disableOne(f)...).exits(0) }, share: [2]int{120, 2},
		args: func(f *faulty) []string { return []string{"enable", f.domain(), "plugin:" + lab.Slug(2)} }},
	{name: "disable a theme", args: disableTheme, share: [2]int{120, 2}},
	{name: "enable a theme", begin: func(f *faulty) { f.run(disableTheme(f)...).exits(0) }, share: [2]int{120, 2},
		args: func(f *faulty) []string { return []string{"enable", f.domain(), "theme:" + f.theme} }},
	{name: "recover", begin: func(f *faulty) { f.interrupt(disableOne(f)) }, args: recoverAll, share: [2]int{120, 2}},
	{name: "recover a theme", begin: func(f *faulty) { f.interrupt(disableTheme(f)) }, args: recoverAll, share: [2]int{120, 2}},
	{name: "heal", broken: true, args: heal, share: [2]int{400, 20}},
	{name: "heal by the database", fix: "deactivate", broken: true, args: heal, share: [2]int{400, 20}},
}

// harm is what comes over a call.
type harm struct {
	name    string
	verdict crashing.Verdict
	forGood bool // over all later ones that it fits, too
	calls   []string
}

var (
	spaceTaking = []string{"open", "write", "mkdir", "rename", "fsync"}
	onDisk      = append([]string{"unlink", "truncate", "ftruncate", "chmod", "chown"}, spaceTaking...)
	harms       = []harm{
		{"SIGKILL", crashing.Kill(), false, append([]string{"send"}, onDisk...)},
		{"SIGKILL in mid-write", crashing.Torn(), false, []string{"write"}},
		{"SIGKILL once sent", crashing.KillAfter(), false, []string{"write", "send"}},
		{"ENOSPC", crashing.Fail(unix.ENOSPC), false, spaceTaking},
		{"EROFS", crashing.Fail(unix.EROFS), false, onDisk},
		{"EIO", crashing.Fail(unix.EIO), false, onDisk},
		{"EINTR", crashing.Fail(unix.EINTR), false, []string{"open", "write", "fsync"}},
		{"short write", crashing.Part(), false, []string{"write"}},
		{"connection reset", crashing.Fail(unix.ECONNRESET), false, []string{"send"}},
		{"ENOSPC for good", crashing.Fail(unix.ENOSPC), true, spaceTaking},
		{"EROFS for good", crashing.Fail(unix.EROFS), true, onDisk},
		{"EIO for good", crashing.Fail(unix.EIO), true, onDisk},
		{"connection reset for good", crashing.Fail(unix.ECONNRESET), true, []string{"send"}},
	}
)

// faulty is a stage on which faults happen.
type faulty struct {
	*stage
	theme        string
	points, runs int
	asFound, put int
}

// look is all that must be one of two: as found, or as fixed and verified.
type look struct {
	site    lab.Snapshot
	records string // the states in the journal, in order
}

func TestFaults(t *testing.T) {
	t.Parallel()
	isHeal := func(d deed) bool { return d.broken }
	for name, some := range map[string][]deed{
		"by hand": slices.DeleteFunc(slices.Clone(deeds), isHeal),
		"healing": slices.DeleteFunc(slices.Clone(deeds), func(d deed) bool { return !isHeal(d) }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lab.Options{Plugins: 4})
			f := &faulty{stage: s, theme: s.snapshot().Options["stylesheet"]}
			for _, d := range some {
				f.all(d)
			}
			fmt.Printf("%s: %d points of injection, %d runs: %d times as found, %d done and verified\n", name, f.points, f.runs, f.asFound, f.put)
		})
	}
}

// all lets the faults come over a deed, a fixed choice of them.
func (f *faulty) all(d deed) {
	f.t.Helper()
	if d.broken {
		f.breakBy(lab.Blank200, lab.Slug(3))
	}
	f.write(f.config, fmt.Sprintf("only = [%q]\nbudget.site = 1000\nbudget.pool = 1000\nbudget.host = 10000\nsearch.fix = %q\n", f.Dir, cmp.Or(d.fix, "rename")))
	before, after, calls := f.rehearse(d)
	f.points += len(calls)
	share := d.share[0]
	if os.Getenv("WPMEND_LONG") != "" {
		share = d.share[1]
	}
	random := rand.New(rand.NewPCG(1, uint64(len(d.name))))
	for _, h := range harms {
		for _, c := range calls {
			if slices.Contains(h.calls, c.Name) && random.IntN(share) == 0 && !f.t.Failed() {
				f.suffer(d, h, c, before, after)
			}
		}
	}
	if d.broken {
		f.must(f.Mend(0))
	}
}

// rehearse runs a deed unharmed.
func (f *faulty) rehearse(d deed) (before, after look, calls []crashing.Call) {
	f.t.Helper()
	f.fresh(d)
	before = f.look()
	r, calls := f.watch(func(crashing.Call) crashing.Verdict { return crashing.Pass() }, d.args(f)...)
	if r.code != 0 {
		f.t.Fatalf("%s: %s", d.name, r)
	}
	after = f.look()
	f.clear()
	return before, after, calls
}

// fresh begins with a state folder of its own.
func (f *faulty) fresh(d deed) {
	f.t.Helper()
	f.must(os.RemoveAll(f.state))
	if d.begin != nil {
		d.begin(f)
	}
}

// clear puts the site back as it was before the deed's beginning.
func (f *faulty) clear() {
	f.t.Helper()
	for _, r := range f.journal() {
		if r.State != "verified" {
			continue
		}
		if r.Incident != "" {
			f.run("incidents", "undo", r.Incident).exits(0)
		} else {
			component, _, _ := strings.Cut(strings.TrimPrefix(r.What, "switch off "), " ")
			f.run("enable", f.domain(), component).exits(0)
		}
	}
}

type entry struct {
	State    string `json:"state"`
	Incident string `json:"incident"`
	What     string `json:"what"`
}

func (f *faulty) journal() (all []entry) {
	f.t.Helper()
	files, err := filepath.Glob(filepath.Join(f.state, "journal", "0*.json"))
	f.must(err)
	slices.Sort(files)
	for _, name := range files {
		text, err := os.ReadFile(name)
		f.must(err)
		var e entry
		if err := json.Unmarshal(text, &e); err != nil {
			f.t.Errorf("%s: %v", name, err)
		}
		all = append(all, e)
	}
	return all
}

func (f *faulty) look() look {
	f.t.Helper()
	var states []string
	for _, e := range f.journal() {
		states = append(states, e.State)
	}
	return look{f.snapshot(), strings.Join(states, " ")}
}

// suffer lets harm come over one call of a deed, recovers, and looks.
func (f *faulty) suffer(d deed, h harm, at crashing.Call, before, after look) {
	f.t.Helper()
	f.fresh(d)
	label := fmt.Sprintf("%s: %s at %s", d.name, h.name, strings.ReplaceAll(at.String(), f.Dir, ""))
	hit := false
	r, _ := f.watch(func(c crashing.Call) crashing.Verdict {
		if slices.Contains(h.calls, c.Name) && (c.N == at.N || h.forGood && hit) {
			hit = true
			return h.verdict
		}
		return crashing.Pass()
	}, d.args(f)...)
	f.runs++
	killed := strings.HasPrefix(h.name, "SIGKILL") && hit
	if (r.code == -1) != killed || strings.Contains(r.stderr, "goroutine ") {
		f.t.Errorf("%s: %s", label, r)
	}
	if !killed {
		f.honest(label, r, before, after)
	}
	var left recoverJSON
	for range 2 {
		left = recoverJSON{}
		again := f.json("recover")
		if again.into(&left); again.code != 0 || !left.Clean {
			f.t.Errorf("%s: recover: %s", label, again)
		}
	}
	if len(left.Changes) > 0 {
		f.t.Errorf("%s: a second recover did %+v", label, left.Changes)
	}
	f.run("incidents").exits(0)
	now := f.look()
	settled := strings.NewReplacer("planned", "undone", "applied", "undone")
	switch is := func(l look) bool { return l.site.Diff(now.site) == "" }; {
	case is(after) && now.records == settled.Replace(after.records):
		f.put++
	case is(before) && (now.records == settled.Replace(before.records) || !strings.Contains(now.records, "verified")):
		f.asFound++
	default:
		f.t.Errorf("%s: neither as found nor as done; the journal says %q (before %q, after %q)\nagainst before:\n%s\nagainst after:\n%s\n%s", label, now.records, before.records, after.records,
			before.site.Diff(now.site), after.site.Diff(now.site), r)
	}
	f.tidy(label)
	f.clear()
}

// honest: who lives on says what is, and leaves nothing half-done that the journal does
// not know of.
func (f *faulty) honest(label string, r result, before, after look) {
	f.t.Helper()
	now := f.look()
	done := after.site.Diff(now.site) == ""
	open := strings.Contains(now.records, "planned") || strings.Contains(now.records, "applied")
	switch {
	case r.code == 0 && !done:
		f.t.Errorf("%s: it says that it is done: %s\n%s", label, r, after.site.Diff(now.site))
	case r.code != 0 && r.code != 1 && r.code != 4:
		f.t.Errorf("%s: %s", label, r)
	case r.code != 0 && !open && !done && before.site.Diff(now.site) != "":
		f.t.Errorf("%s: half-done, and the journal says %q: %s\n%s", label, now.records, r, before.site.Diff(now.site))
	case r.code != 0 && !strings.Contains(r.stderr+r.stdout, ":"):
		f.t.Errorf("%s: no word of why: %s", label, r)
	}
}

// tidy: nothing of ours lies around.
func (f *faulty) tidy(label string) {
	f.t.Helper()
	for _, dir := range []string{f.Site(0).Root, f.state} {
		f.must(filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
			if base := filepath.Base(name); strings.HasPrefix(base, ".tmp-") || strings.HasPrefix(base, ".wpmend-") {
				f.t.Errorf("%s: %s is left", label, name)
			}
			return err
		}))
	}
}

// watch runs wpmend held at its calls.
func (f *faulty) watch(decide func(crashing.Call) crashing.Verdict, args ...string) (r result, calls []crashing.Call) {
	f.t.Helper()
	cmd := f.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, time.Second
	h, err := crashing.Hold(cmd, func(path string) bool {
		return strings.HasPrefix(path, f.Dir+"/") || strings.HasPrefix(path, "/run/wpmend/")
	}, func(c crashing.Call) crashing.Verdict {
		calls = append(calls, c)
		return decide(c)
	})
	if err == nil {
		err = h.Wait()
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		f.t.Fatalf("%q: %v: %s", args, err, stderr.String())
	}
	return result{t: f.t, args: args, code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}, calls
}

// interrupt lets a command die when all is done and nothing is verified yet.
func (f *faulty) interrupt(args []string) {
	f.t.Helper()
	f.watch(func(c crashing.Call) crashing.Verdict {
		if c.Name == "write" && bytes.Contains(c.Data, []byte(`"state": "verified"`)) {
			return crashing.Kill()
		}
		return crashing.Pass()
	}, args...)
	if records := f.look().records; records != "applied" {
		f.t.Fatalf("%q was not interrupted where it should be: the journal says %q", args, records)
	}
}
