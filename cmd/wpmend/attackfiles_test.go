package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"wpmend/packaging/lab"
)

// Attacks by the owner of a site, with his own rights and no others, on a wpmend that
// runs as root. He must gain nothing: no file of another's changes, not even for an
// instant; nothing that he cannot read comes out; wpmend neither hangs, crashes nor
// swells; and what it writes is plain text or whole JSON.

const (
	ownerID      = 33 // www-data, the lab's
	strangerID   = 54321
	secretOfB    = "SECRET-OF-THE-NEIGHBOUR"
	secretOfRoot = "SECRET-OF-ROOT"
	attackLimit  = 60 * time.Second // of one command; ordinary ones take one second
	attackMemory = 1 << 20          // KiB of resident memory; the race detector's included
)

// attack is one of them.
type attack struct {
	name string
	// sh is what the owner does, in his root folder. $B is the root of a neighbour's site, $R a folder of root's,
	// $P the culprit's slug, $H his home.
	sh string
	// first is what he or root does that a shell cannot.
	first func(g *ground)
	told  bool     // what is said of it is read as text and as HTML too
	args  []string // what the administrator, or the service, does then; nil: check
}

var (
	switchOff = []string{"disable", "SITE", "plugin:CULPRIT"}
	healIt    = []string{"heal", "SITE"}
)

// ground is a lab with a neighbour whose files must not be touched.
type ground struct {
	*stage
	neighbour, roots, home, pristine string
	culprit                          string
	active                           string
	undo                             []func()
}

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{stage: newStage(t, lab.Options{Plugins: 6}), culprit: lab.Slug(4)}
	root := g.Site(0).Root
	g.neighbour, g.roots, g.home, g.pristine = filepath.Join(g.Dir, "neighbour"), filepath.Join(g.Dir, "roots"), filepath.Dir(root), filepath.Join(g.Dir, "pristine")
	g.breakBy(lab.Fatal, g.culprit)
	g.active = g.stage.active()
	copyTo := func(to string) { g.must(exec.Command("cp", "-a", "--", root, to).Run()) }
	copyTo(g.pristine)
	copyTo(g.neighbour)
	g.must(errors.Join(os.WriteFile(g.neighbour+"/private", []byte(secretOfB), 0o600),
		os.WriteFile(g.neighbour+"/wp-config.php", []byte("<?php\ndefine( 'DB_NAME', '"+secretOfB+"' ); define( 'DB_USER', '"+secretOfB+"' ); define( 'DB_PASSWORD', '"+secretOfB+"' ); define( 'DB_HOST', '127.0.0.1:1' );\n$table_prefix = 'wp_';\n"), 0o600)))
	g.stage.chown(g.neighbour, strangerID, strangerID)
	g.must(errors.Join(os.MkdirAll(g.roots+"/plugins/"+g.culprit, 0o755), os.WriteFile(g.roots+"/private", []byte(secretOfRoot), 0o600),
		os.WriteFile(g.roots+"/plugins/"+g.culprit+"/"+g.culprit+".php", []byte("<?php // Plugin Name: root's"), 0o644)))
	g.must(os.Lchown(g.home, ownerID, ownerID)) // the site's root is his to exchange
	return g
}

// shell runs a script with the owner's rights alone.
func (g *ground) shell(script string) ([]byte, error) {
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Dir = g.Site(0).Root
	cmd.Env = []string{"PATH=/usr/bin:/bin", "B=" + g.neighbour, "R=" + g.roots, "P=" + g.culprit, "H=" + g.home, "STATE=" + g.state}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ownerID, Gid: ownerID}}
	return cmd.CombinedOutput()
}

// restore puts the site back as it was before an attack.
func (g *ground) restore() {
	for len(g.undo) > 0 {
		last := len(g.undo) - 1
		g.undo[last]()
		g.undo = g.undo[:last]
	}
	root := g.Site(0).Root
	g.must(errors.Join(exec.Command("chmod", "-R", "u+rwX", g.home).Run(), os.RemoveAll(root), os.RemoveAll(g.home+"/mine"), os.RemoveAll(g.home+"/two"), exec.Command("cp", "-a", "--", g.pristine, root).Run(), os.RemoveAll(g.state)))
	g.setActive(g.active)
}

// watched is all that is not the owner's, with times of change that nobody can set back.
func (g *ground) watched() string {
	g.t.Helper()
	var b strings.Builder
	for _, dir := range []string{g.neighbour, g.roots} {
		g.must(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var st unix.Stat_t
			if err := unix.Lstat(path, &st); err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s %o %d:%d inode %d links %d size %d ctime %v\n", path, st.Mode, st.Uid, st.Gid, st.Ino, st.Nlink, st.Size, st.Ctim)
			return nil
		}))
	}
	return b.String()
}

// leaks looks for secrets in what wpmend wrote: on the terminal, and where reports come from.
func (g *ground) leaks(r result) string {
	g.t.Helper()
	all := r.stdout + r.stderr
	err := filepath.WalkDir(g.state, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, rerr := os.ReadFile(path)
			all += string(text)
			err = rerr
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.t.Error(err)
	}
	for _, secret := range []string{secretOfB, secretOfRoot, "root:$", "root:*:"} {
		if strings.Contains(all, secret) {
			return secret
		}
	}
	return ""
}

