package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxRecord bounds one record, in bytes.
const maxRecord = 8 << 20

const suffix = ".json"

// ErrUnknown is what an id without a record gives.
var ErrUnknown = errors.New("the journal has no such change")

// write replaces the record of a change.
func (j *Journal) write(c Change, flags uint) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write change %s: %w", c.ID, err)
	}
	if len(data) >= maxRecord {
		return fmt.Errorf("write change %s: the record would have %d bytes, more than %d", c.ID, len(data), maxRecord)
	}
	return j.disk.save(j.dir, c.ID+suffix, append(data, '\n'), flags)
}

// turn records that a change has come to a state.
func (j *Journal) turn(c Change, to State, note string) (Change, error) {
	c.State = to
	c.Log = append(slices.Clone(c.Log), Entry{Time: time.Now().UTC().Truncate(time.Millisecond), State: to, Note: note})
	return c, j.write(c, 0)
}

func (j *Journal) read(id string) (Change, error) {
	name := id + suffix
	data, err := Load(j.dir, name)
	if err != nil {
		return Change{}, err
	}
	var c Change
	if err := json.Unmarshal(data, &c); err != nil {
		return Change{}, fmt.Errorf("%s is not a record of a change: %w", filepath.Join(j.dir, name), err)
	}
	if err := c.checkRecord(id); err != nil {
		return Change{}, fmt.Errorf("%s is not a record of a change: %w", filepath.Join(j.dir, name), err)
	}
	c.Record = filepath.Join(j.dir, name)
	return c, nil
}

// Load reads what [Save] wrote: a regular file of at most 8 MiB.
func Load(dir, name string) ([]byte, error) {
	whole := filepath.Join(dir, name)
	f, err := os.OpenFile(whole, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", whole)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err == nil && len(data) > maxRecord {
		err = fmt.Errorf("%s has more than %d bytes", whole, maxRecord)
	}
	return data, err
}

// names are the files of the journal that could be records, oldest first.
func (j *Journal) names() ([]string, error) {
	entries, err := os.ReadDir(j.dir)
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), temporary) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// List gives all changes, oldest first. What cannot be read is in the error, a joined
// one that names each file; the others are given all the same.
func (j *Journal) List() ([]Change, error) {
	return j.listed(func(string) bool { return true })
}

// listed reads the records of these names. One that is removed meanwhile is left out.
func (j *Journal) listed(wanted func(name string) bool) ([]Change, error) {
	names, err := j.names()
	problems := []error{err}
	changes := make([]Change, 0, len(names))
	for _, name := range names {
		if !wanted(name) {
			continue
		}
		id, ok := strings.CutSuffix(name, suffix)
		if !ok {
			problems = append(problems, fmt.Errorf("%s is not a record of a change", filepath.Join(j.dir, name)))
			continue
		}
		c, err := j.read(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		changes = append(changes, c)
	}
	return changes, errors.Join(problems...)
}

// Get finds a change by its id or the beginning of it, if only one begins so.
func (j *Journal) Get(prefix string) (Change, error) {
	names, err := j.names()
	if err != nil {
		return Change{}, err
	}
	prefix = strings.ToUpper(prefix)
	var found []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, suffix); ok && prefix != "" && strings.HasPrefix(id, prefix) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return Change{}, fmt.Errorf("%q: %w", prefix, ErrUnknown)
	case 1:
		c, err := j.read(found[0])
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%q: %w", prefix, ErrUnknown)
		}
		return c, err
	}
	return Change{}, fmt.Errorf("%q could be any of %d changes: give more of the id", prefix, len(found))
}
