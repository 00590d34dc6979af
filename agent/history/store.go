package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"wpmend/agent/journal"
)

const (
	// MaxList bounds one list.
	MaxList = 10_000
	suffix  = ".json"
	undone  = ".undone.json"
	over    = ".over.json"
)

// ErrUnknown is what an id without an incident gives.
var ErrUnknown = errors.New("the history has no such incident")

// JunkError names a file that is not a readable incident.
type JunkError struct {
	File string
	Err  error
}

func (e *JunkError) Error() string { return fmt.Sprintf("%s is not an incident: %v", e.File, e.Err) }
func (e *JunkError) Unwrap() error { return e.Err }

// Store is the history of one host, in one folder.
type Store struct {
	dir string
	// saving and listing keep those who write and read from waiting in the kernel, for the lock of the folder or for the
	// disk: each has a thread of the process there, and a failure that all sites have in common would make thousands.
	saving  sync.Mutex
	listing chan struct{}
	about   index
}

// listsAtOnce bounds how many lists are read at the same moment.
const listsAtOnce = 4

// Open opens the history in a folder, an absolute path, and makes it if it is
// missing (0700). It refuses a folder that is not root's own.
func Open(dir string) (*Store, error) {
	if err := journal.Prepare(dir); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &Store{dir: dir, listing: make(chan struct{}, listsAtOnce), about: index{seed: maphash.MakeSeed()}}, nil
}

// Clean removes what writers that died have left beside the incidents.
func (s *Store) Clean() error {
	if err := journal.Clean(s.dir); err != nil {
		return fmt.Errorf("clean the history: %w", err)
	}
	return nil
}

// Open begins an incident and writes it down; see [Begin].
func (s *Store) Open(i Incident) (Incident, error) {
	i = Begin(i)
	return i, s.write(i)
}

// Begin gives an incident its id and, unless it has one, its time. It is not written
// down before [Store.Save] or [Store.Close].
func Begin(i Incident) Incident {
	i.ID, i.State = ulid.Make().String(), Ongoing
	if i.Opened.IsZero() {
		i.Opened = now()
	}
	return i
}

// Save writes an open incident as it stands now.
func (s *Store) Save(i Incident) error {
	if i.State != Ongoing {
		return fmt.Errorf("incident %s is %s: it is ended by Close", i.ID, i.State)
	}
	return s.write(i)
}

// Close ends an incident in the state that it has; afterwards its file never changes.
// Closing an ended one as [Undone] is recorded beside it, with the last line of its
// story.
func (s *Store) Close(i Incident) error {
	switch i.State {
	case Resolved, Transient, Escalated:
	case Undone:
		if was, err := s.read(i.ID); err == nil && was.State != Ongoing {
			return s.undo(was, i)
		}
	default:
		return fmt.Errorf("incident %s cannot end as %q", i.ID, i.State)
	}
	if i.Ended.IsZero() {
		i.Ended = now()
	}
	return s.write(i)
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// write replaces the file of an incident that has not ended.
func (s *Store) write(i Incident) error {
	if _, err := ulid.ParseStrict(i.ID); err != nil {
		return fmt.Errorf("%q is not the id of an incident", i.ID)
	}
	switch was, err := s.read(i.ID); {
	case err == nil && was.State != Ongoing:
		return fmt.Errorf("incident %s has ended (%s) and is not written again", i.ID, was.State)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("write incident %s: %w", i.ID, err)
	}
	if err := s.save(i.ID+suffix, data); err != nil {
		return fmt.Errorf("write incident %s: %w", i.ID, err)
	}
	return nil
}

// undo writes down that the changes of an ended incident were taken back.
func (s *Store) undo(was, i Incident) error {
	if was.State == Undone {
		return nil
	}
	event := Event{Time: now(), What: "undone"}
	if n := len(i.Timeline); n > len(was.Timeline) {
		event = i.Timeline[n-1]
	}
	data, err := json.MarshalIndent(event, "", "  ")
	if err == nil {
		err = s.save(i.ID+undone, data)
	}
	if err != nil {
		return fmt.Errorf("write incident %s: %w", i.ID, err)
	}
	return nil
}

// Over writes down, in words, that the failure of an escalated incident is over; once is
// enough.
func (s *Store) Over(id, what string) error {
	i, err := s.read(id)
	if err != nil {
		return err
	}
	if i.State != Escalated {
		return fmt.Errorf("incident %s is %s: only one that was escalated can be over", id, i.State)
	}
	if !i.Over.IsZero() {
		return nil
	}
	data, err := json.MarshalIndent(Event{Time: now(), What: what}, "", "  ")
	if err == nil {
		err = s.save(id+over, data)
	}
	if err != nil {
		return fmt.Errorf("write incident %s: %w", id, err)
	}
	return nil
}

func (s *Store) save(name string, data []byte) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	return journal.Save(s.dir, name, append(data, '\n'))
}

