package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wpmend/php/process"
)

// Attacks by the owner of a site on what wpmend talks with and listens to: sockets, the database, processes, logs, and
// the private copy of his pool. What must hold after each is said in attackfiles_test.go.

// wire is an attack with something more that must not have come of it.
type wire struct {
	attack
	held func(g *ground) string // before all is put back: what got through, "" if nothing
}

func TestAttackWires(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	tried, escaped, all := 0, 0, 0
	type table struct {
		attacks []wire
		always  int // of them, the first ones; the others where there is time (WPMEND_LONG)
	}
	for name, tables := range map[string][]table{"sockets": {{responders, 3}, {databases, 2}}, "words": {{forgeries, 2}, {inShadow, 1}}} {
		var attacks []wire
		for _, of := range tables {
			all += len(of.attacks)
			if os.Getenv("WPMEND_LONG") == "" {
				of.attacks = of.attacks[:of.always]
			}
			attacks = append(attacks, of.attacks...)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGround(t)
			settings, err := os.ReadFile(g.config)
			g.must(err)
			g.write(g.config, string(settings)+"probe.timeout = \"1s\"\n")
			before := g.watched()
			for _, w := range attacks {
				start := time.Now()
				var more string
				a := w.attack
				a.first = func(g *ground) {
					if w.first != nil {
						w.first(g)
					}
					if w.held != nil {
						g.undo = append(g.undo, func() { more = w.held(g) })
					}
				}
				if a.sh == "" {
					a.sh = "true"
				}
				escapes, _ := g.try(a, before)
				if more != "" {
					escapes = append(escapes, more)
				}
				mu.Lock()
				if tried++; len(escapes) > 0 {
					escaped++
				}
				mu.Unlock()
				verdict := "held"
				if len(escapes) > 0 {
					verdict = "ESCAPED"
				}
				t.Logf("%-8s %5.1f s  %s", verdict, time.Since(start).Seconds(), w.name)
				for _, e := range escapes {
					t.Errorf("%s: %s", w.name, e)
				}
			}
		})
	}
	t.Cleanup(func() { t.Logf("attacks: %d of %d, escapes: %d", tried, all, escaped) })
}

// mended: the site is well, and nothing of it is off but what the incidents say, which is the culprit alone.
func mended(g *ground) string {
	if status, _, err := g.Get("/"); err != nil || status != 200 {
		return fmt.Sprintf("the site is not healed: %d, %v", status, err)
	}
	var list incidentsJSON
	g.json("incidents").exits(exitDone).into(&list)
	for _, i := range list.Incidents {
		for _, c := range i.Culprits {
			if c.Component != "plugin:"+g.culprit {
				return "convicted " + c.Component
			}
		}
		if i.Site.Root != g.Site(0).Root {
			return "an incident of " + i.Site.Root
		}
	}
	if len(list.Incidents) != 1 {
		return fmt.Sprintf("%d incidents, want one", len(list.Incidents))
	}
	return ""
}

// sleepers are what an attack left running: programs of the owner's that sleep for so long.
func (g *ground) sleepers(seconds string) (found []process.Process) {
	g.t.Helper()
	procs, err := process.List()
	g.must(err)
	for _, p := range procs {
		if slices.Contains(p.Argv, seconds) && strings.Contains(strings.Join(p.Argv, " "), "sleep") {
			found = append(found, p)
		}
	}
	return found
}

// background starts a program as the owner, by a title of his choice, until the site is put back.
func (g *ground) background(title string, args ...string) {
	g.t.Helper()
	cmd := exec.Command(args[0])
	cmd.Args = append([]string{title}, args[1:]...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: ownerID, Gid: ownerID}}
	g.must(cmd.Start())
	g.undo = append(g.undo, func() {
		// It may have ended by itself.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
}

// sitesAre gives what wpmend takes for the host's sites.
func (g *ground) sitesAre() string {
	g.t.Helper()
	var list struct {
		Sites []struct{ Domain, Root, Owner, Pool string }
	}
	g.must(json.Unmarshal([]byte(g.json("sites").stdout), &list))
	return fmt.Sprintf("%+v", list.Sites)
}

// own is a folder of the owner's beside his root.
func (g *ground) own(name, text string) string {
	g.t.Helper()
	dir := filepath.Join(g.home, "mine")
	g.must(os.MkdirAll(dir, 0o755))
	g.must(os.Lchown(dir, ownerID, ownerID))
	path := filepath.Join(dir, name)
	g.write(path, text)
	g.must(os.Lchown(path, ownerID, ownerID))
	return path
}
