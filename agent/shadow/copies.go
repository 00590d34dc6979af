package shadow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"wpmend/php/fpm"
	"wpmend/wp"
)

// maxCopies is how many private copies live at a time, the one with nothing hidden
// among them. Each has workers and an OPcache of its own.
const maxCopies = 4

var errClosed = errors.New("the shadow is closed")

// copies are the private copies that live, the one used last at the end.
type copies struct {
	start   func(context.Context, []wp.Component) (*fpm.Private, error)
	workers int // of each copy

	mu     sync.Mutex
	freed  *sync.Cond
	alive  []*copied
	closed bool
}

func newCopies(start func(context.Context, []wp.Component) (*fpm.Private, error), workers int) *copies {
	s := &copies{start: start, workers: workers}
	s.freed = sync.NewCond(&s.mu)
	return s
}

// take gives the copy without hide, started if need be. The caller gives it back.
func (s *copies) take(ctx context.Context, hide []wp.Component) (*copied, error) {
	var paths []string
	for _, c := range hide {
		paths = append(paths, c.Path)
	}
	key := strings.Join(paths, "\x00")
	c, mine, err := s.reserve(ctx, key)
	if err != nil {
		return nil, err
	}
	if mine {
		c.private, c.err = s.start(ctx, hide)
		close(c.started)
	}
	select {
	case <-c.started:
		err = c.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		if mine {
			s.remove(c)
		}
		s.give(c)
		return nil, err
	}
	return c, nil
}

// reserve finds the copy or makes room for it; mine says that the caller starts it.
func (s *copies) reserve(ctx context.Context, key string) (c *copied, mine bool, err error) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.freed.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			return nil, false, errClosed
		}
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		if i := slices.IndexFunc(s.alive, func(c *copied) bool { return c.key == key }); i >= 0 {
			c = s.alive[i]
			s.alive = append(slices.Delete(s.alive, i, i+1), c)
			c.users++
			return c, false, nil
		}
		if len(s.alive) < maxCopies {
			c = &copied{key: key, workers: s.workers, started: make(chan struct{}), users: 1, killed: map[int]bool{}}
			s.alive = append(s.alive, c)
			return c, true, nil
		}
		// The one with nothing hidden stays: it is asked again and again.
		i := slices.IndexFunc(s.alive, func(c *copied) bool { return c.users == 0 && c.key != "" })
		if i < 0 {
			s.freed.Wait()
			continue
		}
		idle := s.alive[i]
		s.alive = slices.Delete(s.alive, i, i+1)
		s.mu.Unlock()
		err := idle.close()
		s.mu.Lock()
		if err != nil {
			return nil, false, err
		}
	}
}

// give returns a copy.
func (s *copies) give(c *copied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.users--
	s.freed.Broadcast()
}

// remove takes a copy out of the set, so that the next user starts a new one.
func (s *copies) remove(c *copied) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive = slices.DeleteFunc(s.alive, func(o *copied) bool { return o == c })
	s.freed.Broadcast()
}

// drop ends a copy that does not serve any more.
func (s *copies) drop(c *copied) error {
	s.remove(c)
	return c.close()
}

// close ends all copies. Questions that are still asked get an error.
func (s *copies) close() error {
	s.mu.Lock()
	alive := s.alive
	s.alive, s.closed = nil, true
	s.freed.Broadcast()
	s.mu.Unlock()
	var errs []error
	for _, c := range alive {
		<-c.started
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