func (s *Store) read(id string) (Incident, error) {
	var i Incident
	if err := s.load(id+suffix, &i); err != nil {
		return Incident{}, err
	}
	if i.ID != id {
		return Incident{}, &JunkError{File: s.path(id + suffix), Err: fmt.Errorf("its id is %q", i.ID)}
	}
	for _, later := range []string{over, undone} {
		var e Event
		err := s.load(id+later, &e)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Incident{}, err
		}
		if later == over {
			i.Over = e.Time
		} else {
			i.State = Undone
		}
		i.Timeline = append(i.Timeline, e)
	}
	return i, nil
}

func (s *Store) load(name string, into any) error {
	data, err := journal.Load(s.dir, name)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &JunkError{File: s.path(name), Err: err}
	}
	return err
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// ids are the incidents by their file names, newest first; junk comes beside them.
func (s *Store) ids() (ids []string, junk []error, err error) {
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, undone) || strings.HasSuffix(name, over) {
			continue
		}
		id, ok := strings.CutSuffix(name, suffix)
		if _, err := ulid.ParseStrict(id); !ok || err != nil {
			junk = append(junk, &JunkError{File: s.path(name), Err: errors.New("its name is not an id")})
			continue
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, junk, err
}

// begun is when an incident of this id was begun.
func begun(id string) time.Time {
	u, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}
	}
	return ulid.Time(u.Time())
}

// Filter says which incidents are wanted.
type Filter struct {
	Limit int    // 0: as many as [MaxList]
	Site  string // its id, domain or root; "": every site
	// Since leaves out, unread, what was written down first before it.
	Since time.Time
}

// List gives the newest incidents, the newest first. What cannot be read is in the
// error, as joined [*JunkError]s; the others are given all the same.
func (s *Store) List(f Filter) ([]Incident, error) {
	if f.Limit <= 0 || f.Limit > MaxList {
		f.Limit = MaxList
	}
	s.listing <- struct{}{}
	defer func() { <-s.listing }()
	found := []Incident{}
	ids, junk, err := s.ids()
	if err != nil {
		return found, fmt.Errorf("list incidents: %w", err)
	}
	for _, id := range ids {
		if len(found) == f.Limit || !f.Since.IsZero() && begun(id).Before(f.Since.Truncate(time.Millisecond)) {
			break
		}
		if f.Site != "" && s.about.other(id, f.Site) {
			continue
		}
		i, err := s.read(id)
		if err != nil {
			junk = append(junk, err)
			continue
		}
		s.about.learn(i)
		if f.Site == "" || i.Concerns(f.Site) {
			found = append(found, i)
		}
	}
	return found, errors.Join(junk...)
}

// Get finds an incident by its id or the beginning of it, if only one begins so.
func (s *Store) Get(prefix string) (Incident, error) {
	ids, _, err := s.ids()
	if err != nil {
		return Incident{}, fmt.Errorf("find incident %q: %w", prefix, err)
	}
	var found []string
	for _, id := range ids {
		if prefix != "" && strings.HasPrefix(id, strings.ToUpper(prefix)) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return Incident{}, fmt.Errorf("%q: %w", prefix, ErrUnknown)
	case 1:
		return s.read(found[0])
	}
	return Incident{}, fmt.Errorf("%q could be any of %d incidents: give more of the id", prefix, len(found))
}
