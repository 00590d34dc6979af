package shadow

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"wpmend/agent/site"
	"wpmend/php/errlog"
	"wpmend/wp"
)

// sight is what a shadow's traces have shown so far, over all its copies. Where a
// hanging request stands is a place: the component that the innermost frame names,
// else the innermost function itself.
type sight struct {
	site  site.Site
	paths wp.Paths
	links []link // component folders that lie elsewhere: PHP shows where they lie

	mu      sync.Mutex
	healthy time.Duration     // the slowest healthy answer but each copy's first
	looks   map[string]int    // how often a request was seen hanging at a place
	entries map[string]string // the component behind a function that was called from outside of it
}

func newSight(s site.Site, paths wp.Paths, links []link) *sight {
	return &sight{site: s, paths: paths, links: links, looks: map[string]int{}, entries: map[string]string{}}
}

// wellDone takes note of a healthy answer.
func (s *sight) wellDone(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healthy = max(s.healthy, took)
}

// patience is how long a request may go without an answer before it can be called a
// hang, by what its worker does and whether others were seen hanging where it is.
func (s *sight) patience(how stance, known bool) time.Duration {
	floor := map[stance]time.Duration{stands: hangFloor, loops: loopFloor, works: workFloor}[how]
	if how == stands && known {
		floor = knownFloor
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(floor, hangFactor*s.healthy)
}

// look takes note of a trace and gives its place.
func (s *sight) look(frames []errlog.Frame) (place string, blamed []string) {
	blamed = s.blamed(frames)
	if len(frames) == 0 {
		return "", blamed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	top := call(frames[0])
	if len(blamed) == 0 {
		// FPM shows where a function was called: a loop of a component's own, between
		// two calls of others, is seen as called from core.
		if id, ok := s.entries[top]; ok {
			return id, []string{id}
		}
		return top, nil
	}
	for _, f := range frames {
		if id, ok := s.blame(f.File); !ok || id != blamed[0] {
			entry := call(f)
			if s.entries[entry] == "" {
				s.entries[entry] = blamed[0]
				s.looks[blamed[0]] += s.looks[entry]
			}
			break
		}
	}
	return blamed[0], blamed
}

// seen counts a look at a hanging request and says whether the place is known now.
func (s *sight) seen(place string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks[place]++
	return s.looks[place] >= 2
}

// known says whether requests were seen to hang at a place often enough.
func (s *sight) known(place string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks[place] >= 2
}

// anyKnown says whether there is such a place.
func (s *sight) anyKnown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.looks {
		if n >= 2 {
			return true
		}
	}
	return false
}

func call(f errlog.Frame) string { return fmt.Sprintf("%s() %s:%d", f.Func, f.File, f.Line) }

// blamed are the components that frames name, the innermost first.
func (s *sight) blamed(frames []errlog.Frame) []string {
	var ids []string
	seen := map[string]bool{}
	for _, f := range frames {
		if id, ok := s.blame(f.File); ok && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *sight) blame(file string) (string, bool) {
	for _, l := range s.links {
		if rest, ok := strings.CutPrefix(file, l.real); ok && (rest == "" || rest[0] == '/') {
			file = s.site.Root + "/" + l.rel + rest
			break
		}
	}
	return wp.Blame(file, s.paths, s.site.Roots()...)
}
