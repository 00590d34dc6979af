package api

import (
	"math"
	"sync"
	"time"
)

// What one caller, and all that are no administrators together, may ask for. What an
// administrator asks for is bounded by what the service as a whole can bear.
const (
	ownerRate      = 20 // requests a second
	ownerBurst     = 120
	heavyCosts     = 3 // what one that reads much counts for
	nobodyRate     = 5
	nobodyBurst    = 20
	ownerAtOnce    = 4 // requests under way
	ownersAtOnce   = 32
	ownerHeavy     = 1 // of those that read much, or ask PHP
	ownersHeavy    = 3
	adminsAtOnce   = 256
	ownerStreams   = 32 // streams and waits, which cost next to nothing
	ownersStreams  = 1024
	adminsStreams  = 4096
	ownerJobRate   = 1.0 / 30 // jobs begun a second
	ownerJobBurst  = 10
	retryInSeconds = 2
)

// bucket lets so many pass in a second, after a burst.
type bucket struct {
	left float64
	at   time.Time
}

// take says whether one that counts for so many may pass now, else in how many seconds.
func (b *bucket) take(now time.Time, rate, burst, n float64) (wait int, ok bool) {
	if b.at.IsZero() {
		b.left = burst
	} else {
		b.left = min(burst, b.left+now.Sub(b.at).Seconds()*rate)
	}
	b.at = now
	if b.left < n {
		return int(math.Ceil((n - b.left) / rate)), false
	}
	b.left -= n
	return 0, true
}

// strangers is the key of all who own nothing: one user may have tens of thousands of uids
// (subuid(5)).
const strangers = "strangers"

// limiter counts what callers ask for. Its keys are no more than there are owners of sites.
type limiter struct {
	mu      sync.Mutex
	buckets map[string]*usage
	total   [2][weights]int // of owners and of administrators
}

// weight is what a request costs.
type weight int

const (
	light   weight = iota
	heavy          // reads much, or asks PHP
	waiting        // goes on, and costs next to nothing
	weights
)

// usage is that of one caller.
type usage struct {
	requests bucket
	jobs     bucket
	atOnce   [weights]int
}

func (l *limiter) of(key string, now time.Time) *usage {
	if u := l.buckets[key]; u != nil {
		return u
	}
	if l.buckets == nil {
		l.buckets = map[string]*usage{}
	}
	u := &usage{}
	l.buckets[key] = u
	return u
}

// enter lets a request in, or says why not; leave must be called at its end.
func (l *limiter) enter(c *caller, w weight) (leave func(), refused *Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	u := l.of(c.key, now)
	who := 0
	most := [weights]int{ownerAtOnce, ownerHeavy, ownerStreams}
	all := [weights]int{ownersAtOnce, ownersHeavy, ownersStreams}
	if c.role == Admin {
		who = 1
		most = [weights]int{adminsAtOnce, adminsAtOnce, adminsStreams}
		all = most
	}
	if u.atOnce[w] >= most[w] || l.total[who][w] >= all[w] {
		return nil, tooMany(retryInSeconds, "too many requests are under way")
	}
	rate, burst, n := float64(ownerRate), float64(ownerBurst), 1.0
	if c.role == Nobody {
		rate, burst = nobodyRate, nobodyBurst
	} else if w == heavy {
		n = heavyCosts
	}
	if c.role != Admin {
		if wait, ok := u.requests.take(now, rate, burst, n); !ok {
			return nil, tooMany(wait, "more requests than one user may make")
		}
	}
	u.atOnce[w]++
	l.total[who][w]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.atOnce[w]--
		l.total[who][w]--
	}, nil
}

// begin counts a job that an owner begins.
func (l *limiter) begin(c *caller) *Problem {
	if c.role == Admin {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if wait, ok := l.of(c.key, now).jobs.take(now, ownerJobRate, ownerJobBurst, 1); !ok {
		return tooMany(wait, "more checks and searches than one user may begin")
	}
	return nil
}
