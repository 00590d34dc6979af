package crash

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Disk models what a power cut leaves of a folder: what was synced is there; of the rest
// any part may be missing. It is looser than ext4, XFS and Btrfs are, and keeps only what
// all of them promise: a renaming happens whole or not at all, and nothing lies in a folder
// whose making was lost. (Pillai and others, "All File Systems Are Not Created Equal",
// OSDI 2014, have measured what they do.)
type Disk struct {
	top     string
	durable func(path string) bool
	nodes   []*node // the first is the top
	effects []effect
	stash   string
}

// node is a file or a folder, by number.
type node struct {
	kind    fs.FileMode // fs.ModeDir, fs.ModeSymlink or 0
	mode    uint32
	uid     int
	gid     int
	data    []byte // a link's target
	attrs   map[string]string
	entries map[string]int
	dev     uint64 // of what is on the real disk; 0: nothing yet
	ino     uint64
}

func (n *node) clone() *node {
	c := *n
	c.entries, c.attrs = maps.Clone(n.entries), maps.Clone(n.attrs)
	return &c
}

// effect is one change that reaches the disk whole or not at all.
type effect struct {
	call  int   // that brought it
	syncs int   // the node whose sync this is; -1: it is a change
	dirs  []int // folders whose sync makes it durable
	file  int   // the file whose sync makes it durable; -1: none
	born  int   // the node that it makes; -1: none
	now   bool  // durable at once
	data  bool  // of a file's content
	do    func(nodes []*node, how fate)
}

// fate is what becomes of an effect that was not synced.
type fate int

const (
	kept fate = iota
	lost
	zeros // the length is there, the bytes are not
	half
)

// NewDisk reads a folder as it lies there. What is durable needs no sync: it stands for
// something that lies elsewhere, such as a database.
func NewDisk(top string, durable func(path string) bool) (*Disk, error) {
	d := &Disk{top: top, durable: durable, stash: top + ".stash"}
	if _, err := d.read(top); err != nil {
		return nil, err
	}
	return d, os.Mkdir(d.stash, 0o700)
}

// Remove takes away what [State.Put] needed.
func (d *Disk) Remove() error { return os.RemoveAll(d.stash) }

func (d *Disk) read(path string) (int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	st := info.Sys().(*syscall.Stat_t) // always so on Linux
	n := &node{kind: info.Mode().Type(), mode: st.Mode & 0o7777, uid: int(st.Uid), gid: int(st.Gid), dev: st.Dev, ino: st.Ino, attrs: map[string]string{}}
	id := len(d.nodes)
	d.nodes = append(d.nodes, n)
	switch n.kind {
	case fs.ModeDir:
		n.entries = map[string]int{}
		list, err := os.ReadDir(path)
		if err != nil {
			return 0, err
		}
		for _, e := range list {
			if n.entries[e.Name()], err = d.read(filepath.Join(path, e.Name())); err != nil {
				return 0, err
			}
		}
	case fs.ModeSymlink:
		target, err := os.Readlink(path)
		n.data = []byte(target)
		return id, err
	case 0:
		if n.data, err = os.ReadFile(path); err != nil {
			return 0, err
		}
		n.attrs, err = userAttrs(path)
	}
	return id, err
}

func userAttrs(path string) (map[string]string, error) {
	all := map[string]string{}
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, names)
	if err == unix.ENOTSUP {
		return all, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "listxattr", Path: path, Err: err}
	}
	for name := range strings.SplitSeq(string(names[:n]), "\x00") {
		if strings.HasPrefix(name, "user.") {
			value := make([]byte, 64<<10)
			n, err := unix.Lgetxattr(path, name, value)
			if err != nil {
				return nil, &fs.PathError{Op: "getxattr", Path: path, Err: err}
			}
			all[name] = string(value[:n])
		}
	}
	return all, nil
}

// now are the nodes after all that was recorded.
func (d *Disk) now() []*node { return d.after(len(d.effects), nil) }

// after are the nodes after the first n effects, each with its fate.
func (d *Disk) after(n int, fates map[int]fate) []*node {
	nodes := make([]*node, len(d.nodes))
	for i, o := range d.nodes {
		nodes[i] = o.clone()
	}
	unborn := map[int]bool{}
	for i, e := range d.effects[:n] {
		gone := fates[i] == lost && !e.data
		for _, dir := range e.dirs {
			gone = gone || unborn[dir]
		}
		if gone {
			if e.born >= 0 {
				unborn[e.born] = true
			}
			continue
		}
		if e.do != nil {
			e.do(nodes, fates[i])
		}
	}
	return nodes
}

// find gives the folder and the name of a path, and what lies there, -1 nothing.
func find(nodes []*node, top, path string) (dir int, name string, there int, err error) {
	rel, err := filepath.Rel(top, path)
	if err != nil || !filepath.IsLocal(rel) {
		return 0, "", 0, fmt.Errorf("%s does not lie below %s", path, top)
	}
	if rel == "." {
		return -1, "", 0, nil
	}
	parts := strings.Split(rel, "/")
	for _, part := range parts[:len(parts)-1] {
		next, ok := nodes[dir].entries[part]
		if !ok {
			return 0, "", 0, fmt.Errorf("the model has no %s on the way to %s", part, path)
		}
		dir = next
	}
	name = parts[len(parts)-1]
	there, ok := nodes[dir].entries[name]
	if !ok {
		there = -1
	}
	return dir, name, there, nil
}
