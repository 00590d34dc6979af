package agent

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"wpmend/agent/evidence"
	"wpmend/agent/journal"
	"wpmend/agent/policy"
	"wpmend/agent/probe"
)

// Meter counts what is done. Its methods are called side by side and must not wait.
type Meter interface {
	// Probed: a request has an outcome.
	Probed(r probe.Result)
	// Noticed: a failure that a visitor met proved to be one, so long after it stood in a log.
	Noticed(after time.Duration)
	// Searched: a search ended, with a verdict as in [BisectReport] or an error.
	Searched(verdict string, probes, repeats, rounds int, took time.Duration, err error)
	// Discovered: a look at the host ended.
	Discovered(took time.Duration, err error)
}

// unmetered is the Meter where nobody counts.
type unmetered struct{}

func (unmetered) Probed(probe.Result)                                  {}
func (unmetered) Noticed(time.Duration)                                {}
func (unmetered) Searched(string, int, int, int, time.Duration, error) {}
func (unmetered) Discovered(time.Duration, error)                      {}

// Numbers is how it stands now.
type Numbers struct {
	Mode      string        // of the configuration in force
	Blind     bool          // what was changed on this host could not be read at the start, so it only observes
	Sites     int           // watched
	Failing   int           // of these, those that failed when they were last asked and are left alone for a while
	Working   int           // incidents at work
	Escalated int           // incidents that were left to a person, and whose failure may last
	Round     time.Duration // until every site has been probed once
	Pressed   bool          // the host is short of processors, so sites are probed less often
	Logs      int           // that are followed
	Gateways  int
	Running   int // PHP-FPM masters that run
	Gone      int // those that were seen once and do not run
	Pools     int // of those that run
	Problems  int // notes of the last discovery
	Budget    int // the most changes to this host within an hour
	Recorded
}

// Recorded is what the journal says.
type Recorded struct {
	Records  int
	Unread   int // records that cannot be read
	Bytes    int64
	InForce  int // changes of wpmend's that are in effect
	Terms    int // of these, those that wpmend takes back at a set time
	LastHour int // changes that count for the host's budget
}

// seen is what the loop of [Agent.Run] leaves behind for those who ask from outside.
type seen struct {
	mu   sync.Mutex
	host Numbers
	of   *watching // nil: Run was not called
}

// leave writes down what a discovery found. It belongs to the loop.
func (w *watching) leave(d discovery) {
	s := &w.agent.seen
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of = w
	n := &s.host
	n.Blind, n.Round, n.Pressed = w.blind, w.schedule.Round(), evidence.Pressed()
	if d.err != nil {
		return
	}
	n.Gateways, n.Running, n.Gone, n.Pools, n.Problems = len(d.host.Gateways), 0, 0, 0, len(d.host.Problems)
	for _, m := range d.host.Masters {
		if m.Process.PID == 0 {
			n.Gone++
			continue
		}
		n.Running++
		n.Pools += len(m.Pools)
	}
}

// Numbers counts how it stands; before the first discovery of [Agent.Run] has ended, only
// what the journal says is known.
func (a *Agent) Numbers() Numbers {
	a.seen.mu.Lock()
	n, w := a.seen.host, a.seen.of
	a.seen.mu.Unlock()
	c := a.conf()
	n.Mode, n.Budget = string(c.Mode), c.Budget.Host
	if w != nil {
		w.count(&n)
	}
	n.Recorded = a.records.read(a.journal, filepath.Join(a.state, "journal"), time.Now())
	return n
}

// count adds what changes between two discoveries.
func (w *watching) count(n *Numbers) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n.Sites, n.Logs, n.Working = len(w.sites), len(w.logs), w.open
	failing, escalated := map[string]bool{}, map[string]bool{}
	for key, p := range w.resting {
		if id, _, _ := strings.Cut(key, " "); p.up.IsZero() {
			failing[id] = true
		}
		if last := len(p.incidents) - 1; last >= 0 {
			escalated[p.incidents[last]] = true // the sites of a pool share one
		}
	}
	n.Failing, n.Escalated = len(failing), len(escalated)
}

// records remembers what the journal said: it may hold thousands, and a scrape comes
// every few seconds.
type records struct {
	mu   sync.Mutex
	at   time.Time // when it was read
	of   time.Time // when the folder had changed last, then
	last Recorded
	past []policy.Change
}

// settledFolder is how old a folder's time of change must be when it is read, so that a later
// change surely shows: the kernel's clock for it moves in steps of up to 10 ms.
const settledFolder = 100 * time.Millisecond

func (r *records) read(j *journal.Journal, dir string, now time.Time) Recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A record is replaced by a rename, which changes the folder.
	info, err := os.Stat(dir)
	if err != nil || !info.ModTime().Equal(r.of) || r.at.Sub(r.of) < settledFolder {
		r.at, r.of = now, time.Time{}
		if err == nil {
			r.of = info.ModTime()
		}
		r.again(j, dir)
	}
	n := r.last
	for _, c := range r.past {
		if now.Sub(c.At) < policy.Window {
			n.LastHour++
		}
	}
	return n
}

func (r *records) again(j *journal.Journal, dir string) {
	changes, err := j.List()
	r.last = Recorded{Records: len(changes), Unread: len(notes(err))}
	r.past = counted(changes, func(string) string { return "" })
	for _, c := range changes {
		if !standing(c) {
			continue
		}
		r.last.InForce++
		if !c.Until.IsZero() {
			r.last.Terms++
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // List has said so
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			r.last.Bytes += info.Size()
		}
	}
}
