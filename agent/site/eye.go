package site

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"wpmend/agent/gateway"
	"wpmend/php/account"
	"wpmend/php/fpm"
	"wpmend/php/process"
	"wpmend/php/stamp"
	"wpmend/wp"
)

const (
	// quietFolder is how long nothing has happened in a document root before it is not looked through again: whoever
	// makes a folder for a second WordPress fills it only then.
	quietFolder = time.Minute
	// rounds of discovery are the longest that a change deep in a document root stays unseen: a part of them is looked
	// through each time.
	rounds = 30
)

// Eye discovers one host again and again, and reads only what has changed since the last time: servers are asked, files
// parsed and document roots looked through only where stat(2) tells of a change. What it does not see at once is a
// second WordPress that comes to lie in a subfolder which has been there for long. The zero Eye has seen nothing. It is
// for one user at a time, and what it gives must not be changed.
type Eye struct {
	gateways gateway.Known
	masters  fpm.Known
	folders  map[docroot]*looked
	accounts *fpm.Users // while sites are joined
	users    stamp.Set
	unknown  []string // users of pools that nobody knew
	round    uint32

	host  Host
	asked []string // the servers' own problems
	known bool     // host is what is there, if nothing changed
	since time.Time

	forgotten bool // what was given last is not to be given again
}

// docroot is a document root by whom its PHP runs as.
type docroot struct {
	dir   string
	owner uint32
}

// looked is what was found in one document root.
type looked struct {
	roots []string
	err   error
	cores []core // of those roots that were asked for; most document roots have one
	files stamp.Set
	fresh bool // not stamped yet, or not all of it
	used  bool // in this discovery
}

// core is where a root's core lies and its version.
type core struct {
	root         string
	dir, version string
	problem      string
}

// Discover is the function of this name with what the last one saw. fresh is a site's root: its own folders are looked
// through in any case. same says that the host is the one given before.
func (e *Eye) Discover(ctx context.Context, remembered Host, include func(root string) bool, fresh string) (h Host, same bool, err error) {
	procs, err := process.List()
	if err != nil {
		return Host{}, false, fmt.Errorf("list processes: %w", err)
	}
	e.since = time.Now()
	e.round++
	gateways, sameGateways, problems := e.gateways.Discover(ctx, procs)
	masters, sameMasters, more := e.masters.Discover(procs)
	var asked []string
	for _, p := range append(problems, more...) {
		asked = append(asked, p.Error())
	}
	sameUsers := e.sameUsers()
	sameFolders := e.lookAgain(fresh)
	if e.known && sameGateways && sameMasters && sameUsers && sameFolders && slices.Equal(asked, e.asked) && e.host.stands() {
		return e.host, true, nil
	}
	e.asked = slices.Clone(asked)
	h = Host{eye: e, Problems: asked}
	h.discover(gateways, masters, remembered, include)
	e.unknown = e.accounts.Strangers()
	h.eye, e.accounts = nil, nil
	e.stamp()
	if sameGateways && sameMasters && reflect.DeepEqual(h.Sites, e.host.Sites) && slices.Equal(h.Problems, e.host.Problems) && len(h.Masters) == len(e.host.Masters) && len(h.Gateways) == len(e.host.Gateways) && !e.forgotten {
		return e.host, true, nil
	}
	e.forgotten = false
	e.host, e.known = h, len(h.unmatched) == 0 // else what installed pools and addresses there are counts, too
	return h, false, nil
}

// users are those that a discovery reads at once.
func (h *Host) users() *fpm.Users {
	if h.eye == nil {
		return nil
	}
	if h.eye.accounts == nil {
		var err error
		if h.eye.accounts, err = fpm.Accounts(); err != nil {
			return nil // each is looked up by itself then
		}
	}
	return h.eye.accounts
}

// Forget makes the next discovery join all anew: other sites are meant.
func (e *Eye) Forget() { e.known, e.forgotten = false, true }

// sameUsers says whether the users are as they were: those of the host's own list, and those whom a directory service
// could not name, because it was down perhaps.
func (e *Eye) sameUsers() bool {
	if e.users.Same() {
		for _, name := range e.unknown {
			switch _, err := account.Lookup(name); {
			case err == nil:
				return false
			case errors.Is(err, account.ErrSlow):
				return true // the others would wait as long
			}
		}
		return true
	}
	e.users = stamp.Take([]string{"/etc/passwd", "/etc/group"}, time.Now())
	return false
}

