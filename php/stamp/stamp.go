// Package stamp says whether files and folders are still as they were when they were read, by what stat(2) tells of
// them, so that what was made of them need not be made again. It reads no file.
//
// Invariant: Same is true only if none of the files has changed since the reading began. Where the clock of the file
// system is too coarse to tell, it is false.
package stamp

import (
	"hash/maphash"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// coarse is how far apart two changes must be to have different times on every file system that holds configuration:
// ext3 and NFS version 2 keep whole seconds.
const coarse = 2 * time.Second

// Set is a set of paths as they were at one moment. The zero Set is the same as nothing.
type Set struct {
	paths []string
	seed  maphash.Seed
	sum   uint64
	taken bool
}

// mark is what changes with a file. The time of the last status change cannot be set by its owner.
type mark struct {
	path           string
	errno          unix.Errno
	dev, ino       uint64
	mode, uid, gid uint32
	size           int64
	ctime          unix.Timespec
}

// Take stamps paths, which were read since a moment, or were not there; links are followed.
func Take(paths []string, since time.Time) Set {
	paths = slices.Clone(paths)
	slices.Sort(paths)
	s := Set{paths: slices.Clip(slices.Compact(paths)), seed: maphash.MakeSeed()}
	var latest time.Time
	s.sum, latest = s.read()
	s.taken = latest.Before(since.Add(-coarse))
	return s
}

// Same says whether all of the files are as they were.
func (s Set) Same() bool {
	if !s.taken {
		return false
	}
	sum, _ := s.read()
	return sum == s.sum
}

func (s Set) read() (sum uint64, latest time.Time) {
	var h maphash.Hash
	h.SetSeed(s.seed)
	for _, path := range s.paths {
		m := mark{path: path}
		var st unix.Stat_t
		if err := stat(path, &st); err != 0 {
			m.errno = err
		} else {
			m.dev, m.ino, m.mode, m.uid, m.gid, m.size, m.ctime = uint64(st.Dev), st.Ino, st.Mode, st.Uid, st.Gid, st.Size, st.Ctim
			if changed := time.Unix(st.Ctim.Unix()); changed.After(latest) {
				latest = changed
			}
		}
		maphash.WriteComparable(&h, m)
	}
	return h.Sum64(), latest
}

func stat(path string, st *unix.Stat_t) unix.Errno {
	for {
		switch err := unix.Stat(path, st); err {
		case nil:
			return 0
		case unix.EINTR:
		default:
			errno, _ := err.(unix.Errno) // unix gives no other
			return max(errno, 1)
		}
	}
}

// Of are the paths on which it depends what a pattern of absolute paths stands for, as glob(3) reads it: the folders
// whose listing decides about a part with a wildcard, and what the pattern is where its last part holds none.
func Of(pattern string) []string {
	var found []string
	parts := strings.Split(filepath.Clean(pattern), "/")
	level := []string{"/"}
	for i, part := range parts {
		if part == "" {
			continue
		}
		if !strings.ContainsAny(part, `*?[\`) {
			for j := range level {
				level[j] = filepath.Join(level[j], part)
			}
			continue
		}
		found = append(found, level...)
		if i == len(parts)-1 {
			return found
		}
		var next []string
		for _, dir := range level {
			// A part without a slash that cannot be read as a pattern stands for nothing.
			below, _ := filepath.Glob(escape(dir) + "/" + strings.ReplaceAll(part, "[!", "[^"))
			next = append(next, below...)
		}
		level = next
	}
	return append(found, level...)
}

// escape takes the meaning from what filepath.Match reads as a pattern.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
