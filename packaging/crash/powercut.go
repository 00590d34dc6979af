package crash

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// State is a disk as the power cut may have left it.
type State struct {
	// Call is the number of the last call before the power cut, 0 none.
	Call int
	// Whole: nothing was cut off; the program had ended.
	Whole bool
	disk  *Disk
	n     int // effects
	fates map[int]fate
}

// String names what was lost.
func (s State) String() string {
	var lostOnes []string
	for _, i := range slices.Sorted(func(yield func(int) bool) {
		for i := range s.fates {
			if !yield(i) {
				return
			}
		}
	}) {
		lostOnes = append(lostOnes, fmt.Sprintf("%d %s", s.disk.effects[i].call, [...]string{"kept", "lost", "all zeros", "half lost"}[s.fates[i]]))
	}
	return fmt.Sprintf("power cut after call %d, of which %s", s.Call, strings.Join(lostOnes, ", "))
}

// most bounds how many unsynced effects are combined in every way.
const most = 6

// States gives every disk that a power cut could leave, at every instant. Where more than
// six effects were not synced, it gives none, all, each alone, all but each, and all up to
// each lost, instead of every combination.
func (d *Disk) States(yield func(State) bool) {
	for n := range len(d.effects) + 1 {
		s := State{Whole: n == len(d.effects), disk: d, n: n}
		if n > 0 {
			s.Call = d.effects[n-1].call
		}
		loose := d.unsynced(n)
		for _, fates := range combined(loose) {
			if s.fates = fates; !yield(s) {
				return
			}
		}
		for _, i := range loose {
			if !d.effects[i].data {
				continue
			}
			for _, how := range []fate{zeros, half} {
				if s.fates = map[int]fate{i: how}; !yield(s) {
					return
				}
			}
		}
	}
}

// unsynced are the effects among the first n that no sync has made durable.
func (d *Disk) unsynced(n int) (loose []int) {
	for i, e := range d.effects[:n] {
		if e.syncs >= 0 || e.now {
			continue
		}
		waits := map[int]bool{}
		for _, dir := range e.dirs {
			waits[dir] = true
		}
		if e.file >= 0 {
			waits[e.file] = true
		}
		for _, later := range d.effects[i+1 : n] {
			if later.syncs >= 0 {
				delete(waits, later.syncs)
			}
		}
		if len(waits) > 0 {
			loose = append(loose, i)
		}
	}
	return loose
}

func combined(loose []int) (all []map[int]fate) {
	take := func(is ...int) {
		fates := map[int]fate{}
		for _, i := range is {
			fates[i] = lost
		}
		all = append(all, fates)
	}
	if len(loose) <= most {
		for bits := range 1 << len(loose) {
			var is []int
			for k, i := range loose {
				if bits>>k&1 == 1 {
					is = append(is, i)
				}
			}
			take(is...)
		}
		return all
	}
	take()
	take(loose...)
	for k, i := range loose {
		take(i)
		take(slices.Delete(slices.Clone(loose), k, k+1)...)
		take(loose[k:]...)
	}
	return all
}

// Put makes the folder as the power cut left it. What was there from the start keeps its
// inode, as on a real disk.
func (s State) Put() error {
	d := s.disk
	if err := d.clear(); err != nil {
		return err
	}
	return d.lay(s.disk.after(s.n, s.fates), 0, d.top)
}

// Check compares the folder with the model of all that was recorded: a difference means
// that a call was missed.
func (d *Disk) Check() error {
	real := &Disk{top: d.top}
	if _, err := real.read(d.top); err != nil {
		return err
	}
	return same(d.now(), 0, real.nodes, 0, d.top)
}

func same(a []*node, i int, b []*node, j int, path string) error {
	x, y := a[i], b[j]
	if x.kind != y.kind || x.mode != y.mode || x.uid != y.uid || x.gid != y.gid || string(x.data) != string(y.data) || len(x.entries) != len(y.entries) {
		return fmt.Errorf("%s: the model has %v %o %d:%d %q with %d entries, the disk %v %o %d:%d %q with %d", path,
			x.kind, x.mode, x.uid, x.gid, x.data, len(x.entries), y.kind, y.mode, y.uid, y.gid, y.data, len(y.entries))
	}
	for name, at := range x.entries {
		other, ok := y.entries[name]
		if !ok {
			return fmt.Errorf("%s: the disk has no %s", path, name)
		}
		if err := same(a, at, b, other, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func (d *Disk) kept(id int) string { return filepath.Join(d.stash, fmt.Sprint(id)) }

// clear empties the folder; what the model knows is put aside.
func (d *Disk) clear() error {
	known := map[[2]uint64]int{}
	for i, n := range d.nodes {
		if n.ino != 0 {
			known[[2]uint64{n.dev, n.ino}] = i
		}
	}
	var empty func(dir string) error
	empty = func(dir string) error {
		list, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range list {
			path := filepath.Join(dir, e.Name())
			info, err := e.Info()
			if err == nil && e.IsDir() {
				err = empty(path)
			}
			if err != nil {
				return err
			}
			st := info.Sys().(*syscall.Stat_t) // always so on Linux
			if id, ok := known[[2]uint64{st.Dev, st.Ino}]; ok {
				err = os.Rename(path, d.kept(id))
			} else {
				err = os.Remove(path)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return empty(d.top)
}

func (d *Disk) lay(nodes []*node, id int, path string) error {
	n := nodes[id]
	if id != 0 {
		err := os.Rename(d.kept(id), path)
		if os.IsNotExist(err) {
			err = d.fresh(id, n, path)
		} else if err == nil && n.kind == 0 {
			err = os.WriteFile(path, n.data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	if err := os.Lchown(path, n.uid, n.gid); err != nil || n.kind == fs.ModeSymlink {
		return err
	}
	if err := unix.Chmod(path, n.mode); err != nil {
		return &fs.PathError{Op: "chmod", Path: path, Err: err}
	}
	for name, value := range n.attrs {
		if err := unix.Lsetxattr(path, name, []byte(value), 0); err != nil {
			return &fs.PathError{Op: "setxattr", Path: path, Err: err}
		}
	}
	for name, at := range n.entries {
		if err := d.lay(nodes, at, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func (d *Disk) fresh(id int, n *node, path string) (err error) {
	switch n.kind {
	case fs.ModeDir:
		err = os.Mkdir(path, 0o700)
	case fs.ModeSymlink:
		err = os.Symlink(string(n.data), path)
	default:
		err = os.WriteFile(path, n.data, 0o600)
	}
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err == nil {
		st := info.Sys().(*syscall.Stat_t) // always so on Linux
		d.nodes[id].dev, d.nodes[id].ino = st.Dev, st.Ino
	}
	return err
}
