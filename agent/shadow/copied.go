package shadow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"wpmend/php/fcgi"
	"wpmend/php/fpm"
)

// copied is a private copy of the pool with some components hidden.
type copied struct {
	key     string
	workers int
	users   int           // who has taken it, guarded by copies
	started chan struct{} // closed when private or err is set
	private *fpm.Private
	err     error
	pulse   pulse

	mu     sync.Mutex
	warm   bool          // it has given a healthy answer
	busy   int           // requests that workers have
	spares []*fcgi.Begun // requests begun, each with a worker that waits for the rest
	killed map[int]bool  // workers that were ended from here, or whose end is some request's
}

const (
	// maxSpares keeps workers for those who come first.
	maxSpares = 4
	// A begun request is traced by its own age. One that is headStart old is traced
	// when its script has run for 0.3 s at the least, hardly a moment of an ordinary
	// page; the second look at a page that stands already may come sooner.
	headStart = 760 * time.Millisecond
	twinStart = 900 * time.Millisecond
	freshAge  = 300 * time.Millisecond
	beginTime = 100 * time.Millisecond
	deathTime = 100 * time.Millisecond
)

// ended says that the copy's master has gone by itself.
func (c *copied) ended() bool {
	select {
	case <-c.private.Ended():
		return true
	default:
		return false
	}
}

// dies is ended, a moment after a connection broke: the kernel ends the workers before
// their master is gone.
func (c *copied) dies() bool {
	select {
	case <-c.private.Ended():
		return true
	case <-time.After(deathTime):
		return false
	}
}

func (c *copied) close() error {
	if c.private == nil {
		return nil
	}
	c.mu.Lock()
	c.discard(0)
	c.mu.Unlock()
	return c.private.Close()
}

// occupy counts a request for which a worker is needed, and gives the oldest that has
// begun, but not longer than head ago; nil if there is none.
func (c *copied) occupy(head time.Duration) *fcgi.Begun {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.discard(head)
	c.busy++
	if len(c.spares) > 0 {
		oldest := c.spares[0]
		c.spares = c.spares[1:]
		return oldest
	}
	return nil
}

func (c *copied) vacate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
}

// hasFree says whether a worker is left for one more request.
func (c *copied) hasFree() bool { return !c.busyBut(c.workers - 1) }

// busyBut says whether more requests than these are under way.
func (c *copied) busyBut(these int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy > these
}

// begin gives up requests begun longer than age ago and begins new ones, as far as
// there are workers without work.
func (c *copied) begin(ctx context.Context, age time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, beginTime)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.discard(age)
	for len(c.spares) > 0 && c.busy+len(c.spares) > c.workers {
		c.spares[0].Close()
		c.spares = c.spares[1:]
	}
	for len(c.spares) < maxSpares && c.busy+len(c.spares) < c.workers {
		begun, err := fcgi.Begin(ctx, "unix", c.private.Socket())
		if err != nil {
			return // whoever asks in earnest will see
		}
		c.spares = append(c.spares, begun)
	}
}

// discard gives up requests begun longer than age ago.
func (c *copied) discard(age time.Duration) {
	for len(c.spares) > 0 && c.spares[0].Age() > age {
		c.spares[0].Close()
		c.spares = c.spares[1:]
	}
}

// warmed takes note of a healthy answer and says whether there was one before.
func (c *copied) warmed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.warm
	c.warm = true
	return before
}

// end ends a worker; one that has gone already is as good.
func (c *copied) end(pid int) error {
	c.mu.Lock()
	c.killed[pid] = true
	c.mu.Unlock()
	if err := c.private.EndWorker(pid); err != nil && !errors.Is(err, fpm.ErrNoWorker) {
		return fmt.Errorf("end the stuck worker of the shadow: %w", err)
	}
	return nil
}

// claim takes a worker's end for one request, unless it is accounted for.
func (c *copied) claim(pid int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed[pid] {
		return false
	}
	c.killed[pid] = true
	return true
}
