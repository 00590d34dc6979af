package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"wpmend/agent"
	"wpmend/agent/feed"
	"wpmend/agent/site"
)

// The bounds of jobs.
const (
	ownerJobs  = 1 // running, of one owner
	ownersJobs = 3 // of all owners together
	adminsJobs = 16
	ownerKept  = 16 // ended ones that are kept, of one owner
	adminKept  = 200
	keptFor    = 24 * time.Hour
	ownerBound = 20 * time.Minute
	adminBound = 2 * time.Hour
	// eventsKept is how many events of a job a late listener gets.
	eventsKept = 1024
)

// The states of a job.
const (
	running   = "running"
	done      = "done"
	failed    = "failed"
	cancelled = "cancelled"
)

// jobs are the pieces of work that callers asked for.
type jobs struct {
	agent  *agent.Agent
	feed   *feed.Feed
	log    *slog.Logger
	worked func(kind, state string)

	mu      sync.Mutex
	list    []*job // oldest first
	stopped bool
	work    sync.WaitGroup
}

// job is one of them.
type job struct {
	id      string
	kind    string
	site    agent.SiteRef
	by      string
	key     string // of the caller
	admin   bool
	created time.Time
	cancel  context.CancelFunc

	mu      sync.Mutex
	state   string
	asked   bool // to be cancelled
	ended   time.Time
	result  any
	err     error
	events  []feed.Event
	dropped int           // events before these
	closed  bool          // its last event is out
	changed chan struct{} // closed when something of the above changes
}

// begin runs work beside the requests: it ends with its cause, not with who asked for it.
func (j *jobs) begin(c *caller, kind string, s site.Site, work func(context.Context, *agent.Agent) (any, error)) (*job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.stopped {
		return nil, problem("stopping", "the service ends", "try again when it runs again")
	}
	if err := j.room(c); err != nil {
		return nil, err
	}
	bound := ownerBound
	if c.role == Admin {
		bound = adminBound
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	b := &job{id: ulid.Make().String(), kind: kind, site: agent.Ref(s), by: c.name, key: c.key, admin: c.role == Admin,
		created: time.Now().UTC(), cancel: cancel, state: running, changed: make(chan struct{})}
	j.list = append(j.list, b)
	j.log.Info("a job begins", "job", b.id, "kind", kind, "site", s.Domain, "by", c.name)
	j.worked(kind, running)
	j.tell(b, feed.Event{Kind: feed.Job, Site: b.site, Text: kind + " of " + s.Domain + " begins"})
	j.work.Go(func() {
		defer cancel()
		result, err := j.run(ctx, b, work)
		b.end(result, err)
		state, _ := b.standing()
		j.worked(kind, state)
		j.log.Info("a job has ended", "job", b.id, "kind", kind, "site", s.Domain, "state", state, "err", err)
		j.tell(b, feed.Event{Kind: feed.Job, Site: b.site, Text: kind + " of " + s.Domain + ": " + state})
		b.close()
	})
	return b, nil
}

func (j *jobs) run(ctx context.Context, b *job, work func(context.Context, *agent.Agent) (any, error)) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a fault of wpmend's own: %v", r)
		}
	}()
	return work(ctx, j.agent.Watched(func(p agent.Progress) { j.tell(b, p.Event()) }))
}

// room makes room for one more, or says why there is none.
func (j *jobs) room(c *caller) error {
	now := time.Now()
	own, owners, admins := 0, 0, 0
	var kept []*job
	for _, b := range j.list {
		state, ended := b.standing()
		switch {
		case state == running && b.key == c.key:
			own++
			fallthrough
		case state == running:
			if b.admin {
				admins++
			} else {
				owners++
			}
		case now.Sub(ended) > keptFor:
			continue
		case b.key == c.key:
			kept = append(kept, b)
		}
	}
	switch {
	case c.role == Admin && admins >= adminsJobs, c.role != Admin && own >= ownerJobs, c.role != Admin && owners >= ownersJobs:
		return tooMany(10, "as many checks and searches are under way as may be at once")
	}
	most := ownerKept
	if c.role == Admin {
		most = adminKept
	}
	var gone []*job
	if len(kept) >= most {
		gone = kept[:len(kept)-most+1]
	}
	j.list = slices.DeleteFunc(j.list, func(b *job) bool {
		state, ended := b.standing()
		return state != running && now.Sub(ended) > keptFor || slices.Contains(gone, b)
	})
	return nil
}

// tell publishes an event of a job.
func (j *jobs) tell(b *job, e feed.Event) {
	e.Job = b.id
	e = j.feed.Publish(e)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.events) == eventsKept {
		b.events = b.events[1:]
		b.dropped++
	}
	b.events = append(b.events, e)
	b.rouse()
}

// rouse tells those who wait that something has changed; b.mu is held.
func (b *job) rouse() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *job) end(result any, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = time.Now().UTC()
	switch {
	case err == nil:
		b.state, b.result = done, result
	case b.asked && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		b.state = cancelled
	default:
		b.state, b.err = failed, err
	}
}

// close lets those go who follow it: its last event is out.
func (b *job) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.rouse()
}

func (b *job) standing() (state string, ended time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.ended
}

// stop asks it to end.
func (b *job) stop() {
	b.mu.Lock()
	b.asked = true
	b.mu.Unlock()
	b.cancel()
}

// wait returns when it has ended, or ctx has.
func (b *job) wait(ctx context.Context) {
	for {
		b.mu.Lock()
		changed, ended := b.changed, b.closed
		b.mu.Unlock()
		if ended {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// after gives the events behind the one with this id, whether some between are lost, and
// what to wait for if there are none; ended: none will come.
func (b *job) after(id uint64) (events []feed.Event, gap bool, changed <-chan struct{}, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, _ := slices.BinarySearchFunc(b.events, id+1, func(e feed.Event, id uint64) int {
		switch {
		case e.ID < id:
			return -1
		case e.ID > id:
			return 1
		}
		return 0
	})
	gap = b.dropped > 0 && i == 0 && id < b.events[0].ID-1
	return slices.Clone(b.events[i:]), gap, b.changed, b.closed
}

// all are the jobs, the newest first.
func (j *jobs) all() []*job {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := slices.Clone(j.list)
	slices.Reverse(list)
	return list
}

// stop ends all jobs and lets none begin.
func (j *jobs) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stopped = true
	for _, b := range j.list {
		b.stop()
	}
}