// stands says whether what is remembered of servers that do not run could still be started.
func (h Host) stands() bool {
	gateways := slices.DeleteFunc(slices.Clone(h.Gateways), func(g gateway.Gateway) bool { return g.Process.PID != 0 })
	masters := slices.DeleteFunc(slices.Clone(h.Masters), func(m fpm.Master) bool { return m.Process.PID != 0 })
	return len(there(gateways, filesOfGateway)) == len(gateways) && len(there(masters, filesOfMaster)) == len(masters)
}

// lookAgain looks through the document roots that have changed, those whose turn it is, and that of a site.
func (e *Eye) lookAgain(fresh string) (same bool) {
	same = true
	for d, before := range e.folders {
		if before.files.Same() && !e.turn(d.dir) && (fresh == "" || !within(fresh, d.dir)) {
			continue
		}
		now := look(d)
		for _, c := range before.cores {
			if slices.Contains(now.roots, c.root) {
				now.core(c.root, d.owner)
			}
		}
		now.stamp(d, e.since)
		e.folders[d] = now
		same = same && now.tells(before)
	}
	return same
}

// turn: every document root has its turn once in so many rounds.
func (e *Eye) turn(dir string) bool {
	h := fnv.New32a()
	h.Write([]byte(dir))
	return h.Sum32()%rounds == e.round%rounds
}

// folder is what a document root holds. A nil Eye looks each time.
func (e *Eye) folder(dir string, owner uint32) *looked {
	d := docroot{dir, owner}
	if e == nil {
		return look(d)
	}
	l := e.folders[d]
	if l == nil {
		l = look(d)
		if e.folders == nil {
			e.folders = map[docroot]*looked{}
		}
		e.folders[d] = l
	}
	l.used = true
	return l
}

// stamp ends a discovery: what was looked at is what is looked after.
func (e *Eye) stamp() {
	for d, l := range e.folders {
		if !l.used {
			delete(e.folders, d)
			continue
		}
		l.used = false
		l.stamp(d, e.since)
	}
}

func look(d docroot) *looked {
	l := &looked{fresh: true}
	l.roots, l.err = wp.FindRoots(d.dir, d.owner)
	return l
}

// core reads where the core of a root lies and its version, once.
func (l *looked) core(root string, owner uint32) core {
	if i := l.coreOf(root); i >= 0 {
		return l.cores[i]
	}
	c := readCore(root, owner)
	c.root = root
	l.cores, l.fresh = append(l.cores, c), true
	return c
}

func (l *looked) coreOf(root string) int {
	return slices.IndexFunc(l.cores, func(c core) bool { return c.root == root })
}

// stamp stamps what it depends on, if that is not done yet.
func (l *looked) stamp(d docroot, since time.Time) {
	if !l.fresh {
		return
	}
	paths := []string{d.dir, filepath.Join(d.dir, "index.php")}
	for _, root := range l.roots {
		paths = append(paths, root, filepath.Join(root, "index.php"))
		if i := l.coreOf(root); i >= 0 {
			c := l.cores[i]
			paths = append(paths, filepath.Join(root, c.dir, "wp-load.php"), filepath.Join(root, c.dir, "wp-includes/version.php"))
		}
	}
	l.files, l.fresh = stamp.Take(paths, since.Add(-quietFolder)), false
}

// tells whether two looks found the same.
func (l *looked) tells(before *looked) bool {
	return slices.Equal(l.roots, before.roots) && slices.Equal(l.cores, before.cores) && fmt.Sprint(l.err) == fmt.Sprint(before.err)
}

func readCore(root string, owner uint32) core {
	t, err := wp.OpenTree(root, owner)
	if err != nil {
		return core{problem: fmt.Sprintf("open %s: %v", root, err)}
	}
	defer t.Close()
	var c core
	if c.dir, err = wp.FindCore(t); err == nil {
		c.version, err = wp.Version(t, c.dir)
	}
	if err != nil {
		c.problem = fmt.Sprintf("version of %s: %v", root, err)
	}
	return c
}
