package crash

import (
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Record takes a call into the model, which works out by itself whether it succeeds, and
// tells what it does not know.
func (d *Disk) Record(c Call) error {
	nodes := d.now()
	dir, name, there, err := find(nodes, d.top, c.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	e := effect{call: c.N, syncs: -1, file: -1, born: -1, now: d.durable(c.Path) || c.To != "" && d.durable(c.To)}
	entry := func(f func(nodes []*node)) {
		e.dirs = append(e.dirs, dir)
		e.do = func(n []*node, _ fate) { f(n) }
		d.effects = append(d.effects, e)
	}
	// of a file itself: its owner, its mode
	self := func(f func(n *node)) {
		e.file = there
		e.do = func(n []*node, how fate) {
			if how != lost {
				f(n[there])
			}
		}
		d.effects = append(d.effects, e)
	}
	if there < 0 && c.Name != "open" && c.Name != "mkdir" {
		return d.failing(c) // ENOENT
	}
	switch c.Name {
	case "open":
		if there >= 0 && c.Flags&unix.O_EXCL != 0 {
			return nil
		}
		if there >= 0 {
			if c.Flags&unix.O_TRUNC != 0 && len(nodes[there].data) > 0 {
				self(func(n *node) { n.data = nil })
			}
			return nil
		}
		if c.Flags&unix.O_CREAT != 0 {
			d.make(entry, &e, dir, name, &node{mode: c.Mode & 0o7777, attrs: map[string]string{}})
		}
	case "mkdir":
		if there < 0 {
			d.make(entry, &e, dir, name, &node{kind: fs.ModeDir, mode: c.Mode & 0o7777, entries: map[string]int{}, attrs: map[string]string{}})
		}
	case "write":
		// Every write of wpmend goes to the end of what it has written.
		e.data, e.file = true, there
		e.do = func(n []*node, how fate) { n[there].data = written(n[there].data, c.Data, how) }
		d.effects = append(d.effects, e)
	case "fsync":
		d.effects = append(d.effects, effect{call: c.N, syncs: there, file: -1, born: -1})
	case "chmod":
		self(func(n *node) { n.mode = c.Mode & 0o7777 })
	case "chown":
		self(func(n *node) {
			if c.UID >= 0 {
				n.uid = c.UID
			}
			if c.GID >= 0 {
				n.gid = c.GID
			}
		})
	case "setxattr":
		self(func(n *node) { n.attrs[c.Attr] = string(c.Data) })
	case "unlink":
		if folder := nodes[there].kind == fs.ModeDir; folder != (c.Flags&unix.AT_REMOVEDIR != 0) || len(nodes[there].entries) > 0 {
			return nil // ENOTEMPTY, EISDIR, ENOTDIR
		}
		entry(func(n []*node) {
			if n[dir].entries[name] == there {
				delete(n[dir].entries, name)
			}
		})
	case "rename":
		return d.rename(c, e, nodes, dir, name, there)
	default:
		return fmt.Errorf("%s: the model knows no such call", c)
	}
	return nil
}

func (d *Disk) failing(c Call) error {
	if c.Name == "unlink" || c.Name == "rename" {
		return nil
	}
	return fmt.Errorf("%s: the model has no such file", c)
}

func (d *Disk) make(entry func(func([]*node)), e *effect, dir int, name string, fresh *node) {
	id := len(d.nodes)
	d.nodes = append(d.nodes, fresh)
	e.born = id
	entry(func(n []*node) { n[dir].entries[name] = id })
}

func written(old, data []byte, how fate) []byte {
	more := data
	switch how {
	case lost:
		return old
	case zeros:
		more = make([]byte, len(data))
	case half:
		more = data[:len(data)/2]
	}
	return append(append([]byte{}, old...), more...)
}

func (d *Disk) rename(c Call, e effect, nodes []*node, dir int, name string, there int) error {
	dir2, name2, there2, err := find(nodes, d.top, c.To)
	if err != nil {
		return fmt.Errorf("%s: %w", c, err)
	}
	swap := c.Flags&unix.RENAME_EXCHANGE != 0
	if there2 >= 0 && c.Flags&unix.RENAME_NOREPLACE != 0 || there2 < 0 && swap {
		return nil // EEXIST, ENOENT
	}
	e.dirs = []int{dir, dir2}
	e.do = func(n []*node, _ fate) {
		if n[dir].entries[name] == there {
			delete(n[dir].entries, name)
		}
		n[dir2].entries[name2] = there
		if swap {
			n[dir].entries[name] = there2
		}
	}
	d.effects = append(d.effects, e)
	return nil
}
