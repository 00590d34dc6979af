package fpm

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"wpmend/php/process"
	"wpmend/php/stamp"
)

// trust is how long what was read is used at the longest, in case that something decides about a configuration of
// which nobody thought.
const trust = time.Hour

// Known are masters whose configuration was read, so that it is read again only once a file of it has changed. The zero
// Known knows none. It is for one user at a time, and the directives that it gives must not be changed.
type Known struct {
	masters map[instance]readMaster
}

// instance is a process, since boot.
type instance struct {
	pid   int
	start uint64
}

type readMaster struct {
	master Master
	title  string
	files  stamp.Set
	until  time.Time
}

// Discover is the function of this name, with what is known. same says that every master is the one given before, and
// that none was dropped.
func (k *Known) Discover(procs []process.Process) (masters []Master, same bool, errs []error) {
	titled := map[int]string{}
	for _, p := range procs {
		if config, ok := configOf(p); ok {
			titled[p.PID] = config
		}
	}
	before := k.masters
	k.masters, same = map[instance]readMaster{}, true
	for _, p := range procs {
		config, ok := titled[p.PID]
		// A worker carries its master's title until it has written its own.
		if !ok || titled[p.PPID] == config {
			continue
		}
		id := instance{p.PID, p.Start}
		if m, ok := before[id]; ok && m.title == p.Argv[0] && m.master.Binary == p.Exe && time.Now().Before(m.until) && m.files.Same() && p.SpeaksForHost() == nil {
			m.master.Process = p
			k.masters[id] = m
			masters = append(masters, m.master)
			continue
		}
		since := time.Now()
		m, files, private, err := discover(p, config)
		switch {
		case err != nil: // if it was known before, there is one less now
			errs = append(errs, fmt.Errorf("php-fpm master %d (%s): %w", p.PID, config, err))
		case !private:
			if old, ok := before[id]; ok && alike(m, old.master) {
				m = old.master
				m.Process = p
			} else {
				same = false
			}
			masters = append(masters, m)
			k.masters[id] = readMaster{m, p.Argv[0], stamp.Take(files, since), since.Add(trust)}
		}
	}
	return masters, same && len(k.masters) == len(before), errs
}

// alike compares what two readings say.
func alike(a, b Master) bool {
	a.Process, b.Process = process.Process{}, process.Process{}
	return reflect.DeepEqual(a, b)
}

// watched is a source that notes what it was asked for.
type watched struct {
	*disk
	files []string
}

func (w *watched) read(path string, max int) ([]byte, error) {
	w.files = append(w.files, path)
	return w.disk.read(path, max)
}

func (w *watched) glob(pattern string) ([]string, error) {
	w.files = append(w.files, stamp.Of(pattern)...)
	return w.disk.glob(pattern)
}

// loadNoting is loadWith; files are those that what it read depends on.
func loadNoting(m Master) (_ Master, files []string, err error) {
	from := &watched{disk: &disk{binary: m.Binary, args: m.Args}}
	if m, err = loadFrom(from.disk, from, m); err != nil {
		return Master{}, nil, err
	}
	return m, append(slices.Clone(from.files), m.Binary), nil
}
