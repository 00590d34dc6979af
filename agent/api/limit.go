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
	ownerBurst     = 60
	nobodyRate     = 2
	nobodyBurst    = 10
	ownerAtOnce    = 4 // requests under way
	ownersAtOnce   = 32
	adminsAtOnce   = 256
	ownerStreams   = 32 // streams and waits, which cost next to nothing
	ownersStreams  = 1024
	adminsStreams  = 4096
	callersMax     = 4096
	ownerJobRate   = 1.0 / 30 // jobs begun a second
	ownerJobBurst  = 10
	bucketIdleFor  = 10 * time.Minute
	retryInSeconds = 2
)

// bucket lets so many pass in a second, after a burst.
type bucket struct {
	left float64
	at   time.Time
}

// take says whether one may pass now, else in how many seconds.
func (b *bucket) take(now time.Time, rate, burst float64) (wait int, ok bool) {
	if b.at.IsZero() {
		b.left = burst
	} else {
		b.left = min(burst, b.left+now.Sub(b.at).Seconds()*rate)
	}
	b.at = now
	if b.left < 1 {
		return int(math.Ceil((1 - b.left) / rate)), false
	}
	b.left--
	return 0, true
}

// limiter counts what callers ask for.
type limiter struct {
	mu      sync.Mutex
	buckets map[string]*usage
	total   [2][2]int // of owners and of administrators: requests, streams
}

// usage is that of one caller.
type usage struct {
	requests bucket
	jobs     bucket
	atOnce   [2]int // requests, streams
}

func (l *limiter) of(key string, now time.Time) *usage {
	if u := l.buckets[key]; u != nil {
		return u
	}
	if l.buckets == nil {
		l.buckets = map[string]*usage{}
	}
	if len(l.buckets) >= callersMax {
		for k, u := range l.buckets {
			if u.atOnce == [2]int{} && now.Sub(u.requests.at) > bucketIdleFor {
				delete(l.buckets, k)
			}
		}
	}
	u := &usage{}
	l.buckets[key] = u
	return u
}

// enter lets a request in, or says why not; leave must be called at its end.
func (l *limiter) enter(c *caller, stream bool) (leave func(), refused *Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	u := l.of(c.key, now)
	rate, burst := float64(ownerRate), float64(ownerBurst)
	if c.role == Nobody {
		rate, burst = nobodyRate, nobodyBurst
	}
	who, kind := 0, 0
	most, all := ownerAtOnce, ownersAtOnce
	if stream {
		kind, most, all = 1, ownerStreams, ownersStreams
	}
	if c.role == Admin {
		who, most, all = 1, adminsAtOnce, adminsAtOnce
		if stream {
			most, all = adminsStreams, adminsStreams
		}
	} else if wait, ok := u.requests.take(now, rate, burst); !ok {
		return nil, tooMany(wait, "more requests than one user may make")
	}
	if u.atOnce[kind] >= most || l.total[who][kind] >= all {
		return nil, tooMany(retryInSeconds, "too many requests are under way")
	}
	u.atOnce[kind]++
	l.total[who][kind]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.atOnce[kind]--
		l.total[who][kind]--
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
	if wait, ok := l.of(c.key, now).jobs.take(now, ownerJobRate, ownerJobBurst); !ok {
		return tooMany(wait, "more checks and searches than one user may begin")
	}
	return nil
}