// try runs one attack and says what got through.
func (g *ground) try(a attack, before string) (escapes []string, usage syscall.Rusage) {
	defer g.restore()
	if a.first != nil {
		a.first(g)
	}
	if out, err := g.shell(a.sh); err != nil {
		return []string{fmt.Sprintf("the attack itself failed, so that it shows nothing: %v: %s", err, out)}, usage
	}
	args := slices.Clone(a.args)
	if args == nil {
		args = []string{"check", "SITE"}
	}
	for i, arg := range args {
		args[i] = strings.ReplaceAll(strings.ReplaceAll(arg, "SITE", g.domain()), "CULPRIT", g.culprit)
	}
	r, usage, hung := g.bounded(append([]string{"--json"}, args...)...)
	escape := func(format string, args ...any) { escapes = append(escapes, fmt.Sprintf(format, args...)) }
	switch {
	case hung:
		escape("it hung")
	case r.code == 2 && !strings.Contains(r.stdout, `"kind": "not-found"`) || r.code < 0 || r.code > 4 || strings.Contains(r.stderr, "goroutine "):
		escape("it broke: %s", r)
	case !json.Valid([]byte(r.stdout)):
		escape("not JSON: %s", r)
	case !utf8.ValidString(r.stderr) || strings.ContainsFunc(r.stderr, obeyed):
		escape("not plain text: %q", r.stderr)
	}
	if a.told {
		for _, e := range g.tells(r) {
			escape("%s", e)
		}
	}
	if usage.Maxrss > attackMemory {
		escape("it took %d MiB", usage.Maxrss>>10)
	}
	if secret := g.leaks(r); secret != "" {
		escape("%s comes out: %s", secret, r)
	}
	if now := g.watched(); now != before {
		escape("another's files were changed:\n%s\nbefore:\n%s", now, before)
	}
	return escapes, usage
}

// tells reads what a person gets of an incident: a terminal obeys none of it, a browser
// runs none, and no line of it is the site's.
func (g *ground) tells(r result) (escapes []string) {
	var h healJSON
	if err := json.Unmarshal([]byte(r.stdout), &h); err != nil || h.Incident == "" {
		return nil // nothing came of it, as of a name that PHP cannot load
	}
	for _, args := range [][]string{{"incidents"}, {"incidents", "show", h.Incident}, {"incidents", "report", h.Incident}, {"incidents", "report", h.Incident, "--format", "html"}} {
		said := g.run(args...)
		text := said.stdout + said.stderr
		if said.code != 0 || !utf8.ValidString(text) || strings.ContainsFunc(text, obeyed) || strings.Contains(text, "\nwpmend: all is well") {
			escapes = append(escapes, fmt.Sprintf("not plain text: %q: %s", args, said))
		}
		if slices.Contains(args, "html") && strings.Contains(text, "<img src=x") {
			escapes = append(escapes, "the report runs what the site says: "+text)
		}
	}
	return escapes
}

// obeyed: what a terminal would obey, or show otherwise than it is.
func obeyed(c rune) bool {
	return c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069
}

// bounded calls wpmend and ends it when it hangs.
func (g *ground) bounded(args ...string) (r result, usage syscall.Rusage, hung bool) {
	g.t.Helper()
	cmd := g.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, time.Second
	g.must(cmd.Start())
	timer := time.AfterFunc(attackLimit, func() { cmd.Process.Kill() })
	_ = cmd.Wait() // the code says it
	hung = !timer.Stop()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		usage = *u
	}
	return result{t: g.t, args: args, code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}, usage, hung
}

func TestAttackFiles(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	tried, escaped, all := 0, 0, 0
	for _, group := range []struct {
		attacks []attack
		every   int // of how many one is tried, unless there is time (WPMEND_LONG)
	}{{leadAstray, 3}, {fillings, 9}, {bombs, 4}, {hostileNames, 3}, {atWork, 5}} {
		attacks := group.attacks
		all += len(attacks)
		if os.Getenv("WPMEND_LONG") == "" {
			attacks = nil
			for n, a := range group.attacks {
				if n%group.every == 2 { // none that makes PHP itself wait for its whole time
					attacks = append(attacks, a)
				}
			}
		}
		t.Run(attacks[0].name, func(t *testing.T) {
			t.Parallel()
			g := newGround(t)
			before := g.watched()
			for _, a := range attacks {
				start := time.Now()
				escapes, usage := g.try(a, before)
				mu.Lock()
				if tried++; len(escapes) > 0 {
					escaped++
				}
				mu.Unlock()
				verdict := "held"
				if len(escapes) > 0 {
					verdict = "ESCAPED"
				}
				t.Logf("%-8s %5.1f s, of the processor %.1f s, %d MiB  %s", verdict, time.Since(start).Seconds(), time.Duration(usage.Utime.Nano()+usage.Stime.Nano()).Seconds(), usage.Maxrss>>10, a.name)
				for _, e := range escapes {
					t.Errorf("%s: %s", a.name, e)
				}
			}
		})
	}
	t.Cleanup(func() { t.Logf("attacks: %d of %d, escapes: %d", tried, all, escaped) })
}
