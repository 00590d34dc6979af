package api

import (
	"context"
	"sync"
	"time"

	"wpmend/agent/site"
)

const (
	// sightFor is how long what was seen of the host counts as what is there.
	sightFor = time.Second
	// sightShare bounds the time that is spent on looking: one part in so many.
	sightShare = 20
	// sightPatience is how long a new look is waited for where there is an old one.
	sightPatience = 2 * time.Second
	// sightBound is how long one look may take.
	sightBound = 2 * time.Minute
)

// sight is what the host looks like, asked by many and looked at by one.
type sight struct {
	look func(context.Context) (site.Host, error)

	mu      sync.Mutex
	host    site.Host
	seen    bool
	err     error
	at      time.Time // when the last look began
	took    time.Duration
	looking chan struct{} // closed at its end; nil: nobody looks
}

// now is the host as it is, or as it was where a new look takes long.
func (s *sight) now(ctx context.Context) (site.Host, error) {
	s.mu.Lock()
	if s.seen && time.Since(s.at) < max(sightFor, sightShare*s.took) {
		defer s.mu.Unlock()
		return s.host, nil
	}
	if s.looking == nil {
		s.looking, s.at = make(chan struct{}), time.Now()
		go s.lookOnce(s.looking)
	}
	looking, seen := s.looking, s.seen
	s.mu.Unlock()
	var patience <-chan time.Time
	if seen {
		timer := time.NewTimer(sightPatience)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-looking:
	case <-patience:
	case <-ctx.Done():
		return site.Host{}, ctx.Err()
	}
	return s.last()
}

func (s *sight) lookOnce(done chan struct{}) {
	// Not one caller's: others wait for it as well.
	ctx, cancel := context.WithTimeout(context.Background(), sightBound)
	defer cancel()
	began := time.Now()
	host, err := s.look(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.took, s.looking = err, time.Since(began), nil
	if err == nil {
		s.host, s.seen = host, true
	}
	close(done)
}

// last is what was seen last, without a new look.
func (s *sight) last() (site.Host, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen {
		return s.host, nil
	}
	return site.Host{}, s.err
}
