package history

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

const (
	// fresh is how long after its beginning it is kept in memory whom an incident is about: whoever asks for one site asks
	// for the last few hours, again and again while a host is in trouble.
	fresh = 4 * time.Hour
	// mostAbout bounds how many; of the others the files are read.
	mostAbout = 20_000
)

// index says whom ended incidents are about, so that those of other sites need not be read.
type index struct {
	seed maphash.Seed

	mu  sync.Mutex
	of  map[ulid.ULID][]uint64 // the words for its sites, hashed
	now time.Time              // what is older than fresh at this time has been dropped
}

// learn notes whom an incident is about. Of one that goes on that is not known yet.
func (x *index) learn(i Incident) {
	id, err := ulid.ParseStrict(i.ID)
	if err != nil || i.State == Ongoing || time.Since(ulid.Time(id.Time())) > fresh {
		return
	}
	var words []uint64
	for _, s := range append([]SiteRef{i.Site}, i.Sites...) {
		for _, word := range []string{s.ID, s.Domain, s.Root} {
			words = append(words, maphash.String(x.seed, word))
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(time.Now())
	if x.of == nil {
		x.of = map[ulid.ULID][]uint64{}
	}
	if len(x.of) < mostAbout {
		x.of[id] = words
	}
}

// other: the incident is known to be about other sites than this one.
func (x *index) other(id, site string) bool {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	words, known := x.of[u]
	return known && !slices.Contains(words, maphash.String(x.seed, site))
}

// drop forgets what is no longer asked for, from time to time.
func (x *index) drop(now time.Time) {
	if now.Sub(x.now) < fresh/16 {
		return
	}
	x.now = now
	for id := range x.of {
		if now.Sub(ulid.Time(id.Time())) > fresh {
			delete(x.of, id)
		}
	}
}
