package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/packaging/lab"
	"wpmend/php/process"
)

const (
	crashPlugins = 10
	crashCulprit = 7
)

// many is how often each command that changes something live is killed.
func many() int {
	if os.Getenv("WPMEND_LONG") != "" {
		return 900 // the budget of changes an hour ends at 1000
	}
	return 60
}

// crash counts what the kills met.
type crash struct {
	*stage
	args   []string
	whole  time.Duration // that the command takes when nobody kills it
	before lab.Snapshot
	random *rand.Rand

	kills, midChange, shadows, dropped, recoversKilled, asFound, fixed int
}

// kill -9 at any instant: after `recover` the site is as found, or as fixed and
// verified. Every other kill waits until the disk shows that a change is under way.
func TestKilled(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]struct {
		args    []string
		kills   int
		changes bool // it changes something live
	}{
		"heal":                   {[]string{"heal"}, many(), true},
		"bisect --method rename": {[]string{"bisect", "--method", "rename"}, many(), true},
		"bisect":                 {[]string{"bisect"}, many() / 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			s := newStage(t, lab.Options{Plugins: crashPlugins})
			s.breakBy(lab.Blank200, lab.Slug(crashCulprit))
			c := &crash{stage: s, before: s.snapshot(), random: rand.New(rand.NewPCG(seed, 1))}
			c.args = append([]string{kind.args[0], s.domain()}, kind.args[1:]...)
			start := time.Now()
			s.run(c.args...)
			c.whole = time.Since(start)
			c.putBack()
			for c.kills < kind.kills && !t.Failed() {
				c.round(kind.changes && c.kills%2 == 0)
			}
			if kind.changes && c.midChange < kind.kills/4 {
				t.Errorf("only %d of %d kills met a change under way: the test has lost its aim", c.midChange, c.kills)
			}
			if !kind.changes && c.shadows == 0 {
				t.Error("no kill met a shadow: the test has lost its aim")
			}
			fmt.Printf("%s: killed %d times, %d in mid-change, %d with a shadow up; wp-admin dropped plugins %d times, recover was killed %d times: %d times as found, %d fixed and verified\n",
				name, c.kills, c.midChange, c.shadows, c.dropped, c.recoversKilled, c.asFound, c.fixed)
		})
	}
}

// round starts wpmend, kills it, recovers and compares. aimed waits for a change.
func (c *crash) round(aimed bool) {
	c.t.Helper()
	cmd := c.command(c.args...)
	c.must(cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait() // killed
	}()
	if aimed {
		c.await(func() bool { return len(c.hidden()) > 0 }, ended)
		c.pause(5*time.Millisecond, ended)
	} else {
		c.pause(c.whole, ended)
	}
	children := c.children(cmd.Process.Pid)
	c.must(ignoreDone(cmd.Process.Kill()))
	<-ended
	c.kills++
	if len(c.hidden()) > 0 {
		c.midChange++
		if c.random.IntN(4) == 0 {
			c.dropMissing()
		}
	}
	if c.random.IntN(4) == 0 {
		recovering := c.command("recover")
		c.must(recovering.Start())
		time.Sleep(time.Duration(c.random.Int64N(int64(60 * time.Millisecond))))
		c.must(ignoreDone(recovering.Process.Kill()))
		recovering.Wait() // killed
		c.recoversKilled++
	}
	var left recoverJSON
	c.json("recover").exits(0).into(&left)
	if !left.Clean {
		c.t.Errorf("recover left something to a person: %+v", left.Changes)
	}
	if len(c.hidden()) == 0 {
		c.asFound++
	} else {
		c.fixed++
		if !c.verified() {
			c.t.Errorf("%v is switched off, but the journal does not call it verified", c.hidden())
		}
		c.putBack()
	}
	c.wantSnapshot(c.before)
	c.wantGone(children)
}

// await polls until ready, or until the command has ended by itself.
func (c *crash) await(ready func() bool, ended <-chan struct{}) {
	for !ready() {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (c *crash) pause(most time.Duration, ended <-chan struct{}) {
	select {
	case <-ended:
	case <-time.After(time.Duration(c.random.Int64N(int64(most)))):
	}
}

func ignoreDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func (c *crash) plugins() string { return filepath.Join(c.Site(0).Root, "wp-content", "plugins") }

// hidden lists what is switched off now.
func (c *crash) hidden() []string {
	found, err := filepath.Glob(filepath.Join(c.plugins(), ".*.off-by-wpmend"))
	c.must(err)
	return found
}

// dropMissing does what wp-admin → Plugins does: it takes plugins whose files are
// missing out of active_plugins for good.
func (c *crash) dropMissing() {
	c.t.Helper()
	var there []string
	for n := 1; n <= crashPlugins; n++ {
		if _, err := os.Stat(filepath.Join(c.plugins(), file(n))); err == nil {
			there = append(there, file(n))
		}
	}
	_, err := c.DB().Exec(fmt.Sprintf("UPDATE `%soptions` SET option_value = ? WHERE option_name = 'active_plugins'", c.Site(0).TablePrefix), pluginList(there...))
	c.must(err)
	c.dropped++
}

// records reads the journal.
func (c *crash) records() []record {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.state, "journal", "*.json"))
	c.must(err)
	slices.Sort(files)
	var all []record
	for _, f := range files {
		text, err := os.ReadFile(f)
		c.must(err)
		var r record
		if err := json.Unmarshal(text, &r); err != nil {
			c.t.Errorf("%s: %v", f, err)
		}
		all = append(all, r)
	}
	return all
}

type record struct {
	State    string `json:"state"`
	Incident string `json:"incident"`
	Steps    []struct {
		From string `json:"from"`
	} `json:"steps"`
}

// verified reports whether the newest change of the culprit was proven.
func (c *crash) verified() bool {
	for _, r := range slices.Backward(c.records()) {
		if slices.ContainsFunc(r.Steps, func(s struct {
			From string `json:"from"`
		}) bool {
			return s.From == "wp-content/plugins/"+lab.Slug(crashCulprit)
		}) {
			return r.State == "verified"
		}
	}
	return false
}

// putBack undoes what a whole heal did.
func (c *crash) putBack() {
	c.t.Helper()
	for _, r := range c.records() {
		if r.State == "verified" && r.Incident != "" {
			c.run("incidents", "undo", r.Incident).exits(0)
		}
	}
}

// children are the shadows of a wpmend.
func (c *crash) children(parent int) []process.Process {
	c.t.Helper()
	procs, err := process.List()
	c.must(err)
	procs = slices.DeleteFunc(procs, func(p process.Process) bool { return p.PPID != parent })
	if len(procs) > 0 {
		c.shadows++
	}
	return procs
}

// wantGone: a killed wpmend's private pools end with it, and the next command
// removes their folders.
func (c *crash) wantGone(shadows []process.Process) {
	c.t.Helper()
	for _, p := range shadows {
		// The kernel ends a namespace as fast as its processes can be scheduled.
		for deadline := time.Now().Add(5 * time.Second); p.Alive() && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		if p.Alive() {
			c.t.Errorf("process %d (%q) outlived its wpmend", p.PID, p.Argv)
		}
		for _, word := range p.Argv {
			_, path, found := strings.Cut(word, "/run/wpmend/shadow/")
			id, _, _ := strings.Cut(path, "/")
			if _, err := os.Stat("/run/wpmend/shadow/" + id); found && err == nil {
				c.t.Errorf("the folder of shadow %s is still there", id)
			}
		}
	}
}
