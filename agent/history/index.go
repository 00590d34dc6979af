package history

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Brief is what lists and searches of incidents go by.
type Brief struct {
	ID      string
	Site    SiteRef
	Sites   []SiteRef // the others that it names
	State   string
	Changed bool // something was changed
	Opened  time.Time
	Ended   time.Time
	Over    time.Time
}

// Concerns reports whether the incident is of a site, given by its id, domain or root.
func (b Brief) Concerns(site string) bool {
	return Incident{Site: b.Site, Sites: b.Sites}.Concerns(site)
}

// Index lists a history again and again and reads only what is new in it. It is rebuilt
// from the files: several processes write them. Its methods may be called side by side.
type Index struct {
	store *Store

	mu    sync.Mutex
	at    time.Time // of the folder's last change, when it was listed
	known map[string]indexed
	list  []Brief
	notes error
}

// indexed is what is known of one incident, and by which files.
type indexed struct {
	brief  Brief
	beside string // the files beside it
}

// Index makes an empty one.
func (s *Store) Index() *Index { return &Index{store: s, known: map[string]indexed{}} }

// settling is how long two changes of a folder may carry the same time: the kernel's
// clock for files ticks up to 10 ms apart.
const settling = 50 * time.Millisecond

// List gives the newest [MaxList] incidents, the newest first, which must not be changed.
// What cannot be read is in the error, as joined [*JunkError]s; the others are given all
// the same.
func (x *Index) List() ([]Brief, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	info, err := os.Stat(x.store.dir)
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	if x.list != nil && info.ModTime().Equal(x.at) && time.Since(x.at) > settling {
		return x.list, x.notes
	}
	beside, err := x.store.beside()
	if err != nil {
		return nil, err
	}
	ids, junk, err := x.store.ids()
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	ids = ids[:min(len(ids), MaxList)]
	known, list := make(map[string]indexed, len(ids)), make([]Brief, 0, len(ids))
	for _, id := range ids {
		was, ok := x.known[id]
		if !ok || was.brief.State == Ongoing || was.beside != beside[id] {
			i, err := x.store.read(id)
			if err != nil {
				junk = append(junk, err)
				continue
			}
			was = indexed{Brief{ID: id, Site: i.Site, Sites: slices.Clone(i.Sites), State: i.State, Changed: len(i.Changes) > 0, Opened: i.Opened, Ended: i.Ended, Over: i.Over}, beside[id]}
		}
		known[id] = was
		list = append(list, was.brief)
	}
	x.at, x.known, x.list, x.notes = info.ModTime(), known, list, errors.Join(junk...)
	return x.list, x.notes
}

// beside are the files that say what came after the end of an incident, by its id.
func (s *Store) beside() (map[string]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	found := map[string]string{}
	for _, e := range entries {
		for _, later := range []string{over, undone} {
			if id, ok := strings.CutSuffix(e.Name(), later); ok {
				found[id] += later
			}
		}
	}
	return found, nil
}
