package watch

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"wpmend/php/errlog"
)

// pace bounds what following costs, however fast the files grow.
type pace struct {
	settle  time.Duration // between the first news and the reading: what is written together is read together
	gap     time.Duration // after a turn
	poll    time.Duration // between two looks at the files of which no news come
	parts   int           // looks until every file of a folder that tells of itself was looked at, too
	file    int64         // bytes read of one file in a turn
	turn    int64         // bytes read in a turn
	backlog int64         // bytes that a file may be ahead; what is more is skipped
	idle    time.Duration // how long a file stays open without news, and a rotated one after it was replaced
	open    int           // files that are kept open
	folders int           // folders that the kernel is asked to tell of
	files   int
}

var usualPace = pace{settle: 10 * time.Millisecond, gap: 50 * time.Millisecond, poll: 2 * time.Second, parts: 30,
	file: 1 << 20, turn: 16 << 20, backlog: 8 << 20, idle: time.Minute, open: 1024, folders: 16_384, files: 50_000}

const (
	// chunk is what one read takes; all files share the buffer.
	chunk = 256 << 10
	// maxLine is the longest line that is waited for; of a longer one nothing is told.
	maxLine = 64 << 10
	// maxNews is how many news are taken at once; the kernel puts together what waits.
	maxNews = 4096
)

// Follower tells of the lines that are appended to many files, whatever lies there:
// logs are rotated, truncated, flooded, not there yet, or a customer has put a named
// pipe or a link in the place of one. Files are opened as package errlog does.
//
// One goroutine does all the work, and memory does not depend on what is written: a
// line that is not finished stays in its file until it is. The kernel's news of a
// folder say where to look; where there are none (no watches left, a network's file
// system) files are looked at every two seconds.
type Follower struct {
	take func(path string, lines []byte)
	note func(path, what string)
	pace pace

	mu      sync.Mutex
	files   map[string]*followed
	folders map[string]*folder
	looks   int
	queue   []*followed // to be read, first come first served
	opened  int
	buffer  []byte
	watcher *fsnotify.Watcher // nil: the kernel gives none
	watches int
	overrun chan struct{} // the kernel had more news than it keeps
	crowded bool          // noted that there are too many
}

// NewFollower makes a follower of no files. take gets whole lines of one file, valid
// until it returns; note gets what a person should know of a file. Both are called
// from Run and Set, and must call neither.
func NewFollower(take func(path string, lines []byte), note func(path, what string)) *Follower {
	return &Follower{take: take, note: note, pace: usualPace, files: map[string]*followed{}, folders: map[string]*folder{},
		buffer: make([]byte, chunk), overrun: make(chan struct{}, 1)}
}

// Set replaces the files, given by absolute paths. A known one is followed from
// where it was; of a new one the present end counts as read, and one that does not
// exist yet is read from its beginning once it does.
func (f *Follower) Set(paths []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted := make(map[string]bool, len(paths))
	for _, p := range paths {
		wanted[p] = true
	}
	for p, x := range f.files {
		if !wanted[p] {
			f.forget(x)
		}
	}
	for _, p := range paths {
		if f.files[p] != nil {
			continue
		}
		if len(f.files) == f.pace.files {
			if !f.crowded {
				f.note(p, fmt.Sprintf("more than %d logs; this one and others are not followed, scheduled probes go on", f.pace.files))
			}
			f.crowded = true
			break
		}
		x := &followed{path: p}
		f.files[p] = x
		f.enter(x)
		// After the watch is set: what is written in between is news.
		mark, err := errlog.MarkFile(p)
		x.at, x.seen = mark, mark
		f.complain(x, err)
	}
}

// Run follows until ctx ends. Only one Run at a time.
func (f *Follower) Run(ctx context.Context) {
	poll := time.NewTicker(f.pace.poll)
	defer poll.Stop()
	defer f.close()
	f.wake()
	for {
		var resume <-chan time.Time
		if f.waiting() {
			resume = time.After(0)
		}
		events := f.news()
		select {
		case <-ctx.Done():
			return
		case <-resume:
		case <-poll.C:
			f.lookOn(time.Now())
		case e, ok := <-events:
			if ok {
				f.heard(e)
			}
		case <-f.overrun: // anything may be new
			f.look(time.Now())
		}
		if !pause(ctx, f.pace.settle) {
			return
		}
		f.collect(events)
		f.turn(time.Now())
		if !pause(ctx, f.pace.gap) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (f *Follower) waiting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue) > 0
}

// collect takes the news that came meanwhile.
func (f *Follower) collect(events <-chan fsnotify.Event) {
	for range maxNews {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			f.heard(e)
		default:
			return
		}
	}
}

// heard queues the files that an event may concern. What happened to them is seen
// when they are read.
func (f *Follower) heard(e fsnotify.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.folders[e.Name]; d != nil && e.Has(fsnotify.Remove|fsnotify.Rename) {
		f.lost(d)
		return
	}
	d := f.folders[filepath.Dir(e.Name)]
	if d == nil {
		return
	}
	d.heard = true
	for _, x := range d.named(filepath.Base(e.Name)) {
		f.enqueue(x)
	}
}

func (f *Follower) enqueue(x *followed) {
	if !x.queued {
		x.queued = true
		f.queue = append(f.queue, x)
	}
}

// turn reads what is queued, within bounds; the rest waits for the next turn.
func (f *Follower) turn(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	queue := f.queue
	f.queue = nil
	left := f.pace.turn
	for i, x := range queue {
		if left <= 0 {
			f.queue = append(f.queue, queue[i:]...)
			return
		}
		x.queued = false
		n, more := f.read(x, now)
		if left -= n; more {
			f.enqueue(x)
		}
	}
}

// look finds files that changed without news, sees to the watches, and closes what
// is idle.
func (f *Follower) look(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.folders {
		f.lookInto(d, now, true)
	}
}

// lookOn is look, but of the files of a folder that tells of itself only those are
// looked at that are open, and the others once in so many times: there are thousands.
func (f *Follower) lookOn(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	for _, d := range f.folders {
		f.lookInto(d, now, !d.watched || d.deaf > 0 || (d.part+f.looks)%f.pace.parts == 0)
	}
}

func (f *Follower) lookInto(d *folder, now time.Time, all bool) {
	d.deaf = max(d.deaf-1, 0)
	missed := false
	for _, x := range d.files {
		if !all && x.tail.File == nil && x.old == nil {
			continue
		}
		if x.tail.File != nil && now.Sub(x.news) > f.pace.idle {
			f.shut(x)
		}
		switch {
		case x.seen != seen(x.path):
			f.enqueue(x)
			missed = true
		case x.old != nil, x.tail.File != nil && x.seen == errlog.Mark{}:
			f.enqueue(x) // a renamed file makes no news under its old name
		}
	}
	if missed && d.watched && !d.heard {
		f.unwatch(d) // its path may lead elsewhere by now
		d.deaf = f.pace.parts
	}
	if all {
		d.heard = false
	}
	f.watch(d)
}

func (f *Follower) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watcher != nil {
		// What Close reports is that it was closed already.
		_ = f.watcher.Close()
		f.watcher = nil
	}
	for _, x := range f.files {
		f.shut(x)
		f.drop(x)
	}
	for _, d := range f.folders {
		f.lost(d)
	}
}
